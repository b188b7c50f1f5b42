/* x86_codes.h - the types whose quants are looked up (codes.h), for x86_vnni.c: blocks of 16 rows into a sink. */
#ifndef WS_X86_CODES_H
#define WS_X86_CODES_H

#include "grids4.h"
#include "grids8.h"
#include "values.h"
#include "x86_blocks.h"

/* ---- quants that are numbers of 16 values ---- */

/* values[q] - low of the bytes q, 0..15. */
INLINE ints look_up(const int8_t values[16], const int low, ints q) {
    const __m128i table = _mm_loadu_si128((const __m128i *)(const void *)values);
    return _mm512_shuffle_epi8(_mm512_sub_epi8(_mm512_broadcast_i32x4(table), BYTES((char)low)), q);
}

/* Panel p from 16 bytes, the low halves first. */
INLINE void put_values(block_rows *r, size_t at, const int8_t values[16], const int p, sink *s) {
    ints t[4];
    transpose(r, at, t);
    UNROLL for (int k = 0; k < 4; k++) put(s, p, k, look_up(values, s->low, field(t[k], 0, 15)));
    UNROLL for (int k = 0; k < 4; k++) put(s, p, k + 4, look_up(values, s->low, field(t[k], 4, 15)));
}

INLINE void block_iq4_nl(block_rows *r, sink *s) {
    put_values(r, offsetof(ws_iq4_nl, qs), iq4_values, 0, s);
    const floats d = gather_f16(r, offsetof(ws_iq4_nl, d));
    put_d(s, 0, d, d);
}

/* The first eight bytes: d and scales_h in one word, scales_l in the other. */
INLINE void block_iq4_xs(block_rows *r, sink *s) {
    UNROLL for (int p = 0; p < 8; p++) put_values(r, offsetof(ws_iq4_xs, qs) + 16 * (size_t)p, iq4_values, p, s);
    const ints head = gather_32(r, 0), low = gather_32(r, offsetof(ws_iq4_xs, scales_l));
    const floats d = low_f16(head);
    UNROLL for (int p = 0; p < 8; p++) {
        const ints l = word_bits(low, 4 * p, 15), h = word_bits(head, 16 + 2 * p, 3);
        const ints scale = _mm512_sub_epi32(_mm512_or_si512(l, _mm512_slli_epi32(h, 4)), _mm512_set1_epi32(32));
        const floats dp = _mm512_mul_ps(d, _mm512_cvtepi32_ps(scale));
        put_d(s, p, dp, dp);
    }
}

/* 2^(e - 128) */
INLINE floats mxfp4_scales(ints e) {
    const ints normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
    const ints small = _mm512_sllv_epi32(_mm512_set1_epi32(0x200000), e);
    const __mmask16 is_small = _mm512_cmp_epi32_mask(e, _mm512_set1_epi32(2), _MM_CMPINT_LT);
    return _mm512_castsi512_ps(_mm512_mask_mov_epi32(normal, is_small, small));
}

INLINE void block_mxfp4(block_rows *r, sink *s) {
    put_values(r, offsetof(ws_mxfp4, qs), fp4_values, 0, s);
    const floats d = mxfp4_scales(word_bits(gather_32(r, 0), 0, 255));
    put_d(s, 0, d, d);
}

/* Half of the UE4M3 in byte i: a float's bits from bit 20 on but for the exponent's bias; 0x7f stands for 0. */
INLINE floats nvfp4_scales(ints codes, const int i) {
    const ints code = word_bits(codes, 8 * i, 255);
    const ints magnitude = _mm512_slli_epi32(_mm512_and_si512(code, _mm512_set1_epi32(127)), 20);
    const __mmask16 some = _mm512_cmp_epi32_mask(code, _mm512_set1_epi32(127), _MM_CMPINT_NE);
    return _mm512_maskz_mul_ps(some, _mm512_castsi512_ps(magnitude), _mm512_set1_ps(0x1p119f));
}

/* 16 bytes are a panel: eight for each half, the low nibbles first. */
INLINE void block_nvfp4(block_rows *r, sink *s) {
    UNROLL for (int p = 0; p < 2; p++) {
        ints t[4];
        transpose(r, offsetof(ws_nvfp4, qs) + 16 * (size_t)p, t);
        UNROLL for (int k = 0; k < 4; k++) {
            const int g = k / 2 * 4 + k % 2;
            put(s, p, g, look_up(fp4_values, s->low, field(t[k], 0, 15)));
            put(s, p, g + 2, look_up(fp4_values, s->low, field(t[k], 4, 15)));
        }
    }
    const ints codes = gather_32(r, offsetof(ws_nvfp4, d));
    UNROLL for (int p = 0; p < 2; p++) put_d(s, p, nvfp4_scales(codes, 2 * p), nvfp4_scales(codes, 2 * p + 1));
}

/* ---- one, two bits, three values: one scale for all ---- */

INLINE void put_one_d(sink *s, const int n_panels, floats d) {
    UNROLL for (int p = 0; p < n_panels; p++) put_d(s, p, d, d);
}

INLINE void block_q1_0(block_rows *r, sink *s) {
    ints t[4];
    transpose(r, offsetof(ws_q1_0, qs), t);
    UNROLL for (int p = 0; p < 4; p++) UNROLL for (int g = 0; g < 8; g++)
        put(s, p, g, _mm512_maskz_mov_epi8(four_bits(t[p], g / 2, g % 2), BYTES(2)));
    put_one_d(s, 4, gather_f16(r, offsetof(ws_q1_0, d)));
}

/* The word with x's bits from `shift` on added, where `mask` is. */
INLINE ints fold(ints x, const int shift, const int mask) {
    enum { A_OR_B_AND_C = 0xa8 };
    return _mm512_ternarylogic_epi32(x, _mm512_slli_epi32(x, (unsigned)shift), _mm512_set1_epi32(mask), A_OR_B_AND_C);
}

/* Words with digits of two bits, and the same four bits lower. */
typedef struct {
    ints low, high;
} two_bit_words;

INLINE two_bit_words two_bits_of(ints words) { return (two_bit_words){words, _mm512_srli_epi16(words, 4)}; }

/* values[digit] of the four digits in byte `byte` of the words. Each digit's byte is looked up as it lies in a nibble:
 * as the digit or four times that, so values has both. */
INLINE ints two_bit_values(const two_bit_words *w, const int byte, ints values) {
    const ints even = spread(w->low, byte), odd = spread(w->high, byte);
    const ints nibbles = _mm512_mask_blend_epi16(0xaaaaaaaau, even, odd);
    return _mm512_shuffle_epi8(values, _mm512_and_si512(nibbles, _mm512_set1_epi16(0x0c03)));
}

/* A table for it. */
INLINE ints by_digit(const char v0, const char v1, const char v2, const char v3) {
    return _mm512_broadcast_i32x4(_mm_setr_epi8(v0, v1, v2, v3, v1, 0, 0, 0, v2, 0, 0, 0, v3, 0, 0, 0));
}

INLINE void block_q2_0(block_rows *r, sink *s) {
    ints t[4];
    transpose(r, offsetof(ws_q2_0, qs), t);
    UNROLL for (int k = 0; k < 4; k++) {
        const two_bit_words w = two_bits_of(t[k]);
        UNROLL for (int i = 0; i < 4; i++) put(s, k / 2, k % 2 * 4 + i, two_bit_values(&w, i, by_digit(0, 1, 2, 3)));
    }
    put_one_d(s, 2, gather_f16(r, offsetof(ws_q2_0, d)));
}

INLINE void block_tq2_0(block_rows *r, sink *s) {
    put_two_bits(r, offsetof(ws_tq2_0, qs), s);
    put_one_d(s, 8, gather_f16(r, offsetof(ws_tq2_0, d)));
}

/* The next digit to base 3 of the fractions in the bytes of x, which are left without it: what three times a fraction
 * carries. */
INLINE ints next_digit(ints *x) {
    const ints low_bytes = _mm512_set1_epi16(255), three = _mm512_set1_epi16(3);
    const ints even = _mm512_mullo_epi16(_mm512_and_si512(*x, low_bytes), three);
    const ints odd = _mm512_mullo_epi16(_mm512_srli_epi16(*x, 8), three);
    *x = _mm512_mask_mov_epi8(even, 0xaaaaaaaaaaaaaaaau, _mm512_slli_epi16(odd, 8));
    return _mm512_mask_mov_epi8(_mm512_srli_epi16(even, 8), 0xaaaaaaaaaaaaaaaau, odd);
}

/* Panel n are digits n of the first 32 bytes, then come 16 columns for each digit of the next 16, 4 of the last 4. */
INLINE void block_tq1_0(block_rows *r, sink *s) {
    UNROLL for (int half = 0; half < 2; half++) {
        ints t[4];
        transpose(r, offsetof(ws_tq1_0, qs) + 16 * (size_t)half, t);
        UNROLL for (int k = 0; k < 4; k++) UNROLL for (int n = 0; n < 5; n++)
            put(s, n, 4 * half + k, next_digit(&t[k]));
    }
    ints t[4], last = gather_32(r, offsetof(ws_tq1_0, qh));
    transpose(r, offsetof(ws_tq1_0, qs) + 32, t);
    UNROLL for (int k = 0; k < 4; k++) UNROLL for (int n = 0; n < 5; n++)
        put(s, 5 + n / 2, n % 2 * 4 + k, next_digit(&t[k]));
    UNROLL for (int n = 0; n < 4; n++) put(s, 7, 4 + n, next_digit(&last));
    put_one_d(s, 8, gather_f16(r, offsetof(ws_tq1_0, d)));
}

/* ---- codebooks: places in a list of 16-bit codes, two to a word ---- */

INLINE ints codes_64(const uint16_t *list, ints place) {
    return _mm512_permutex2var_epi16(_mm512_loadu_si512(list), place, _mm512_loadu_si512(list + 32));
}

/* The bit of a place above those of half the list says which half. */
#define TWICE(name, half, n)                                                                                           \
    INLINE ints name(const uint16_t *list, ints place) {                                                               \
        const __mmask32 second = _mm512_test_epi16_mask(place, _mm512_set1_epi16(n));                                  \
        return _mm512_mask_blend_epi16(second, half(list, place), half(list + (n), place));                            \
    }
TWICE(codes_128, codes_64, 64)
TWICE(codes_256, codes_128, 128)
TWICE(codes_512, codes_256, 256)
#undef TWICE

INLINE __m128i eight_codes(const uint16_t *list, const uint16_t *place) {
    __m128i v = _mm_cvtsi32_si128(list[place[0]]);
    v = _mm_insert_epi16(v, list[place[1]], 1), v = _mm_insert_epi16(v, list[place[2]], 2);
    v = _mm_insert_epi16(v, list[place[3]], 3), v = _mm_insert_epi16(v, list[place[4]], 4);
    v = _mm_insert_epi16(v, list[place[5]], 5), v = _mm_insert_epi16(v, list[place[6]], 6);
    return _mm_insert_epi16(v, list[place[7]], 7);
}

/* From long lists, one by one. */
INLINE ints codes_of_many(const uint16_t *list, ints place) {
    uint16_t places[32];
    _mm512_storeu_si512(places, place);
    const __m256i low = _mm256_set_m128i(eight_codes(list, places + 8), eight_codes(list, places));
    const __m256i high = _mm256_set_m128i(eight_codes(list, places + 24), eight_codes(list, places + 16));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Bytes 0 and 2 of the words (bytes 1 and 3 if `odd`) as places, without and with bits from `high` in each half. */
INLINE ints byte_places(ints bytes, const int odd) {
    return _mm512_and_si512(odd ? _mm512_srli_epi32(bytes, 8) : bytes, _mm512_set1_epi32(0x00ff00ff));
}
INLINE ints wide_places(ints bytes, const int odd, ints high) { return _mm512_or_si512(byte_places(bytes, odd), high); }

/* Bits of x under `mask` moved to bit 8 of the low half, from `low`, and of the high half, from `high`. */
INLINE ints high_bits(ints x, const int low, const int high, const int mask) {
    const ints l = low < 8 ? _mm512_slli_epi32(x, 8 - (unsigned)low) : _mm512_srli_epi32(x, (unsigned)low - 8);
    const ints h = _mm512_slli_epi32(x, 24 - (unsigned)high);
    return _mm512_or_si512(_mm512_and_si512(l, _mm512_set1_epi32(mask << 8)),
                           _mm512_and_si512(h, _mm512_set1_epi32(mask << 24)));
}

/* Bytes of seven signs: the eighth makes the number of minuses even. */
INLINE ints even_signs(ints seven) {
    enum { XOR_OF_THREE = 0x96 };
    const ints odd = _mm512_set4_epi32(0x00808000, (int)0x80000080u, (int)0x80000080u, 0x00808000); /* of 0..15 */
    return _mm512_ternarylogic_epi32(seven, _mm512_shuffle_epi8(odd, field(seven, 0, 15)),
                                     _mm512_shuffle_epi8(odd, field(seven, 4, 15)), XOR_OF_THREE);
}

/* Four times seven bits of the words. */
INLINE ints seven_bits(ints words) {
    ints bytes = _mm512_and_si512(words, _mm512_set1_epi32(127));
    UNROLL for (int k = 1; k < 4; k++) bytes = _mm512_or_si512(
        bytes, _mm512_and_si512(_mm512_slli_epi32(words, (unsigned)k), _mm512_set1_epi32(127 << 8 * k)));
    return bytes;
}

/* Magnitudes with four of the signs in byte `byte` of `signs`, less s->low. */
INLINE ints with_signs(ints magnitudes, ints signs, const int byte, const int high, const sink *s) {
    const ints zero = BYTES((char)-s->low);
    return _mm512_mask_sub_epi8(_mm512_add_epi8(zero, magnitudes), four_bits(signs, byte, high), zero, magnitudes);
}

/* ---- codes of eight digits 0, 1, 2: IQ2 and IQ1 ---- */

/* Columns 8 k to 8 k + 7 of panel p: the code in half `half` of the words, signs in byte `byte`. */
INLINE void put_iq2(sink *s, const int p, const int k, ints codes, const int half, ints signs, const int byte) {
    const two_bit_words w = two_bits_of(codes);
    UNROLL for (int i = 0; i < 2; i++) {
        const ints magnitudes = two_bit_values(&w, 2 * half + i, by_digit(8, 25, 43, 0));
        put(s, p, 2 * k + i, with_signs(magnitudes, signs, byte, i, s));
    }
}

/* d * (2 scale + 1) * unit, a power of two */
INLINE floats odd_scale(floats d, ints scale, const float unit) {
    const ints odd = _mm512_add_epi32(_mm512_add_epi32(scale, scale), _mm512_set1_epi32(1));
    return _mm512_mul_ps(_mm512_mul_ps(d, _mm512_cvtepi32_ps(odd)), _mm512_set1_ps(unit));
}

INLINE void block_iq2_xxs(block_rows *r, sink *s) {
    ints words[8];
    UNROLL for (int i = 0; i < 4; i++) {
        ints t[4];
        transpose(r, offsetof(ws_iq2_xxs, qs) + 16 * (size_t)i, t);
        UNROLL for (int j = 0; j < 2; j++) {
            const int p = 2 * i + j;
            const ints signs = even_signs(seven_bits(t[2 * j + 1]));
            UNROLL for (int odd = 0; odd < 2; odd++) {
                const ints codes = codes_256(ws_grid8_iq2_xxs, byte_places(t[2 * j], odd));
                put_iq2(s, p, odd, codes, 0, signs, odd);
                put_iq2(s, p, odd + 2, codes, 1, signs, odd + 2);
            }
            words[p] = t[2 * j + 1];
        }
    }
    const floats d = gather_f16(r, offsetof(ws_iq2_xxs, d));
    UNROLL for (int p = 0; p < 8; p++) {
        const floats dp = odd_scale(d, _mm512_srli_epi32(words[p], 28), 0.125f);
        put_d(s, p, dp, dp);
    }
}

/* Scales of 16 columns in half a byte each. */
INLINE void put_iq2_scales(block_rows *r, size_t at_d, size_t at, sink *s) {
    const floats d = gather_f16(r, at_d);
    const ints scales[2] = {gather_32(r, at), gather_32(r, at + 4)};
    UNROLL for (int p = 0; p < 8; p++) {
        const int first = p % 4 * 8;
        put_d(s, p, odd_scale(d, word_bits(scales[p / 4], first, 15), 0.125f),
              odd_scale(d, word_bits(scales[p / 4], first + 4, 15), 0.125f));
    }
}

INLINE void block_iq2_xs(block_rows *r, sink *s) {
    UNROLL for (int i = 0; i < 4; i++) {
        ints t[4];
        transpose(r, offsetof(ws_iq2_xs, qs) + 16 * (size_t)i, t);
        UNROLL for (int j = 0; j < 4; j++) {
            const ints codes = codes_512(ws_grid8_iq2_xs, _mm512_and_si512(t[j], _mm512_set1_epi16(511)));
            const ints signs = even_signs(_mm512_srli_epi16(t[j], 9));
            const int p = 2 * i + j / 2, k = j % 2 * 2;
            put_iq2(s, p, k, codes, 0, signs, 0);
            put_iq2(s, p, k + 1, codes, 1, signs, 2);
        }
    }
    put_iq2_scales(r, offsetof(ws_iq2_xs, d), offsetof(ws_iq2_xs, scales), s);
}

INLINE void block_iq2_s(block_rows *r, sink *s) {
    const ints qh[2] = {gather_32(r, offsetof(ws_iq2_s, qh)), gather_32(r, offsetof(ws_iq2_s, qh) + 4)};
    UNROLL for (int i = 0; i < 2; i++) {
        ints t[4], signs[4];
        transpose(r, offsetof(ws_iq2_s, qs) + 16 * (size_t)i, t);
        transpose(r, offsetof(ws_iq2_s, signs) + 16 * (size_t)i, signs);
        UNROLL for (int j = 0; j < 4; j++) {
            const ints high = word_bits(qh[i], 8 * j, 255);
            UNROLL for (int odd = 0; odd < 2; odd++) {
                const ints place = wide_places(t[j], odd, high_bits(high, 2 * odd, 2 * odd + 4, 3));
                const ints codes = codes_of_many(ws_grid8_iq2_s, place);
                put_iq2(s, 4 * i + j, odd, codes, 0, signs[j], odd);
                put_iq2(s, 4 * i + j, odd + 2, codes, 1, signs[j], odd + 2);
            }
        }
    }
    put_iq2_scales(r, offsetof(ws_iq2_s, d), offsetof(ws_iq2_s, scales), s);
}

/* Columns 8 k to 8 k + 7 of panel p; `minus` are rows whose digits are shifted by -1, not 1. */
INLINE void put_iq1(sink *s, const int p, const int k, ints codes, const int half, __mmask16 minus) {
    const ints shift = _mm512_mask_blend_epi32(minus, BYTES((char)(-8 + 1 - s->low)), BYTES((char)(-8 - 1 - s->low)));
    const two_bit_words w = two_bits_of(codes);
    UNROLL for (int i = 0; i < 2; i++)
        put(s, p, 2 * k + i, _mm512_add_epi8(two_bit_values(&w, 2 * half + i, by_digit(0, 8, 16, 0)), shift));
}

INLINE __mmask16 rows_with_bit(ints v, const int bit) { return _mm512_test_epi32_mask(v, _mm512_set1_epi32(1 << bit)); }

INLINE void block_iq1_s(block_rows *r, sink *s) {
    ints qh[4];
    transpose(r, offsetof(ws_iq1_s, qh), qh);
    UNROLL for (int i = 0; i < 2; i++) {
        ints t[4];
        transpose(r, offsetof(ws_iq1_s, qs) + 16 * (size_t)i, t);
        UNROLL for (int j = 0; j < 4; j++) {
            const int p = 4 * i + j;
            const ints high = word_bits(qh[p / 2], 16 * (p % 2), 0xffff);
            UNROLL for (int odd = 0; odd < 2; odd++) {
                const ints place = wide_places(t[j], odd, high_bits(high, 3 * odd, 3 * odd + 6, 7));
                const ints codes = codes_of_many(ws_grid8_iq1, place);
                put_iq1(s, p, odd, codes, 0, rows_with_bit(high, 15));
                put_iq1(s, p, odd + 2, codes, 1, rows_with_bit(high, 15));
            }
        }
    }
    const floats d = gather_f16(r, offsetof(ws_iq1_s, d));
    UNROLL for (int p = 0; p < 8; p++) {
        const floats dp = odd_scale(d, word_bits(qh[p / 2], 16 * (p % 2) + 12, 7), 0.125f);
        put_d(s, p, dp, dp);
    }
}

/* d's four bits at the top of each half of the scales. */
INLINE floats iq1_m_d(const ints scales[2]) {
    ints half = _mm512_setzero_si512();
    UNROLL for (int j = 0; j < 4; j++) half =
        _mm512_or_si512(half, _mm512_slli_epi32(word_bits(scales[j / 2], 16 * (j % 2) + 12, 15), 4 * (unsigned)j));
    return low_f16(half);
}

INLINE void block_iq1_m(block_rows *r, sink *s) {
    ints qh[4];
    transpose(r, offsetof(ws_iq1_m, qh), qh);
    UNROLL for (int i = 0; i < 2; i++) {
        ints t[4];
        transpose(r, offsetof(ws_iq1_m, qs) + 16 * (size_t)i, t);
        UNROLL for (int j = 0; j < 4; j++) {
            const int p = 4 * i + j;
            const ints high = word_bits(qh[p / 2], 16 * (p % 2), 0xffff);
            UNROLL for (int odd = 0; odd < 2; odd++) {
                const ints place = wide_places(t[j], odd, high_bits(high, 4 * odd, 4 * odd + 8, 7));
                const ints codes = codes_of_many(ws_grid8_iq1, place);
                put_iq1(s, p, odd, codes, 0, rows_with_bit(high, 4 * odd + 3));
                put_iq1(s, p, odd + 2, codes, 1, rows_with_bit(high, 4 * odd + 11));
            }
        }
    }
    const ints scales[2] = {gather_32(r, offsetof(ws_iq1_m, scales)), gather_32(r, offsetof(ws_iq1_m, scales) + 4)};
    const floats d = iq1_m_d(scales);
    UNROLL for (int p = 0; p < 8; p++) {
        const int first = 16 * (p / 2 % 2) + p % 2 * 6;
        put_d(s, p, odd_scale(d, word_bits(scales[p / 4], first, 7), 0.125f),
              odd_scale(d, word_bits(scales[p / 4], first + 3, 7), 0.125f));
    }
}

/* ---- codes of four digits 0..7: IQ3 ---- */

/* Four columns: the code in half `half` of the words, values of its digits, signs as in with_signs(). */
INLINE void put_iq3(sink *s, const int p, const int g, ints codes, const int half, ints values, ints signs) {
    const ints code = half ? _mm512_srli_epi32(codes, 16) : _mm512_and_si512(codes, _mm512_set1_epi32(0xffff));
    const ints digits = fold(fold(code, 10, 0x003f003f), 5, 0x07070707);
    put(s, p, g, with_signs(_mm512_shuffle_epi8(values, digits), signs, g / 2, g % 2, s));
}

/* Eight values for the digits, in every quarter of the register. */
INLINE ints eight_values(const int low, const int high) { return _mm512_set4_epi32(0, 0, high, low); }

INLINE void block_iq3_xxs(block_rows *r, sink *s) {
    const ints values = eight_values(4 | 12 << 8 | 20 << 16 | 28 << 24, 36 | 44 << 8 | 52 << 16 | 62 << 24);
    ints words[8];
    transpose(r, offsetof(ws_iq3_xxs, scales_signs), words);
    transpose(r, offsetof(ws_iq3_xxs, scales_signs) + 16, words + 4);
    UNROLL for (int i = 0; i < 4; i++) {
        ints t[4];
        transpose(r, offsetof(ws_iq3_xxs, qs) + 16 * (size_t)i, t);
        UNROLL for (int j = 0; j < 4; j++) UNROLL for (int odd = 0; odd < 2; odd++) {
            const int p = 2 * i + j / 2, g = j % 2 * 4 + odd;
            const ints codes = codes_256(ws_grid4_iq3_xxs, byte_places(t[j], odd));
            const ints signs = even_signs(seven_bits(words[p]));
            put_iq3(s, p, g, codes, 0, values, signs);
            put_iq3(s, p, g + 2, codes, 1, values, signs);
        }
    }
    const floats d = gather_f16(r, offsetof(ws_iq3_xxs, d));
    UNROLL for (int p = 0; p < 8; p++) {
        const floats dp = odd_scale(d, _mm512_srli_epi32(words[p], 28), 0.25f);
        put_d(s, p, dp, dp);
    }
}

INLINE void block_iq3_s(block_rows *r, sink *s) {
    const ints values = eight_values(1 | 3 << 8 | 5 << 16 | 7 << 24, 9 | 11 << 8 | 13 << 16 | 15 << 24);
    const ints qh[2] = {gather_32(r, offsetof(ws_iq3_s, qh)), gather_32(r, offsetof(ws_iq3_s, qh) + 4)};
    UNROLL for (int i = 0; i < 4; i++) {
        ints t[4], signs[4];
        transpose(r, offsetof(ws_iq3_s, qs) + 16 * (size_t)i, t);
        transpose(r, offsetof(ws_iq3_s, signs) + 16 * (size_t)(i / 2), signs);
        UNROLL for (int j = 0; j < 4; j++) UNROLL for (int odd = 0; odd < 2; odd++) {
            const int p = 2 * i + j / 2, g = j % 2 * 4 + odd;
            const ints high = word_bits(qh[p / 4], p % 4 * 8 + j % 2 * 4, 15);
            const ints codes = codes_512(ws_grid4_iq3_s, wide_places(t[j], odd, high_bits(high, odd, odd + 2, 1)));
            put_iq3(s, p, g, codes, 0, values, signs[p % 4]);
            put_iq3(s, p, g + 2, codes, 1, values, signs[p % 4]);
        }
    }
    const floats d = gather_f16(r, offsetof(ws_iq3_s, d));
    const ints scales = gather_32(r, offsetof(ws_iq3_s, scales));
    UNROLL for (int p = 0; p < 8; p++) {
        const floats dp = odd_scale(d, word_bits(scales, 4 * p, 15), 1);
        put_d(s, p, dp, dp);
    }
}

#endif
