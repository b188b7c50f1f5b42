/* x86_blocks.h - blocks of 16 rows in registers of AVX-512, for x86_vnni.c and its parts: fields of all rows gathered
 * or transposed, and the sink that takes the quants. */
#ifndef WS_X86_BLOCKS_H
#define WS_X86_BLOCKS_H

#include "blocks.h"
#include "kernels.h"

#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#ifdef WS_SANITIZED /* unrolled and instrumented, this takes compilers many minutes */
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef __m512i ints;
typedef __m512 floats;

INLINE ints all_32(const ws_q8_cell *x) { return _mm512_set1_epi32(x->i); }
INLINE floats all_f(const ws_q8_cell *x) { return _mm512_set1_ps(x->f); }

/* ---- blocks of 16 rows ---- */

/* The same block of 16 rows: row 4 i + j at b[i] + j * stride. */
typedef struct {
    const uint8_t *b[4];
    size_t stride, stride3;
    const char *ahead; /* NULL, or what to ask for in memory while this block is worked on */
} block_rows;

/* Ask for the next lines until n bytes, a multiple of a line, are under way. A few at a time: more requests at once
 * than a processor keeps track of would hold up the block's own loads. */
INLINE void fetch(block_rows *r, const size_t bytes) {
    if (!r->ahead) return;
    UNROLL for (size_t i = 0; i < bytes; i += 64) _mm_prefetch(r->ahead + i, _MM_HINT_T2);
    r->ahead += bytes;
}

INLINE const uint8_t *row_at(const block_rows *r, const int row) {
    const size_t step = row % 4 == 3 ? r->stride3 : row % 4 * r->stride;
    return r->b[row / 4] + step;
}

/* 16 bytes of two rows; insertion into halves takes less time than into quarters. */
INLINE __m256i two_rows(const uint8_t *first, const uint8_t *second) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)first)),
                                   _mm_loadu_si128((const __m128i *)(const void *)second), 1);
}

/* 16 bytes of rows j, 4 + j, 8 + j, 12 + j. */
INLINE ints four_rows(const block_rows *r, size_t at, const int j) {
    const __m256i low = two_rows(row_at(r, j) + at, row_at(r, 4 + j) + at);
    const __m256i high = two_rows(row_at(r, 8 + j) + at, row_at(r, 12 + j) + at);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* to[k] = bytes at + 4 k .. at + 4 k + 3 of the 16 rows, for k = 0..3. */
INLINE void transpose(block_rows *r, size_t at, ints to[4]) {
    ints v[4], pair[4];
    fetch(r, WS_LANES * 16);
    UNROLL for (int j = 0; j < 4; j++) v[j] = four_rows(r, at, j);
    pair[0] = _mm512_unpacklo_epi32(v[0], v[1]), pair[1] = _mm512_unpackhi_epi32(v[0], v[1]);
    pair[2] = _mm512_unpacklo_epi32(v[2], v[3]), pair[3] = _mm512_unpackhi_epi32(v[2], v[3]);
    to[0] = _mm512_unpacklo_epi64(pair[0], pair[2]), to[1] = _mm512_unpackhi_epi64(pair[0], pair[2]);
    to[2] = _mm512_unpacklo_epi64(pair[1], pair[3]), to[3] = _mm512_unpackhi_epi64(pair[1], pair[3]);
}

INLINE ints gather_32(const block_rows *r, size_t at) {
    int32_t w[WS_LANES];
    UNROLL for (int i = 0; i < WS_LANES; i++) memcpy(&w[i], row_at(r, i) + at, sizeof w[i]);
    return _mm512_setr_epi32(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11], w[12], w[13],
                             w[14], w[15]);
}

/* Halves of rows first .. first + 7. One insertion after the other: left to themselves, compilers take twice as many
 * instructions. */
INLINE __m128i eight_halves(const block_rows *r, size_t at, const int first) {
    uint16_t h[8];
    UNROLL for (int i = 0; i < 8; i++) memcpy(&h[i], row_at(r, first + i) + at, sizeof h[i]);
    __m128i v = _mm_cvtsi32_si128(h[0]);
    v = _mm_insert_epi16(v, h[1], 1), v = _mm_insert_epi16(v, h[2], 2), v = _mm_insert_epi16(v, h[3], 3);
    v = _mm_insert_epi16(v, h[4], 4), v = _mm_insert_epi16(v, h[5], 5), v = _mm_insert_epi16(v, h[6], 6);
    return _mm_insert_epi16(v, h[7], 7);
}

INLINE floats gather_f16(const block_rows *r, size_t at) {
    return _mm512_cvtph_ps(_mm256_set_m128i(eight_halves(r, at, 8), eight_halves(r, at, 0)));
}

/* The low half of every word as a float. */
INLINE floats low_f16(ints words) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)); }
INLINE floats high_f16(ints words) { return low_f16(_mm512_srli_epi32(words, 16)); }

#define BYTES(v) _mm512_set1_epi8(v)

/* (v >> shift) & mask in every byte. */
INLINE ints field(ints v, const int shift, const char mask) {
    return _mm512_and_si512(shift ? _mm512_srli_epi16(v, (unsigned)shift) : v, BYTES(mask));
}

/* (v >> shift) & mask in every word. */
INLINE ints word_bits(ints v, const int shift, const int mask) {
    return _mm512_and_si512(shift ? _mm512_srli_epi32(v, (unsigned)shift) : v, _mm512_set1_epi32(mask));
}

/* bit `from` of every byte, moved to bit `to`. */
INLINE ints move_bit(ints v, const int from, const int to) {
    const ints moved =
        from < to ? _mm512_slli_epi16(v, (unsigned)(to - from)) : _mm512_srli_epi16(v, (unsigned)(from - to));
    return _mm512_and_si512(moved, BYTES((char)(1 << to)));
}

/* Byte `byte` of every word in all four of its bytes. */
INLINE ints spread(ints v, const int byte) {
    const int first = 0x01010101 * byte;
    return _mm512_shuffle_epi8(v, _mm512_set4_epi32(0x0c0c0c0c + first, 0x08080808 + first, 0x04040404 + first, first));
}

/* Bits 0 to 3 (of the high half: 4 to 7) of byte `byte` of every word, as a mask of its four bytes. */
INLINE __mmask64 four_bits(ints v, const int byte, const int high) {
    return _mm512_test_epi8_mask(spread(v, byte), _mm512_set1_epi32(high ? (int)0x80402010u : 0x08040201));
}

/* Byte i of every word as a number, without and with its sign. */
INLINE floats byte_to_float(ints v, const int i) {
    return _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_srli_epi32(v, 8 * (unsigned)i), _mm512_set1_epi32(255)));
}
INLINE floats signed_to_float(ints v, const int i) {
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(v, 24 - 8 * (unsigned)i), 24));
}

/* ---- the sink ---- */

enum { MAX_PANELS = 8 }; /* of a block */

typedef struct {
    ws_panel *out; /* NULL: multiply with x instead */
    const ws_q8_cell *x;
    ints sum[MAX_PANELS][2];
    floats y;
    bool halves;
    int low; /* quants are put as q - low: 0 or a power of two */
} sink;

/* Start a block of n panels. */
INLINE void open_block(sink *s, const int n) {
    if (s->out) return;
    UNROLL for (int p = 0; p < n; p++) UNROLL for (int h = 0; h <= s->halves; h++) {
        const int bias = s->halves ? WS_Q8_BIAS16 + h : WS_Q8_BIAS;
        s->sum[p][h] = s->low == 0 ? _mm512_setzero_si512()
                                   : _mm512_srai_epi32(all_32(s->x + p * WS_Q8_CELLS + bias),
                                                       7 - (unsigned)__builtin_ctz((unsigned)-s->low));
    }
}

/* Columns 4 g .. 4 g + 3 of panel p. */
INLINE void put(sink *s, const int p, const int g, ints q) {
    if (s->out) {
        const ints shift = BYTES((char)(WS_BIAS + s->low));
        _mm512_storeu_si512(s->out[p].q[g], _mm512_add_epi8(q, shift));
    } else {
        ints *sum = &s->sum[p][s->halves ? g / 4 : 0];
        *sum = _mm512_dpbusd_epi32(*sum, q, all_32(s->x + p * WS_Q8_CELLS + g));
    }
}

/* y += (sums of quants) * d */
INLINE floats add_scaled(floats s0, floats s1, floats d0, floats d1, const ws_q8_cell *d, floats y, const bool halves) {
    floats scaled = _mm512_mul_ps(s0, d0);
    if (halves) scaled = _mm512_fmadd_ps(s1, d1, scaled);
    return _mm512_fmadd_ps(scaled, all_f(d), y);
}

/* When all of panel p has been put, in the order of panels: its scales. */
INLINE void put_d(sink *s, const int p, floats d0, floats d1) {
    if (s->out) {
        _mm512_storeu_ps(s->out[p].d[0], d0);
        if (s->halves) _mm512_storeu_ps(s->out[p].d[1], d1);
    } else {
        const floats s0 = _mm512_cvtepi32_ps(s->sum[p][0]), s1 = s->halves ? _mm512_cvtepi32_ps(s->sum[p][1]) : s0;
        s->y = add_scaled(s0, s1, d0, d1, s->x + p * WS_Q8_CELLS + WS_Q8_D, s->y, s->halves);
    }
}

/* ... and after them its minimums, where the type has some. */
INLINE void put_min(sink *s, const int p, floats min0, floats min1) {
    if (s->out) {
        _mm512_storeu_ps(s->out[p].min[0], min0);
        if (s->halves) _mm512_storeu_ps(s->out[p].min[1], min1);
    } else {
        const ws_q8_cell *x = s->x + p * WS_Q8_CELLS + (s->halves ? WS_Q8_SUM16 : WS_Q8_SUM);
        s->y = _mm512_fmadd_ps(min0, all_f(x), s->y);
        if (s->halves) s->y = _mm512_fmadd_ps(min1, all_f(x + 1), s->y);
    }
}

/* 64 bytes of two-bit quants in the order of the K-quants: 8 panels. */
INLINE void put_two_bits(block_rows *r, size_t at, sink *s) {
    UNROLL for (int part = 0; part < 4; part++) { /* 16 bytes: half of four panels */
        ints t[4];
        transpose(r, at + 16 * (size_t)part, t);
        UNROLL for (int k = 0; k < 4; k++) UNROLL for (int p = 0; p < 4; p++)
            put(s, part / 2 * 4 + p, part % 2 * 4 + k, field(t[k], 2 * p, 3));
    }
}

#endif
