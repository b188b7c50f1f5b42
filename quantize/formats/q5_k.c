/* q5_k.c - Q5_K: 5-bit quants, 6-bit scales and mins. */
#include "affine6.h"

/* Behind the head in `words`, the quants; that is the whole block, 4 words of scales, 8 of fifth bits, 32 of quants. */
static inline void store(vu32 *words, const vu32 *q, uint8_t *y, size_t live) {
    for (int i = 0; i < 8; i++) {
        vu32 high = vu_set(0);
        for (int j = 0; j < 8; j += 2) { /* two sub-blocks share the bytes of their low bits */
            const vu32 first = v_word(q + 32 * j + 4 * i), second = v_word(q + 32 * (j + 1) + 4 * i);
            high |= (first >> 4 & 0x01010101u) << j | (second >> 4 & 0x01010101u) << (j + 1);
            words[12 + 4 * j + i] = (first & 0x0f0f0f0fu) | (second & 0x0f0f0f0fu) << 4;
        }
        words[4 + i] = high;
    }
    v_store_words(y, sizeof(ws_q5_k), words, 44, live);
}

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    const ws_affine_rule rule = {
        .n = 32, .qmax = 31, .first_try = -0.5f, .step = 0.1f, .last_try = 15, .side = AFFINE_SIDE};
    vu32 q[256], words[44];
    affine6_quantize(words, q, x, rule);
    store(words, q, y, live);
}

static inline void quantize_weighted(const vf32 *x, const vf32 *columns, uint8_t *y, size_t live) {
    vu32 q[256], words[44];
    affine6_quantize_weighted(words, q, x, columns, 31, 63);
    store(words, q, y, live);
}

void WS_FN(q5_k, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows, size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 256, sizeof(ws_q5_k), quantize_weighted);
}

void WS_FN(q5_k, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 256, sizeof(ws_q5_k), quantize);
}

void WS_FN(q5_k, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q5_k *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const uint8_t *qs = block->qs;
        for (int j = 0; j < 8; j += 2, qs += 32, y += 64) {
            const ws_scale_min low = affine6_scale_min(block->scales, j, block->d, block->dmin);
            const ws_scale_min high = affine6_scale_min(block->scales, j + 1, block->d, block->dmin);
            for (int i = 0; i < 32; i += WS_LANES) {
                const vu32 q = v_load_u8(qs + i), fifth = v_load_u8(block->qh + i) >> j;
                v_store(y + i, low.scale * v_float((vi32)((q & 15u) | (fifth & 1u) << 4)) - low.min);
                v_store(y + i + 32, high.scale * v_float((vi32)(q >> 4 | (fifth & 2u) << 3)) - high.min);
            }
        }
    }
}
