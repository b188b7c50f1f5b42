/* x86_bf16.c - rows of BF16 for AVX-512's vdpbf16ps, which adds to each of 16 sums the product of two odd columns, then
 * that of the even columns before them. */
#include "fetch.h"
#include "kernels.h"
#include "x86_sums.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

enum { STEP = 2 * WS_LANES, TILE_R = 4, TILE_T = 6, ALONE_R = 2 };

/* The n <= STEP columns from p on; zeros after them. */
INLINE __m512bh load(const uint8_t *p, size_t n) {
    if (n >= STEP) return (__m512bh)_mm512_loadu_si512(p);
    return (__m512bh)_mm512_maskz_loadu_epi16((__mmask32)((1u << n) - 1), p);
}

/* acc[r][t] += w[r] * x[t] over n columns. */
INLINE void mul_add(const uint8_t *w, size_t w_bytes, const uint16_t *x, size_t x_stride, size_t n,
                    __m512 acc[][TILE_T], const int n_rows, const int n_tokens) {
    __m512bh wl[TILE_R];
    UNROLL for (int r = 0; r < n_rows; r++) wl[r] = load(w + r * w_bytes, n);
    UNROLL for (int t = 0; t < n_tokens; t++) {
        const __m512bh xs = (__m512bh)_mm512_loadu_si512(x + t * x_stride);
        UNROLL for (int r = 0; r < n_rows; r++) acc[r][t] = _mm512_dpbf16_ps(acc[r][t], wl[r], xs);
    }
}

INLINE void mul_tile(const ws_float_job *job, size_t r0, size_t t0, const int n_rows, const int n_tokens) {
    const uint8_t *w = job->w + r0 * job->w_bytes;
    const uint16_t *x = (const uint16_t *)job->x + t0 * job->x_stride;
    __m512 acc[TILE_R][TILE_T];
    UNROLL for (int r = 0; r < n_rows; r++) UNROLL for (int t = 0; t < n_tokens; t++) acc[r][t] = _mm512_setzero_ps();
    size_t c = 0;
    for (; c + STEP <= job->n_cols; c += STEP) {
        if (n_tokens == 1 && c % FETCH_STEP == 0)
            UNROLL for (int r = 0; r < n_rows; r++) fetch_page(w + r * job->w_bytes + 2 * c);
        mul_add(w + 2 * c, job->w_bytes, x + c, job->x_stride, STEP, acc, n_rows, n_tokens);
    }
    if (c < job->n_cols) mul_add(w + 2 * c, job->w_bytes, x + c, job->x_stride, job->n_cols - c, acc, n_rows, n_tokens);
    float *y = job->y + t0 * job->y_stride + r0;
    UNROLL for (int t = 0; t < n_tokens; t++, y += job->y_stride) {
        if (n_rows == 4)
            _mm_storeu_ps(y, add_four(acc[0][t], acc[1][t], acc[2][t], acc[3][t]));
        else
            UNROLL for (int r = 0; r < n_rows; r++) y[r] = add_lanes(acc[r][t]);
    }
}

INLINE void mul_strip(const ws_float_job *job, size_t t, const int n_rows, const int n_tokens) {
    size_t r = 0;
    for (; r + n_rows <= job->n_rows; r += n_rows) mul_tile(job, r, t, n_rows, n_tokens);
    for (; r < job->n_rows; r++) mul_tile(job, r, t, 1, n_tokens);
}

static void mul_bf16(const ws_float_job *job) {
    size_t t = 0;
    for (; t + TILE_T <= job->n_tokens; t += TILE_T) mul_strip(job, t, TILE_R, TILE_T);
    for (; t < job->n_tokens; t++) mul_strip(job, t, ALONE_R, 1);
}

void ws_kernels_init_bf16(ws_kernels *k) { k->mul_float[WS_TYPE_BF16] = mul_bf16; }
