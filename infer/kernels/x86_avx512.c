/* x86_avx512.c - kernels for AVX-512 (F, BW, DQ, VL): the products of x86_vectors.h in registers of 16 lanes. The
 * decoding of quantized rows is AVX2's. */
#include "kernels.h"
#include "rows.h"

#include <immintrin.h>

#define V(op)     _mm512_##op
#define VI        __m512i
#define VF        __m512
#define LOAD_I(p) _mm512_loadu_si512(p)
#define ZERO_I    _mm512_setzero_si512()
#define N_VEC     1
/* Bytes of x with the signs of w's. */
#define WITH_SIGN(x, w) _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x)
enum { TILE = 8, TILE_R = 4, STRIP_R = 4, TILE_T = 6, ATTN_ROWS = 8 };

/* 16 floats of the kind AS_F32, AS_F16 or AS_BF16: the one register of the 16 at p. */
#define LOAD_VEC(p, v, kind) load_16((const uint8_t *)(p), (int)(kind))
#define ADD_LANES(l)         add_lanes((l).v[0])
#define ADD_FOUR(a, b, c, d) add_four((a).v[0], (b).v[0], (c).v[0], (d).v[0])

static inline __attribute__((always_inline)) __m512 load_16(const uint8_t *p, const int kind) {
    if (kind == 0) return _mm512_loadu_ps(p);
    const __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)p);
    if (kind == 1) return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

static inline float add_lanes(__m512 v) {
    const __m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

/* add_lanes() of four registers: side by side in pairs, then in fours. */
static inline __m128 add_four(__m512 a, __m512 b, __m512 c, __m512 d) {
    const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    const __m512 s4 = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    const __m512 s2 = _mm512_add_ps(s4, _mm512_permute_ps(s4, 0x4e)),
                 s1 = _mm512_add_ps(s2, _mm512_permute_ps(s2, 0xb1));
    const __m512i first = _mm512_castsi128_si512(_mm_setr_epi32(0, 4, 8, 12));
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(first, s1));
}

#include "x86_vectors.h"

void ws_kernels_init_avx512(ws_kernels *k) {
    rows_init(k);
    vectors_init(k);
}
