/* block_types.h - blocks of several rows, a row in every lane of a register, taken apart for a sink: the types whose
 * quants are counted. One text for every register (lanes.h); block_codes.h has the other types. */
#ifndef WS_BLOCK_TYPES_H
#define WS_BLOCK_TYPES_H

#include "block_sink.h"
#include "blocks.h"

#include <stddef.h>

/* ---- blocks of 32 ---- */

/* 255 in the bytes whose bit is set: byte `byte` of every word has four for the low, four for the high half. */
INLINE u8s four_bits(u8s v, const int byte, const int high) {
    const u8s own = (u8s)WORDS(high ? 0x80402010u : 0x08040201u);
    return (u8s)((spread(v, byte) & own) == own);
}

INLINE void put_nibbles(const block_rows *r, size_t at, sink *s) {
    u8s t[4];
    transpose(r, at, t);
    UNROLL for (int k = 0; k < 4; k++) put(s, 0, k, field(t[k], 0, 15));
    UNROLL for (int k = 0; k < 4; k++) put(s, 0, k + 4, field(t[k], 4, 15));
}

/* Bit 4 of quant c is bit c of the rows' 32-bit words. */
INLINE void put_5_bits(const block_rows *r, size_t at_bits, size_t at, sink *s) {
    u8s t[4];
    const u8s bits = (u8s)gather_32(r, at_bits);
    transpose(r, at, t);
    UNROLL for (int g = 0; g < 8; g++)
        put(s, 0, g, field(t[g % 4], g / 4 * 4, 15) | (four_bits(bits, g / 2, g % 2) & BYTES(16)));
}

/* Scale and minimum, two halves that lie side by side. */
INLINE void put_d_and_min(const block_rows *r, size_t at, sink *s) {
    const u32s dm = gather_32(r, at);
    const f32s d = low_f16(dm), min = low_f16(dm >> 16);
    put_d(s, 0, d, d);
    put_min(s, 0, min, min);
}

/* One scale for all of n panels. */
INLINE void put_one_d(const block_rows *r, size_t at, const int n, sink *s) {
    const f32s d = gather_f16(r, at);
    UNROLL for (int p = 0; p < n; p++) put_d(s, p, d, d);
}

INLINE void block_q4_0(const block_rows *r, sink *s) {
    put_nibbles(r, offsetof(ws_q4_0, qs), s);
    put_one_d(r, offsetof(ws_q4_0, d), 1, s);
}

INLINE void block_q4_1(const block_rows *r, sink *s) {
    put_nibbles(r, offsetof(ws_q4_1, qs), s);
    put_d_and_min(r, offsetof(ws_q4_1, d), s);
}

INLINE void block_q5_0(const block_rows *r, sink *s) {
    put_5_bits(r, offsetof(ws_q5_0, qh), offsetof(ws_q5_0, qs), s);
    put_one_d(r, offsetof(ws_q5_0, d), 1, s);
}

INLINE void block_q5_1(const block_rows *r, sink *s) {
    put_5_bits(r, offsetof(ws_q5_1, qh), offsetof(ws_q5_1, qs), s);
    put_d_and_min(r, offsetof(ws_q5_1, d), s);
}

INLINE void block_q8_0(const block_rows *r, sink *s) {
    UNROLL for (int half = 0; half < 2; half++) {
        u8s t[4];
        transpose(r, offsetof(ws_q8_0, qs) + 16 * (size_t)half, t);
        UNROLL for (int k = 0; k < 4; k++) put(s, 0, 4 * half + k, t[k] - BYTES(WIDE_LOW));
    }
    put_one_d(r, offsetof(ws_q8_0, d), 1, s);
}

/* ---- super-blocks of 256: 8 panels ---- */

/* Scales and minimums of Q4_K and Q5_K. Word k of the 12 bytes holds, for sub-blocks j = 0..3 in byte j,
 * k = 0: scale[j] and two bits of scale[j + 4]; k = 1: the same of min; k = 2: four bits of both [j + 4]. */
INLINE void scales_q4_k(const block_rows *r, sink *s) {
    u8s t[4], scale[2], min[2];
    transpose(r, 0, t); /* d and dmin are the word before */
    const f32s d = low_f16((u32s)t[0]), neg = -low_f16((u32s)t[0] >> 16);
    scale[0] = field(t[1], 0, 63), min[0] = field(t[2], 0, 63);
    scale[1] = field(t[3], 0, 15) | field(t[1], 2, 48);
    min[1] = field(t[3], 4, 15) | field(t[2], 2, 48);
    UNROLL for (int p = 0; p < 8; p++) {
        const f32s dp = d * byte_to_float(scale[p / 4], p % 4), mp = neg * byte_to_float(min[p / 4], p % 4);
        put_d(s, p, dp, dp);
        put_min(s, p, mp, mp);
    }
}

INLINE void block_q4_k(const block_rows *r, sink *s) {
    UNROLL for (int part = 0; part < 8; part++) { /* 16 bytes: half of two panels */
        const int c = part / 2, g = part % 2 * 4;
        u8s t[4];
        transpose(r, offsetof(ws_q4_k, qs) + 16 * (size_t)part, t);
        UNROLL for (int k = 0; k < 4; k++) put(s, 2 * c, g + k, field(t[k], 0, 15));
        UNROLL for (int k = 0; k < 4; k++) put(s, 2 * c + 1, g + k, field(t[k], 4, 15));
    }
    scales_q4_k(r, s);
}

INLINE void block_q5_k(const block_rows *r, sink *s) {
    UNROLL for (int half = 0; half < 2; half++) {
        u8s high[4];
        transpose(r, offsetof(ws_q5_k, qh) + 16 * (size_t)half, high);
        UNROLL for (int c = 0; c < 4; c++) {
            u8s t[4];
            transpose(r, offsetof(ws_q5_k, qs) + 32 * (size_t)c + 16 * (size_t)half, t);
            UNROLL for (int k = 0; k < 4; k++)
                put(s, 2 * c, 4 * half + k, field(t[k], 0, 15) | move_bit(high[k], 2 * c, 4));
            UNROLL for (int k = 0; k < 4; k++)
                put(s, 2 * c + 1, 4 * half + k, field(t[k], 4, 15) | move_bit(high[k], 2 * c + 1, 4));
        }
    }
    scales_q4_k(r, s);
}

/* 64 bytes of two-bit quants in the order of the K-quants: 8 panels. */
INLINE void put_two_bits(const block_rows *r, size_t at, sink *s) {
    UNROLL for (int part = 0; part < 4; part++) { /* 16 bytes: half of four panels */
        u8s t[4];
        transpose(r, at + 16 * (size_t)part, t);
        UNROLL for (int p = 0; p < 4; p++) UNROLL for (int k = 0; k < 4; k++)
            put(s, part / 2 * 4 + p, part % 2 * 4 + k, field(t[k], 2 * p, 3));
    }
}

INLINE void block_q2_k(const block_rows *r, sink *s) {
    put_two_bits(r, offsetof(ws_q2_k, qs), s);
    u8s t[4];
    const u32s dm = gather_32(r, offsetof(ws_q2_k, d));
    const f32s d = low_f16(dm), neg = -low_f16(dm >> 16);
    transpose(r, offsetof(ws_q2_k, scales), t);
    UNROLL for (int p = 0; p < 8; p++) {
        const u8s scale = field(t[p / 2], 0, 15), min = field(t[p / 2], 4, 15);
        const int i = 2 * p % 4;
        put_d(s, p, d * byte_to_float(scale, i), d * byte_to_float(scale, i + 1));
        put_min(s, p, neg * byte_to_float(min, i), neg * byte_to_float(min, i + 1));
    }
}

/* d times the signed bytes of the words: scale i in byte i % 4 of words[i / 4]. */
INLINE void put_scales(const u8s words[4], f32s d, sink *s) {
    UNROLL for (int p = 0; p < 8; p++)
        put_d(s, p, d * signed_to_float(words[p / 2], 2 * p % 4), d * signed_to_float(words[p / 2], 2 * p % 4 + 1));
}

INLINE void scales_q3_k(const block_rows *r, sink *s) {
    u8s t[4], scale[4];
    transpose(r, offsetof(ws_q3_k, scales) - 4, t); /* 12 bytes: words 1 to 3 */
    scale[0] = field(t[1], 0, 15) | (u8s)((u16s)field(t[3], 0, 3) << 4);
    scale[1] = field(t[2], 0, 15) | (u8s)((u16s)field(t[3], 2, 3) << 4);
    scale[2] = field(t[1], 4, 15) | field(t[3], 0, 48);
    scale[3] = field(t[2], 4, 15) | field(t[3], 2, 48);
    UNROLL for (int k = 0; k < 4; k++) scale[k] -= BYTES(32);
    put_scales(scale, gather_f16(r, offsetof(ws_q3_k, d)), s);
}

INLINE void block_q3_k(const block_rows *r, sink *s) {
    UNROLL for (int part = 0; part < 4; part++) {
        u8s t[4], high[4];
        transpose(r, offsetof(ws_q3_k, hmask) + 16 * (size_t)(part % 2), high);
        transpose(r, offsetof(ws_q3_k, qs) + 16 * (size_t)part, t);
        UNROLL for (int i = 0; i < 4; i++) UNROLL for (int k = 0; k < 4; k++) {
            const int p = part / 2 * 4 + i;
            put(s, p, part % 2 * 4 + k, field(t[k], 2 * i, 3) | move_bit(high[k], p, 2));
        }
    }
    scales_q3_k(r, s);
}

/* The four panels of half h: the low nibbles of ql's first and second 32 bytes, then their high nibbles. */
INLINE void half_q6_k(const block_rows *r, const int h, sink *s) {
    UNROLL for (int part = 0; part < 2; part++) {
        u8s low[4], more[4], high[4];
        transpose(r, offsetof(ws_q6_k, qh) + 32 * (size_t)h + 16 * (size_t)part, high);
        transpose(r, offsetof(ws_q6_k, ql) + 64 * (size_t)h + 16 * (size_t)part, low);
        transpose(r, offsetof(ws_q6_k, ql) + 64 * (size_t)h + 32 + 16 * (size_t)part, more);
        UNROLL for (int k = 0; k < 4; k++) {
            const int g = 4 * part + k;
            const u8s up0 = (u8s)((u16s)field(high[k], 0, 3) << 4), up1 = (u8s)((u16s)field(high[k], 0, 12) << 2);
            put(s, 4 * h + 0, g, field(low[k], 0, 15) | up0);
            put(s, 4 * h + 1, g, field(more[k], 0, 15) | up1);
            put(s, 4 * h + 2, g, field(low[k], 4, 15) | field(high[k], 0, 48));
            put(s, 4 * h + 3, g, field(more[k], 4, 15) | field(high[k], 2, 48));
        }
    }
}

INLINE void block_q6_k(const block_rows *r, sink *s) {
    half_q6_k(r, 0, s);
    half_q6_k(r, 1, s);
    u8s scale[4];
    transpose(r, offsetof(ws_q6_k, scales), scale);
    put_scales(scale, gather_f16(r, offsetof(ws_q6_k, d)), s);
}

#endif
