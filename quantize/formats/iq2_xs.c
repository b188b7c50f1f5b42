/* iq2_xs.c - IQ2_XS: groups of eight from a codebook of 512 points, seven signs, a scale for every 16. */
#include "iq2.h"

static void quantize(const vf32 *x, const vf32 *importance, uint8_t *y, size_t live) {
    const vf32 mean_square = iq2_mean_square(x, 1);
    iq2_block s = {.grid = ws_grid8_get(WS_GRID8_IQ2_XS), .groups = 2, .live = live};
    vf32 scales[16];
    vu32 words[18], codes[16]; /* 16 words of points and signs, 2 of scales */
    for (int j = 0; j < 16; j++) {
        vu32 signs[2];
        for (int i = 0; i < 16; i++) {
            const vf32 v = x[16 * j + i];
            s.w[i] = importance[16 * j + i] * v_sqrt(mean_square + v * v);
        }
        iq2_split_signs(&s, signs, x + 16 * j);
        iq2_make_even(&s, signs, x + 16 * j);
        iq2_quantize_16(&s, signs, 127, 1e-15f);
        scales[j] = s.scale;
        words[j] = (iq2_places(&s, s.code[0]) | signs[0] << 9) | (iq2_places(&s, s.code[1]) | signs[1] << 9) << 16;
    }
    const iq2_scale all = iq2_encode_scales(codes, scales, 16);
    for (int j = 0; j < 8; j++) codes[j] = codes[2 * j] | codes[2 * j + 1] << 4;
    for (int i = 0; i < 2; i++) words[16 + i] = v_word(codes + 4 * i);
    for (int i = 0; i < 18; i++) words[i] &= (vu32)all.some;
    v_store_halves(y, sizeof(ws_iq2_xs), v_half(all.d), live);
    v_store_words(y + offsetof(ws_iq2_xs, qs), sizeof(ws_iq2_xs), words, 18, live);
}

void WS_FN(iq2_xs, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows,
                                        size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 256, sizeof(ws_iq2_xs), quantize);
}

void WS_FN(iq2_xs, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_iq2_xs *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d);
        for (int k = 0; k < 32; k++, y += 8) {
            const float scale = d * (0.5f + (float)(block->scales[k / 4] >> k / 2 % 2 * 4 & 15)) * 0.25f;
            iq2_expand(y, ws_grid8_iq2_xs[block->qs[k] & 511], iq2_eight_signs(block->qs[k] >> 9), scale);
        }
    }
}
