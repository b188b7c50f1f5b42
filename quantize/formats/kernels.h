/* kernels.h - what every source of this folder starts from: the functions it defines (declared from the type list,
 * so that their signatures cannot drift) and the loop over groups of blocks. */
#ifndef WS_KERNELS_H
#define WS_KERNELS_H

#include "blocks.h"
#include "fp16.h"
#include "lanes.h"

/* WS_FN(q4_0, to_float) is ws_q4_0_to_float_avx2 in the build with -DWS_ISA=avx2. */
#define WS_FN(impl, op)        WS_FN_(impl, op, WS_ISA)
#define WS_FN_(impl, op, isa)  WS_FN__(impl, op, isa)
#define WS_FN__(impl, op, isa) ws_##impl##_##op##_##isa

#define WS_DTYPE(ID, number, elements, bytes, impl, imatrix)                                                           \
    void WS_FN(impl, from_float)(const float *x, void *y, size_t n_blocks);                                            \
    void WS_FN(impl, to_float)(const void *x, float *y, size_t n_blocks);                                              \
    void WS_FN(impl, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows,                \
                                          size_t row_blocks);
#include "dtypes.def"
#undef WS_DTYPE

/* The table of conversions of this build: ws_formats_avx2. */
#define WS_TABLE        WS_TABLE_(WS_ISA)
#define WS_TABLE_(isa)  WS_TABLE__(isa)
#define WS_TABLE__(isa) ws_formats_##isa

enum { WS_MAX_ELEMENTS = 256 };

/* Gives `quantize` one group after the other: x transposed, `live` blocks of it to be stored at y. */
V_INLINE void each_group(const void *src, void *dst, size_t n_blocks, size_t elements, size_t bytes,
                         void (*quantize)(const vf32 *x, uint8_t *y, size_t live)) {
    for (size_t i = 0; i < n_blocks; i += WS_LANES) {
        const size_t live = n_blocks - i < WS_LANES ? n_blocks - i : WS_LANES;
        vf32 x[WS_MAX_ELEMENTS];
        v_load_blocks(x, (const uint8_t *)src + i * elements * sizeof(float), elements, live);
        quantize(x, (uint8_t *)dst + i * bytes, live);
    }
}

/* The same with the weights of each block's columns. */
V_INLINE void each_weighted_group(const float *src, const float *weights, uint8_t *dst, size_t n_rows,
                                  size_t row_blocks, size_t elements, size_t bytes,
                                  void (*quantize)(const vf32 *x, const vf32 *w, uint8_t *y, size_t live)) {
    const size_t n_blocks = n_rows * row_blocks;
    for (size_t i = 0; i < n_blocks; i += WS_LANES) {
        const size_t live = n_blocks - i < WS_LANES ? n_blocks - i : WS_LANES;
        const void *x_of[WS_LANES], *w_of[WS_LANES];
        for (size_t lane = 0; lane < WS_LANES; lane++) {
            const size_t block = i + (lane < live ? lane : live - 1);
            x_of[lane] = src + block * elements;
            w_of[lane] = weights + block % row_blocks * elements;
        }
        vf32 x[WS_MAX_ELEMENTS], w[WS_MAX_ELEMENTS];
        v_load_blocks_at(x, x_of, elements);
        v_load_blocks_at(w, w_of, elements);
        quantize(x, w, dst + i * bytes, live);
    }
}

/* v_half() of a scale that may be NaN (quotients of sums that overflowed): that has the sign which x86 gives it; ARM
 * gives none. */
V_INLINE vu32 v_half_or_nan(vf32 d) { return vu_select(v_ne(d, d), vu_set(0xfe00), v_half(d)); }

/* The element of largest magnitude of n (a multiple of 4), with its sign, the first of equals; 0 when there is none
 * above 0. Four quarters side by side: one chain of comparisons would be a chain of waits. */
V_INLINE vf32 v_extreme(const vf32 *x, int n) {
    vf32 extreme[4], magnitude[4];
    for (int k = 0; k < 4; k++) extreme[k] = magnitude[k] = v_set(0);
    for (int i = 0; i < n / 4; i++)
        for (int k = 0; k < 4; k++) {
            const vf32 v = x[n / 4 * k + i];
            extreme[k] = v_select(v_lt(magnitude[k], v_abs(v)), v, extreme[k]);
            magnitude[k] = v_max(v_abs(v), magnitude[k]);
        }
    for (int k = 1; k < 4; k++) {
        extreme[0] = v_select(v_lt(magnitude[0], magnitude[k]), extreme[k], extreme[0]);
        magnitude[0] = v_max(magnitude[k], magnitude[0]);
    }
    return extreme[0];
}

#endif
