/* fp4.h - quants that are 4-bit floats (E2M1), taken twice so that they are whole numbers (MXFP4, NVFP4):
 *
 *     q       0  1  2  3  4  5  6  7      8   9  10  11  12  13  14  15
 *     value   0  1  2  3  4  6  8 12     -0  -1  -2  -3  -4  -6  -8 -12        (8 is never written) */
#ifndef WS_FP4_H
#define WS_FP4_H

#include "simple.h"

static const float fp4_values[32] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

enum { FP4_MIDPOINTS = 7 };

/* Above which magnitudes the quants 1, 2, ... are nearer than those before: a tie takes the smaller. */
V_INLINE void fp4_midpoints(vf32 *midpoints, vf32 d) {
    static const float between[FP4_MIDPOINTS] = {0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10};
    for (int k = 0; k < FP4_MIDPOINTS; k++) midpoints[k] = between[k] * d;
}

/* The quant nearest to x. Products of d and its distances to x are exact near the midpoints, so this is the reference's
 * choice of the least distance among all 16. */
V_INLINE vu32 fp4_quant(vf32 x, const vf32 *midpoints) {
    const vf32 magnitude = v_abs(x);
    vu32 q = vu_set(0);
    for (int k = 0; k < FP4_MIDPOINTS; k++) q = vu_add_lt(q, midpoints[k], magnitude, 1);
    return vu_add_lt(q, x, -midpoints[0], 8);
}

/* The quants of `parts` times WS_LANES runs of `per` elements as bytes, each run with its own scale; at most
 * 4 parts. */
V_INLINE void fp4_quants(uint8_t *q, const float *x, int per, const vf32 *scale, int parts) {
    float midpoints[FP4_MIDPOINTS][4 * WS_LANES];
    for (int j = 0; j < parts; j++) {
        vf32 of_runs[FP4_MIDPOINTS];
        fp4_midpoints(of_runs, scale[j]);
        for (int k = 0; k < FP4_MIDPOINTS; k++) v_store(midpoints[k] + j * WS_LANES, of_runs[k]);
    }
    for (int i = 0; i < parts * per * WS_LANES; i += V_BYTES) {
        vi32 v[V_BYTES / WS_LANES];
        prefetch_ahead(x + i, V_BYTES, (size_t)(parts * per) * WS_LANES);
        for (int part = 0; part < V_BYTES / WS_LANES; part++) {
            const int at = i + part * WS_LANES;
            vf32 of_run[FP4_MIDPOINTS];
            for (int k = 0; k < FP4_MIDPOINTS; k++) of_run[k] = v_set(midpoints[k][at / per]);
            v[part] = (vi32)fp4_quant(v_load(x + at), of_run);
        }
        v_store_bounded(q + i, v, 0, 15);
    }
}

#endif
