/* blocks_data.h - rows of quantized blocks for tests: random bits, or the edges of their range. */
#ifndef WS_TEST_BLOCKS_DATA_H
#define WS_TEST_BLOCKS_DATA_H

#include "blocks.h"
#include "guarded.h"

#include <stddef.h>

typedef struct {
    ws_dtype type;
    size_t block_bytes, block_elements;
    int half[2]; /* places of the block's f16 scales; -1: none */
    int nibble;  /* place of a byte whose high half is the top of an f16 scale that lies in pieces; 0: none */
    bool power;  /* the first byte is the exponent of a power of two */
} test_type;

static const test_type test_types[] = {
    {WS_TYPE_Q4_0, sizeof(ws_q4_0), 32, {offsetof(ws_q4_0, d), -1}, 0, false},
    {WS_TYPE_Q4_1, sizeof(ws_q4_1), 32, {offsetof(ws_q4_1, d), offsetof(ws_q4_1, m)}, 0, false},
    {WS_TYPE_Q5_0, sizeof(ws_q5_0), 32, {offsetof(ws_q5_0, d), -1}, 0, false},
    {WS_TYPE_Q5_1, sizeof(ws_q5_1), 32, {offsetof(ws_q5_1, d), offsetof(ws_q5_1, m)}, 0, false},
    {WS_TYPE_Q8_0, sizeof(ws_q8_0), 32, {offsetof(ws_q8_0, d), -1}, 0, false},
    {WS_TYPE_Q2_K, sizeof(ws_q2_k), 256, {offsetof(ws_q2_k, d), offsetof(ws_q2_k, dmin)}, 0, false},
    {WS_TYPE_Q3_K, sizeof(ws_q3_k), 256, {offsetof(ws_q3_k, d), -1}, 0, false},
    {WS_TYPE_Q4_K, sizeof(ws_q4_k), 256, {offsetof(ws_q4_k, d), offsetof(ws_q4_k, dmin)}, 0, false},
    {WS_TYPE_Q5_K, sizeof(ws_q5_k), 256, {offsetof(ws_q5_k, d), offsetof(ws_q5_k, dmin)}, 0, false},
    {WS_TYPE_Q6_K, sizeof(ws_q6_k), 256, {offsetof(ws_q6_k, d), -1}, 0, false},
    {WS_TYPE_Q1_0, sizeof(ws_q1_0), 128, {offsetof(ws_q1_0, d), -1}, 0, false},
    {WS_TYPE_Q2_0, sizeof(ws_q2_0), 64, {offsetof(ws_q2_0, d), -1}, 0, false},
    {WS_TYPE_TQ1_0, sizeof(ws_tq1_0), 256, {offsetof(ws_tq1_0, d), -1}, 0, false},
    {WS_TYPE_TQ2_0, sizeof(ws_tq2_0), 256, {offsetof(ws_tq2_0, d), -1}, 0, false},
    {WS_TYPE_MXFP4, sizeof(ws_mxfp4), 32, {-1, -1}, 0, true},
    {WS_TYPE_NVFP4, sizeof(ws_nvfp4), 64, {-1, -1}, 0, false},
    {WS_TYPE_IQ4_NL, sizeof(ws_iq4_nl), 32, {offsetof(ws_iq4_nl, d), -1}, 0, false},
    {WS_TYPE_IQ4_XS, sizeof(ws_iq4_xs), 256, {offsetof(ws_iq4_xs, d), -1}, 0, false},
    {WS_TYPE_IQ2_XXS, sizeof(ws_iq2_xxs), 256, {offsetof(ws_iq2_xxs, d), -1}, 0, false},
    {WS_TYPE_IQ2_XS, sizeof(ws_iq2_xs), 256, {offsetof(ws_iq2_xs, d), -1}, 0, false},
    {WS_TYPE_IQ2_S, sizeof(ws_iq2_s), 256, {offsetof(ws_iq2_s, d), -1}, 0, false},
    {WS_TYPE_IQ3_XXS, sizeof(ws_iq3_xxs), 256, {offsetof(ws_iq3_xxs, d), -1}, 0, false},
    {WS_TYPE_IQ3_S, sizeof(ws_iq3_s), 256, {offsetof(ws_iq3_s, d), -1}, 0, false},
    {WS_TYPE_IQ1_S, sizeof(ws_iq1_s), 256, {offsetof(ws_iq1_s, d), -1}, 0, false},
    {WS_TYPE_IQ1_M, sizeof(ws_iq1_m), 256, {-1, -1}, sizeof(ws_iq1_m) - 1, false},
};
enum { N_TEST_TYPES = sizeof test_types / sizeof *test_types };

/* What the quants and integer scales are. */
typedef enum { ALL_ONES, ALL_ZERO, ALL_128, RANDOM_BITS, N_PATTERNS } bit_pattern;

/* A finite half of either sign, between 2^-14 and 2. */
static inline uint16_t random_half(test_random *r) {
    const uint32_t u = random_u32(r);
    return (uint16_t)((u & 0x8000) | ((u >> 16 & 0x3fff) < 0x400 ? 0x400 : u >> 16 & 0x3fff));
}

static inline void fill_blocks(const test_type *t, bit_pattern pattern, uint8_t *to, size_t n_blocks, test_random *r) {
    static const uint8_t fixed[] = {[ALL_ONES] = 0xff, [ALL_ZERO] = 0, [ALL_128] = 0x80};
    for (size_t b = 0; b < n_blocks; b++) {
        uint8_t *block = to + b * t->block_bytes;
        for (size_t i = 0; i < t->block_bytes; i++)
            block[i] = pattern == RANDOM_BITS ? (uint8_t)random_u32(r) : fixed[pattern];
        for (int h = 0; h < 2; h++) {
            const uint16_t half = random_half(r);
            if (t->half[h] >= 0) memcpy(block + t->half[h], &half, sizeof half);
        }
        if (t->nibble) block[t->nibble] = (uint8_t)((block[t->nibble] & 15) | 0x30);
        if (t->power) block[0] &= 0x7f;
    }
}

/* Activations in memory of their own, n_rows (a multiple of `tile`) rows of n_cols. */
static inline ws_q8 guarded_q8(size_t n_rows, size_t n_cols, size_t tile) {
    const size_t cells = n_rows * (n_cols / WS_GROUP) * WS_Q8_CELLS;
    return (ws_q8){.n_cols = n_cols, .tile = tile, .cells = guarded(cells * sizeof(ws_q8_cell))};
}

#endif
