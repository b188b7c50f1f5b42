/* iq4_nl.c - IQ4_NL: 4-bit quants from a table of values, one scale. */
#include "iq4.h"

static inline void quantize_for(const vf32 *x, const vf32 *w, uint8_t *y, size_t live) {
    const vf32 d = iq4_search(x, w);
    vu32 words[4];
    iq4_pack(words, x, iq4_inverse(d));
    v_store_halves(y, sizeof(ws_iq4_nl), v_half_or_nan(d), live);
    v_store_words(y + offsetof(ws_iq4_nl, qs), sizeof(ws_iq4_nl), words, 4, live);
}

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    vf32 w[32];
    iq4_square_weights(w, x, 32);
    quantize_for(x, w, y, live);
}

static inline void quantize_weighted(const vf32 *x, const vf32 *importance, uint8_t *y, size_t live) {
    vf32 w[32];
    iq4_importance_weights(w, x, importance, 32);
    quantize_for(x, w, y, live);
}

void WS_FN(iq4_nl, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 32, sizeof(ws_iq4_nl), quantize);
}

void WS_FN(iq4_nl, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows,
                                        size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 32, sizeof(ws_iq4_nl), quantize_weighted);
}

void WS_FN(iq4_nl, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_iq4_nl *block = x;
    for (; n_blocks; n_blocks--, block++, y += 32) iq4_unpack(y, block->qs, ws_f16_to_f32(block->d));
}
