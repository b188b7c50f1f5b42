/* x86_lanes256.h - what the decoding of blocks (block_types.h) needs of AVX2: 8 rows in a register. */
#ifndef WS_X86_LANES256_H
#define WS_X86_LANES256_H

enum { ROWS = 8 };

#include "kernels.h"
#include "lanes.h"

#include <immintrin.h>
#include <string.h>

INLINE void prefetch(const char *p) { _mm_prefetch(p, _MM_HINT_T1); }

/* a * b + c, rounded once. */
INLINE f32s fused(f32s a, f32s b, f32s c) { return (f32s)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }

INLINE u32s all_32(const ws_q8_cell *x) { return (u32s)_mm256_set1_epi32(x->i); }
INLINE f32s all_f(const ws_q8_cell *x) { return (f32s)_mm256_set1_ps(x->f); }

/* A table of 16 bytes, in each half of a register. */
INLINE u8s table_16(const void *p) { return (u8s)_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p)); }

/* table[i] of the bytes i, 0..15. */
INLINE u8s look_up(u8s table, u8s i) { return (u8s)_mm256_shuffle_epi8((__m256i)table, (__m256i)i); }

/* Byte `byte` of every word in all four of its bytes. */
INLINE u8s spread(u8s v, const int byte) {
    const int first = 0x01010101 * byte;
    const __m128i from = _mm_setr_epi32(first, first + 0x04040404, first + 0x08080808, first + 0x0c0c0c0c);
    return (u8s)_mm256_shuffle_epi8((__m256i)v, _mm256_broadcastsi128_si256(from));
}

/* The low half of every word of `low`, the high half of every word of `high`. */
INLINE u8s low_and_high(u8s low, u8s high) { return (u8s)_mm256_blend_epi16((__m256i)low, (__m256i)high, 0xaa); }

/* The low half of every word as a float. */
INLINE f32s low_f16(u32s words) {
    const __m256i low = (__m256i)(words & WORDS(0xffff));
    const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    return (f32s)_mm256_cvtph_ps(halves);
}

/* list[place[0..7]], one insertion after the other: left to themselves, compilers take twice as many instructions. */
INLINE __m128i eight_halves(const uint16_t h[8]) {
    __m128i v = _mm_cvtsi32_si128(h[0]);
    v = _mm_insert_epi16(v, h[1], 1), v = _mm_insert_epi16(v, h[2], 2), v = _mm_insert_epi16(v, h[3], 3);
    v = _mm_insert_epi16(v, h[4], 4), v = _mm_insert_epi16(v, h[5], 5), v = _mm_insert_epi16(v, h[6], 6);
    return _mm_insert_epi16(v, h[7], 7);
}

/* list[place] for the places in every half of a word. */
INLINE u16s codes_of(const uint16_t *list, u16s place) {
    uint16_t at[2 * ROWS], code[2 * ROWS];
    memcpy(at, &place, sizeof at);
    UNROLL for (int i = 0; i < 2 * ROWS; i++) code[i] = list[at[i]];
    return (u16s)_mm256_set_m128i(eight_halves(code + 8), eight_halves(code));
}

/* ---- blocks of 8 rows ---- */

/* The same block of 8 rows: row 4 i + j at b[i] + j * stride. */
typedef struct {
    const uint8_t *b[2];
    size_t stride, stride3;
} block_rows;

INLINE block_rows rows_from(const uint8_t *base, size_t stride) {
    return (block_rows){{base, base + 4 * stride}, stride, 3 * stride};
}

INLINE const uint8_t *row_at(const block_rows *r, const int row) {
    return r->b[row / 4] + (row % 4 == 3 ? r->stride3 : row % 4 * r->stride);
}

INLINE void next_block(block_rows *r, size_t bytes) { r->b[0] += bytes, r->b[1] += bytes; }

INLINE u32s gather_32(const block_rows *r, size_t at) {
    int32_t w[ROWS];
    UNROLL for (int i = 0; i < ROWS; i++) memcpy(&w[i], row_at(r, i) + at, sizeof w[i]);
    return (u32s)_mm256_setr_epi32(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]);
}

INLINE f32s gather_f16(const block_rows *r, size_t at) {
    uint16_t h[ROWS];
    UNROLL for (int i = 0; i < ROWS; i++) memcpy(&h[i], row_at(r, i) + at, sizeof h[i]);
    return (f32s)_mm256_cvtph_ps(eight_halves(h));
}

/* 16 bytes of rows j and 4 + j. */
INLINE __m256i two_rows(const block_rows *r, size_t at, const int j) {
    const __m128i low = _mm_loadu_si128((const __m128i *)(const void *)(row_at(r, j) + at));
    const __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(row_at(r, 4 + j) + at));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* to[k] = bytes at + 4 k .. at + 4 k + 3 of the rows, for k = 0..3. */
INLINE void transpose(const block_rows *r, size_t at, u8s to[4]) {
    __m256i v[4], pair[4];
    UNROLL for (int j = 0; j < 4; j++) v[j] = two_rows(r, at, j);
    pair[0] = _mm256_unpacklo_epi32(v[0], v[1]), pair[1] = _mm256_unpackhi_epi32(v[0], v[1]);
    pair[2] = _mm256_unpacklo_epi32(v[2], v[3]), pair[3] = _mm256_unpackhi_epi32(v[2], v[3]);
    to[0] = (u8s)_mm256_unpacklo_epi64(pair[0], pair[2]), to[1] = (u8s)_mm256_unpackhi_epi64(pair[0], pair[2]);
    to[2] = (u8s)_mm256_unpacklo_epi64(pair[1], pair[3]), to[3] = (u8s)_mm256_unpackhi_epi64(pair[1], pair[3]);
}

#endif
