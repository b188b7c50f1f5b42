/* affine.h - sub-blocks of the form x = scale * q + min (Q2_K, Q4_K, Q5_K). */
#ifndef WS_AFFINE_H
#define WS_AFFINE_H

#include "kernels.h"

#include <stdbool.h>

typedef struct {
    int n;    /* elements per sub-block: 16 or 32 */
    int qmax; /* quants are 0..qmax */
    /* Scales are tried whose inverse takes the range to qmax + first_try + 0.1 t, t = 0..last_try. */
    float first_try;
    int last_try;
    bool absolute; /* errors count by magnitude, not squared */
} ws_affine_rule;

/* What the search finds for one sub-block. Its own quants are those of `inverse` and `offset`; they remain only
 * where the super-block's rounding makes the scale 0, so they are computed again when needed. */
typedef struct {
    vf32 scale, minus_min;
    vf32 inverse, offset;
} ws_affine;

/* A search under way. */
typedef struct {
    const vf32 *x, *w;
    vf32 *q; /* quants of the try at hand; outside, so that the rest can live in registers */
    vf32 low, min, max, sum_w, sum_x;
    vf32 inverse, scale, fitted_min; /* of the try at hand */
    vf32 sum_l, sum_l2, sum_xl, error;
    vi32 usable;
    vf32 best_error;
    ws_affine best;
} ws_affine_search;

V_INLINE vi32 affine_quant(vf32 x, vf32 inverse, vf32 offset, int qmax) {
    return vi_clamp(v_nearest(inverse * (x - offset)), 0, qmax);
}

V_INLINE void affine_begin(ws_affine_search *s, const vf32 *x, const vf32 *w, int n) {
    s->x = x;
    s->w = w;
    s->min = s->max = x[0];
    s->sum_w = w[0];
    s->sum_x = w[0] * x[0];
    for (int i = 1; i < n; i++) {
        s->min = v_min(x[i], s->min);
        s->max = v_max(x[i], s->max);
        s->sum_w += w[i];
        s->sum_x += w[i] * x[i];
    }
    s->low = s->min = v_min(v_set(0), s->min);
}

V_INLINE vi32 affine_large(const ws_affine_search *s) {
    const vf32 reach = v_max(v_abs(s->max - s->min), v_abs(s->low - s->min));
    return ~v_lt(reach * v_abs(s->inverse), v_set(4e6f)) & v_ne(s->low, s->max);
}

V_INLINE void affine_count(ws_affine_search *s, int i, int qmax, bool small) {
    const vf32 q = small ? v_nearest_small(s->inverse * (s->x[i] - s->min), 0, qmax) : v_float(affine_quant(s->x[i], s->inverse, s->min, qmax)), wq = s->w[i] * q;
    s->q[i] = q;
    s->sum_l += wq;
    s->sum_l2 += wq * q;
    s->sum_xl += wq * s->x[i];
}

V_INLINE void affine_add_error(ws_affine_search *s, int i, bool absolute) {
    const vf32 diff = s->scale * s->q[i] + s->fitted_min - s->x[i];
    s->error += s->w[i] * (absolute ? v_abs(diff) : diff * diff);
}

/* Least squares: the scale and min (not above 0) that fit the quants of this try best. */
V_INLINE void affine_fit(ws_affine_search *s) {
    const vf32 det = s->sum_w * s->sum_l2 - s->sum_l * s->sum_l;
    const vf32 min = (s->sum_l2 * s->sum_x - s->sum_l * s->sum_xl) / det;
    const vi32 above = v_lt(v_set(0), min);
    s->usable = v_lt(v_set(0), det);
    s->fitted_min = v_select(above, v_set(0), min);
    s->scale = v_select(above, s->sum_xl / s->sum_l2, (s->sum_w * s->sum_xl - s->sum_x * s->sum_l) / det);
}

V_INLINE void affine_keep_better(ws_affine_search *s) {
    const vi32 better = s->usable & v_lt(s->error, s->best_error);
    s->best.inverse = v_select(better, s->inverse, s->best.inverse);
    s->best.offset = v_select(better, s->min, s->best.offset);
    s->best.scale = v_select(better, s->scale, s->best.scale);
    s->best_error = v_select(better, s->error, s->best_error);
    s->min = v_select(better, s->fitted_min, s->min);
}

enum { AFFINE_SIDE = 2 };

/* Over all tries, the scale and min of least weighted error, for AFFINE_SIDE sub-blocks side by side (their sums are
 * chains of dependent additions). A min that is kept moves the range that later tries start from. */
V_INLINE void affine_search(ws_affine *found, const vf32 *x, const vf32 *w, const ws_affine_rule rule) {
    ws_affine_search s[AFFINE_SIDE];
    vf32 q[AFFINE_SIDE][32];
    vi32 flat[AFFINE_SIDE]; /* all elements equal, and not above 0 */
    const float top = (float)rule.qmax;
    for (int k = 0; k < AFFINE_SIDE; k++) {
        s[k].q = q[k];
        affine_begin(&s[k], x + rule.n * k, w + rule.n * k, rule.n);
        flat[k] = v_eq(s[k].max, s[k].min);
        s[k].inverse = top / (s[k].max - s[k].min);
        s[k].scale = 1.0f / s[k].inverse;
        s[k].fitted_min = s[k].min;
        s[k].error = v_set(0);
        for (int i = 0; i < rule.n; i++) {
            s[k].q[i] = v_float(affine_quant(x[rule.n * k + i], s[k].inverse, s[k].min, rule.qmax));
            affine_add_error(&s[k], i, rule.absolute);
        }
        s[k].best = (ws_affine){.scale = s[k].scale, .inverse = s[k].inverse, .offset = s[k].min};
        s[k].best_error = s[k].error;
    }
    for (int t = 0; t <= rule.last_try; t++) {
        for (int k = 0; k < AFFINE_SIDE; k++) {
            s[k].inverse = (rule.first_try + 0.1f * (float)t + top) / (s[k].max - s[k].min);
            s[k].sum_l = s[k].sum_l2 = s[k].sum_xl = s[k].error = v_set(0);
        }
        vi32 large = vi_set(0);
        for (int k = 0; k < AFFINE_SIDE; k++) large |= affine_large(&s[k]);
        if (v_any(large)) {
            for (int i = 0; i < rule.n; i++)
                for (int k = 0; k < AFFINE_SIDE; k++) affine_count(&s[k], i, rule.qmax, false);
        } else {
            for (int i = 0; i < rule.n; i++)
                for (int k = 0; k < AFFINE_SIDE; k++) affine_count(&s[k], i, rule.qmax, true);
        }
        for (int k = 0; k < AFFINE_SIDE; k++) affine_fit(&s[k]);
        for (int i = 0; i < rule.n; i++)
            for (int k = 0; k < AFFINE_SIDE; k++) affine_add_error(&s[k], i, rule.absolute);
        for (int k = 0; k < AFFINE_SIDE; k++) affine_keep_better(&s[k]);
    }
    for (int k = 0; k < AFFINE_SIDE; k++) {
        found[k] = s[k].best;
        found[k].minus_min = -s[k].min;
        found[k].scale = v_select(flat[k], v_set(0), found[k].scale);
        found[k].inverse = v_select(flat[k], v_set(0), found[k].inverse);
    }
}

/* The quants for the scale and min that are stored; those of the search where that scale is 0. */
V_INLINE void affine_quantize(vu32 *q, const vf32 *x, int n, int qmax, vf32 d, vf32 dmin, const ws_affine *found) {
    for (int i = 0; i < n; i++) q[i] = (vu32)vi_clamp(v_nearest((x[i] + dmin) / d), 0, qmax);
    const vi32 zero = v_eq(d, v_set(0));
    if (!v_any(zero)) return;
    for (int i = 0; i < n; i++)
        q[i] = vu_select(zero, (vu32)affine_quant(x[i], found->inverse, found->offset, qmax), q[i]);
}

#endif
