/* symmetric.h - groups of elements of the form x = scale * (q - qmax), q in 0..2 qmax - 1 (Q3_K, Q6_K; with an
 * importance matrix also Q4_0 and Q5_0). */
#ifndef WS_SYMMETRIC_H
#define WS_SYMMETRIC_H

#include "kernels.h"

/* A group whose largest magnitude is below this counts as zero: scale 0, q = 0. */
#define WS_ZERO_BELOW 1e-15f

/* q - qmax for an element divided by its scale. */
V_INLINE vi32 symmetric_quant(vf32 scaled, int qmax) { return vi_clamp(v_nearest(scaled), -qmax, qmax - 1); }

/* What an assignment to int8_t leaves of an int. */
V_INLINE vi32 v_int8(vi32 v) { return (vi32)((vu32)v << 24) >> 24; }

typedef struct {
    vf32 scale;
    vf32 inverse; /* the group's own quants are those of x * inverse */
    vi32 zero;    /* or 0, in these lanes */
} symmetric_found;

/* Where the scale of try `step` takes the extreme element: to -qmax, then to -(qmax + 0.1 k), k = -9..-1, 1..9. */
V_INLINE int symmetric_tenths(int step) { return step == 0 ? 0 : step <= 9 ? step - 10 : step - 9; }

/* Which of the bounds -qmax and qmax - 1 a try's quants can pass. As no element is above the extreme one, they pass the
 * lower only for k > 4, the upper only for k > -6. */
typedef enum { SYMMETRIC_NONE, SYMMETRIC_UPPER, SYMMETRIC_BOTH } symmetric_bounds;

V_INLINE vf32 symmetric_small(vf32 scaled, int qmax, symmetric_bounds bounds) {
    vf32 l = v_round(scaled);
    if (bounds >= SYMMETRIC_UPPER) l = v_min(l, v_set((float)(qmax - 1)));
    if (bounds == SYMMETRIC_BOTH) l = v_max(l, v_set((float)-qmax));
    return l;
}

typedef struct {
    vf32 inverse, lx, l2;
} symmetric_sums;

typedef struct {
    const vf32 *x, *w;
    vf32 wx[32];
    int n, qmax;
    vf32 extreme;
    symmetric_sums of[19]; /* by try */
} symmetric_tries;

/* Two tries side by side, or one: sums are chains of dependent additions, and the two share what they load. */
V_INLINE void symmetric_sum(symmetric_tries *t, int first, int second, int side, symmetric_bounds bounds) {
    const int step[2] = {first, second};
    vf32 lx[2], l2[2], inverse[2];
    for (int k = 0; k < side; k++) {
        inverse[k] = -((float)t->qmax + 0.1f * (float)symmetric_tenths(step[k])) / t->extreme;
        lx[k] = l2[k] = v_set(0);
    }
    for (int i = 0; i < t->n; i++)
        for (int k = 0; k < side; k++) {
            const vf32 l = symmetric_small(inverse[k] * t->x[i], t->qmax, bounds);
            lx[k] += t->wx[i] * l;
            l2[k] += t->w[i] * l * l;
        }
    for (int k = 0; k < side; k++) t->of[step[k]] = (symmetric_sums){inverse[k], lx[k], l2[k]};
}

V_INLINE void symmetric_sum_all(symmetric_tries *t) {
    for (int i = 0; i < t->n; i++) t->wx[i] = t->w[i] * t->x[i];
    for (int step = 1; step <= 3; step += 2) symmetric_sum(t, step, step + 1, 2, SYMMETRIC_NONE);
    for (int step = 5; step <= 11; step += 2) symmetric_sum(t, step, step + 1, 2, SYMMETRIC_UPPER);
    symmetric_sum(t, 0, 13, 2, SYMMETRIC_UPPER);
    for (int step = 14; step <= 16; step += 2) symmetric_sum(t, step, step + 1, 2, SYMMETRIC_BOTH);
    symmetric_sum(t, 18, 18, 1, SYMMETRIC_BOTH);
}

/* The scale of least weighted error for n elements. */
V_INLINE symmetric_found symmetric_search(const vf32 *x, const vf32 *w, int n, int qmax) {
    symmetric_tries t = {.x = x, .w = w, .n = n, .qmax = qmax, .extreme = v_extreme(x, n)};
    symmetric_sum_all(&t);
    symmetric_found r = {.inverse = t.of[0].inverse, .zero = v_lt(v_abs(t.extreme), v_set(WS_ZERO_BELOW))};
    r.scale = v_select(v_ne(t.of[0].l2, v_set(0)), t.of[0].lx / t.of[0].l2, v_set(0));
    vf32 best = r.scale * t.of[0].lx;
    for (int step = 1; step < 19; step++) {
        const symmetric_sums *of = &t.of[step];
        const vf32 scale = of->lx / of->l2;
        const vi32 better = v_lt(v_set(0), of->l2) & v_lt(best * of->l2, of->lx * of->lx);
        r.scale = v_select(better, scale, r.scale);
        r.inverse = v_select(better, of->inverse, r.inverse);
        best = v_select(better, scale * of->lx, best);
    }
    r.scale = v_select(r.zero, v_set(0), r.scale);
    return r;
}

/* The quants that go with what was found. */
V_INLINE void symmetric_quants(vu32 *q, const vf32 *x, int n, int qmax, const symmetric_found *found) {
    for (int i = 0; i < n; i++) q[i] = (vu32)((symmetric_quant(found->inverse * x[i], qmax) + qmax) & ~found->zero);
}

#endif
