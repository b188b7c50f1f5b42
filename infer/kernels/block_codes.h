/* block_codes.h - the types whose quants are looked up (codes.h), taken apart as block_types.h does it for the others.
 */
#ifndef WS_BLOCK_CODES_H
#define WS_BLOCK_CODES_H

#include "block_types.h"
#include "grids4.h"
#include "grids8.h"
#include "values.h"

/* ---- quants that are numbers of 16 values ---- */

/* Panel p from 16 bytes, the low halves first; `values` less the sink's low. */
INLINE void put_values(const block_rows *r, size_t at, u8s values, const int p, sink *s) {
    u8s t[4];
    transpose(r, at, t);
    UNROLL for (int k = 0; k < 4; k++) put(s, p, k, look_up(values, field(t[k], 0, 15)));
    UNROLL for (int k = 0; k < 4; k++) put(s, p, k + 4, look_up(values, field(t[k], 4, 15)));
}

INLINE u8s values_above(const int8_t values[16], const int low) { return table_16(values) - BYTES(low); }

INLINE void block_iq4_nl(const block_rows *r, sink *s) {
    put_values(r, offsetof(ws_iq4_nl, qs), values_above(iq4_values, s->low), 0, s);
    put_one_d(r, offsetof(ws_iq4_nl, d), 1, s);
}

/* The first eight bytes: d and scales_h in one word, scales_l in the other. */
INLINE void block_iq4_xs(const block_rows *r, sink *s) {
    const u8s values = values_above(iq4_values, s->low);
    UNROLL for (int p = 0; p < 8; p++) put_values(r, offsetof(ws_iq4_xs, qs) + 16 * (size_t)p, values, p, s);
    const u32s head = gather_32(r, 0), low = gather_32(r, offsetof(ws_iq4_xs, scales_l));
    const f32s d = low_f16(head);
    UNROLL for (int p = 0; p < 8; p++) {
        const u32s scale = (word_bits(low, 4 * p, 15) | word_bits(head, 16 + 2 * p, 3) << 4) - WORDS(32);
        const f32s dp = d * __builtin_convertvector((i32s)scale, f32s);
        put_d(s, p, dp, dp);
    }
}

/* 2^(e - 128): the least two are too small for an exponent. */
INLINE f32s mxfp4_scales(u32s e) {
    const u32s small = (u32s)(e < WORDS(2));
    return (f32s)((((e - WORDS(1)) << 23) & ~small) | ((WORDS(0x200000) << (e & WORDS(1))) & small));
}

INLINE void block_mxfp4(const block_rows *r, sink *s) {
    put_values(r, offsetof(ws_mxfp4, qs), values_above(fp4_values, s->low), 0, s);
    const f32s d = mxfp4_scales(word_bits(gather_32(r, 0), 0, 255));
    put_d(s, 0, d, d);
}

/* Half of the UE4M3 in byte i: a float's bits from bit 20 on but for the exponent's bias; 0x7f stands for 0. */
INLINE f32s nvfp4_scales(u32s codes, const int i) {
    const u32s code = word_bits(codes, 8 * i, 255), some = (u32s)(code != WORDS(127));
    return (f32s)(some & (u32s)((f32s)((code & WORDS(127)) << 20) * FLOATS(0x1p119f)));
}

/* 16 bytes are a panel: eight for each half, the low nibbles first. */
INLINE void block_nvfp4(const block_rows *r, sink *s) {
    const u8s values = values_above(fp4_values, s->low);
    UNROLL for (int p = 0; p < 2; p++) {
        u8s t[4];
        transpose(r, offsetof(ws_nvfp4, qs) + 16 * (size_t)p, t);
        UNROLL for (int k = 0; k < 4; k++) {
            const int g = k / 2 * 4 + k % 2;
            put(s, p, g, look_up(values, field(t[k], 0, 15)));
            put(s, p, g + 2, look_up(values, field(t[k], 4, 15)));
        }
    }
    const u32s codes = gather_32(r, offsetof(ws_nvfp4, d));
    UNROLL for (int p = 0; p < 2; p++) put_d(s, p, nvfp4_scales(codes, 2 * p), nvfp4_scales(codes, 2 * p + 1));
}

/* ---- one, two bits, three values: one scale for all ---- */

INLINE void block_q1_0(const block_rows *r, sink *s) {
    u8s t[4];
    transpose(r, offsetof(ws_q1_0, qs), t);
    UNROLL for (int p = 0; p < 4; p++) UNROLL for (int g = 0; g < 8; g++)
        put(s, p, g, four_bits(t[p], g / 2, g % 2) & BYTES(2));
    put_one_d(r, offsetof(ws_q1_0, d), 4, s);
}

/* values[digit] of the four two-bit digits in byte `byte` of the words; `high` are the words, four bits lower. Each
 * digit is looked up as it lies in a nibble: as itself or four times that, so `values` has both (by_digit). */
INLINE u8s two_bit_values(u8s words, u8s high, const int byte, u8s values) {
    return look_up(values, low_and_high(spread(words, byte), spread(high, byte)) & (u8s)HALVES(0x0c03));
}

INLINE u8s by_digit(const int8_t v0, const int8_t v1, const int8_t v2, const int8_t v3) {
    const int8_t table[16] = {v0, v1, v2, v3, v1, 0, 0, 0, v2, 0, 0, 0, v3, 0, 0, 0};
    return table_16(table);
}

INLINE void block_q2_0(const block_rows *r, sink *s) {
    const u8s values = by_digit(0, 1, 2, 3);
    u8s t[4];
    transpose(r, offsetof(ws_q2_0, qs), t);
    UNROLL for (int k = 0; k < 4; k++) UNROLL for (int i = 0; i < 4; i++)
        put(s, k / 2, k % 2 * 4 + i, two_bit_values(t[k], (u8s)((u16s)t[k] >> 4), i, values));
    put_one_d(r, offsetof(ws_q2_0, d), 2, s);
}

INLINE void block_tq2_0(const block_rows *r, sink *s) {
    put_two_bits(r, offsetof(ws_tq2_0, qs), s);
    put_one_d(r, offsetof(ws_tq2_0, d), 8, s);
}

/* The next digit to base 3 of the fractions in the bytes of x, which are left without it: what three times a fraction
 * carries. */
INLINE u8s next_digit(u8s *x) {
    const u16s even = ((u16s)*x & HALVES(255)) * HALVES(3), odd = ((u16s)*x >> 8) * HALVES(3);
    *x = (u8s)((even & HALVES(255)) | odd << 8);
    return (u8s)(even >> 8 | (odd & HALVES(0xff00)));
}

/* Panel n are digits n of the first 32 bytes, then come 16 columns for each digit of the next 16, 4 of the last 4. */
INLINE void block_tq1_0(const block_rows *r, sink *s) {
    UNROLL for (int half = 0; half < 2; half++) {
        u8s t[4];
        transpose(r, offsetof(ws_tq1_0, qs) + 16 * (size_t)half, t);
        UNROLL for (int n = 0; n < 5; n++) UNROLL for (int k = 0; k < 4; k++)
            put(s, n, 4 * half + k, next_digit(&t[k]));
    }
    u8s t[4], last = (u8s)gather_32(r, offsetof(ws_tq1_0, qh));
    transpose(r, offsetof(ws_tq1_0, qs) + 32, t);
    UNROLL for (int n = 0; n < 5; n++) UNROLL for (int k = 0; k < 4; k++)
        put(s, 5 + n / 2, n % 2 * 4 + k, next_digit(&t[k]));
    UNROLL for (int n = 0; n < 4; n++) put(s, 7, 4 + n, next_digit(&last));
    put_one_d(r, offsetof(ws_tq1_0, d), 8, s);
}

/* ---- codebooks: places in a list of 16-bit codes, two to a word ---- */

/* Bytes 0 and 2 of the words (bytes 1 and 3 if `odd`) as places, with bits from `high` in each half. */
INLINE u16s places(u8s bytes, const int odd, u32s high) {
    return (u16s)((((u32s)bytes >> 8 * odd) & WORDS(0x00ff00ff)) | high);
}

/* Bits of x under `mask` moved to bit 8 of the low half, from `low`, and of the high half, from `high`. */
INLINE u32s high_bits(u32s x, const int low, const int high, const uint32_t mask) {
    const u32s l = low < 8 ? x << (8 - low) : x >> (low - 8);
    return (l & WORDS(mask << 8)) | ((x << (24 - high)) & WORDS(mask << 24));
}

/* Bytes of seven signs: the eighth makes the number of minuses even. */
INLINE u8s even_signs(u8s seven) {
    enum { ODD = -128 };
    static const int8_t odd[16] = {0, ODD, ODD, 0, ODD, 0, 0, ODD, ODD, 0, 0, ODD, 0, ODD, ODD, 0}; /* bits set */
    const u8s table = table_16(odd);
    return seven ^ look_up(table, field(seven, 0, 15)) ^ look_up(table, field(seven, 4, 15));
}

/* Four times seven bits of the words. */
INLINE u8s seven_bits(u32s words) {
    u32s bytes = words & WORDS(127);
    UNROLL for (int k = 1; k < 4; k++) bytes |= (words << k) & WORDS((uint32_t)127 << 8 * k);
    return (u8s)bytes;
}

/* d * (2 scale + 1) * unit, a power of two */
INLINE f32s odd_scale(f32s d, u32s scale, const float unit) {
    return d * __builtin_convertvector((i32s)(scale + scale + WORDS(1)), f32s) * FLOATS(unit);
}

/* ---- codes of eight digits 0, 1, 2: IQ2 and IQ1 ---- */

/* Columns 8 k to 8 k + 7 of panel p: the code in half `half` of the words, signs in byte `byte`. */
INLINE void put_iq2(sink *s, const int p, const int k, u16s codes, const int half, u8s signs, const int byte) {
    UNROLL for (int i = 0; i < 2; i++) {
        const u8s magnitudes = two_bit_values((u8s)codes, (u8s)(codes >> 4), 2 * half + i, by_digit(8, 25, 43, 0));
        put_signed(s, p, 2 * k + i, magnitudes, four_bits(signs, byte, i));
    }
}

INLINE void block_iq2_xxs(const block_rows *r, sink *s) {
    u32s words[8];
    UNROLL for (int i = 0; i < 4; i++) {
        u8s t[4];
        transpose(r, offsetof(ws_iq2_xxs, qs) + 16 * (size_t)i, t);
        UNROLL for (int j = 0; j < 2; j++) {
            const int p = 2 * i + j;
            words[p] = (u32s)t[2 * j + 1];
            const u8s signs = even_signs(seven_bits(words[p]));
            UNROLL for (int odd = 0; odd < 2; odd++) {
                const u16s codes = codes_of(ws_grid8_iq2_xxs, places(t[2 * j], odd, WORDS(0)));
                put_iq2(s, p, odd, codes, 0, signs, odd);
                put_iq2(s, p, odd + 2, codes, 1, signs, odd + 2);
            }
        }
    }
    const f32s d = gather_f16(r, offsetof(ws_iq2_xxs, d));
    UNROLL for (int p = 0; p < 8; p++) {
        const f32s dp = odd_scale(d, words[p] >> 28, 0.125f);
        put_d(s, p, dp, dp);
    }
}

/* Scales of 16 columns in half a byte each. */
INLINE void put_iq2_scales(const block_rows *r, size_t at_d, size_t at, sink *s) {
    const f32s d = gather_f16(r, at_d);
    const u32s scales[2] = {gather_32(r, at), gather_32(r, at + 4)};
    UNROLL for (int p = 0; p < 8; p++) {
        const int first = p % 4 * 8;
        put_d(s, p, odd_scale(d, word_bits(scales[p / 4], first, 15), 0.125f),
              odd_scale(d, word_bits(scales[p / 4], first + 4, 15), 0.125f));
    }
}

INLINE void block_iq2_xs(const block_rows *r, sink *s) {
    UNROLL for (int i = 0; i < 4; i++) {
        u8s t[4];
        transpose(r, offsetof(ws_iq2_xs, qs) + 16 * (size_t)i, t);
        UNROLL for (int j = 0; j < 4; j++) {
            const u16s codes = codes_of(ws_grid8_iq2_xs, (u16s)t[j] & HALVES(511));
            const u8s signs = even_signs((u8s)((u16s)t[j] >> 9));
            const int p = 2 * i + j / 2, k = j % 2 * 2;
            put_iq2(s, p, k, codes, 0, signs, 0);
            put_iq2(s, p, k + 1, codes, 1, signs, 2);
        }
    }
    put_iq2_scales(r, offsetof(ws_iq2_xs, d), offsetof(ws_iq2_xs, scales), s);
}

INLINE void block_iq2_s(const block_rows *r, sink *s) {
    const u32s qh[2] = {gather_32(r, offsetof(ws_iq2_s, qh)), gather_32(r, offsetof(ws_iq2_s, qh) + 4)};
    UNROLL for (int i = 0; i < 2; i++) {
        u8s t[4], signs[4];
        transpose(r, offsetof(ws_iq2_s, qs) + 16 * (size_t)i, t);
        transpose(r, offsetof(ws_iq2_s, signs) + 16 * (size_t)i, signs);
        UNROLL for (int j = 0; j < 4; j++) {
            const u32s high = word_bits(qh[i], 8 * j, 255);
            UNROLL for (int odd = 0; odd < 2; odd++) {
                const u16s codes =
                    codes_of(ws_grid8_iq2_s, places(t[j], odd, high_bits(high, 2 * odd, 2 * odd + 4, 3)));
                put_iq2(s, 4 * i + j, odd, codes, 0, signs[j], odd);
                put_iq2(s, 4 * i + j, odd + 2, codes, 1, signs[j], odd + 2);
            }
        }
    }
    put_iq2_scales(r, offsetof(ws_iq2_s, d), offsetof(ws_iq2_s, scales), s);
}

/* Columns 8 k to 8 k + 7 of panel p; digits are shifted by -1, not 1, in rows whose bit `sign` of `signs` is set. */
INLINE void put_iq1(sink *s, const int p, const int k, u16s codes, const int half, u32s signs, const int sign) {
    const u8s minus = (u8s)(WORDS(0) - word_bits(signs, sign, 1));
    const u8s shift = BYTES(-8 + 1 - s->low) + (minus & BYTES(-2));
    UNROLL for (int i = 0; i < 2; i++) {
        const u8s digits = two_bit_values((u8s)codes, (u8s)(codes >> 4), 2 * half + i, by_digit(0, 8, 16, 0));
        put(s, p, 2 * k + i, digits + shift);
    }
}

INLINE void block_iq1_s(const block_rows *r, sink *s) {
    u8s qh[4];
    transpose(r, offsetof(ws_iq1_s, qh), qh);
    UNROLL for (int i = 0; i < 2; i++) {
        u8s t[4];
        transpose(r, offsetof(ws_iq1_s, qs) + 16 * (size_t)i, t);
        UNROLL for (int j = 0; j < 4; j++) {
            const int p = 4 * i + j;
            const u32s high = word_bits((u32s)qh[p / 2], 16 * (p % 2), 0xffff);
            UNROLL for (int odd = 0; odd < 2; odd++) {
                const u16s codes = codes_of(ws_grid8_iq1, places(t[j], odd, high_bits(high, 3 * odd, 3 * odd + 6, 7)));
                put_iq1(s, p, odd, codes, 0, high, 15);
                put_iq1(s, p, odd + 2, codes, 1, high, 15);
            }
        }
    }
    const f32s d = gather_f16(r, offsetof(ws_iq1_s, d));
    UNROLL for (int p = 0; p < 8; p++) {
        const f32s dp = odd_scale(d, word_bits((u32s)qh[p / 2], 16 * (p % 2) + 12, 7), 0.125f);
        put_d(s, p, dp, dp);
    }
}

/* d's four bits at the top of each half of the scales. */
INLINE f32s iq1_m_d(const u32s scales[2]) {
    u32s half = WORDS(0);
    UNROLL for (int j = 0; j < 4; j++) half |= word_bits(scales[j / 2], 16 * (j % 2) + 12, 15) << 4 * j;
    return low_f16(half);
}

INLINE void block_iq1_m(const block_rows *r, sink *s) {
    u8s qh[4];
    transpose(r, offsetof(ws_iq1_m, qh), qh);
    UNROLL for (int i = 0; i < 2; i++) {
        u8s t[4];
        transpose(r, offsetof(ws_iq1_m, qs) + 16 * (size_t)i, t);
        UNROLL for (int j = 0; j < 4; j++) {
            const int p = 4 * i + j;
            const u32s high = word_bits((u32s)qh[p / 2], 16 * (p % 2), 0xffff);
            UNROLL for (int odd = 0; odd < 2; odd++) {
                const u16s codes = codes_of(ws_grid8_iq1, places(t[j], odd, high_bits(high, 4 * odd, 4 * odd + 8, 7)));
                put_iq1(s, p, odd, codes, 0, high, 4 * odd + 3);
                put_iq1(s, p, odd + 2, codes, 1, high, 4 * odd + 11);
            }
        }
    }
    const u32s scales[2] = {gather_32(r, offsetof(ws_iq1_m, scales)), gather_32(r, offsetof(ws_iq1_m, scales) + 4)};
    const f32s d = iq1_m_d(scales);
    UNROLL for (int p = 0; p < 8; p++) {
        const int first = 16 * (p / 2 % 2) + p % 2 * 6;
        put_d(s, p, odd_scale(d, word_bits(scales[p / 4], first, 7), 0.125f),
              odd_scale(d, word_bits(scales[p / 4], first + 3, 7), 0.125f));
    }
}

/* ---- codes of four digits 0..7: IQ3 ---- */

/* Four columns: the code in half `half` of the words, values of its digits, signs in byte g / 2 of the words. */
INLINE void put_iq3(sink *s, const int p, const int g, u16s codes, const int half, u8s values, u8s signs) {
    u32s x = half ? (u32s)codes >> 16 : (u32s)codes & WORDS(0xffff);
    x = (x | x << 10) & WORDS(0x003f003f);
    x = (x | x << 5) & WORDS(0x07070707);
    put_signed(s, p, g, look_up(values, (u8s)x), four_bits(signs, g / 2, g % 2));
}

INLINE void block_iq3_xxs(const block_rows *r, sink *s) {
    static const int8_t table[16] = {4, 12, 20, 28, 36, 44, 52, 62};
    const u8s values = table_16(table);
    u8s words[8];
    transpose(r, offsetof(ws_iq3_xxs, scales_signs), words);
    transpose(r, offsetof(ws_iq3_xxs, scales_signs) + 16, words + 4);
    UNROLL for (int i = 0; i < 4; i++) {
        u8s t[4];
        transpose(r, offsetof(ws_iq3_xxs, qs) + 16 * (size_t)i, t);
        UNROLL for (int j = 0; j < 4; j++) UNROLL for (int odd = 0; odd < 2; odd++) {
            const int p = 2 * i + j / 2, g = j % 2 * 4 + odd;
            const u16s codes = codes_of(ws_grid4_iq3_xxs, places(t[j], odd, WORDS(0)));
            const u8s signs = even_signs(seven_bits((u32s)words[p]));
            put_iq3(s, p, g, codes, 0, values, signs);
            put_iq3(s, p, g + 2, codes, 1, values, signs);
        }
    }
    const f32s d = gather_f16(r, offsetof(ws_iq3_xxs, d));
    UNROLL for (int p = 0; p < 8; p++) {
        const f32s dp = odd_scale(d, (u32s)words[p] >> 28, 0.25f);
        put_d(s, p, dp, dp);
    }
}

INLINE void block_iq3_s(const block_rows *r, sink *s) {
    static const int8_t table[16] = {1, 3, 5, 7, 9, 11, 13, 15};
    const u8s values = table_16(table);
    const u32s qh[2] = {gather_32(r, offsetof(ws_iq3_s, qh)), gather_32(r, offsetof(ws_iq3_s, qh) + 4)};
    UNROLL for (int i = 0; i < 4; i++) {
        u8s t[4], signs[4];
        transpose(r, offsetof(ws_iq3_s, qs) + 16 * (size_t)i, t);
        transpose(r, offsetof(ws_iq3_s, signs) + 16 * (size_t)(i / 2), signs);
        UNROLL for (int j = 0; j < 4; j++) UNROLL for (int odd = 0; odd < 2; odd++) {
            const int p = 2 * i + j / 2, g = j % 2 * 4 + odd;
            const u32s high = word_bits(qh[p / 4], p % 4 * 8 + j % 2 * 4, 15);
            const u16s codes = codes_of(ws_grid4_iq3_s, places(t[j], odd, high_bits(high, odd, odd + 2, 1)));
            put_iq3(s, p, g, codes, 0, values, signs[p % 4]);
            put_iq3(s, p, g + 2, codes, 1, values, signs[p % 4]);
        }
    }
    const f32s d = gather_f16(r, offsetof(ws_iq3_s, d));
    const u32s scales = gather_32(r, offsetof(ws_iq3_s, scales));
    UNROLL for (int p = 0; p < 8; p++) {
        const f32s dp = odd_scale(d, word_bits(scales, 4 * p, 15), 1);
        put_d(s, p, dp, dp);
    }
}

#endif
