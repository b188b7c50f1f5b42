/* importance.h - what an error in an element counts with an importance matrix: the number of its column times the root
 * of its square plus a mean square, of the super-block or of the whole row. */
#ifndef WS_IMPORTANCE_H
#define WS_IMPORTANCE_H

#include "kernels.h"

V_INLINE void importance_weights(vf32 *w, const vf32 *x, const vf32 *columns, int n, vf32 mean_square) {
    for (int i = 0; i < n; i++) w[i] = columns[i] * v_sqrt(mean_square + x[i] * x[i]);
}

/* For the 256 elements of a super-block; the mean square counts `factor` times. */
V_INLINE void importance_of_super_block(vf32 *w, const vf32 *x, const vf32 *columns, float factor) {
    vf32 sum = v_set(0);
    for (int i = 0; i < 256; i++) sum += x[i] * x[i];
    importance_weights(w, x, columns, 256, factor * sum / 256.0f);
}

/* The mean squares of n_rows rows, at most WS_LANES: here a lane is a row. */
V_INLINE void mean_squares(float *mean, const float *src, size_t n_rows, size_t row_blocks) {
    vf32 sum = v_set(0);
    for (size_t block = 0; block < row_blocks; block++) {
        const void *x_of[WS_LANES];
        for (size_t lane = 0; lane < WS_LANES; lane++)
            x_of[lane] = src + ((lane < n_rows ? lane : n_rows - 1) * row_blocks + block) * 32;
        vf32 x[32];
        v_load_blocks_at(x, x_of, 32);
        for (int i = 0; i < 32; i++) sum += x[i] * x[i];
    }
    v_store(mean, sum / (float)(row_blocks * 32));
}

/* Gives `quantize` groups of blocks of 32 with the weights of their elements, the mean square being the row's. */
V_INLINE void each_group_of_rows(const float *src, const float *columns, uint8_t *dst, size_t n_rows, size_t row_blocks,
                                 size_t bytes,
                                 void (*quantize)(const vf32 *x, const vf32 *w, uint8_t *y, size_t live)) {
    for (; n_rows;) {
        const size_t rows = n_rows < WS_LANES ? n_rows : WS_LANES, n_blocks = rows * row_blocks;
        float mean[WS_LANES], mean_of[WS_LANES];
        mean_squares(mean, src, rows, row_blocks);
        for (size_t i = 0; i < n_blocks; i += WS_LANES) {
            const size_t live = n_blocks - i < WS_LANES ? n_blocks - i : WS_LANES;
            const void *w_of[WS_LANES];
            for (size_t lane = 0; lane < WS_LANES; lane++) {
                const size_t block = i + (lane < live ? lane : live - 1);
                w_of[lane] = columns + block % row_blocks * 32;
                mean_of[lane] = mean[block / row_blocks];
            }
            vf32 x[32], w[32];
            v_load_blocks(x, src + i * 32, 32, live);
            v_load_blocks_at(w, w_of, 32);
            importance_weights(w, x, w, 32, v_load(mean_of));
            quantize(x, w, dst + i * bytes, live);
        }
        src += n_blocks * 32;
        dst += n_blocks * bytes;
        n_rows -= rows;
    }
}

#endif
