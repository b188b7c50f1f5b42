/* iq3_s.c - IQ3_S: points of a codebook of 512 for four magnitudes, any signs, 4-bit scales. */
#include "iq3.h"

static inline void quantize(const float *x, const float *importance, float sum, ws_iq3_s *y) {
    const ws_iq3_rule rule = {.tries = 19, .zero_below = 0x1p-149f, .all_again = 1, .even_signs = 0};
    const ws_grid4 *grid = ws_grid4_get_iq3_s();
    iq3_block b;
    const float max = iq3_quantize(&b, grid, x, importance, sum, rule), d = max / 31.0f, inverse = 1.0f / d;
    memset(y, 0, sizeof *y);
    uint8_t *qs = y->qs, *signs = y->signs;
    for (int s = 0; s < 8; s++) {
        if (b.zero[s]) continue; /* as in the reference, which then writes what follows 32 elements too early */
        for (int k = 0; k < 8; k++) {
            const uint32_t place = iq3_place(grid, b.points[8 * s + k]);
            *qs++ = (uint8_t)place;
            y->qh[s] |= (uint8_t)(place >> 8 << k);
        }
        for (int k = 0; k < 4; k++) *signs++ = (uint8_t)b.signs[4 * s + k];
    }
    if (max == 0) return;
    y->d = iq3_half(d * 1.033f);
    for (int s = 0; s < 8; s++) y->scales[s / 2] |= (uint8_t)(iq3_scale_code(b.scale[s], inverse) << s % 2 * 4);
}

void WS_FN(iq3_s, from_float)(const float *x, void *y, size_t n_blocks) {
    ws_iq3_s *block = y;
    for (; n_blocks; n_blocks--, block++, x += 256) quantize(x, NULL, 0, block);
}

void WS_FN(iq3_s, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows,
                                       size_t row_blocks) {
    ws_iq3_s *block = y;
    float sums[IQ3_SIDE];
    for (size_t i = 0; i < n_rows * row_blocks; i++) {
        if (i % IQ3_SIDE == 0) iq3_sum_squares(sums, x + 256 * i, n_rows * row_blocks - i);
        quantize(x + 256 * i, weights + i % row_blocks * 256, sums[i % IQ3_SIDE], block + i);
    }
}

void WS_FN(iq3_s, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_iq3_s *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d);
        for (int s = 0; s < 8; s++, y += 32) {
            uint16_t codes[8];
            uint32_t signs;
            for (int k = 0; k < 8; k++) codes[k] = ws_grid4_iq3_s[block->qs[8 * s + k] | (block->qh[s] >> k & 1) << 8];
            memcpy(&signs, block->signs + 4 * s, sizeof signs);
            const int scale = block->scales[s / 2] >> s % 2 * 4 & 15;
            iq3_unpack(y, codes, signs, d * (float)(1 + 2 * scale), iq3_odd);
        }
    }
}
