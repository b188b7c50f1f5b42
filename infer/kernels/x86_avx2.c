/* x86_avx2.c - kernels for AVX2 with FMA and F16C: products of panels and floats (x86_pairs.h, vectors.h), blocks of 8
 * rows (block_panels.h). */
#include "kernels.h"
#include "rows.h"
#include "x86_lanes256.h"

#include <immintrin.h>
#include <stddef.h>

#define V(op)     _mm256_##op
#define VI        __m256i
#define VF        __m256
#define LOAD_I(p) _mm256_loadu_si256((const __m256i *)(p))
#define ZERO_I    _mm256_setzero_si256()
#define N_VEC     2
/* Bytes of x with the signs of w's; 0 where w is 0. */
#define WITH_SIGN(x, w) _mm256_sign_epi8(x, w)
#define IN_REGISTER(v)  __asm__("" : "+v"(v)) /* else gcc loads it for each use: too many loads */
enum { VEC_ROWS = WS_LANES / N_VEC, TILE = 4, TILE_R = 4, STRIP_R = 2, TILE_T = 3, ATTN_ROWS = 4 };

/* 8 floats of a kind (float_kind): register v of the 16 at p. */
#define LOAD_VEC(p, v, kind) load_8((const uint8_t *)(p), v, (int)(kind))
#define ADD_LANES(l)         add_lanes((l).v[0], (l).v[1])
#define HALF_AT(p, at)       _mm_loadu_si128((const __m128i *)((const uint8_t *)(p) + (at)))

static inline __attribute__((always_inline)) __m256 load_8(const uint8_t *p, const int v, const int kind) {
    if (kind == 0) return _mm256_loadu_ps((const float *)(const void *)(p + 32 * v));
    if (kind == 1) return _mm256_cvtph_ps(HALF_AT(p, 16 * v));
    const __m256i pairs = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32 * v));
    const __m256i high = _mm256_set1_epi32((int)0xffff0000u);
    return _mm256_castsi256_ps(kind == 2 ? _mm256_and_si256(pairs, high) : _mm256_slli_epi32(pairs, 16));
}

static inline float add_lanes(__m256 low, __m256 high) {
    const __m256 s8 = _mm256_add_ps(low, high);
    const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

#include "vectors.h"
#include "x86_pairs.h"

/* ---- blocks of quantized rows ---- */

enum { WIDE_LOW = 0 };

/* Products of quants below 128 are added in 16 bits as long as they fit (x86_pairs.h). */
typedef struct {
    u32s sum;
    __m256i part;
    int n_part; /* additions to `part` */
} dots;

INLINE dots open_dots(const ws_q8_cell *bias, const int low) {
    return (dots){.sum = low ? (u32s)((i32s)all_32(bias) >> (7 - __builtin_ctz((unsigned)-low))) : WORDS(0)};
}

INLINE void add_pairs(dots *d, __m256i pairs) {
    d->sum += (u32s)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    d->n_part = 0;
}

INLINE void add_products(dots *d, u8s w, __m256i x, const int adds) {
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)w, x);
    d->part = d->n_part++ ? _mm256_add_epi16(d->part, pairs) : pairs;
    if (d->n_part == adds) add_pairs(d, d->part);
}

/* Wide quants as magnitudes, their signs moved to the activations. */
INLINE void add_dots(dots *d, u8s q, const ws_q8_cell *x, const int adds) {
    const __m256i xs = (__m256i)all_32(x), w = (__m256i)q;
    if (adds)
        add_products(d, q, xs, adds);
    else
        add_pairs(d, _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(xs, w)));
}

INLINE void add_signed_dots(dots *d, u8s magnitudes, u8s minus, const ws_q8_cell *x, const int adds) {
    add_products(d, magnitudes, _mm256_sign_epi8((__m256i)all_32(x), (__m256i)(minus | BYTES(1))), adds);
}

INLINE f32s close_dots(dots *d) {
    if (d->n_part) add_pairs(d, d->part);
    return __builtin_convertvector((i32s)d->sum, f32s);
}

#include "block_panels.h"

void ws_kernels_init_avx2(ws_kernels *k) {
    rows_init(k);
    vectors_init(k);
    panels_init(k);
    decoding_init(k);
    singles_init(k);
}
