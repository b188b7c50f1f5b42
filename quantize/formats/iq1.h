/* iq1.h - what IQ1_S and IQ1_M share: elements sorted, cut into three runs for -1, 0, 1, each plus or minus an eighth.
 */
#ifndef WS_IQ1_H
#define WS_IQ1_H

#include "grid8.h"

/* What the digits 0, 1, 2 stand for with shift 1 and with shift -1. */
static const float iq1_values[2][4] = {{-0.875f, 0.125f, 1.125f, 2}, {-1.125f, -0.125f, 0.875f, 2}};

enum { IQ1_MAX = 32 };

/* Elements in ascending order, equals by index, with their weights. */
typedef struct {
    vf32 x[IQ1_MAX], w[IQ1_MAX];
    vi32 index[IQ1_MAX];
} iq1_sorted;

V_INLINE void iq1_order(iq1_sorted *s, int a, int b) {
    const vf32 xa = s->x[a], xb = s->x[b], wa = s->w[a], wb = s->w[b];
    const vi32 ia = s->index[a], ib = s->index[b];
    const vi32 swap = v_lt(xb, xa) | (v_eq(xa, xb) & V_MASK(ib < ia));
    s->x[a] = v_select(swap, xb, xa);
    s->x[b] = v_select(swap, xa, xb);
    s->w[a] = v_select(swap, wb, wa);
    s->w[b] = v_select(swap, wa, wb);
    s->index[a] = vi_select(swap, ib, ia);
    s->index[b] = vi_select(swap, ia, ib);
}

/* Batcher's odd-even merge sort of n (a power of two): the same comparisons in every lane. */
V_INLINE void iq1_sort(iq1_sorted *s, const vf32 *x, const vf32 *w, int n) {
    for (int i = 0; i < n; i++) {
        s->x[i] = x[i];
        s->w[i] = w[i];
        s->index[i] = vi_set(i);
    }
    for (int p = 1; p < n; p *= 2)
        for (int k = p; k >= 1; k /= 2)
            for (int j = k % p; j + k < n; j += 2 * k)
                for (int i = 0; i < k && i + j + k < n; i++)
                    if (((i + j) ^ (i + j + k)) < 2 * p) iq1_order(s, i + j, i + j + k);
}

/* The best cut so far. `tag` numbers what was tried: first * 64 + second cut, times 4, plus a variant. */
typedef struct {
    vf32 score, scale;
    vi32 tag; /* -1: none */
} iq1_best;

/* Where to begin: -FLT_MAX, the reference's beginning, or just below the score of some cuts tried beforehand. That
 * leaves out cuts that would be improved on anyway, and most of the divisions with them. The outcome is the same: cuts
 * come in the same order, and one whose score exceeds the best by some rounding errors (6 * 2^-24 of it) always takes
 * its place. So after a cut the two searches can differ only by a chain of scores, each within that of the last; with
 * at most 1122 cuts it cannot lead from 2^-9 below the highest score up to it. Nothing in it may overflow or vanish. */
V_INLINE iq1_best iq1_begin(const iq1_best *before, const iq1_sorted *s, vf32 weight, int n) {
    const vf32 reach = v_max(v_abs(s->x[0]), v_abs(s->x[n - 1]));
    const vi32 safe = v_lt(v_set(0x1p-60f), before->score) & v_lt(v_set(0x1p-40f), weight) &
                      v_lt(weight, v_set(0x1p30f)) & v_lt(reach, v_set(0x1p20f));
    return (iq1_best){
        .score = v_select(safe, before->score * (1 - 0x1p-9f), v_set(-FLT_MAX)), .scale = v_set(0), .tag = vi_set(-1)};
}

V_INLINE void iq1_try(iq1_best *best, vf32 qx, vf32 q2, int tag) {
    const vf32 limit = best->score * q2, square = qx * qx;
    if ((v_bits_lt(v_set(0), q2) & v_bits_lt(limit, square)) == 0) return;
    const vi32 better = v_lt(v_set(0), q2) & v_lt(limit, square);
    const vf32 scale = qx / q2;
    best->scale = v_select(better, scale, best->scale);
    best->score = v_select(better, scale * qx, best->score);
    best->tag = vi_select(better, vi_set(tag), best->tag);
}

/* The element at each lane's own place in the order; from place n on one that comes after all. */
typedef struct {
    vf32 x;
    vi32 index;
} iq1_mark;

static inline iq1_mark iq1_at(const iq1_sorted *s, vi32 place, int n) {
    int32_t places[WS_LANES], index[WS_LANES];
    float x[WS_LANES];
    memcpy(places, &place, sizeof places);
    for (int lane = 0; lane < WS_LANES; lane++) {
        const bool inside = places[lane] >= 0 && places[lane] < n;
        x[lane] = inside ? ((const float *)&s->x[places[lane]])[lane] : INFINITY;
        index[lane] = inside ? ((const int32_t *)&s->index[places[lane]])[lane] : n;
    }
    iq1_mark mark;
    memcpy(&mark.x, x, sizeof x);
    memcpy(&mark.index, index, sizeof index);
    return mark;
}

/* Elements before `first` in the order get digit 0, before `second` 1, the others 2; as codes of groups of eight. */
static inline void iq1_cut(vu32 *code, const iq1_sorted *s, const vf32 *x, vi32 first, vi32 second, int n) {
    const iq1_mark a = iq1_at(s, first, n), b = iq1_at(s, second, n);
    for (int k = 0; k < n / 8; k++) {
        code[k] = vu_set(0);
        for (int i = 8 * k; i < 8 * k + 8; i++) {
            const vi32 before_a = v_lt(x[i], a.x) | (v_eq(x[i], a.x) & V_MASK(i < a.index));
            const vi32 before_b = v_lt(x[i], b.x) | (v_eq(x[i], b.x) & V_MASK(i < b.index));
            code[k] |= (vu32)(2 + before_a + before_b) << 2 * (i % 8);
        }
    }
}

/* A sub-block whose digits are being made points of the codebook. */
typedef struct {
    const ws_grid8 *grid;
    size_t live;
    const vf32 *x, *w;
    vf32 scale;
} iq1_block;

/* The code of a group of eight in each lane becomes that of a point: returns its place. `minus`: with shift -1.
 * `skip` lanes are left alone, place 0. Sets `moved` where rounding's code was none. */
static inline vu32 iq1_choose(const iq1_block *s, int group, vu32 *code, vi32 minus, vi32 skip, vi32 *moved) {
    uint32_t codes[WS_LANES], places[WS_LANES] = {0};
    int32_t moves[WS_LANES] = {0};
    float x[WS_LANES][8], w[WS_LANES][8];
    memcpy(codes, code, sizeof codes);
    v_store_words(x, sizeof *x, (const vu32 *)s->x + 8 * group, 8, WS_LANES);
    v_store_words(w, sizeof *w, (const vu32 *)s->w + 8 * group, 8, WS_LANES);
    for (size_t lane = 0; lane < s->live; lane++) {
        if (((const int32_t *)&skip)[lane]) continue;
        const ws_grid8_cell *cell = &s->grid->cells[ws_grid8_cell_of(codes[lane])];
        if (cell->count) {
            const grid8_group g = {x[lane], w[lane], iq1_values[((const int32_t *)&minus)[lane] & 1]};
            codes[lane] = grid8_nearest(s->grid, cell, &g, ((const float *)&s->scale)[lane]);
            cell = &s->grid->cells[ws_grid8_cell_of(codes[lane])];
            moves[lane] = -1;
        }
        places[lane] = cell->place;
    }
    memcpy(code, codes, sizeof codes);
    vi32 v;
    vu32 place;
    memcpy(&v, moves, sizeof v);
    memcpy(&place, places, sizeof place);
    *moved |= v;
    return place;
}

V_INLINE vf32 iq1_value(vu32 code, int i, vi32 minus) {
    const vi32 digit = (vi32)(code >> 2 * i & 3u);
    return v_float(digit) + v_select(minus, v_set(-1.125f), v_set(-0.875f));
}

typedef struct {
    vf32 qx, q2;
} iq1_sums;

/* Adds eight elements, whose values are multiplied by `factor`. */
V_INLINE void iq1_add(iq1_sums *sum, const vf32 *x, const vf32 *w, vu32 code, vi32 minus, vf32 factor) {
    for (int i = 0; i < 8; i++) {
        const vf32 q = iq1_value(code, i, minus) * factor, wq = w[i] * q;
        sum->qx += wq * x[i];
        sum->q2 += wq * q;
    }
}

/* Elements weigh their importance times their size, or (importance NULL) their square. */
V_INLINE void iq1_weigh(vf32 *w, const vf32 *x, const vf32 *importance) {
    vf32 sum = v_set(0);
    for (int i = 0; i < 256; i++) sum += x[i] * x[i];
    const vf32 mean_square = 2.0f * sum / 256.0f;
    for (int i = 0; i < 256; i++) w[i] = importance ? importance[i] * v_sqrt(mean_square + x[i] * x[i]) : x[i] * x[i];
}

/* No element's magnitude reaches the limit. */
V_INLINE vi32 iq1_all_below(const vf32 *x, int n, float limit) {
    vf32 max = v_abs(x[0]);
    for (int i = 1; i < n; i++) max = v_max(max, v_abs(x[i]));
    return v_lt(max, v_set(limit));
}

/* Three bits for each scale; what d = 15 of them stands for. */
V_INLINE vf32 iq1_encode_scales(vu32 *codes, const vf32 *scales, int n, vi32 *some) {
    vf32 max = v_set(0);
    for (int j = 0; j < n; j++) max = v_max(max, scales[j]);
    *some = v_ne(max, v_set(0));
    const vf32 d = max / 15.0f, inverse = 1.0f / d;
    for (int j = 0; j < n; j++)
        codes[j] = (vu32)(vi_clamp(v_nearest(0.5f * (inverse * scales[j] - 1.0f)), 0, 7) & *some);
    return d;
}

V_INLINE void iq1_expand(float *y, uint32_t code, float scale, float shift) {
    float values[8];
    for (int i = 0; i < 8; i++) values[i] = scale * ((float)((int)(code >> 2 * i & 3) - 1) + shift);
    memcpy(y, values, sizeof values); /* at any address */
}

#endif
