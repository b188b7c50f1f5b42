/* x86_avx512.c - kernels for AVX-512 (F, BW, DQ, VL): the products of vectors.h in registers of 16 lanes. The
 * decoding of quantized rows is AVX2's. */
#include "kernels.h"
#include "rows.h"
#include "x86_rows512.h"
#include "x86_sums.h"

#include <immintrin.h>

#define V(op)     _mm512_##op
#define VI        __m512i
#define VF        __m512
#define LOAD_I(p) _mm512_loadu_si512(p)
#define ZERO_I    _mm512_setzero_si512()
#define N_VEC     1
/* Bytes of x with the signs of w's. */
#define WITH_SIGN(x, w) _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x)
#define IN_REGISTER(v)  __asm__("" : "+v"(v)) /* else gcc loads it for each use: too many loads */
enum { VEC_ROWS = WS_LANES / N_VEC, TILE = 8, TILE_R = 4, STRIP_R = 4, TILE_T = 6, ATTN_ROWS = 8 };

/* 16 floats of a kind (float_kind): the one register of the 16 at p. */
#define LOAD_VEC(p, v, kind) load_16((const uint8_t *)(p), (int)(kind))
#define ADD_LANES(l)         add_lanes((l).v[0])
#define ADD_FOUR(a, b, c, d) add_four((a).v[0], (b).v[0], (c).v[0], (d).v[0])

static inline __attribute__((always_inline)) __m512 load_16(const uint8_t *p, const int kind) {
    if (kind == 0) return _mm512_loadu_ps(p);
    if (kind == 1) return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
    const __m512i pairs = _mm512_loadu_si512(p), high = _mm512_set1_epi32((int)0xffff0000u);
    return _mm512_castsi512_ps(kind == 2 ? _mm512_and_si512(pairs, high) : _mm512_slli_epi32(pairs, 16));
}

#include "vectors.h"
#include "x86_pairs.h"

void ws_kernels_init_avx512(ws_kernels *k) {
    rows_init(k);
    rows512_init(k);
    vectors_init(k);
    panels_init(k);
}
