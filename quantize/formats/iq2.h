/* iq2.h - what IQ2_XXS, IQ2_XS and IQ2_S share: magnitudes 1, 3, 5 times a scale per sub-block, in groups of eight that
 * must be points of a codebook, signs apart. */
#ifndef WS_IQ2_H
#define WS_IQ2_H

#include "grid8.h"

static const float iq2_values[4] = {1, 3, 5, 7}; /* of the digits; the last is of none */

enum { IQ2_MAX_TRIES = 19, IQ2_MAX_GROUPS = 4 };

/* A sub-block of `groups` times eight elements, in each lane that of another block. */
typedef struct {
    const ws_grid8 *grid;
    int groups;
    size_t live;
    vf32 w[32], root[32]; /* weights and their square roots */
    vf32 x[32];           /* magnitudes, though one of a group may be negative */
    vf32 wx[32];
    vf32 power[IQ2_MAX_GROUPS];
    float x_of[WS_LANES][32], root_of[WS_LANES][32];

    vf32 scale;
    vu32 code[IQ2_MAX_GROUPS];
    vi32 on_grid[IQ2_MAX_GROUPS]; /* rounding gave the code */
} iq2_block;

/* Magnitudes, and the minuses in the low eight bits. */
V_INLINE void iq2_split_signs(iq2_block *s, vu32 *signs, const vf32 *x) {
    for (int k = 0; k < s->groups; k++) {
        signs[k] = vu_set(0);
        for (int i = 0; i < 8; i++) {
            const vi32 minus = v_lt(x[8 * k + i], v_set(0));
            s->x[8 * k + i] = v_select(minus, -x[8 * k + i], x[8 * k + i]);
            signs[k] |= (vu32)minus & 1u << i;
        }
    }
}

/* Where a group has an odd number of minuses, its element that weighs least changes sides; seven signs are left. */
V_INLINE void iq2_make_even(iq2_block *s, vu32 *signs, const vf32 *x) {
    for (int k = 0; k < s->groups; k++) {
        const vf32 *xk = x + 8 * k, *w = s->w + 8 * k;
        vf32 least = w[0] * xk[0] * xk[0];
        vu32 at = vu_set(0), folded = signs[k] ^ signs[k] >> 4;
        for (int i = 1; i < 8; i++) {
            const vf32 importance = w[i] * xk[i] * xk[i];
            at = vu_select(v_lt(importance, least), vu_set((uint32_t)i), at);
            least = v_min(importance, least);
        }
        folded ^= folded >> 2;
        const vu32 odd = (folded ^ folded >> 1) & 1u;
        for (uint32_t i = 0; i < 8; i++) {
            const vu32 turn = odd & (vu32)V_MASK(at == i);
            s->x[8 * k + (int)i] = v_from_bits(v_bits(s->x[8 * k + (int)i]) ^ turn << 31);
            signs[k] ^= turn << i;
        }
        signs[k] &= 127u;
    }
}

/* What the search needs besides x and w. The largest magnitude, with its sign. */
V_INLINE vf32 iq2_prepare(iq2_block *s) {
    const int n = 8 * s->groups;
    vf32 max = s->x[0];
    for (int i = 0; i < n; i++) {
        s->root[i] = v_sqrt(s->w[i]);
        s->wx[i] = s->w[i] * s->x[i];
        max = v_max(max, s->x[i]);
    }
    v_store_words(s->x_of, sizeof *s->x_of, (const vu32 *)s->x, (size_t)n, WS_LANES);
    v_store_words(s->root_of, sizeof *s->root_of, (const vu32 *)s->root, (size_t)n, WS_LANES);
    return max;
}

/* For grid8_choose(), given the largest scale it will be asked for. */
V_INLINE void iq2_measure_power(iq2_block *s, vf32 largest_scale) {
    vf32 reach = 5.0f * v_abs(largest_scale);
    for (int i = 0; i < 8 * s->groups; i++) reach = v_max(v_abs(s->x[i]), reach);
    for (int k = 0; k < s->groups; k++) s->power[k] = grid8_power(s->x + 8 * k, s->root + 8 * k, reach);
}

/* The digits of eight elements by rounding (x * inverse - 1) / 2 and bounding to 0..2. Where x * inverse is small
 * enough for the reference's rounding, that is 1 from above 2 and 2 from 4 on (halves are rounded to even). */
V_INLINE vu32 iq2_round(const vf32 *x, vf32 inverse, bool small) {
    vu32 code = vu_set(0);
    for (int i = 0; i < 8; i++)
        if (small) {
            const vf32 y = inverse * x[i];
            code = vu_add_lt(code, v_set(2), y, 1u << 2 * i);
            code = vu_add_lt(code, v_set(0x1.fffffep1f), y, 1u << 2 * i);
        } else
            code |= (vu32)vi_clamp(v_nearest(0.5f * (inverse * x[i] - 1.0f)), 0, 2) << 2 * i;
    return code;
}

V_INLINE bool iq2_is_small(const iq2_block *s, vf32 inverse) {
    vf32 reach = v_set(0);
    for (int i = 0; i < 8 * s->groups; i++) reach = v_max(v_abs(s->x[i]), reach);
    return !v_any(~v_lt(reach * v_abs(inverse), v_set(0x1p21f)));
}

V_INLINE vf32 iq2_value(vu32 code, int i) {
#if WS_LANES == 1
    return iq2_values[code >> 2 * i & 3u];
#else
    return v_quad_lookup(v_quad(iq2_values), code >> 2 * i);
#endif
}

typedef struct {
    vf32 qx, q2; /* sums of w q x and of w q^2 */
} iq2_sums;

V_INLINE iq2_sums iq2_sum(const iq2_block *s, const vu32 *code) {
    iq2_sums sum = {v_set(0), v_set(0)};
    for (int i = 0; i < 8 * s->groups; i++) {
        const vf32 q = iq2_value(code[i / 8], i % 8);
        sum.qx += s->wx[i] * q;
        sum.q2 += s->w[i] * q * q;
    }
    return sum;
}

/* Takes each lane's codes of `n_tries` tries from rounded digits to points of the codebook. */
static inline void iq2_choose(const iq2_block *s, vu32 (*code)[IQ2_MAX_GROUPS], const vf32 *scale, const vf32 *inverse,
                              int n_tries) {
    for (size_t lane = 0; lane < s->live; lane++)
        for (int k = 0; k < s->groups; k++) {
            const grid8_tries tries = {
                .grid = s->grid,
                .group = {s->x_of[lane] + 8 * k, s->root_of[lane] + 8 * k, iq2_values},
                .power = ((const float *)&s->power[k])[lane],
                .scale = (const float *)scale + lane,
                .inverse = (const float *)inverse + lane,
                .code = (uint32_t *)&code[0][k] + lane,
                .code_step = sizeof *code / (sizeof(uint32_t)),
            };
            grid8_choose(&tries, n_tries);
        }
}

/* Tries scales around the one that takes `top` to 5: keeps the best in s->scale, s->code and s->on_grid, which are
 * left as they are in lanes where none is better than nothing. */
static inline void iq2_search(iq2_block *s, vf32 top, int n_tries) {
    vu32 rounded[IQ2_MAX_TRIES][IQ2_MAX_GROUPS], code[IQ2_MAX_TRIES][IQ2_MAX_GROUPS];
    vf32 scale[IQ2_MAX_TRIES], inverse[IQ2_MAX_TRIES], best = v_set(0);
    for (int t = 0; t < n_tries; t++) {
        inverse[t] = (5.0f + (float)(t - n_tries / 2) * 0.1f) / top;
        scale[t] = 1.0f / inverse[t];
        const bool small = iq2_is_small(s, inverse[t]);
        for (int k = 0; k < s->groups; k++) code[t][k] = rounded[t][k] = iq2_round(s->x + 8 * k, inverse[t], small);
    }
    iq2_measure_power(s, scale[0]);
    iq2_choose(s, code, scale, inverse, n_tries);
    for (int t = 0; t < n_tries; t++) {
        const iq2_sums sum = iq2_sum(s, code[t]);
        const vi32 better = v_lt(v_set(0), sum.q2) & v_lt(best * sum.q2, sum.qx * sum.qx);
        const vf32 found = sum.qx / sum.q2;
        s->scale = v_select(better, found, s->scale);
        best = v_select(better, found * sum.qx, best);
        for (int k = 0; k < s->groups; k++) {
            s->code[k] = vu_select(better, code[t][k], s->code[k]);
            s->on_grid[k] = vi_select(better, V_MASK(code[t][k] == rounded[t][k]), s->on_grid[k]);
        }
    }
}

/* Once more at the scale found, in the groups and lanes of `redo`; then the scale that suits the codes best, in the
 * lanes of `any`. */
static inline void iq2_refine(iq2_block *s, const vi32 *redo, vi32 any) {
    const vf32 inverse = 1.0f / s->scale;
    const bool small = iq2_is_small(s, inverse);
    vu32 code[1][IQ2_MAX_GROUPS];
    for (int k = 0; k < s->groups; k++)
        code[0][k] = vu_select(redo[k], iq2_round(s->x + 8 * k, inverse, small), s->code[k]);
    iq2_measure_power(s, s->scale);
    iq2_choose(s, code, &s->scale, &inverse, 1);
    const iq2_sums sum = iq2_sum(s, code[0]);
    for (int k = 0; k < s->groups; k++) s->code[k] = code[0][k];
    s->scale = v_select(any & v_lt(v_set(0), sum.q2), sum.qx / sum.q2, s->scale);
}

/* The end of every search: a scale not below 0 (the signs turn with it), and nothing at all in lanes of `zero`. */
V_INLINE void iq2_finish(iq2_block *s, vu32 *signs, uint32_t sign_bits, vi32 zero) {
    const vi32 below = v_lt(s->scale, v_set(0));
    s->scale = v_select(zero, v_set(0), v_select(below, -s->scale, s->scale));
    for (int k = 0; k < s->groups; k++) {
        signs[k] = (signs[k] ^ ((vu32)below & sign_bits)) & ~(vu32)zero;
        s->code[k] &= ~(vu32)zero;
    }
}

/* One of the sub-blocks of 16 of IQ2_XS and IQ2_S. */
V_INLINE void iq2_quantize_16(iq2_block *s, vu32 *signs, uint32_t sign_bits, float zero_below) {
    const vf32 max = iq2_prepare(s);
    const vi32 zero = v_lt(max, v_set(zero_below));
    s->scale = max / 5.0f;
    for (int k = 0; k < 2; k++) {
        s->code[k] = vu_set(0);
        s->on_grid[k] = vi_set(-1);
    }
    iq2_search(s, v_select(zero, v_set(1), max), 19);
    const vi32 above = v_lt(v_set(0), s->scale);
    const vi32 redo[2] = {~s->on_grid[0] & above, ~s->on_grid[1] & above};
    if (v_any(redo[0] | redo[1])) iq2_refine(s, redo, redo[0] | redo[1]);
    iq2_finish(s, signs, sign_bits, zero);
}

/* A code's place in the codebook, lane by lane; spare lanes repeat the last. */
V_INLINE vu32 iq2_places(const iq2_block *s, vu32 code) {
    uint32_t codes[WS_LANES], places[WS_LANES];
    memcpy(codes, &code, sizeof codes);
    for (size_t lane = 0; lane < WS_LANES; lane++)
        places[lane] = lane < s->live ? s->grid->cells[ws_grid8_cell_of(codes[lane])].place : 0;
    vu32 v;
    memcpy(&v, places, sizeof v);
    return v;
}

/* Mean square of a block's 256 elements, times `factor` (a power of two). */
V_INLINE vf32 iq2_mean_square(const vf32 *x, float factor) {
    vf32 sum = v_set(0);
    for (int i = 0; i < 256; i++) sum += x[i] * x[i];
    return factor * sum / 256.0f;
}

typedef struct {
    vf32 d;
    vi32 some; /* d is not 0 */
} iq2_scale;

/* The four-bit codes of the scales of n sub-blocks, and the scale of them all. */
V_INLINE iq2_scale iq2_encode_scales(vu32 *codes, const vf32 *scales, int n) {
    vf32 max = v_set(0);
    for (int j = 0; j < n; j++) max = v_max(max, scales[j]);
    const iq2_scale all = {.d = max / 31.0f, .some = v_ne(max, v_set(0))};
    const vf32 inverse = 1.0f / all.d;
    for (int j = 0; j < n; j++)
        codes[j] = (vu32)(vi_clamp(v_nearest(0.5f * (inverse * scales[j] - 1.0f)), 0, 15) & all.some);
    return all;
}

/* Seven signs and the eighth, which makes the number of minuses even. */
V_INLINE uint32_t iq2_eight_signs(uint32_t seven) { return seven | (uint32_t)__builtin_parity(seven) << 7; }

/* Eight elements from their point, signs and scale. */
V_INLINE void iq2_expand(float *y, uint32_t code, uint32_t signs, float scale) {
    static const float magnitudes[4] = {8, 25, 43, 0};
    float values[8];
    for (int i = 0; i < 8; i++) {
        const float value = scale * magnitudes[code >> 2 * i & 3];
        values[i] = signs >> i & 1 ? -value : value;
    }
    memcpy(y, values, sizeof values); /* at any address */
}

#endif
