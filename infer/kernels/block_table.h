/* block_table.h - every type of blocks, and its product with a single token: included by each instruction set after
 * what block_sink.h asks for. */
#ifndef WS_BLOCK_TABLE_H
#define WS_BLOCK_TABLE_H

#include "block_codes.h"

/* X(prefix, ID, halves, low, adds): `low` and `adds` as in block_sink.h. */
#define EACH_TYPE(X)                                                                                                   \
    X(q4_0, Q4_0, false, -8, 8)                                                                                        \
    X(q4_1, Q4_1, false, 0, 8)                                                                                         \
    X(q5_0, Q5_0, false, -16, 4)                                                                                       \
    X(q5_1, Q5_1, false, 0, 4)                                                                                         \
    X(q8_0, Q8_0, false, WIDE_LOW, 0)                                                                                  \
    X(q2_k, Q2_K, true, 0, 8)                                                                                          \
    X(q3_k, Q3_K, true, -4, 8)                                                                                         \
    X(q4_k, Q4_K, false, 0, 8)                                                                                         \
    X(q5_k, Q5_K, false, 0, 4)                                                                                         \
    X(q6_k, Q6_K, true, -32, 2)                                                                                        \
    X(iq4_nl, IQ4_NL, false, WIDE_LOW, 0)                                                                              \
    X(iq4_xs, IQ4_XS, false, WIDE_LOW, 0)                                                                              \
    X(mxfp4, MXFP4, false, -16, 4)                                                                                     \
    X(nvfp4, NVFP4, true, -16, 4)                                                                                      \
    X(q1_0, Q1_0, false, -1, 8)                                                                                        \
    X(q2_0, Q2_0, false, -1, 8)                                                                                        \
    X(tq1_0, TQ1_0, false, -1, 8)                                                                                      \
    X(tq2_0, TQ2_0, false, -1, 8)                                                                                      \
    X(iq2_xxs, IQ2_XXS, false, 0, 2)                                                                                   \
    X(iq2_xs, IQ2_XS, true, 0, 2)                                                                                      \
    X(iq2_s, IQ2_S, true, 0, 2)                                                                                        \
    X(iq3_xxs, IQ3_XXS, false, 0, 2)                                                                                   \
    X(iq3_s, IQ3_S, false, 0, 8)                                                                                       \
    X(iq1_s, IQ1_S, false, -16, 4)                                                                                     \
    X(iq1_m, IQ1_M, true, -16, 4)

#define TYPE(name, ID, halves, low, adds)                                                                              \
    static void one_##name(const ws_block_rows *rows, const ws_q8 *x, float *y) {                                      \
        mul_one(rows, x, y, block_##name, WS_BYTES_##ID, WS_ELEMENTS_##ID / WS_GROUP, halves, low, adds);              \
    }
EACH_TYPE(TYPE)
#undef TYPE

static void singles_init(ws_kernels *k) {
#define ROW(name, ID, halves, low, adds) k->panel[WS_TYPE_##ID].mul_one = one_##name;
    EACH_TYPE(ROW)
#undef ROW
}

#endif
