/* two_bits.h - the order of two-bit quants in a super-block (Q2_K, Q3_K, the high bits of Q6_K). */
#ifndef WS_TWO_BITS_H
#define WS_TWO_BITS_H

#include "lanes.h"

/* The low two bits of 256 quants, given four in a word, as 16 words: elements that lie 32 apart share a byte. */
V_INLINE void v_pack_2_bits(vu32 *words, const vu32 *q) {
    for (int i = 0; i < 16; i++) {
        const vu32 *first = q + 32 * (i / 8) + i % 8;
        words[i] = vu_set(0);
        for (int k = 0; k < 4; k++) words[i] |= (first[8 * k] & 0x03030303u) << (2 * k);
    }
}

/* Where the first of the 16 quants of sub-block j is: byte and shift. */
static inline int two_bits_byte(int j) { return 32 * (j / 8) + 16 * (j % 2); }
static inline int two_bits_shift(int j) { return j % 8 / 2 * 2; }

#endif
