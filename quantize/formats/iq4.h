/* iq4.h - what IQ4_NL and IQ4_XS share: quants that are numbers in a table of 16 values, closer together around zero,
 * and the search for the scale of 32 elements.
 *
 * The nearest value is found by two look-ups. Numbers are sorted into 32 steps of width 1/0.115, so narrow that none
 * holds two midpoints between values, and so placed that no midpoint is near an end of its step (where the product is
 * rounded). The step's midpoint, which counts for the value above it, decides exactly. */
#ifndef WS_IQ4_H
#define WS_IQ4_H

#include "kernels.h"

#define IQ4_ZERO_BELOW 1e-15f

/* The values: data of the format (kvalues_iq4nl in ggml-common.h); 16, in a table for v_lookup(). */
static const float iq4_values[32] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* Tables by the low five bits of a step's number: steps 0 to 15, then -16 to -1. */
static const float iq4_midpoints[32] = {/* where a step has none, any number below the step */
                                        -999, 7,   19,   -999, 31.5f, 45.5f, -999, 61,     -999,    79,   -999,
                                        -999, 101, -999, -999, -999,  -999,  -999, -999,   -115.5f, -999, -93.5f,
                                        -999, -74, -999, -57,  -999,  -42,   -999, -28.5f, -16,     -4.5f};
/* The number of the value nearest to the upper end of the step. */
static const float iq4_upper[32] = {8, 9, 10, 10, 11, 12, 12, 13, 13, 14, 14, 14, 15, 15, 15, 15,
                                    0, 0, 0,  1,  1,  2,  2,  3,  3,  4,  4,  5,  5,  6,  7,  8};
static const float iq4_upper_values[32] = {1,   13,  25,  25,  38,  53,   53,   69,   69,   89,   89,
                                           89,  113, 113, 113, 113, -127, -127, -127, -104, -104, -83,
                                           -83, -65, -65, -49, -49, -35,  -35,  -22,  -10,  1};

/* The step of the value nearest to f, |f| < 134.7 (the tries go up to 134). */
V_INLINE vi32 iq4_step(vf32 f) {
    const vi32 step = (vi32)v_bits(f * 0.115f + 0x1.8p23f);
    return step + v_lt(f, v_lookup(iq4_midpoints, step));
}

/* The number of the value nearest to any f; the last for NaN. */
V_INLINE vu32 iq4_quant(vf32 f) {
    const vf32 bounded = v_max(v_min(f, v_set(120.0f)), v_set(-130.0f));
    return (vu32)v_trunc(v_lookup(iq4_upper, iq4_step(bounded)));
}

/* The least squares sums of one try for quants of x * inverse. */
typedef struct {
    vf32 inverse, sum_qx, sum_q2;
} iq4_try;

/* Tries side by side: their sums are chains of dependent additions. */
enum { IQ4_TRIES = 16, IQ4_SIDE = 2 };

V_INLINE void iq4_sum(iq4_try *t, const vf32 *x, const vf32 *w) {
    vf32 sum_qx[IQ4_SIDE], sum_q2[IQ4_SIDE];
    for (int k = 0; k < IQ4_SIDE; k++) sum_qx[k] = sum_q2[k] = v_set(0);
    for (int i = 0; i < 32; i++)
        for (int k = 0; k < IQ4_SIDE; k++) {
            const vf32 q = v_lookup(iq4_upper_values, iq4_step(t[k].inverse * x[i])), wq = w[i] * q;
            sum_qx[k] += wq * x[i];
            sum_q2[k] += wq * q;
        }
    for (int k = 0; k < IQ4_SIDE; k++) {
        t[k].sum_qx = sum_qx[k];
        t[k].sum_q2 = sum_q2[k];
    }
}

/* The scale for 32 elements of weights w. Tries take the extreme element to 127, then to -134..-120. */
V_INLINE vf32 iq4_search(const vf32 *x, const vf32 *w) {
    const vf32 extreme = v_extreme(x, 32);
    iq4_try tries[IQ4_TRIES];
    tries[0].inverse = 1.0f / (extreme / 127.0f);
    for (int t = 1; t < IQ4_TRIES; t++) tries[t].inverse = (float)(t - 135) / extreme;
    for (int t = 0; t < IQ4_TRIES; t += IQ4_SIDE) iq4_sum(tries + t, x, w);

    vf32 scale = tries[0].sum_qx / tries[0].sum_q2;
    scale = v_select(v_lt(v_set(0), tries[0].sum_q2), scale, v_set(0));
    vf32 best = scale * tries[0].sum_qx;
    for (int t = 1; t < IQ4_TRIES; t++) {
        const vf32 qx = tries[t].sum_qx, q2 = tries[t].sum_q2, fitted = qx / q2;
        const vi32 better = v_lt(v_set(0), q2) & v_lt(best * q2, qx * qx);
        scale = v_select(better, fitted, scale);
        best = v_select(better, fitted * qx, best);
    }
    return v_select(v_lt(v_abs(extreme), v_set(IQ4_ZERO_BELOW)), v_set(0), scale);
}

/* 1/d, but 0 for 0. */
V_INLINE vf32 iq4_inverse(vf32 d) { return v_select(v_ne(d, v_set(0)), 1.0f / d, v_set(0)); }

/* The quants of 32 elements as 4 words, element i beside i + 16. */
V_INLINE void iq4_pack(vu32 *words, const vf32 *x, vf32 inverse) {
    vu32 q[32];
    for (int i = 0; i < 32; i++) q[i] = iq4_quant(x[i] * inverse);
    for (int i = 0; i < 4; i++) words[i] = v_word(q + 4 * i) | v_word(q + 4 * i + 16) << 4;
}

V_INLINE void iq4_unpack(float *y, const uint8_t *qs, float d) {
    for (int i = 0; i < 16; i += WS_LANES) {
        const vu32 q = v_load_u8(qs + i);
        v_store(y + i, d * v_lookup(iq4_values, (vi32)(q & 15u)));
        v_store(y + i + 16, d * v_lookup(iq4_values, (vi32)(q >> 4)));
    }
}

/* What an error in x counts: its square; with an importance matrix, that of its column times the root of the square
 * and twice the mean square of n elements. */
V_INLINE void iq4_square_weights(vf32 *w, const vf32 *x, int n) {
    for (int i = 0; i < n; i++) w[i] = x[i] * x[i];
}

V_INLINE void iq4_importance_weights(vf32 *w, const vf32 *x, const vf32 *importance, int n) {
    vf32 sigma2 = v_set(0);
    for (int i = 0; i < n; i++) sigma2 += x[i] * x[i];
    sigma2 *= 2.0f / (float)n;
    for (int i = 0; i < n; i++) w[i] = importance[i] * v_sqrt(sigma2 + x[i] * x[i]);
}

#endif
