/* positive.h - the scales, or the mins, of a super-block as scale * code, code in 0..qmax, each with the weight of its
 * sub-block (Q2_K, Q4_K, Q5_K with an importance matrix). Codes are bytes, as in the reference: what a negative value
 * would leave of one. */
#ifndef WS_POSITIVE_H
#define WS_POSITIVE_H

#include "kernels.h"

#define POSITIVE_ZERO_BELOW 1e-15f

typedef struct {
    const vf32 *x, *w;
    vf32 code[16];
    vf32 sum_lx, sum_l2;
} positive_fit;

V_INLINE vf32 positive_byte(vi32 code) { return v_float(code & 0xff); }

V_INLINE vf32 positive_error(const vf32 *x, const vf32 *w, int n, vf32 inverse, int qmax, bool first) {
    const vf32 scale = 1.0f / inverse;
    vf32 error = v_set(0);
    for (int i = 0; i < n; i++) {
        const vi32 l = v_nearest(inverse * x[i]);
        const vf32 diff = x[i] - scale * (first ? positive_byte(l) : v_float(vi_min(vi_set(qmax), l)));
        error += w[i] * diff * diff;
    }
    return error;
}

/* Code i becomes what is best given the others, if that raises (sum w x l)^2 / sum w l^2. Returns the lanes changed. */
V_INLINE vi32 positive_refine(positive_fit *s, int i, int qmax) {
    const vf32 wx = s->w[i] * s->x[i], code = s->code[i];
    vf32 lx = s->sum_lx - wx * code, l2 = s->sum_l2 - s->w[i] * code * code;
    const vi32 l = vi_min(vi_set(qmax), v_nearest(s->x[i] * l2 / lx));
    const vf32 quant = v_float(l);
    const vi32 candidate = v_lt(v_set(0), lx) & v_lt(v_set(0), l2) & v_ne(quant, code);
    if (!v_any(candidate)) return vi_set(0);
    lx += wx * quant;
    l2 += s->w[i] * quant * quant;
    const vi32 better = candidate & v_lt(s->sum_lx * s->sum_lx * l2, lx * lx * s->sum_l2);
    s->code[i] = v_select(better, positive_byte(l), code);
    s->sum_lx = v_select(better, lx, s->sum_lx);
    s->sum_l2 = v_select(better, l2, s->sum_l2);
    return better;
}

/* Of nine scales around that which takes the largest of n values to qmax, the inverse of the best. */
V_INLINE vf32 positive_start(const vf32 *x, const vf32 *w, int n, int qmax, vf32 max) {
    vf32 inverse = (float)qmax / max;
    vf32 best = positive_error(x, w, n, inverse, qmax, true);
    for (int tenths = -4; tenths <= 4; tenths++) {
        if (tenths == 0) continue;
        const vf32 tried = (0.1f * (float)tenths + (float)qmax) / max;
        const vf32 error = positive_error(x, w, n, tried, qmax, false);
        const vi32 better = v_lt(error, best);
        best = v_select(better, error, best);
        inverse = v_select(better, tried, inverse);
    }
    return inverse;
}

/* The scale; the codes of n values (at most 16) go to `codes`. */
V_INLINE vf32 positive_search(vu32 *codes, const vf32 *x, const vf32 *w, int n, int qmax) {
    vf32 max = v_set(0);
    for (int i = 0; i < n; i++) max = v_max(max, x[i]);
    const vi32 zero = v_lt(max, v_set(POSITIVE_ZERO_BELOW));
    const vf32 inverse = positive_start(x, w, n, qmax, max);
    positive_fit s = {.x = x, .w = w, .sum_lx = v_set(0), .sum_l2 = v_set(0)};
    for (int i = 0; i < n; i++) {
        const vi32 l = vi_min(vi_set(qmax), v_nearest(inverse * x[i]));
        s.code[i] = positive_byte(l);
        s.sum_lx += w[i] * x[i] * v_float(l);
        s.sum_l2 += w[i] * v_float(l) * v_float(l);
    }
    vi32 changed = ~zero;
    for (int round = 0; round < 5 && v_any(changed); round++) {
        changed = vi_set(0);
        for (int i = 0; i < n; i++) changed |= positive_refine(&s, i, qmax) & ~zero;
    }
    for (int i = 0; i < n; i++) codes[i] = (vu32)(v_trunc(s.code[i]) & ~zero);
    return v_select(v_lt(v_set(0), s.sum_l2) & ~zero, s.sum_lx / s.sum_l2, v_set(0));
}

#endif
