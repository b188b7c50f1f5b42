/* blocks.h - the blocks of the quantized types, byte for byte as they lie in a file (little-endian, no padding).
 *
 * In the drawings a byte is written from its high bit to its low bit, `q5:4` is the low four bits of quant 5, and
 * d, dmin and m are IEEE halves. Elements of a block are numbered in the order of the row. */
#ifndef WS_BLOCKS_H
#define WS_BLOCKS_H

#include <stdint.h>

/* Block sizes of the type list as constants, to size arrays and to check the structs against. */
enum {
#define WS_DTYPE(ID, number, elements, bytes, impl, imatrix) WS_ELEMENTS_##ID = elements, WS_BYTES_##ID = bytes,
#include "dtypes.def"
#undef WS_DTYPE
};

/* Blocks lie at any address in a file, hence packed. */
#define WS_PACKED               __attribute__((packed))
#define WS_CHECK_SIZE(ID, type) _Static_assert(sizeof(type) == WS_BYTES_##ID, "the size of a block in files")

/* Q4_0: x = d * (q - 8), q in 0..15, q = 8 is zero
 *
 *     | d  d | q16 q0 | q17 q1 | ... | q31 q15 |
 *       2 B    one byte each: high nibble, low nibble */
typedef struct WS_PACKED {
    uint16_t d;
    uint8_t qs[16];
} ws_q4_0;
WS_CHECK_SIZE(Q4_0, ws_q4_0);

/* Q4_1: x = d * q + m, q in 0..15
 *
 *     | d  d | m  m | q16 q0 | q17 q1 | ... | q31 q15 | */
typedef struct WS_PACKED {
    uint16_t d, m;
    uint8_t qs[16];
} ws_q4_1;
WS_CHECK_SIZE(Q4_1, ws_q4_1);

/* Q5_0: x = d * (q - 16), q in 0..31
 *
 *     | d  d | qh qh qh qh | q16:4 q0:4 | q17:4 q1:4 | ... | q31:4 q15:4 |
 *              bit i of these 32 is bit 4 of q[i] */
typedef struct WS_PACKED {
    uint16_t d;
    uint8_t qh[4];
    uint8_t qs[16];
} ws_q5_0;
WS_CHECK_SIZE(Q5_0, ws_q5_0);

/* Q5_1: x = d * q + m, q in 0..31
 *
 *     | d  d | m  m | qh qh qh qh | q16:4 q0:4 | ... | q31:4 q15:4 |     (qh as in Q5_0) */
typedef struct WS_PACKED {
    uint16_t d, m;
    uint8_t qh[4];
    uint8_t qs[16];
} ws_q5_1;
WS_CHECK_SIZE(Q5_1, ws_q5_1);

/* Q8_0: x = d * q, q in -127..127
 *
 *     | d  d | q0 | q1 | ... | q31 | */
typedef struct WS_PACKED {
    uint16_t d;
    int8_t qs[32];
} ws_q8_0;
WS_CHECK_SIZE(Q8_0, ws_q8_0);

/* Q1_0: x = d or -d
 *
 *     | d  d | qs: 16 bytes; bit i of byte k is 1 where element 8 k + i is not below 0 | */
typedef struct WS_PACKED {
    uint16_t d;
    uint8_t qs[16];
} ws_q1_0;
WS_CHECK_SIZE(Q1_0, ws_q1_0);

/* Q2_0: x = d * (q - 1), q in 0..3
 *
 *     | d  d | q3 q2 q1 q0 | q7 q6 q5 q4 | ... | q63 q62 q61 q60 |
 *              one byte each, two bits a quant */
typedef struct WS_PACKED {
    uint16_t d;
    uint8_t qs[16];
} ws_q2_0;
WS_CHECK_SIZE(Q2_0, ws_q2_0);

/* TQ1_0: x = d * (q - 1), q in 0..2, five quants to a byte
 *
 *     | qs: 32 bytes of quants 0..159 | qs: 16 bytes of quants 160..239 | qh: 4 bytes of quants 240..255 | d  d |
 *
 *     A byte is 256 * 0.abcde (to base 3), rounded up; in a group of n bytes, byte l has the quants l, l + n, ... l + 4
 * n of the group as its digits a to e. In qh there are only four, and e is 0. */
typedef struct WS_PACKED {
    uint8_t qs[48];
    uint8_t qh[4];
    uint16_t d;
} ws_tq1_0;
WS_CHECK_SIZE(TQ1_0, ws_tq1_0);

/* TQ2_0: x = d * (q - 1), q in 0..2
 *
 *     | qs: 64 bytes of two-bit quants, in the order of the K-quants | d  d | */
typedef struct WS_PACKED {
    uint8_t qs[64];
    uint16_t d;
} ws_tq2_0;
WS_CHECK_SIZE(TQ2_0, ws_tq2_0);

/* MXFP4: x = 2^(e - 127) * f, f one of 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives: q's bits are a sign, two of
 * exponent and one of mantissa (E2M1)
 *
 *     | e | q16 q0 | q17 q1 | ... | q31 q15 |
 *       1 B    one byte each: high nibble, low nibble */
typedef struct WS_PACKED {
    uint8_t e;
    uint8_t qs[16];
} ws_mxfp4;
WS_CHECK_SIZE(MXFP4, ws_mxfp4);

/* NVFP4: x = d[s] * f, s = element / 16, f as in MXFP4
 *
 *     | d0 | d1 | d2 | d3 | qs: 8 bytes for each s: | q[16 s + l + 8] | q[16 s + l] |  l = 0..7 |
 *       one byte each: 0, four bits of exponent (bias 7), three of mantissa (UE4M3) */
typedef struct WS_PACKED {
    uint8_t d[4];
    uint8_t qs[32];
} ws_nvfp4;
WS_CHECK_SIZE(NVFP4, ws_nvfp4);

/* K-quants: super-blocks of 256 elements, cut into sub-blocks of 16 or 32 with integer scales of their own.
 *
 * Where quants have two bits, byte l of a half h (0, 1) of the super-block holds four elements that lie 32 apart:
 *
 *     qs[32 h + l] = | q[128 h + l + 96] | q[128 h + l + 64] | q[128 h + l + 32] | q[128 h + l] |
 *                      bits 7..6           bits 5..4           bits 3..2           bits 1..0
 *
 * Where they have four, byte l of a quarter c (0..3) holds two elements that lie 32 apart:
 *
 *     qs[32 c + l] = | q[64 c + l + 32]:4 | q[64 c + l]:4 | */

/* Q2_K: x = d * scale[s] * q - dmin * min[s], s = element / 16, q in 0..3, scale and min in 0..15
 *
 *     | min0 scale0 | ... | min15 scale15 | qs: 64 bytes of two-bit quants | d  d | dmin  dmin |
 *       one byte each: high nibble, low nibble */
typedef struct WS_PACKED {
    uint8_t scales[16];
    uint8_t qs[64];
    uint16_t d, dmin;
} ws_q2_k;
WS_CHECK_SIZE(Q2_K, ws_q2_k);

/* Q3_K: x = d * (scale[s] - 32) * (q - 4), s = element / 16, q in 0..7, scale in 0..63
 *
 *     | hmask: 32 bytes | qs: 64 bytes of two-bit quants (the low bits) | scales: 12 bytes | d  d |
 *
 *     hmask[l]     bit i is bit 2 of q[32 i + l]
 *     scales[j]    = | scale[j + 8]:4 | scale[j]:4 |                                           j = 0..7
 *     scales[8+j]  = | scale[j+12]>>4 | scale[j+8]>>4 | scale[j+4]>>4 | scale[j]>>4 |          j = 0..3 */
typedef struct WS_PACKED {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12];
    uint16_t d;
} ws_q3_k;
WS_CHECK_SIZE(Q3_K, ws_q3_k);

/* Q4_K: x = d * scale[s] * q - dmin * min[s], s = element / 32, q in 0..15, scale and min in 0..63
 *
 *     | d  d | dmin  dmin | scales: 12 bytes | qs: 128 bytes of four-bit quants |
 *
 *     scales[j]    = | scale[j+4]>>4 | scale[j]:6 |         j = 0..3
 *     scales[4+j]  = | min[j+4]>>4   | min[j]:6   |
 *     scales[8+j]  = | min[j+4]:4    | scale[j+4]:4 | */
typedef struct WS_PACKED {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qs[128];
} ws_q4_k;
WS_CHECK_SIZE(Q4_K, ws_q4_k);

/* Q5_K: as Q4_K with q in 0..31
 *
 *     | d  d | dmin  dmin | scales: 12 bytes | qh: 32 bytes | qs: 128 bytes of the quants' low four bits |
 *
 *     qh[l]        bit i is bit 4 of q[32 i + l] */
typedef struct WS_PACKED {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qh[32];
    uint8_t qs[128];
} ws_q5_k;
WS_CHECK_SIZE(Q5_K, ws_q5_k);

/* Q6_K: x = d * scale[s] * (q - 32), s = element / 16, q in 0..63, scale in -128..127
 *
 *     | ql: 128 bytes | qh: 64 bytes | scales: 16 bytes | d  d |
 *
 *     for each half h (0, 1) of the super-block, l = 0..31:
 *     ql[64 h + l]      = | q[128 h + l + 64]:4 | q[128 h + l]:4      |
 *     ql[64 h + l + 32] = | q[128 h + l + 96]:4 | q[128 h + l + 32]:4 |
 *     qh[32 h + l]      = the quants' high two bits, in the order of two-bit quants */
typedef struct WS_PACKED {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
} ws_q6_k;
WS_CHECK_SIZE(Q6_K, ws_q6_k);

/* Types with 4-bit quants that are numbers in a table of 16 values (formats/iq4.h).
 *
 * IQ4_NL: x = d * value[q], q in 0..15
 *
 *     | d  d | q16 q0 | q17 q1 | ... | q31 q15 | */
typedef struct WS_PACKED {
    uint16_t d;
    uint8_t qs[16];
} ws_iq4_nl;
WS_CHECK_SIZE(IQ4_NL, ws_iq4_nl);

/* IQ4_XS: x = d * (scale[s] - 32) * value[q], s = element / 32, q in 0..15, scale in 0..63
 *
 *     | d  d | scales_h | scales_l: 4 bytes | qs: 8 times 16 bytes as in IQ4_NL |
 *
 *     scales_h     bits 2 s and 2 s + 1 are bits 4 and 5 of scale[s]
 *     scales_l[j]  = | scale[2 j + 1]:4 | scale[2 j]:4 | */
typedef struct WS_PACKED {
    uint16_t d, scales_h;
    uint8_t scales_l[4];
    uint8_t qs[128];
} ws_iq4_xs;
WS_CHECK_SIZE(IQ4_XS, ws_iq4_xs);

/* IQ2_* and IQ1_*: eight elements at a time are a point of a codebook (grids8.h), eight digits g of 0, 1, 2. In IQ2_*
 * the digits are magnitudes and the signs are stored apart: sign bit i of a group belongs to its element i, set for
 * minus. p[k] is the place of the point of elements 8 k to 8 k + 7 in the list. */

/* IQ2_XXS: x = d * (scale[s] + 1/2) / 4 * m[g] * sign, m = 8, 25, 43, s = element / 32, scale in 0..15
 *
 *     | d  d | then for each 32 elements: p0 | p1 | p2 | p3 | word |
 *
 *     word = | scale:4 | signs3:7 | signs2:7 | signs1:7 | signs0:7 |
 *
 * The eighth sign makes the number of minuses even. */
typedef struct WS_PACKED {
    uint16_t d;
    struct WS_PACKED {
        uint8_t p[4];
        uint32_t word;
    } qs[8];
} ws_iq2_xxs;
WS_CHECK_SIZE(IQ2_XXS, ws_iq2_xxs);

/* IQ2_XS: as IQ2_XXS, s = element / 16
 *
 *     | d  d | qs: 32 halves | scales: 8 bytes |
 *
 *     qs[k]        = | signs:7 | p[k]:9 |
 *     scales[j]    = | scale[2 j + 1] | scale[2 j] | */
typedef struct WS_PACKED {
    uint16_t d;
    uint16_t qs[32];
    uint8_t scales[8];
} ws_iq2_xs;
WS_CHECK_SIZE(IQ2_XS, ws_iq2_xs);

/* IQ2_S: as IQ2_XS with all eight signs
 *
 *     | d  d | qs: 32 bytes | signs: 32 bytes | qh: 8 bytes | scales: 8 bytes |
 *
 *     qs[k]        p[k]:8
 *     qh[j]        = | p[4 j + 3]>>8 | p[4 j + 2]>>8 | p[4 j + 1]>>8 | p[4 j]>>8 | */
typedef struct WS_PACKED {
    uint16_t d;
    uint8_t qs[32];
    uint8_t signs[32];
    uint8_t qh[8];
    uint8_t scales[8];
} ws_iq2_s;
WS_CHECK_SIZE(IQ2_S, ws_iq2_s);

/* IQ1_S: x = d * (2 scale[s] + 1) * (g - 1 + shift[s] / 8), s = element / 32, scale in 0..7, shift 1 or -1
 *
 *     | d  d | qs: 32 bytes | qh: 8 halves |
 *
 *     qs[k]        p[k]:8
 *     qh[s]        = | shift is -1 : 1 | scale:3 | p[4 s + 3]>>8 : 3 | p[4 s + 2]>>8 | p[4 s + 1]>>8 | p[4 s]>>8 | */
typedef struct WS_PACKED {
    uint16_t d;
    uint8_t qs[32];
    uint16_t qh[8];
} ws_iq1_s;
WS_CHECK_SIZE(IQ1_S, ws_iq1_s);

/* IQ1_M: as IQ1_S, but scales by s = element / 16 and shifts by element / 8, and d in pieces
 *
 *     | qs: 32 bytes | qh: 16 bytes | scales: 4 halves |
 *
 *     qh[s]        = | shift[2 s + 1] is -1 : 1 | p[2 s + 1]>>8 : 3 | shift[2 s] is -1 : 1 | p[2 s]>>8 : 3 |
 *     scales[j]    = | d>>4 j : 4 | scale[4 j + 3] | scale[4 j + 2] | scale[4 j + 1] | scale[4 j] | */
typedef struct WS_PACKED {
    uint8_t qs[32];
    uint8_t qh[16];
    uint16_t scales[4];
} ws_iq1_m;
WS_CHECK_SIZE(IQ1_M, ws_iq1_m);

/* Types with codebooks: super-blocks of 256 elements, every four of which are a point of a list (grids4.h).
 *
 * IQ3_XXS: x = d / 4 * (scale[s] + 0.5) * sign * value[digit], s = element / 32, digit of point[element / 4],
 * scale in 0..15, value = 4, 12, 20, 28, 36, 44, 52, 62
 *
 *     | d  d | qs: the points' places, one byte each | scales_signs: 8 words of four bytes |
 *
 *     word s       bits 28..31 are scale[s]; bits 7 k to 7 k + 6 are the signs of elements 32 s + 8 k and the six after
 *                  it (1: negative); the sign of the eighth makes the number of negative ones even */
typedef struct WS_PACKED {
    uint16_t d;
    uint8_t qs[64];
    uint8_t scales_signs[32];
} ws_iq3_xxs;
WS_CHECK_SIZE(IQ3_XXS, ws_iq3_xxs);

/* IQ3_S: x = d * (2 scale[s] + 1) * sign * (2 digit + 1), s = element / 32, digit of point[element / 4], scale in 0..15
 *
 *     | d  d | qs: the points' places, low 8 bits | qh: 8 bytes | signs: 32 bytes | scales: 4 bytes |
 *
 *     qh[k]        bit i is bit 8 of the place of point 8 k + i
 *     signs[k]     bit i is the sign of element 8 k + i (1: negative)
 *     scales[j]    = | scale[2 j + 1]:4 | scale[2 j]:4 | */
typedef struct WS_PACKED {
    uint16_t d;
    uint8_t qs[64];
    uint8_t qh[8];
    uint8_t signs[32];
    uint8_t scales[4];
} ws_iq3_s;
WS_CHECK_SIZE(IQ3_S, ws_iq3_s);

#endif
