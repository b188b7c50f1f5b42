/* iq3.h - what IQ3_XXS and IQ3_S share: magnitudes as points of a codebook, four at a time, and signs beside them.
 *
 * A digit l stands for the magnitude 2 l + 1. For 32 elements the quantizer tries a number of scales; for each it
 * rounds every four elements to digits, and where those are no point of the codebook it takes the best of the cell's
 * neighbours (grids4.h). Here lanes are scales: the cell changes little from one scale to the next, so that most lanes
 * look through the same neighbours. The errors of all eight digits are computed first, and a neighbour is the sum of
 * four of them. A last round, for the scale that was best, has groups of four elements in its lanes. */
#ifndef WS_IQ3_H
#define WS_IQ3_H

#include "grids4.h"
#include "kernels.h"

typedef struct {
    int tries;        /* the largest element is taken to 15 + 0.2 t, t = -tries/2..tries/2 */
    float zero_below; /* 32 elements whose largest is below this are zero */
    int all_again;    /* the last round is for all groups as soon as one is not a point; else for those */
    int even_signs;   /* in every 8 elements the number of negative ones is even */
} ws_iq3_rule;

enum { IQ3_GROUPS = 64, IQ3_MAX_TRIES = 32 };

/* A super-block under way. */
typedef struct {
    float x[256], w[256], root[256]; /* magnitudes, what an error counts, its root */
    float scale[8];
    uint32_t signs[32];          /* of 8 elements: bit i is set where element i is negative */
    uint32_t points[IQ3_GROUPS]; /* as in ws_grid4.neighbours */
    uint8_t rounded[IQ3_GROUPS]; /* the point is that to which the elements round */
    int zero[8], again[8];       /* 32 elements are zero; they need the last round */
} iq3_block;

/* === points === */

/* Up to eight vectors of groups of four elements, a group per lane, whose points are wanted. All cells are there before
 * the first point is looked for: so the processor knows early where that work branches to. */
typedef struct {
    int n;
    vf32 multiples[8];                /* the scale times 2 q + 1 */
    vf32 x[8][4], root[8][4];         /* of each vector */
    uint32_t cells[1 + 8 * WS_LANES]; /* from 1 on */
    uint32_t points[8 * WS_LANES];
    uint8_t near_edge[8];
} iq3_batch;

/* Lists without shadowed neighbours serve where no element is so near to the edge of its cell that rounding the errors
 * could change their order; for the rest, and where v_nearest() does not round, all neighbours are compared. */
#define IQ3_EDGE 0.4999f

V_INLINE void iq3_add_cells(iq3_batch *b, const vf32 *x, vf32 inverse) {
    vu32 cell = vu_set(0), point = vu_set(0);
    vf32 farthest = v_set(0);
    for (int i = 0; i < 4; i++) {
        const vf32 digit = 0.5f * (inverse * x[i] - 1.0f);
        const vi32 rounded = vi_clamp(v_nearest(digit), 0, 7);
        const vf32 distance = v_min(v_max(digit, v_set(0)), v_set(7)) - v_float(rounded);
        farthest = v_max(v_abs(distance), farthest);
        cell |= (vu32)rounded << 3 * i;
        point |= (vu32)(rounded + 8 * i) << (8 * i + 3);
    }
    memcpy(b->cells + 1 + b->n * WS_LANES, &cell, sizeof cell);
    memcpy(b->points + b->n * WS_LANES, &point, sizeof point);
    b->near_edge[b->n] = (uint8_t)v_any(v_lt(v_set(IQ3_EDGE), farthest));
}

V_INLINE void iq3_begin(iq3_batch *b, vf32 scale) {
    b->n = 0;
    b->cells[0] = 0;
    for (int q = 0; q < 8; q++) b->multiples[q] = scale * (float)(2 * q + 1);
}

V_INLINE void iq3_add(iq3_batch *b, const vf32 *x, const vf32 *root, vf32 inverse) {
    iq3_add_cells(b, x, inverse);
    memcpy(b->x[b->n], x, sizeof b->x[0]);
    memcpy(b->root[b->n], root, sizeof b->root[0]);
    b->n++;
}

/* Lanes next to each other that are in one cell, all of one vector and at most V_PART. */
typedef struct {
    uint16_t begin, end;
    uint32_t list; /* of neighbours */
} iq3_run;

enum { IQ3_MAX_RUNS = 8 * WS_LANES + 2 };

/* Lanes in which a run begins. */
V_INLINE size_t iq3_find_starts(uint32_t *starts, const iq3_batch *b) {
    size_t n = 0;
    for (int k = 0; k < b->n; k++) {
        vu32 cell, before;
        memcpy(&cell, b->cells + 1 + k * WS_LANES, sizeof cell);
        memcpy(&before, b->cells + k * WS_LANES, sizeof before);
        const vi32 start = vu_ne(cell, before) | vu_eq(v_iota(), vu_set(0));
        n += v_compress(starts + n, v_iota() + (uint32_t)(k * WS_LANES), start);
    }
    starts[n] = (uint32_t)(b->n * WS_LANES);
    return n;
}

/* Runs in cells that are no points. What is written beyond the last found is overwritten by the next. */
V_INLINE size_t iq3_find_runs(iq3_run *runs, const iq3_batch *b, const ws_grid4 *grid) {
    uint32_t starts[IQ3_MAX_RUNS + WS_LANES];
    const size_t n = iq3_find_starts(starts, b);
    size_t found = 0;
    for (size_t r = 0; r < n; r++) {
        const uint32_t begin = starts[r], end = starts[r + 1];
        const ws_grid4_cell *cell = &grid->cells[b->cells[1 + begin]];
        const uint32_t list = cell->unshadowed_and_all[b->near_edge[begin / WS_LANES]];
        const uint32_t is_long = V_PART < WS_LANES && end - begin > V_PART; /* at most twice as long */
        const uint32_t middle = is_long ? begin + V_PART : end;
        __builtin_prefetch(grid->neighbours + WS_GRID4_STEP * (list >> 8));
        runs[found] = (iq3_run){(uint16_t)begin, (uint16_t)middle, list};
        found += list != 0;
        if (V_PART < WS_LANES) runs[found] = (iq3_run){(uint16_t)middle, (uint16_t)end, list};
        found += is_long & (list != 0);
    }
    return found;
}

typedef struct {
    vp_f32 error;
    vp_u32 point;
} iq3_choice;

/* The row that a byte of a point names, from the part that starts at `errors` on. */
V_INLINE vp_f32 iq3_row(const float *errors, uint8_t row) {
    vp_f32 v;
    memcpy(&v, (const uint8_t *)errors + (size_t)row * WS_LANES / 2, sizeof v);
    return v;
}

V_INLINE iq3_choice iq3_choose(const uint32_t *point, const float *errors) {
    const uint8_t *rows = (const uint8_t *)point;
    const vp_f32 error =
        iq3_row(errors, rows[0]) + iq3_row(errors, rows[1]) + iq3_row(errors, rows[2]) + iq3_row(errors, rows[3]);
    return (iq3_choice){error, *point + (vp_u32){0}};
}

/* The better of two, the first of equals. */
V_INLINE iq3_choice iq3_better(iq3_choice a, iq3_choice b) {
    return (iq3_choice){vp_min(b.error, a.error), vp_select_less(b.error, a.error, b.point, a.point)};
}

V_INLINE iq3_choice iq3_best_of_step(const uint32_t *neighbours, const float *errors) {
    iq3_choice best[WS_GRID4_STEP];
    for (int k = 0; k < WS_GRID4_STEP; k++) best[k] = iq3_choose(neighbours + k, errors);
    for (int n = WS_GRID4_STEP / 2; n; n /= 2)
        for (int k = 0; k < n; k++) best[k] = iq3_better(best[2 * k], best[2 * k + 1]);
    return best[0];
}

/* What digit q of element i counts in a vector. */
V_INLINE void iq3_measure(vf32 errors[4][8], const iq3_batch *b, size_t vector) {
    for (int i = 0; i < 4; i++)
        for (int q = 0; q < 8; q++) {
            const vf32 diff = b->multiples[q] - b->x[vector][i];
            errors[i][q] = b->root[vector][i] * diff * diff;
        }
}

/* Moves the lanes that are on no point to their best neighbours. */
V_INLINE void iq3_find_points(iq3_batch *b, const ws_grid4 *grid) {
    iq3_run runs[IQ3_MAX_RUNS];
    const size_t n = iq3_find_runs(runs, b, grid);
    size_t measured = SIZE_MAX;
    vf32 errors[4][8];
    for (size_t r = 0; r < n; r++) {
        const size_t vector = runs[r].begin / WS_LANES, lane = runs[r].begin % WS_LANES;
        const size_t part = lane > WS_LANES - V_PART ? WS_LANES - V_PART : lane, start = vector * WS_LANES + part;
        if (vector != measured) iq3_measure(errors, b, measured = vector);
        const float *part_errors = (const float *)errors + part;
        const uint32_t *neighbours = grid->neighbours + WS_GRID4_STEP * (runs[r].list >> 8);
        iq3_choice best = iq3_best_of_step(neighbours, part_errors);
        for (uint32_t step = 1; step < (runs[r].list & 255u); step++)
            best = iq3_better(best, iq3_best_of_step(neighbours + WS_GRID4_STEP * step, part_errors));
        vp_store_lanes(b->points + start, best.point, (unsigned)(runs[r].begin - start),
                       (unsigned)(runs[r].end - start));
    }
}

/* The code of a point that is given as rows. */
V_INLINE uint32_t iq3_code(uint32_t point) {
    return (point >> 3 & 7) | (point >> 11 & 7) << 3 | (point >> 19 & 7) << 6 | (point >> 27 & 7) << 9;
}

/* === tries === */

/* Lanes of all tries, in vectors; where few are left for the last vector, it is shared by as many groups as it has
 * fours of lanes. */
#define IQ3_SHARED(tries)  (WS_LANES > 4 && (tries) % WS_LANES > 0 && (tries) % WS_LANES <= 4)
#define IQ3_VECTORS(tries) (((tries) + WS_LANES - 1) / WS_LANES - IQ3_SHARED(tries))

/* Takes the largest element to 15 and more or less, for tries number[lane]; beyond the last it is repeated. */
V_INLINE vf32 iq3_try_inverse(vi32 number, int tries, float max) {
    const vf32 step = v_float(vi_min(number, vi_set(tries - 1)) - tries / 2);
    return (step * 0.2f + 15.0f) / v_set(max);
}

/* Of each group for each try. */
typedef struct {
    uint32_t cells[8][IQ3_MAX_TRIES], points[8][IQ3_MAX_TRIES];
} iq3_tries;

V_INLINE void iq3_try_vector(iq3_tries *out, const ws_grid4 *grid, const float *x, const float *root, int first,
                             vf32 inverse) {
    iq3_batch b;
    iq3_begin(&b, 1.0f / inverse);
    for (int group = 0; group < 8; group++) {
        vf32 x4[4], root4[4];
        for (int i = 0; i < 4; i++) {
            x4[i] = v_set(x[4 * group + i]);
            root4[i] = v_set(root[4 * group + i]);
        }
        iq3_add(&b, x4, root4, inverse);
    }
    iq3_find_points(&b, grid);
    for (int group = 0; group < 8; group++) {
        memcpy(&out->cells[group][first], b.cells + 1 + group * WS_LANES, 4 * WS_LANES);
        memcpy(&out->points[group][first], b.points + group * WS_LANES, 4 * WS_LANES);
    }
}

#if WS_LANES > 4
/* Element i of each four lanes, in all of them. */
V_INLINE void iq3_spread(vf32 *out, const float *p) {
    const vf32 v = v_load(p);
    out[0] = __builtin_shufflevector(v, v, V_QUADS(0, 0, 0, 0));
    out[1] = __builtin_shufflevector(v, v, V_QUADS(1, 1, 1, 1));
    out[2] = __builtin_shufflevector(v, v, V_QUADS(2, 2, 2, 2));
    out[3] = __builtin_shufflevector(v, v, V_QUADS(3, 3, 3, 3));
}

V_INLINE void iq3_try_shared(iq3_tries *out, const ws_grid4 *grid, const float *x, const float *root, int first,
                             vf32 inverse) {
    iq3_batch b;
    iq3_begin(&b, 1.0f / inverse);
    for (int element = 0; element < 32; element += WS_LANES) {
        vf32 x4[4], root4[4];
        iq3_spread(x4, x + element);
        iq3_spread(root4, root + element);
        iq3_add(&b, x4, root4, inverse);
    }
    iq3_find_points(&b, grid);
    for (int group = 0; group < 8; group++) {
        memcpy(&out->cells[group][first], b.cells + 1 + 4 * group, 16);
        memcpy(&out->points[group][first], b.points + 4 * group, 16);
    }
}
#endif

/* The digits' magnitudes, by the low three bits. */
static const float iq3_odd[8] = {1, 3, 5, 7, 9, 11, 13, 15};

/* Least squares of each try: sums over 32 elements. */
V_INLINE void iq3_sum_tries(float *sum_qx, float *sum_q2, const iq3_tries *t, const float *x, const float *w,
                            int first) {
    vf32 qx = v_set(0), q2 = v_set(0);
    for (int group = 0; group < 8; group++) {
        vu32 point;
        memcpy(&point, &t->points[group][first], sizeof point);
        for (int i = 0; i < 4; i++) {
            const vf32 q = v_lookup8(iq3_odd, (vi32)(point >> (8 * i + 3)));
            qx += w[4 * group + i] * x[4 * group + i] * q;
            q2 += w[4 * group + i] * q * q;
        }
    }
    v_store(sum_qx + first, qx);
    v_store(sum_q2 + first, q2);
}

/* The best try (-1: none is better than nothing), and its scale. */
V_INLINE int iq3_best_try(float *scale, const float *sum_qx, const float *sum_q2, int tries) {
    float best = 0;
    int best_try = -1;
    for (int t = 0; t < tries; t++)
        if (sum_q2[t] > 0 && sum_qx[t] * sum_qx[t] > best * sum_q2[t]) {
            *scale = sum_qx[t] / sum_q2[t];
            best = *scale * sum_qx[t];
            best_try = t;
        }
    return best_try;
}

V_INLINE float iq3_max(const float *x, int n) {
    float max = x[0];
    for (int i = 1; i < n; i++) max = max > x[i] ? max : x[i];
    return max;
}

/* Takes what try `best` found; for -1 all digits stay 0. */
V_INLINE void iq3_take_try(iq3_block *b, int s, const iq3_tries *tries, int best, const ws_iq3_rule rule) {
    int all_rounded = 1;
    for (int k = 8 * s; k < 8 * s + 8; k++) {
        b->points[k] = best < 0 ? 0 : tries->points[k % 8][best];
        b->rounded[k] = best < 0 ? !rule.all_again : iq3_code(b->points[k]) == tries->cells[k % 8][best];
        all_rounded &= b->rounded[k];
    }
    b->again[s] = !all_rounded && b->scale[s] > 0;
}

/* Sub-block s: a scale and points by trying. */
V_INLINE void iq3_search(iq3_block *b, const ws_grid4 *grid, int s, const ws_iq3_rule rule) {
    const float *x = b->x + 32 * s, *w = b->w + 32 * s, *root = b->root + 32 * s;
    const float max = iq3_max(x, 32);
    b->zero[s] = max < rule.zero_below;
    if (b->zero[s]) {
        b->again[s] = 0;
        b->scale[s] = 0;
        memset(b->points + 8 * s, 0, 8 * sizeof *b->points);
        memset(b->signs + 4 * s, 0, 4 * sizeof *b->signs);
        return;
    }
    iq3_tries tries;
    memset(tries.points, 0, sizeof tries.points); /* lanes beyond the tries are summed, too */
    float sum_qx[IQ3_MAX_TRIES], sum_q2[IQ3_MAX_TRIES];
    const int vectors = IQ3_VECTORS(rule.tries);
    for (int v = 0; v < vectors; v++) {
        const vf32 inverse = iq3_try_inverse((vi32)v_iota() + v * WS_LANES, rule.tries, max);
        iq3_try_vector(&tries, grid, x, root, v * WS_LANES, inverse);
        iq3_sum_tries(sum_qx, sum_q2, &tries, x, w, v * WS_LANES);
    }
#if WS_LANES > 4
    if (IQ3_SHARED(rule.tries)) {
        const vf32 inverse = iq3_try_inverse((vi32)(v_iota() & 3u) + vectors * WS_LANES, rule.tries, max);
        iq3_try_shared(&tries, grid, x, root, vectors * WS_LANES, inverse);
        iq3_sum_tries(sum_qx, sum_q2, &tries, x, w, vectors * WS_LANES);
    }
#endif
    b->scale[s] = max / 15.0f;
    const int best = iq3_best_try(&b->scale[s], sum_qx, sum_q2, rule.tries);
    iq3_take_try(b, s, &tries, best, rule);
}

/* === the last round === */

/* Points for the scale found, where it is wanted. */
V_INLINE void iq3_search_again(iq3_block *b, const ws_grid4 *grid, const ws_iq3_rule rule) {
    for (int first = 0; first < IQ3_GROUPS; first += WS_LANES) {
        float scales[WS_LANES];
        for (int lane = 0; lane < WS_LANES; lane++) scales[lane] = b->scale[(first + lane) / 8];
        vf32 x[4], root[4];
        v_load_blocks(x, b->x + 4 * first, 4, WS_LANES);
        v_load_blocks(root, b->root + 4 * first, 4, WS_LANES);
        const vf32 scale = v_load(scales);
        iq3_batch batch;
        iq3_begin(&batch, scale);
        iq3_add(&batch, x, root, 1.0f / scale);
        iq3_find_points(&batch, grid);
        for (int lane = 0; lane < WS_LANES; lane++) {
            const int group = first + lane;
            if (b->again[group / 8] && (rule.all_again || !b->rounded[group])) b->points[group] = batch.points[lane];
        }
    }
}

/* New scales for new points: least squares. All sub-blocks side by side, since each is a chain of additions. */
V_INLINE void iq3_fit_again(iq3_block *b) {
    float sum_qx[8] = {0}, sum_q2[8] = {0};
    for (int i = 0; i < 32; i++)
        for (int s = 0; s < 8; s++) {
            const float q = iq3_odd[b->points[8 * s + i / 4] >> (8 * (i % 4) + 3) & 7];
            const float wx = b->w[32 * s + i] * b->x[32 * s + i], wq = b->w[32 * s + i] * q;
            sum_qx[s] += wx * q;
            sum_q2[s] += wq * q;
        }
    for (int s = 0; s < 8; s++)
        if (b->again[s] && sum_q2[s] > 0) b->scale[s] = sum_qx[s] / sum_q2[s];
}

/* === signs and weights === */

/* Signs of every 8 elements in a lane. Where they must be even and are not, the element that counts least changes its
 * own: `flipped` is its number, or 8 for none. */
V_INLINE void iq3_signs(uint32_t *signs, uint32_t *flipped, const float *x, const float *w, int even) {
    vf32 x8[8], w8[8];
    v_load_blocks(x8, x, 8, WS_LANES);
    v_load_blocks(w8, w, 8, WS_LANES);
    vu32 bits = vu_set(0), bit = vu_set(1), number = vu_set(0);
    vi32 odd = vi_set(0);
    vf32 least = w8[0] * x8[0] * x8[0];
    for (int i = 0; i < 8; i++) {
        const vi32 negative = v_lt(x8[i], v_set(0)), less = v_lt(w8[i] * x8[i] * x8[i], least);
        bits |= (vu32)negative & 1u << i;
        odd ^= negative;
        least = v_min(w8[i] * x8[i] * x8[i], least);
        bit = vu_select(less, vu_set(1u << i), bit);
        number = vu_select(less, vu_set((uint32_t)i), number);
    }
    if (!even) odd = vi_set(0);
    bits ^= bit & (vu32)odd;
    number = vu_select(odd, number, vu_set(8));
    memcpy(signs, &bits, sizeof bits);
    memcpy(flipped, &number, sizeof number);
}

V_INLINE void iq3_take_magnitudes(iq3_block *b, const float *x, const ws_iq3_rule rule) {
    uint32_t flipped[32];
    for (int i = 0; i < 256; i += WS_LANES) {
        v_store(b->root + i, v_sqrt(v_load(b->w + i)));
        v_store(b->x + i, v_abs(v_load(x + i)));
    }
    for (int k = 0; k < 32; k += WS_LANES)
        iq3_signs(b->signs + k, flipped + k, x + 8 * k, b->w + 8 * k, rule.even_signs);
    for (int k = 0; k < 32; k++)
        if (flipped[k] < 8) b->x[8 * k + flipped[k]] = -b->x[8 * k + flipped[k]];
}

/* Sums of squares of n super-blocks, but not more than IQ3_SIDE, side by side: each is one chain of additions. */
enum { IQ3_SIDE = 8 };
V_INLINE void iq3_sum_squares(float *sums, const float *x, size_t n) {
    if (n > IQ3_SIDE) n = IQ3_SIDE;
    for (size_t k = 0; k < n; k++) sums[k] = 0;
    for (size_t i = 0; i < 256; i++)
        for (size_t k = 0; k < n; k++) {
            float v;
            memcpy(&v, x + 256 * k + i, sizeof v); /* at any address */
            sums[k] += v * v;
        }
}

/* What an error in x counts: its square; with an importance matrix, that of its column times the root of the square
 * and twice the mean square of the super-block. */
V_INLINE void iq3_weigh(iq3_block *b, const float *x, const float *importance, float sum) {
    const float sigma2 = 2.0f * sum / 256.0f;
    for (int i = 0; i < 256; i += WS_LANES) {
        const vf32 x2 = v_load(x + i) * v_load(x + i);
        v_store(b->w + i, importance ? v_load(importance + i) * v_sqrt(sigma2 + x2) : x2);
    }
}

/* Everything but the packing; the largest of the scales. `sum`, of squares, is for the importance. */
V_INLINE float iq3_quantize(iq3_block *b, const ws_grid4 *grid, const float *x, const float *importance, float sum,
                            const ws_iq3_rule rule) {
    iq3_weigh(b, x, importance, sum);
    iq3_take_magnitudes(b, x, rule);
    for (int s = 0; s < 8; s++) iq3_search(b, grid, s, rule);
    iq3_search_again(b, grid, rule);
    iq3_fit_again(b);
    float max = 0;
    for (int s = 0; s < 8; s++) {
        if (b->scale[s] < 0) {
            b->scale[s] = -b->scale[s];
            for (int k = 0; k < 4; k++) b->signs[4 * s + k] ^= 255;
        }
        max = max > b->scale[s] ? max : b->scale[s];
    }
    return max;
}

/* === packing === */

V_INLINE uint32_t iq3_place(const ws_grid4 *grid, uint32_t point) { return grid->places[iq3_code(point)]; }

/* A scale's 4-bit number, for the super-block's inverse. */
V_INLINE uint32_t iq3_scale_code(float scale, float inverse) {
    const uint32_t bits = ws_f32_bits(0.5f * (inverse * scale - 1.0f) + 0x1.8p23f); /* as v_nearest() */
    const int code = (int)(bits & 0x7fffffu) - 0x400000;
    return (uint32_t)(code < 0 ? 0 : code > 15 ? 15 : code);
}

/* Half of a scale. A NaN (of sums that overflowed) has no sign: ARM and x86 differ there, and the reference aborts. */
V_INLINE uint16_t iq3_half(float d) { return d != d ? 0x7e00 : ws_f32_to_f16(d); }

/* === the way back === */

/* 32 elements from their points' codes and a sign bit each; values by the low three bits. */
V_INLINE void iq3_unpack(float *y, const uint16_t *codes, uint32_t signs, float scale, const float *values) {
    uint8_t digits[32];
    for (int i = 0; i < 32; i++) digits[i] = codes[i / 4] >> 3 * (i % 4) & 7;
    for (int i = 0; i < 32; i += WS_LANES) {
        const vu32 sign = (vu_set(signs) >> (v_iota() + (uint32_t)i)) << 31;
        const vf32 magnitude = scale * v_lookup8(values, (vi32)v_load_u8(digits + i));
        v_store(y + i, v_from_bits(v_bits(magnitude) ^ sign));
    }
}

#endif
