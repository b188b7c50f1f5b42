/* q4_k.c - Q4_K: 4-bit quants, 6-bit scales and mins. */
#include "affine6.h"

/* Behind the head in `words`, the quants; that is the whole block. */
static inline void store(vu32 *words, const vu32 *q, uint8_t *y, size_t live) {
    for (int i = 0; i < 32; i++) {
        const vu32 *first = q + 64 * (i / 8) + 4 * (i % 8);
        words[4 + i] = v_word(first) | v_word(first + 32) << 4;
    }
    v_store_words(y, sizeof(ws_q4_k), words, 36, live);
}

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    const ws_affine_rule rule = {
        .n = 32, .qmax = 15, .first_try = -1.0f, .step = 0.1f, .last_try = 20, .side = AFFINE_SIDE};
    vu32 q[256], words[36];
    affine6_quantize(words, q, x, rule);
    store(words, q, y, live);
}

static inline void quantize_weighted(const vf32 *x, const vf32 *columns, uint8_t *y, size_t live) {
    vu32 q[256], words[36];
    affine6_quantize_weighted(words, q, x, columns, 15, 255);
    store(words, q, y, live);
}

void WS_FN(q4_k, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows, size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 256, sizeof(ws_q4_k), quantize_weighted);
}

void WS_FN(q4_k, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 256, sizeof(ws_q4_k), quantize);
}

void WS_FN(q4_k, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q4_k *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const uint8_t *qs = block->qs;
        for (int j = 0; j < 8; j += 2, qs += 32, y += 64) {
            const ws_scale_min low = affine6_scale_min(block->scales, j, block->d, block->dmin);
            const ws_scale_min high = affine6_scale_min(block->scales, j + 1, block->d, block->dmin);
            for (int i = 0; i < 32; i += WS_LANES) {
                const vu32 q = v_load_u8(qs + i);
                v_store(y + i, low.scale * v_float((vi32)(q & 15u)) - low.min);
                v_store(y + i + 32, high.scale * v_float((vi32)(q >> 4)) - high.min);
            }
        }
    }
}
