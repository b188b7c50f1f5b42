/* iq2_s.c - IQ2_S: groups of eight from a codebook of 1024 points, eight signs, a scale for every 16. */
#include "iq2.h"

/* Elements weigh their importance times their size, or (importance NULL) their square. */
V_INLINE void weigh(vf32 *w, const vf32 *x, const vf32 *importance, vf32 mean_square) {
    for (int i = 0; i < 16; i++)
        w[i] = importance ? importance[i] * v_sqrt(mean_square + x[i] * x[i]) : 0.25f * mean_square + x[i] * x[i];
}

static void quantize(const vf32 *x, const vf32 *importance, uint8_t *y, size_t live) {
    const vf32 mean_square = iq2_mean_square(x, 2);
    iq2_block s = {.grid = ws_grid8_get(WS_GRID8_IQ2_S), .groups = 2, .live = live};
    vf32 scales[16];
    vu32 low[32], high[32], minus[32], codes[16],
        words[20]; /* 8 words each of low bits and signs, 2 each of the rest */
    for (int j = 0; j < 16; j++) {
        vu32 signs[2];
        weigh(s.w, x + 16 * j, importance ? importance + 16 * j : NULL, mean_square);
        iq2_split_signs(&s, signs, x + 16 * j);
        iq2_quantize_16(&s, signs, 255, 1e-8f);
        scales[j] = s.scale;
        for (int k = 0; k < 2; k++) {
            const vu32 place = iq2_places(&s, s.code[k]);
            low[2 * j + k] = place & 255u;
            high[2 * j + k] = place >> 8;
            minus[2 * j + k] = signs[k];
        }
    }
    const iq2_scale all = iq2_encode_scales(codes, scales, 16);
    for (int i = 0; i < 8; i++) {
        words[i] = v_word(low + 4 * i);
        words[8 + i] = v_word(minus + 4 * i);
        high[i] = high[4 * i] | high[4 * i + 1] << 2 | high[4 * i + 2] << 4 | high[4 * i + 3] << 6;
        codes[i] = codes[2 * i] | codes[2 * i + 1] << 4;
    }
    for (int i = 0; i < 2; i++) {
        words[16 + i] = v_word(high + 4 * i);
        words[18 + i] = v_word(codes + 4 * i);
    }
    v_store_halves(y, sizeof(ws_iq2_s), v_half(all.d * 0.9875f), live);
    v_store_words(y + offsetof(ws_iq2_s, qs), sizeof(ws_iq2_s), words, 20, live);
}

static void quantize_plain(const vf32 *x, uint8_t *y, size_t live) { quantize(x, NULL, y, live); }

void WS_FN(iq2_s, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 256, sizeof(ws_iq2_s), quantize_plain);
}

void WS_FN(iq2_s, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows,
                                       size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 256, sizeof(ws_iq2_s), quantize);
}

void WS_FN(iq2_s, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_iq2_s *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d);
        for (int k = 0; k < 32; k++, y += 8) {
            const float scale = d * (0.5f + (float)(block->scales[k / 4] >> k / 2 % 2 * 4 & 15)) * 0.25f;
            const uint32_t place = block->qs[k] | (uint32_t)(block->qh[k / 4] >> k % 4 * 2 & 3) << 8;
            iq2_expand(y, ws_grid8_iq2_s[place], block->signs[k], scale);
        }
    }
}
