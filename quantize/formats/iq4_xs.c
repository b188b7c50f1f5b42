/* iq4_xs.c - IQ4_XS: 4-bit quants from a table of values, 6-bit scales. */
#include "iq4.h"

static inline void quantize_for(const vf32 *x, const vf32 *w, uint8_t *y, size_t live) {
    vf32 scales[8];
    for (int s = 0; s < 8; s++) scales[s] = iq4_search(x + 32 * s, w + 32 * s);
    const vf32 d = -v_extreme(scales, 8) / 32.0f, inverse = iq4_inverse(d);

    vu32 words[34]; /* the whole block */
    words[0] = v_half(d);
    words[1] = vu_set(0);
    for (int s = 0; s < 8; s++) {
        const vi32 scale = vi_clamp(v_nearest(inverse * scales[s]), -32, 31);
        const vu32 code = (vu32)(scale + 32);
        words[0] |= code >> 4 << (16 + 2 * s);
        words[1] |= (code & 15u) << 4 * s;
        iq4_pack(words + 2 + 4 * s, x + 32 * s, iq4_inverse(d * v_float(scale)));
    }
    v_store_words(y, sizeof(ws_iq4_xs), words, 34, live);
}

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    vf32 w[256];
    iq4_square_weights(w, x, 256);
    quantize_for(x, w, y, live);
}

static inline void quantize_weighted(const vf32 *x, const vf32 *importance, uint8_t *y, size_t live) {
    vf32 w[256];
    iq4_importance_weights(w, x, importance, 256);
    quantize_for(x, w, y, live);
}

void WS_FN(iq4_xs, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 256, sizeof(ws_iq4_xs), quantize);
}

void WS_FN(iq4_xs, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows,
                                        size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 256, sizeof(ws_iq4_xs), quantize_weighted);
}

void WS_FN(iq4_xs, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_iq4_xs *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d);
        for (int s = 0; s < 8; s++, y += 32) {
            const int low = block->scales_l[s / 2] >> s % 2 * 4 & 15, high = block->scales_h >> 2 * s & 3;
            iq4_unpack(y, block->qs + 16 * s, d * (float)((low | high << 4) - 32));
        }
    }
}
