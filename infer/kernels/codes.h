/* codes.h - decoding of the types whose quants are looked up rather than counted: 16 values (IQ4, FP4), two to four
 * values (Q1_0, Q2_0, TQ), points of a codebook (IQ1, IQ2, IQ3). Part of c.c: one row of one block, into row r of the
 * panels it fills. Groups of eight quants are handled as the bytes of a 64-bit word. */
#ifndef WS_CODES_H
#define WS_CODES_H

#include "blocks.h"
#include "fp16.h"
#include "grids4.h"
#include "grids8.h"
#include "kernels.h"
#include "values.h"

#include <string.h>

#define EACH_BYTE 0x0101010101010101u

/* Quants of columns 4 first .. of row r, from their signed bytes; n a multiple of 4. */
static inline void put_quants(ws_panel *out, int r, int first, const void *quants, int n) {
    for (int g = 0; g < n / 4; g++) {
        uint32_t four;
        memcpy(&four, (const uint8_t *)quants + 4 * g, sizeof four);
        four ^= 0x80808080u; /* + WS_BIAS */
        memcpy(out->q[first + g][r], &four, sizeof four);
    }
}

/* 16 or 32 quants by the low, then the high halves of their n bytes. */
static inline void put_nibbles(ws_panel *out, int r, int first, const uint8_t *qs, int n, const int8_t values[16]) {
    int8_t q[32];
    for (int i = 0; i < n; i++) q[i] = values[qs[i] & 15], q[i + n] = values[qs[i] >> 4];
    put_quants(out, r, first, q, 2 * n);
}

static void decode_iq4_nl(const void *block, ws_panel *out, int r) {
    const ws_iq4_nl *b = block;
    put_nibbles(out, r, 0, b->qs, 16, iq4_values);
    out->d[0][r] = ws_f16_to_f32(b->d);
}

static void decode_iq4_xs(const void *block, ws_panel *out, int r) {
    const ws_iq4_xs *b = block;
    for (int p = 0; p < 8; p++) {
        const int scale = (b->scales_l[p / 2] >> p % 2 * 4 & 15) | (b->scales_h >> 2 * p & 3) << 4;
        put_nibbles(&out[p], r, 0, b->qs + 16 * p, 16, iq4_values);
        out[p].d[0][r] = ws_f16_to_f32(b->d) * (float)(scale - 32);
    }
}

/* ---- 4-bit floats, taken twice: scales are halved ---- */

/* 2^(e - 128) */
static inline float mxfp4_scale(unsigned e) { return ws_f32_from_bits(e > 1 ? (e - 1) << 23 : 0x200000u << e); }

static void decode_mxfp4(const void *block, ws_panel *out, int r) {
    const ws_mxfp4 *b = block;
    put_nibbles(out, r, 0, b->qs, 16, fp4_values);
    out->d[0][r] = mxfp4_scale(b->e);
}

/* Half of a UE4M3, whose bits are those of a float from bit 20 on but for the exponent's bias; 0x7f stands for 0,
 * in other codes bit 7 means nothing. */
static inline float nvfp4_scale(unsigned code) {
    return code == 127 ? 0 : ws_f32_from_bits((code & 127) << 20) * 0x1p119f;
}

static void decode_nvfp4(const void *block, ws_panel *out, int r) {
    const ws_nvfp4 *b = block;
    for (int s = 0; s < 4; s++) {
        put_nibbles(&out[s / 2], r, s % 2 * 4, b->qs + 8 * s, 8, fp4_values);
        out[s / 2].d[s % 2][r] = nvfp4_scale(b->d[s]);
    }
}

/* ---- one, two bits, three values: one scale for all ---- */

static void set_d(ws_panel *out, int r, int n_panels, uint16_t half) {
    for (int p = 0; p < n_panels; p++) out[p].d[0][r] = ws_f16_to_f32(half);
}

static void decode_q1_0(const void *block, ws_panel *out, int r) {
    const ws_q1_0 *b = block;
    for (int p = 0; p < 4; p++) {
        int8_t q[32];
        for (int i = 0; i < 32; i++) q[i] = b->qs[4 * p + i / 8] >> i % 8 & 1 ? 1 : -1;
        put_quants(&out[p], r, 0, q, 32);
    }
    set_d(out, r, 4, b->d);
}

static void decode_q2_0(const void *block, ws_panel *out, int r) {
    const ws_q2_0 *b = block;
    for (int p = 0; p < 2; p++) {
        int8_t q[32];
        for (int i = 0; i < 32; i++) q[i] = (int8_t)((b->qs[8 * p + i / 4] >> i % 4 * 2 & 3) - 1);
        put_quants(&out[p], r, 0, q, 32);
    }
    set_d(out, r, 2, b->d);
}

static void decode_tq2_0(const void *block, ws_panel *out, int r) {
    const ws_tq2_0 *b = block;
    for (int p = 0; p < 8; p++) {
        int8_t q[32];
        for (int i = 0; i < 32; i++) q[i] = (int8_t)((b->qs[p / 4 * 32 + i] >> p % 4 * 2 & 3) - 1);
        put_quants(&out[p], r, 0, q, 32);
    }
    set_d(out, r, 8, b->d);
}

/* Digits n of n_bytes bytes: what three times the fraction that is left carries. */
static void ternary_digits(const uint8_t *bytes, int n_bytes, int n, int8_t *q) {
    static const unsigned powers[5] = {1, 3, 9, 27, 81};
    for (int i = 0; i < n_bytes; i++) q[i] = (int8_t)(((bytes[i] * powers[n] & 255) * 3 >> 8) - 1);
}

static void decode_tq1_0(const void *block, ws_panel *out, int r) {
    const ws_tq1_0 *b = block;
    int8_t q[256];
    for (int n = 0; n < 5; n++) ternary_digits(b->qs, 32, n, q + 32 * n);
    for (int n = 0; n < 5; n++) ternary_digits(b->qs + 32, 16, n, q + 160 + 16 * n);
    for (int n = 0; n < 4; n++) ternary_digits(b->qh, 4, n, q + 240 + 4 * n);
    for (int p = 0; p < 8; p++) put_quants(&out[p], r, 0, q + 32 * p, 32);
    set_d(out, r, 8, b->d);
}

/* ---- codebooks of eight digits 0, 1, 2 (grids8.h): IQ2 and IQ1 ---- */

/* The eight digits of a code, a byte each. */
static inline uint64_t eight_digits(uint64_t code) {
    code = (code | code << 24) & 0x000000ff000000ffu;
    code = (code | code << 12) & 0x000f000f000f000fu;
    return (code | code << 6) & 0x0303030303030303u;
}

/* Bytes of x, 1..127, negative where bit i of `signs` says so for byte i. */
static inline uint64_t with_signs(uint64_t x, uint64_t signs) {
    const uint64_t bits = (signs * EACH_BYTE) & 0x8040201008040201u;
    const uint64_t minus = (bits + 0x7f * EACH_BYTE) >> 7 & EACH_BYTE;
    return (x ^ minus * 255) + minus;
}

/* Seven signs; the eighth makes the number of minuses even. */
static inline uint64_t even_signs(uint32_t seven) {
    seven &= 127;
    return seven | (uint32_t)__builtin_parity(seven) << 7;
}

/* 8, 25, 43 for 0, 1, 2 (iq2xxs_grid and its like in ggml-common.h) */
static inline uint64_t iq2_eight(uint16_t code, uint64_t signs) {
    const uint64_t g = eight_digits(code);
    return with_signs(8 * EACH_BYTE + 17 * g + (g >> 1 & EACH_BYTE), signs);
}

static void decode_iq2_xxs(const void *block, ws_panel *out, int r) {
    const ws_iq2_xxs *b = block;
    for (int p = 0; p < 8; p++) {
        const uint32_t word = b->qs[p].word;
        for (int k = 0; k < 4; k++) {
            const uint64_t q = iq2_eight(ws_grid8_iq2_xxs[b->qs[p].p[k]], even_signs(word >> 7 * k));
            put_quants(&out[p], r, 2 * k, &q, 8);
        }
        out[p].d[0][r] = ws_f16_to_f32(b->d) * (float)(2 * (word >> 28) + 1) * 0.125f;
    }
}

/* Scales of 16 columns in half a byte each. */
static inline float iq2_scale(float d, const uint8_t *scales, int i) {
    return d * (float)(2 * (scales[i / 2] >> i % 2 * 4 & 15) + 1) * 0.125f;
}

static void decode_iq2_xs(const void *block, ws_panel *out, int r) {
    const ws_iq2_xs *b = block;
    for (int k = 0; k < 32; k++) {
        const uint64_t q = iq2_eight(ws_grid8_iq2_xs[b->qs[k] & 511], even_signs(b->qs[k] >> 9));
        put_quants(&out[k / 4], r, k % 4 * 2, &q, 8);
    }
    for (int i = 0; i < 16; i++) out[i / 2].d[i % 2][r] = iq2_scale(ws_f16_to_f32(b->d), b->scales, i);
}

static void decode_iq2_s(const void *block, ws_panel *out, int r) {
    const ws_iq2_s *b = block;
    for (int k = 0; k < 32; k++) {
        const unsigned place = b->qs[k] | (b->qh[k / 4] >> k % 4 * 2 & 3u) << 8;
        const uint64_t q = iq2_eight(ws_grid8_iq2_s[place], b->signs[k]);
        put_quants(&out[k / 4], r, k % 4 * 2, &q, 8);
    }
    for (int i = 0; i < 16; i++) out[i / 2].d[i % 2][r] = iq2_scale(ws_f16_to_f32(b->d), b->scales, i);
}

/* 8 (g - 1) + 1 or - 1: eight times what the format counts */
static inline void put_iq1(ws_panel *out, int r, int first, unsigned place, unsigned minus) {
    const uint64_t biased = 8 * eight_digits(ws_grid8_iq1[place]) + (WS_BIAS - 8 + (minus ? -1 : 1)) * EACH_BYTE;
    const uint64_t q = biased ^ WS_BIAS * EACH_BYTE;
    put_quants(out, r, first, &q, 8);
}

static void decode_iq1_s(const void *block, ws_panel *out, int r) {
    const ws_iq1_s *b = block;
    for (int p = 0; p < 8; p++) {
        const unsigned qh = b->qh[p];
        for (int k = 0; k < 4; k++) put_iq1(&out[p], r, 2 * k, b->qs[4 * p + k] | (qh >> 3 * k & 7) << 8, qh >> 15);
        out[p].d[0][r] = ws_f16_to_f32(b->d) * (float)(2 * (qh >> 12 & 7) + 1) * 0.125f;
    }
}

static void decode_iq1_m(const void *block, ws_panel *out, int r) {
    const ws_iq1_m *b = block;
    unsigned half = 0;
    for (int j = 0; j < 4; j++) half |= (unsigned)(b->scales[j] >> 12) << 4 * j;
    const float d = ws_f16_to_f32((uint16_t)half);
    for (int i = 0; i < 16; i++) {
        ws_panel *panel = &out[i / 2];
        const unsigned qh = b->qh[i], scale = b->scales[i / 4] >> 3 * (i % 4) & 7u;
        put_iq1(panel, r, i % 2 * 4, b->qs[2 * i] | (qh & 7) << 8, qh >> 3 & 1);
        put_iq1(panel, r, i % 2 * 4 + 2, b->qs[2 * i + 1] | (qh >> 4 & 7) << 8, qh >> 7);
        panel->d[i % 2][r] = d * (float)(2 * scale + 1) * 0.125f;
    }
}

/* ---- codebooks of four digits 0..7 (grids4.h): IQ3 ---- */

/* The digits of two codes, a byte each. */
static inline uint64_t twice_four_digits(uint64_t first, uint64_t second) {
    uint64_t x = first | second << 32;
    x = (x | x << 10) & 0x003f003f003f003fu;
    return (x | x << 5) & 0x0707070707070707u;
}

static void decode_iq3_xxs(const void *block, ws_panel *out, int r) {
    const ws_iq3_xxs *b = block;
    for (int p = 0; p < 8; p++) {
        const uint8_t *places = b->qs + 8 * p;
        uint32_t word;
        memcpy(&word, b->scales_signs + 4 * p, sizeof word);
        for (int k = 0; k < 4; k++) {
            const uint64_t g = twice_four_digits(ws_grid4_iq3_xxs[places[2 * k]], ws_grid4_iq3_xxs[places[2 * k + 1]]);
            const uint64_t seven = g & g >> 1 & g >> 2 & EACH_BYTE; /* 4 + 8 g but for 62 (iq3xxs_grid) */
            const uint64_t q = with_signs(4 * EACH_BYTE + 8 * g + 2 * seven, even_signs(word >> 7 * k));
            put_quants(&out[p], r, 2 * k, &q, 8);
        }
        out[p].d[0][r] = ws_f16_to_f32(b->d) * (float)(2 * (word >> 28) + 1) * 0.25f;
    }
}

static void decode_iq3_s(const void *block, ws_panel *out, int r) {
    const ws_iq3_s *b = block;
    for (int p = 0; p < 8; p++) {
        uint64_t code[8];
        for (int k = 0; k < 8; k++) code[k] = ws_grid4_iq3_s[b->qs[8 * p + k] | (b->qh[p] >> k & 1u) << 8];
        for (int k = 0; k < 4; k++) {
            const uint64_t g = twice_four_digits(code[2 * k], code[2 * k + 1]);
            const uint64_t q = with_signs(EACH_BYTE + 2 * g, b->signs[4 * p + k]);
            put_quants(&out[p], r, 2 * k, &q, 8);
        }
        out[p].d[0][r] = ws_f16_to_f32(b->d) * (float)(2 * (b->scales[p / 2] >> p % 2 * 4 & 15) + 1);
    }
}

#endif
