/* fp4.h - quants that are 4-bit floats (E2M1), taken twice so that they are whole numbers (MXFP4, NVFP4):
 *
 *     q       0  1  2  3  4  5  6  7      8   9  10  11  12  13  14  15
 *     value   0  1  2  3  4  6  8 12     -0  -1  -2  -3  -4  -6  -8 -12        (8 is never written) */
#ifndef WS_FP4_H
#define WS_FP4_H

#include "kernels.h"

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

/* n quants of 4 bits as n / 8 words, element i beside i + n / 2. */
V_INLINE void fp4_pack(vu32 *words, const vu32 *q, int n) {
    for (int i = 0; i < n / 8; i++) words[i] = v_word(q + 4 * i) | v_word(q + 4 * i + n / 2) << 4;
}

#endif
