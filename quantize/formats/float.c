/* float.c - F32, F16 and BF16, whose blocks are single elements: here a lane is an element of one row. */
#include "kernels.h"

void WS_FN(f32, from_float)(const float *x, void *y, size_t n_blocks) {
    memcpy(y, (const void *)x, n_blocks * sizeof(float));
}

void WS_FN(f32, to_float)(const void *x, float *y, size_t n_blocks) { memcpy((void *)y, x, n_blocks * sizeof(float)); }

/* Applies `convert` to n elements of in_bytes each; the last ones, too few for a vector, pass through a buffer. */
V_INLINE void each_vector(const void *src, void *dst, size_t n, size_t in_bytes, size_t out_bytes,
                          void (*convert)(const uint8_t *in, uint8_t *out)) {
    const uint8_t *in = src;
    uint8_t *out = dst;
    for (; n >= WS_LANES; n -= WS_LANES, in += WS_LANES * in_bytes, out += WS_LANES * out_bytes) convert(in, out);
    if (n == 0) return;
    uint8_t last_in[WS_LANES * sizeof(float)] = {0}, last_out[WS_LANES * sizeof(float)];
    memcpy(last_in, in, n * in_bytes);
    convert(last_in, last_out);
    memcpy(out, last_out, n * out_bytes);
}

V_INLINE void float_to_f16(const uint8_t *in, uint8_t *out) { v_store_u16(out, v_half(v_load(in))); }
V_INLINE void f16_to_float(const uint8_t *in, uint8_t *out) { v_store(out, v_from_half(v_load_u16(in))); }
V_INLINE void bf16_to_float(const uint8_t *in, uint8_t *out) { v_store(out, v_from_bits(v_load_u16(in) << 16)); }

/* As ws_f32_to_bf16(): to nearest even; a NaN stays a NaN, made quiet. */
V_INLINE void float_to_bf16(const uint8_t *in, uint8_t *out) {
    const vu32 u = v_bits(v_load(in));
    const vu32 rounded = (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
    const vi32 nan = V_MASK((u & 0x7fffffffu) > 0x7f800000u);
    v_store_u16(out, vu_select(nan, u >> 16 | 64u, rounded));
}

void WS_FN(f16, from_float)(const float *x, void *y, size_t n_blocks) {
    each_vector(x, y, n_blocks, 4, 2, float_to_f16);
}

void WS_FN(f16, to_float)(const void *x, float *y, size_t n_blocks) { each_vector(x, y, n_blocks, 2, 4, f16_to_float); }

void WS_FN(bf16, from_float)(const float *x, void *y, size_t n_blocks) {
    each_vector(x, y, n_blocks, 4, 2, float_to_bf16);
}

void WS_FN(bf16, to_float)(const void *x, float *y, size_t n_blocks) {
    each_vector(x, y, n_blocks, 2, 4, bf16_to_float);
}
