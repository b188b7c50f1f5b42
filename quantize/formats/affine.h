/* affine.h - sub-blocks of the form x = scale * q + min (Q2_K, Q4_K, Q5_K; with an importance matrix also Q4_1 and
 * Q5_1). */
#ifndef WS_AFFINE_H
#define WS_AFFINE_H

#include "kernels.h"

#include <stdbool.h>

typedef struct {
    int n;    /* elements per sub-block: 16 or 32 */
    int qmax; /* quants are 0..qmax */
    /* Scales are tried whose inverse takes the range to qmax + first_try + step * t, t = 0..last_try. */
    float first_try, step;
    int last_try;
    int side;      /* sub-blocks searched at once, at most AFFINE_SIDE */
    bool absolute; /* errors count by magnitude, not squared */
} ws_affine_rule;

/* The tries of every type with an importance matrix. */
#define AFFINE_WEIGHTED(elements, max, together)                                                                       \
    (ws_affine_rule) { .n = elements, .qmax = max, .first_try = -0.9f, .step = 0.05f, .last_try = 36, .side = together }

/* What the search finds for one sub-block. Its own quants are those of `inverse` and `offset`; they remain only
 * where the super-block's rounding makes the scale 0, so they are computed again when needed. */
typedef struct {
    vf32 scale, minus_min;
    vf32 inverse, offset;
    vf32 sum_w;
} ws_affine;

/* A search under way. */
typedef struct {
    const vf32 *x, *w;
    vf32 *q;                     /* quants of the try at hand; outside, so that the rest can live in registers */
    vf32 lowest, max;            /* range of the elements and 0 */
    vf32 min, sum_w, sum_x;      /* min: of the best try */
    vf32 inverse, scale, fitted; /* try at hand: q = (x - min) * inverse; fitted is the min that comes of it */
    vf32 sum_l, sum_l2, sum_xl, error;
    vi32 usable;
    vf32 best_error;
    ws_affine best;
} ws_affine_search;

V_INLINE vi32 affine_quant(vf32 x, vf32 inverse, vf32 offset, int qmax) {
    return vi_clamp(v_nearest(inverse * (x - offset)), 0, qmax);
}

V_INLINE void affine_add_error(ws_affine_search *s, int i, bool absolute) {
    const vf32 diff = s->scale * s->q[i] + s->fitted - s->x[i];
    s->error += s->w[i] * (absolute ? v_abs(diff) : diff * diff);
}

/* Sums over the elements, and the plain scale of the range as the first best. */
V_INLINE void affine_begin(ws_affine_search *s, const ws_affine_rule rule) {
    vf32 min = s->x[0];
    s->max = s->x[0];
    s->sum_w = s->w[0];
    s->sum_x = s->w[0] * s->x[0];
    for (int i = 1; i < rule.n; i++) {
        min = v_min(s->x[i], min);
        s->max = v_max(s->x[i], s->max);
        s->sum_w += s->w[i];
        s->sum_x += s->w[i] * s->x[i];
    }
    s->lowest = s->min = s->fitted = v_min(v_set(0), min);
    s->inverse = (float)rule.qmax / (s->max - s->min);
    s->scale = 1.0f / s->inverse;
    s->error = v_set(0);
    for (int i = 0; i < rule.n; i++) {
        s->q[i] = v_float(affine_quant(s->x[i], s->inverse, s->min, rule.qmax));
        affine_add_error(s, i, rule.absolute);
    }
    s->best = (ws_affine){.scale = s->scale, .inverse = s->inverse, .offset = s->min};
    s->best_error = s->error;
}

/* Lanes with elements that v_nearest_small() may not be given. Rounding keeps order, so the ends of the range tell.
 * Where the range is empty the quants do not matter: the error is 0 already. */
V_INLINE vi32 affine_large(const ws_affine_search *s) {
    const vf32 reach = v_max(v_abs(s->max - s->min), v_abs(s->lowest - s->min));
    return ~v_lt(reach * v_abs(s->inverse), v_set(0x1p21f)) & v_ne(s->lowest, s->max);
}

V_INLINE void affine_count(ws_affine_search *s, int i, int qmax, bool small) {
    const vf32 x = s->x[i];
    const vf32 q = small ? v_nearest_small(s->inverse * (x - s->min), 0, qmax)
                         : v_float(affine_quant(x, s->inverse, s->min, qmax));
    const vf32 wq = s->w[i] * q;
    s->q[i] = q;
    s->sum_l += wq;
    s->sum_l2 += wq * q;
    s->sum_xl += wq * x;
}

/* Least squares: the scale and min (not above 0) that suit the quants of this try best. */
V_INLINE void affine_fit(ws_affine_search *s) {
    const vf32 det = s->sum_w * s->sum_l2 - s->sum_l * s->sum_l;
    const vf32 min = (s->sum_l2 * s->sum_x - s->sum_l * s->sum_xl) / det;
    const vi32 above = v_lt(v_set(0), min);
    s->usable = v_lt(v_set(0), det);
    s->fitted = v_select(above, v_set(0), min);
    s->scale = v_select(above, s->sum_xl / s->sum_l2, (s->sum_w * s->sum_xl - s->sum_x * s->sum_l) / det);
}

V_INLINE void affine_keep_better(ws_affine_search *s) {
    const vi32 better = s->usable & v_lt(s->error, s->best_error);
    s->best.inverse = v_select(better, s->inverse, s->best.inverse);
    s->best.offset = v_select(better, s->min, s->best.offset);
    s->best.scale = v_select(better, s->scale, s->best.scale);
    s->best_error = v_select(better, s->error, s->best_error);
    s->min = v_select(better, s->fitted, s->min);
}

/* Sub-blocks can be searched two by two, step by step: their sums are chains of dependent additions, and two chains
 * take no longer than one. */
enum { AFFINE_SIDE = 2 };

V_INLINE void affine_try(ws_affine_search *s, const ws_affine_rule rule, float range) {
    vi32 large = vi_set(0);
    for (int k = 0; k < rule.side; k++) {
        s[k].inverse = range / (s[k].max - s[k].min);
        s[k].sum_l = s[k].sum_l2 = s[k].sum_xl = s[k].error = v_set(0);
        large |= affine_large(&s[k]);
    }
    if (v_any(large))
        for (int i = 0; i < rule.n; i++)
            for (int k = 0; k < rule.side; k++) affine_count(&s[k], i, rule.qmax, false);
    else
        for (int i = 0; i < rule.n; i++)
            for (int k = 0; k < rule.side; k++) affine_count(&s[k], i, rule.qmax, true);
    for (int k = 0; k < rule.side; k++) affine_fit(&s[k]);
    for (int i = 0; i < rule.n; i++)
        for (int k = 0; k < rule.side; k++) affine_add_error(&s[k], i, rule.absolute);
    for (int k = 0; k < rule.side; k++) affine_keep_better(&s[k]);
}

/* Over all tries, the scale and min of least weighted error, for rule.side neighbouring sub-blocks. A min that is
 * kept moves the range that later tries start from. */
V_INLINE void affine_search(ws_affine *found, const vf32 *x, const vf32 *w, const ws_affine_rule rule) {
    ws_affine_search s[AFFINE_SIDE];
    vf32 q[AFFINE_SIDE][32];
    for (int k = 0; k < rule.side; k++) {
        s[k].x = x + rule.n * k;
        s[k].w = w + rule.n * k;
        s[k].q = q[k];
        affine_begin(&s[k], rule);
    }
    for (int t = 0; t <= rule.last_try; t++)
        affine_try(s, rule, rule.first_try + rule.step * (float)t + (float)rule.qmax);
    for (int k = 0; k < rule.side; k++) {
        const vi32 flat = v_eq(s[k].max, s[k].lowest); /* all elements equal, and not above 0 */
        found[k].scale = v_select(flat, v_set(0), s[k].best.scale);
        found[k].inverse = v_select(flat, v_set(0), s[k].best.inverse);
        found[k].offset = s[k].best.offset;
        found[k].minus_min = -s[k].min;
        found[k].sum_w = s[k].sum_w;
    }
}

/* The search's own quants. */
V_INLINE void affine_own_quants(vu32 *q, const vf32 *x, int n, int qmax, const ws_affine *found) {
    for (int i = 0; i < n; i++) q[i] = (vu32)affine_quant(x[i], found->inverse, found->offset, qmax);
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
