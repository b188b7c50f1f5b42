/* arm_i8mm.c - panels for ARM's smmla, which multiplies two rows with two tokens over eight columns. Single tokens have
 * no use for it: they keep sdot. */
#include "arm_quants.h"

/* Two registers' words, side by side in pairs: 8 columns of rows (or tokens) 0 and 1, then 2 and 3. */
INLINE void pair_words(int8x16_t first, int8x16_t second, int8x16_t out[2]) {
    const int32x4_t a = vreinterpretq_s32_s8(first), b = vreinterpretq_s32_s8(second);
    out[0] = vreinterpretq_s8_s32(vzip1q_s32(a, b)), out[1] = vreinterpretq_s8_s32(vzip2q_s32(a, b));
}

INLINE int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t x) { return vdotq_s32(sum, w, x); }

INLINE void sum_four(const ws_panel *panel, int g, const int end, const ws_q8_cell *x, const int tile,
                     int32x4_t sum[][N_VEC]) {
    int32x4_t square[2][N_VEC][2]; /* pair of tokens, pair of rows: row by row, two tokens of each */
    UNROLL for (int i = 0; i < 2; i++) UNROLL for (int v = 0; v < N_VEC; v++) UNROLL for (int j = 0; j < 2; j++)
        square[i][v][j] = vdupq_n_s32(0);
    UNROLL for (; g < end; g += 2) {
        int8x16_t xs[2], w[2];
        pair_words(four_tokens(x, g, tile), four_tokens(x, g + 1, tile), xs);
        UNROLL for (int v = 0; v < N_VEC; v++) {
            pair_words(panel_quants(panel, g, v), panel_quants(panel, g + 1, v), w);
            UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 2; j++) square[i][v][j] =
                vmmlaq_s32(square[i][v][j], w[j], xs[i]);
        }
    }
    UNROLL for (int i = 0; i < 2; i++) UNROLL for (int v = 0; v < N_VEC; v++) {
        sum[2 * i][v] = vuzp1q_s32(square[i][v][0], square[i][v][1]);
        sum[2 * i + 1][v] = vuzp2q_s32(square[i][v][0], square[i][v][1]);
    }
}

#include "arm_panels.h"

void ws_kernels_init_i8mm(ws_kernels *k) { panels_init(k); }
