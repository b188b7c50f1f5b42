/* simple.h - steps that the types with one scale per 32 elements (Q4_0 to Q8_0) share. */
#ifndef WS_SIMPLE_H
#define WS_SIMPLE_H

#include "elements.h"

/* 1/d, but 0 where that is infinite: for d = 0, as in the reference, and for d below 2^-128. There the reference
 * multiplies by infinity; the products, infinite or NaN, become the integer 0 on x86. */
V_INLINE vf32 v_inverse(vf32 d) {
    const vf32 inverse = 1.0f / d;
    return v_select(v_lt(v_set(FLT_MAX), v_abs(inverse)), v_set(0), inverse);
}

/* What stands for zero in quants around `middle`: that, but 0 in the second case of v_inverse(). */
V_INLINE vf32 v_middle(vf32 d, vf32 inverse, float middle) {
    return v_select(v_eq(inverse, v_set(0)) & v_ne(d, v_set(0)), v_set(0), v_set(middle));
}

/* 32 quants of 4 bits as 16 bytes, element i beside i + 16. */
V_INLINE void pack_4_bits(uint8_t *out, const uint8_t *q) {
    const bytes_16 packed = load_16(q) | load_16(q + 16) << 4;
    memcpy(out, &packed, sizeof packed);
}

/* 32 quants of 5 bits as 20 bytes: their bits 4, then as above. */
V_INLINE void pack_5_bits(uint8_t *out, const uint8_t *q) {
    const uint32_t high = v_bit_of_bytes(q, 4);
    const bytes_16 packed = (load_16(q) & 0x0f0f0f0fu) | (load_16(q + 16) & 0x0f0f0f0fu) << 4;
    memcpy(out, &high, sizeof high);
    memcpy(out + 4, &packed, sizeof packed);
}

/* In lanes: 32 quants of 4 bits as 4 words, element i beside i + 16. */
V_INLINE void v_pack_4_bits(vu32 *words, const vu32 *q) {
    for (int i = 0; i < 4; i++) words[i] = v_word(q + 4 * i) | v_word(q + 4 * i + 16) << 4;
}

/* 32 quants of 5 bits as 5 words: their bits 4, then as above. */
V_INLINE void v_pack_5_bits(vu32 *words, const vu32 *q) {
    vu32 low[8];
    words[0] = vu_set(0);
    for (int i = 0; i < 8; i++) {
        const vu32 word = v_word(q + 4 * i), high = word >> 4 & 0x01010101u;
        /* Bits 0, 8, 16, 24 times 1 + 2^7 + 2^14 + 2^21: bits 21 to 24 of the product are those four, in order. */
        words[0] |= (high * 0x204081u >> 21 & 15u) << (4 * i);
        low[i] = word & 0x0f0f0f0fu;
    }
    for (int i = 0; i < 4; i++) words[1 + i] = low[i] | low[i + 4] << 4;
}

/* The fifth bits of elements i to i + WS_LANES - 1 of a row, in bit 4, from the 32 of the block. */
V_INLINE vu32 v_fifth_bits(uint32_t high, int i) { return (vu_set(high) >> (v_iota() + (uint32_t)i) & 1u) << 4; }

#endif
