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
    uint32_t signs[32];         /* of 8 elements: bit i is set where element i is negative */
    uint32_t codes[IQ3_GROUPS]; /* the points; while searching, the cell in the high half */
    int zero[8], again[8];      /* 32 elements are zero; they need the last round */
} iq3_block;

/* === points === */

/* What each digit counts as an error, for each of four elements. */
typedef vf32 iq3_errors[4][8];

typedef struct {
    vf32 error;
    vu32 code;
} iq3_choice;

V_INLINE iq3_choice iq3_choose(uint32_t code, iq3_errors errors) {
    return (iq3_choice){
        errors[0][code & 7] + errors[1][code >> 3 & 7] + errors[2][code >> 6 & 7] + errors[3][code >> 9], vu_set(code)};
}

/* The better of two, the first of equals. */
V_INLINE iq3_choice iq3_better(iq3_choice a, iq3_choice b) {
    return (iq3_choice){v_min(b.error, a.error), v_select_less(b.error, a.error, b.code, a.code)};
}

V_INLINE iq3_choice iq3_best_of_step(const uint16_t *codes, iq3_errors errors) {
    const iq3_choice first = iq3_better(iq3_choose(codes[0], errors), iq3_choose(codes[1], errors));
    return iq3_better(first, iq3_better(iq3_choose(codes[2], errors), iq3_choose(codes[3], errors)));
}

V_INLINE vu32 iq3_best_neighbour(const uint16_t *codes, size_t steps, iq3_errors errors) {
    iq3_choice best = iq3_best_of_step(codes, errors);
    while (--steps) {
        codes += WS_GRID4_STEP;
        best = iq3_better(best, iq3_best_of_step(codes, errors));
    }
    return best.code;
}

/* Lists without shadowed neighbours serve where no element is so near to the edge of its cell that rounding the errors
 * could change their order; for the rest, and where v_nearest() does not round, all neighbours are compared. */
#define IQ3_EDGE 0.4999f

/* The cell of a group of four elements in each lane. */
V_INLINE vu32 iq3_cell(const vf32 *x, vf32 inverse, int *near_edge) {
    vu32 cell = vu_set(0);
    vf32 farthest = v_set(0);
    for (int i = 0; i < 4; i++) {
        const vf32 digit = 0.5f * (inverse * x[i] - 1.0f);
        const vi32 rounded = vi_clamp(v_nearest(digit), 0, 7);
        const vf32 distance = v_min(v_max(digit, v_set(0)), v_set(7)) - v_float(rounded);
        farthest = v_max(v_abs(distance), farthest);
        cell |= (vu32)rounded << 3 * i;
    }
    *near_edge = v_any(v_lt(v_set(IQ3_EDGE), farthest));
    return cell;
}

/* The points for one group of four elements per lane, the cell in the high half. multiples[q] is the scale in each lane
 * times 2 q + 1. */
V_INLINE vu32 iq3_points(const ws_grid4 *grid, const vf32 *x, const vf32 *root, vf32 inverse, const vf32 *multiples) {
    int near_edge;
    const vu32 cell = iq3_cell(x, inverse, &near_edge);
    iq3_errors errors;
    for (int i = 0; i < 4; i++)
        for (int q = 0; q < 8; q++) {
            const vf32 diff = multiples[q] - x[i];
            errors[i][q] = root[i] * diff * diff;
        }
    uint32_t cells[WS_LANES];
    memcpy(cells, &cell, sizeof cells);
    vu32 point = cell;
    for (uint32_t todo = V_ALL_LANES; todo;) {
        const uint32_t code = cells[__builtin_ctz(todo)];
        const vi32 same = vu_eq(cell, vu_set(code));
        todo &= ~v_lane_bits(same);
        const ws_grid4_cell *c = &grid->cells[code];
        if (c->is_point) continue;
        const ws_grid4_list list = near_edge ? c->all : c->unshadowed;
        const vu32 best = iq3_best_neighbour(grid->neighbours + WS_GRID4_STEP * list.first, list.steps, errors);
        point = vu_select(same, best, point);
    }
    return point | cell << 16;
}

V_INLINE void iq3_multiples(vf32 *multiples, vf32 scale) {
    for (int q = 0; q < 8; q++) multiples[q] = scale * (float)(2 * q + 1);
}

/* === tries === */

/* Lanes of all tries, in vectors; where few are left for the last vector, it is shared by as many groups as it has
 * fours of lanes. */
#define IQ3_SHARED(tries)  (WS_LANES > 4 && (tries) % WS_LANES > 0 && (tries) % WS_LANES <= 4)
#define IQ3_VECTORS(tries) (((tries) + WS_LANES - 1) / WS_LANES - IQ3_SHARED(tries))

typedef struct {
    vf32 inverse, multiples[8];
} iq3_try;

/* Tries number[lane] for 32 elements with maximum max; beyond the last it is repeated. */
V_INLINE iq3_try iq3_try_numbers(vi32 number, int tries, float max) {
    const vf32 step = v_float(vi_min(number, vi_set(tries - 1)) - tries / 2);
    iq3_try t = {.inverse = (step * 0.2f + 15.0f) / v_set(max)};
    iq3_multiples(t.multiples, 1.0f / t.inverse);
    return t;
}

typedef uint32_t iq3_codes[8][IQ3_MAX_TRIES]; /* of each group for each try */

V_INLINE void iq3_try_vector(iq3_codes codes, const ws_grid4 *grid, const float *x, const float *root, int first,
                             const iq3_try *t) {
    for (int group = 0; group < 8; group++) {
        vf32 x4[4], root4[4];
        for (int i = 0; i < 4; i++) {
            x4[i] = v_set(x[4 * group + i]);
            root4[i] = v_set(root[4 * group + i]);
        }
        const vu32 points = iq3_points(grid, x4, root4, t->inverse, t->multiples);
        memcpy(&codes[group][first], &points, sizeof points);
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

V_INLINE void iq3_try_shared(iq3_codes codes, const ws_grid4 *grid, const float *x, const float *root, int first,
                             const iq3_try *t) {
    for (int element = 0; element < 32; element += WS_LANES) {
        vf32 x4[4], root4[4];
        iq3_spread(x4, x + element);
        iq3_spread(root4, root + element);
        const vu32 points = iq3_points(grid, x4, root4, t->inverse, t->multiples);
        for (int k = 0; k < WS_LANES / 4; k++)
            memcpy(&codes[element / 4 + k][first], (const uint8_t *)&points + 16 * k, 16);
    }
}
#endif

/* The digits' magnitudes, by the low three bits. */
static const float iq3_odd[8] = {1, 3, 5, 7, 9, 11, 13, 15};

/* Least squares of each try: sums over 32 elements. */
V_INLINE void iq3_sum_tries(float *sum_qx, float *sum_q2, iq3_codes codes, const float *x, const float *w, int first) {
    vf32 qx = v_set(0), q2 = v_set(0);
    for (int group = 0; group < 8; group++) {
        vu32 code;
        memcpy(&code, &codes[group][first], sizeof code);
        for (int i = 0; i < 4; i++) {
            const vf32 q = v_lookup8(iq3_odd, (vi32)(code >> 3 * i));
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

/* Sub-block s: a scale and points by trying. */
V_INLINE void iq3_search(iq3_block *b, const ws_grid4 *grid, int s, const ws_iq3_rule rule) {
    const float *x = b->x + 32 * s, *w = b->w + 32 * s, *root = b->root + 32 * s;
    const float max = iq3_max(x, 32);
    memset(b->codes + 8 * s, 0, 8 * sizeof *b->codes);
    b->again[s] = 0;
    b->scale[s] = 0;
    b->zero[s] = max < rule.zero_below;
    if (b->zero[s]) {
        memset(b->signs + 4 * s, 0, 4 * sizeof *b->signs);
        return;
    }
    iq3_codes codes = {0};
    float sum_qx[IQ3_MAX_TRIES], sum_q2[IQ3_MAX_TRIES];
    const int vectors = IQ3_VECTORS(rule.tries);
    for (int v = 0; v < vectors; v++) {
        const iq3_try t = iq3_try_numbers((vi32)v_iota() + v * WS_LANES, rule.tries, max);
        iq3_try_vector(codes, grid, x, root, v * WS_LANES, &t);
        iq3_sum_tries(sum_qx, sum_q2, codes, x, w, v * WS_LANES);
    }
#if WS_LANES > 4
    if (IQ3_SHARED(rule.tries)) {
        const iq3_try t = iq3_try_numbers((vi32)(v_iota() & 3u) + vectors * WS_LANES, rule.tries, max);
        iq3_try_shared(codes, grid, x, root, vectors * WS_LANES, &t);
        iq3_sum_tries(sum_qx, sum_q2, codes, x, w, vectors * WS_LANES);
    }
#endif
    b->scale[s] = max / 15.0f;
    const int best = iq3_best_try(&b->scale[s], sum_qx, sum_q2, rule.tries);
    if (best >= 0)
        for (int group = 0; group < 8; group++) b->codes[8 * s + group] = codes[group][best];
    int points = rule.all_again ? best >= 0 : 1;
    for (int group = 0; group < 8; group++)
        points &= b->codes[8 * s + group] >> 16 == (b->codes[8 * s + group] & 0xffffu);
    b->again[s] = !points && b->scale[s] > 0;
}

/* === the last round === */

/* Points for the scale found, where it is wanted. */
V_INLINE void iq3_search_again(iq3_block *b, const ws_grid4 *grid, const ws_iq3_rule rule) {
    for (int first = 0; first < IQ3_GROUPS; first += WS_LANES) {
        float scales[WS_LANES];
        int any = 0;
        for (int lane = 0; lane < WS_LANES; lane++) {
            scales[lane] = b->scale[(first + lane) / 8];
            any |= b->again[(first + lane) / 8];
        }
        if (!any) continue;
        vf32 x[4], root[4], multiples[8];
        v_load_blocks(x, b->x + 4 * first, 4, WS_LANES);
        v_load_blocks(root, b->root + 4 * first, 4, WS_LANES);
        const vf32 scale = v_load(scales);
        iq3_multiples(multiples, scale);
        const vu32 points = iq3_points(grid, x, root, 1.0f / scale, multiples);
        uint32_t codes[WS_LANES];
        memcpy(codes, &points, sizeof codes);
        for (int lane = 0; lane < WS_LANES; lane++) {
            uint32_t *code = &b->codes[first + lane];
            const int is_point = *code >> 16 == (*code & 0xffffu);
            if (b->again[(first + lane) / 8] && (rule.all_again || !is_point)) *code = codes[lane];
        }
    }
}

V_INLINE void iq3_fit_again(iq3_block *b, int s) {
    float sum_qx = 0, sum_q2 = 0;
    for (int i = 32 * s; i < 32 * s + 32; i++) {
        const float q = iq3_odd[b->codes[i / 4] >> 3 * (i % 4) & 7];
        sum_qx += b->w[i] * b->x[i] * q;
        sum_q2 += b->w[i] * q * q;
    }
    if (sum_q2 > 0) b->scale[s] = sum_qx / sum_q2;
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

/* What an error in x counts: its square; with an importance matrix, that of its column times the root of the square
 * and twice the mean square of the super-block. */
V_INLINE void iq3_weigh(iq3_block *b, const float *x, const float *importance) {
    float sum = 0;
    if (importance)
        for (int i = 0; i < 256; i++) sum += x[i] * x[i];
    const float sigma2 = 2.0f * sum / 256.0f;
    for (int i = 0; i < 256; i += WS_LANES) {
        const vf32 x2 = v_load(x + i) * v_load(x + i);
        v_store(b->w + i, importance ? v_load(importance + i) * v_sqrt(sigma2 + x2) : x2);
    }
}

/* Everything but the packing; the largest of the scales. */
V_INLINE float iq3_quantize(iq3_block *b, const ws_grid4 *grid, const float *x, const float *importance,
                            const ws_iq3_rule rule) {
    iq3_weigh(b, x, importance);
    iq3_take_magnitudes(b, x, rule);
    for (int s = 0; s < 8; s++) iq3_search(b, grid, s, rule);
    iq3_search_again(b, grid, rule);
    float max = 0;
    for (int s = 0; s < 8; s++) {
        if (b->again[s]) iq3_fit_again(b, s);
        if (b->scale[s] < 0) {
            b->scale[s] = -b->scale[s];
            for (int k = 0; k < 4; k++) b->signs[4 * s + k] ^= 255;
        }
        max = max > b->scale[s] ? max : b->scale[s];
    }
    return max;
}

/* === packing === */

V_INLINE uint32_t iq3_place(const ws_grid4 *grid, uint32_t code) { return grid->cells[code & 0xfffu].place; }

/* A scale's 4-bit number, for the super-block's inverse. */
V_INLINE uint32_t iq3_scale_code(float scale, float inverse) {
    const uint32_t bits = ws_f32_bits(0.5f * (inverse * scale - 1.0f) + 0x1.8p23f); /* as v_nearest() */
    const int code = (int)(bits & 0x7fffffu) - 0x400000;
    return (uint32_t)(code < 0 ? 0 : code > 15 ? 15 : code);
}

/* Half of a scale. A NaN (of infinite input) has no sign. */
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
