/* iq3_xxs.c - IQ3_XXS: points of a codebook of 256 for four magnitudes, an even number of signs in every eight
 * elements, 4-bit scales. */
#include "iq3.h"

static inline void quantize(const float *x, const float *importance, float sum, ws_iq3_xxs *y) {
    const ws_iq3_rule rule = {.tries = 31, .zero_below = 1e-8f, .all_again = 0, .even_signs = 1};
    const ws_grid4 *grid = ws_grid4_get_iq3_xxs();
    iq3_block b;
    const float max = iq3_quantize(&b, grid, x, importance, sum, rule), d = max / 31.0f, inverse = 1.0f / d;
    memset(y, 0, sizeof *y);
    if (max == 0) return;
    y->d = iq3_half(d * 1.0125f);
    for (int k = 0; k < IQ3_GROUPS; k++) y->qs[k] = (uint8_t)iq3_place(grid, b.points[k]);
    for (int s = 0; s < 8; s++) {
        uint32_t word = iq3_scale_code(b.scale[s], inverse) << 28;
        for (int k = 0; k < 4; k++) word |= (b.signs[4 * s + k] & 127) << 7 * k;
        memcpy(y->scales_signs + 4 * s, &word, sizeof word);
    }
}

void WS_FN(iq3_xxs, from_float)(const float *x, void *y, size_t n_blocks) {
    ws_iq3_xxs *block = y;
    for (; n_blocks; n_blocks--, block++, x += 256) quantize(x, NULL, 0, block);
}

void WS_FN(iq3_xxs, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows,
                                         size_t row_blocks) {
    ws_iq3_xxs *block = y;
    float sums[IQ3_SIDE];
    for (size_t i = 0; i < n_rows * row_blocks; i++) {
        if (i % IQ3_SIDE == 0) iq3_sum_squares(sums, x + 256 * i, n_rows * row_blocks - i);
        quantize(x + 256 * i, weights + i % row_blocks * 256, sums[i % IQ3_SIDE], block + i);
    }
}

/* The signs of 32 elements: of each 8 the last follows from the others, so that an even number is negative. */
V_INLINE uint32_t all_signs(uint32_t word) {
    uint32_t signs = 0;
    for (int k = 0; k < 4; k++) {
        const uint32_t seven = word >> 7 * k & 127u;
        signs |= (seven | (uint32_t)__builtin_parity(seven) << 7) << 8 * k;
    }
    return signs;
}

void WS_FN(iq3_xxs, to_float)(const void *x, float *y, size_t n_blocks) {
    /* Data of the format: the magnitudes in iq3xxs_grid of ggml-common.h, about four times the quantizer's. */
    static const float values[8] = {4, 12, 20, 28, 36, 44, 52, 62};
    const ws_iq3_xxs *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d);
        for (int s = 0; s < 8; s++, y += 32) {
            uint16_t codes[8];
            uint32_t word;
            for (int k = 0; k < 8; k++) codes[k] = ws_grid4_iq3_xxs[block->qs[8 * s + k]];
            memcpy(&word, block->scales_signs + 4 * s, sizeof word);
            iq3_unpack(y, codes, all_signs(word), d * (0.5f + (float)(word >> 28)) * 0.5f, values);
        }
    }
}
