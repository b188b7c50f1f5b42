/* x86_rows512.h - the rows of rows.h that take most time, in registers of 16 lanes, for x86_avx512.c. */
#ifndef WS_X86_ROWS512_H
#define WS_X86_ROWS512_H

#include "rows.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define ALL_16(x) _mm512_set1_ps(x)

/* a * b + c, rounded twice. */
static inline __m512 mul_then_add(__m512 a, __m512 b, __m512 c) { return _mm512_add_ps(_mm512_mul_ps(a, b), c); }

/* exp_vector() */
static inline __m512 exp_16(__m512 x) {
    const __m512 magic = ALL_16(ROUND_MAGIC);
    x = _mm512_max_ps(ALL_16(-88.0f), _mm512_min_ps(ALL_16(88.0f), x)); /* a NaN stays */
    const __m512 shifted = mul_then_add(x, ALL_16(1.44269504f), magic), n = _mm512_sub_ps(shifted, magic);
    const __m512 r = mul_then_add(n, ALL_16(2.12194440e-4f), _mm512_sub_ps(x, _mm512_mul_ps(n, ALL_16(0.693359375f))));
    __m512 p = ALL_16(1.9875691500e-4f);
    p = mul_then_add(p, r, ALL_16(1.3981999507e-3f));
    p = mul_then_add(p, r, ALL_16(8.3334519073e-3f));
    p = mul_then_add(p, r, ALL_16(4.1665795894e-2f));
    p = mul_then_add(p, r, ALL_16(1.6666665459e-1f));
    p = mul_then_add(p, r, ALL_16(5.0000001201e-1f));
    p = _mm512_add_ps(mul_then_add(p, _mm512_mul_ps(r, r), r), ALL_16(1.0f));
    const __m512i exponent = _mm512_add_epi32(
        _mm512_sub_epi32(_mm512_castps_si512(shifted), _mm512_castps_si512(magic)), _mm512_set1_epi32(127));
    return _mm512_mul_ps(p, _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23)));
}

/* The lanes of a piece that begins at i. */
static inline __mmask16 lanes_at(size_t i, size_t n) {
    return n - i >= WS_LANES ? (__mmask16)-1 : (__mmask16)((1u << (n - i)) - 1);
}

static void softmax_16(float *p, size_t n, float scale, ws_softmax *s, float *acc, size_t n_acc) {
    const __m512 none = ALL_16(-INFINITY);
    __m512 top = none, sum = _mm512_loadu_ps(s->sum);
    for (size_t i = 0; i < n; i += WS_LANES) {
        const __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes_at(i, n), p + i), ALL_16(scale));
        _mm512_mask_storeu_ps(p + i, lanes_at(i, n), scaled);
        top = _mm512_mask_max_ps(top, lanes_at(i, n), top, scaled);
    }
    const float max = _mm512_reduce_max_ps(top);
    if (!(max <= s->max)) {
        const __m512 shrink = exp_16(ALL_16(s->max - max)); /* -infinity for the first span, which gives 0 */
        sum = _mm512_mul_ps(sum, shrink);
        for (size_t i = 0; i < n_acc; i += WS_LANES)
            _mm512_mask_storeu_ps(acc + i, lanes_at(i, n_acc),
                                  _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes_at(i, n_acc), acc + i), shrink));
        s->max = max;
    }
    for (size_t i = 0; i < n; i += WS_LANES) {
        const __m512 x = _mm512_mask_loadu_ps(none, lanes_at(i, n), p + i);
        const __m512 e = exp_16(_mm512_sub_ps(x, ALL_16(s->max)));
        sum = _mm512_add_ps(sum, e);
        _mm512_mask_storeu_ps(p + i, lanes_at(i, n), e);
    }
    _mm512_storeu_ps(s->sum, sum);
}

static void silu_mul_16(float *y, const float *x, size_t n) {
    const __m512 one = ALL_16(1.0f), sign = ALL_16(-0.0f);
    for (size_t i = 0; i < n; i += WS_LANES) {
        const __m512 gate = _mm512_maskz_loadu_ps(lanes_at(i, n), y + i);
        const __m512 up = x ? _mm512_maskz_loadu_ps(lanes_at(i, n), x + i) : one;
        const __m512 e = exp_16(_mm512_xor_ps(gate, sign));
        const __m512 silu = _mm512_div_ps(gate, _mm512_add_ps(one, e));
        _mm512_mask_storeu_ps(y + i, lanes_at(i, n), _mm512_mul_ps(silu, up));
    }
}

/* Quants of 16 columns: the bytes of x * to_q, rounded. */
static inline __m512i quants_16(__m512 x, float to_q) {
    const __m512 magic = ALL_16(ROUND_MAGIC);
    const __m512i q = _mm512_castps_si512(mul_then_add(x, ALL_16(to_q), magic));
    return _mm512_srai_epi32(_mm512_slli_epi32(_mm512_sub_epi32(q, _mm512_castps_si512(magic)), 24), 24);
}

static inline void store_quants(ws_q8_cell *to, size_t tile, __m512i q) {
    int8_t bytes[WS_LANES];
    _mm_storeu_si128((__m128i *)(void *)bytes, _mm512_cvtepi32_epi8(q));
    for (size_t i = 0; i < WS_LANES / 4; i++) memcpy(to[i * tile].q, bytes + 4 * i, 4);
}

/* quantize_group() */
static inline void quantize_32(const float *x, ws_q8_cell *to, size_t tile) {
    const __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + WS_LANES);
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    const int32_t top = _mm512_reduce_max_epi32(_mm512_max_epi32(_mm512_and_si512(magnitude, _mm512_castps_si512(a)),
                                                                 _mm512_and_si512(magnitude, _mm512_castps_si512(b))));
    const float amax = ws_f32_from_bits((uint32_t)top);
    const float to_q = amax >= 1e-30f ? (float)WS_Q8_MAX / amax : 0.0f;
    const float d = top < 0x7f800000 ? amax / (float)WS_Q8_MAX : NAN;
    const __m512i first_q = quants_16(a, to_q), second_q = quants_16(b, to_q);
    const int32_t first = _mm512_reduce_add_epi32(first_q), second = _mm512_reduce_add_epi32(second_q);
    store_quants(to, tile, first_q);
    store_quants(to + 4 * tile, tile, second_q);
    put_sums(to, tile, d, first, second);
}

static void quantize_16(const float *x, const ws_q8 *to, size_t t) {
    ws_q8_cell *cell = ws_q8_at(to, t, 0);
    for (size_t g = 0; g < to->n_cols / WS_GROUP; g++, cell += WS_Q8_CELLS * to->tile)
        quantize_32(x + g * WS_GROUP, cell, to->tile);
}

static void rows512_init(ws_kernels *k) {
    k->softmax = softmax_16;
    k->silu_mul = silu_mul_16;
    k->quantize = quantize_16;
}

#endif
