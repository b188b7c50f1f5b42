/* arm_dotprod.c - quantized rows for ARM's sdot, which adds four products of signed bytes to each of four sums. */
#include "arm_quants.h"

INLINE int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t x) { return vdotq_s32(sum, w, x); }

INLINE void sum_four(const ws_panel *panel, int g, const int end, const ws_q8_cell *x, const int tile,
                     int32x4_t sum[][N_VEC]) {
    UNROLL for (int t = 0; t < TOKENS; t++) UNROLL for (int v = 0; v < N_VEC; v++) sum[t][v] = vdupq_n_s32(0);
    UNROLL for (; g < end; g++) {
        const int8x16_t xs = four_tokens(x, g, tile);
        UNROLL for (int v = 0; v < N_VEC; v++) {
            const int8x16_t w = panel_quants(panel, g, v);
            sum[0][v] = vdotq_laneq_s32(sum[0][v], w, xs, 0), sum[1][v] = vdotq_laneq_s32(sum[1][v], w, xs, 1);
            sum[2][v] = vdotq_laneq_s32(sum[2][v], w, xs, 2), sum[3][v] = vdotq_laneq_s32(sum[3][v], w, xs, 3);
        }
    }
}

#include "arm_blocks.h"

void ws_kernels_init_dotprod(ws_kernels *k) {
    panels_init(k);
    singles_init(k);
}
