/* iq2_xxs.c - IQ2_XXS: groups of eight from a codebook of 256 points, seven signs, a scale for every 32. */
#include "iq2.h"

/* === a first scale: 32 elements as whole numbers up to 4, times one scale === */

enum { TOP = 4 };

/* The reference keeps these numbers in bytes: a negative one (an element that changed sides) comes back as 256 more. */
V_INLINE vi32 in_byte(vi32 v) { return v & 255; }

/* Weighted error of the numbers that `inverse` gives, not above `top`; `bytes`: as they come back from bytes. */
V_INLINE vf32 rounding_error(const iq2_block *s, vf32 inverse, int32_t top, bool bytes) {
    const vf32 scale = 1.0f / inverse;
    vf32 error = v_set(0);
    for (int i = 0; i < 32; i++) {
        const vi32 l = vi_min(vi_set(top), v_nearest(inverse * s->x[i]));
        const vf32 diff = s->x[i] - scale * v_float(bytes ? in_byte(l) : l);
        error += s->w[i] * diff * diff;
    }
    return error;
}

/* The best of nine scales around the one that takes max to 4. */
V_INLINE vf32 best_rounding(const iq2_block *s, vf32 max) {
    vf32 best = (float)TOP / max, least = rounding_error(s, best, INT32_MAX, true);
    for (int t = -4; t <= 4; t++) {
        if (t == 0) continue;
        const vf32 inverse = (0.1f * (float)t + (float)TOP) / max, error = rounding_error(s, inverse, TOP, false);
        best = v_select(v_lt(error, least), inverse, best);
        least = v_min(error, least);
    }
    return best;
}

typedef struct {
    vi32 l[32];
    iq2_sums sum; /* of w l x and of w l^2 */
} whole_numbers;

/* Moves element i to the number that suits the scale of all others best, if that makes the fit better. */
V_INLINE vi32 improve(whole_numbers *n, const iq2_block *s, int i) {
    const vf32 old = v_float(n->l[i]), qx = n->sum.qx - s->wx[i] * old, q2 = n->sum.q2 - s->w[i] * old * old;
    const vi32 number = vi_min(vi_set(TOP), v_nearest(s->x[i] * q2 / qx));
    const vf32 l = v_float(number), new_qx = qx + s->wx[i] * l, new_q2 = q2 + s->w[i] * l * l;
    const vi32 better = v_lt(v_set(0), qx) & v_lt(v_set(0), q2) & V_MASK(number != n->l[i]) &
                        v_lt(n->sum.qx * n->sum.qx * new_q2, new_qx * new_qx * n->sum.q2);
    n->l[i] = vi_select(better, in_byte(number), n->l[i]);
    n->sum.qx = v_select(better, new_qx, n->sum.qx);
    n->sum.q2 = v_select(better, new_q2, n->sum.q2);
    return better;
}

static inline vf32 first_scale(const iq2_block *s, vf32 max) {
    const vf32 inverse = best_rounding(s, max);
    whole_numbers n = {.sum = {v_set(0), v_set(0)}};
    for (int i = 0; i < 32; i++) {
        const vi32 number = vi_min(vi_set(TOP), v_nearest(inverse * s->x[i]));
        const vf32 l = v_float(number);
        n.l[i] = in_byte(number);
        n.sum.qx += s->wx[i] * l;
        n.sum.q2 += s->w[i] * l * l;
    }
    vi32 going = vi_set(-1);
    for (int round = 0; round < 5 && v_any(going); round++) { /* a lane without a change has none in later rounds */
        going = vi_set(0);
        for (int i = 0; i < 32; i++) going |= improve(&n, s, i);
    }
    return v_select(v_lt(v_set(0), n.sum.q2), n.sum.qx / n.sum.q2, v_set(0));
}

/* === the block === */

V_INLINE void quantize_32(iq2_block *s, vu32 *signs) {
    const vf32 max = iq2_prepare(s);
    vi32 zero = v_lt(max, v_set(1e-15f));
    s->scale = first_scale(s, v_select(zero, v_set(1), max));
    const vf32 top = s->scale * 3.0f;
    zero |= ~v_lt(v_set(0), top);
    for (int k = 0; k < 4; k++) s->code[k] = vu_set(0);
    iq2_search(s, v_select(zero, v_set(1), top), 13);
    const vi32 above = v_lt(v_set(0), s->scale);
    const vi32 redo[4] = {above, above, above, above};
    iq2_refine(s, redo, above);
    iq2_finish(s, signs, 127, zero);
}

static void quantize(const vf32 *x, const vf32 *importance, uint8_t *y, size_t live) {
    const vf32 mean_square = iq2_mean_square(x, 1);
    iq2_block s = {.grid = ws_grid8_get(WS_GRID8_IQ2_XXS), .groups = 4, .live = live};
    vf32 scales[8];
    vu32 words[16], codes[8];
    for (int j = 0; j < 8; j++) {
        vu32 signs[4], places[4];
        for (int i = 0; i < 32; i++) {
            const vf32 v = x[32 * j + i];
            s.w[i] = importance[32 * j + i] * v_sqrt(mean_square + v * v);
        }
        iq2_split_signs(&s, signs, x + 32 * j);
        iq2_make_even(&s, signs, x + 32 * j);
        quantize_32(&s, signs);
        scales[j] = s.scale;
        for (int k = 0; k < 4; k++) places[k] = iq2_places(&s, s.code[k]);
        words[2 * j] = v_word(places);
        words[2 * j + 1] = signs[0] | signs[1] << 7 | signs[2] << 14 | signs[3] << 21;
    }
    const iq2_scale all = iq2_encode_scales(codes, scales, 8);
    for (int j = 0; j < 8; j++) words[2 * j + 1] |= codes[j] << 28;
    for (int i = 0; i < 16; i++) words[i] &= (vu32)all.some;
    v_store_halves(y, sizeof(ws_iq2_xxs), v_half(all.d), live);
    v_store_words(y + offsetof(ws_iq2_xxs, qs), sizeof(ws_iq2_xxs), words, 16, live);
}

void WS_FN(iq2_xxs, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows,
                                         size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 256, sizeof(ws_iq2_xxs), quantize);
}

void WS_FN(iq2_xxs, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_iq2_xxs *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d);
        for (int k = 0; k < 32; k++, y += 8) {
            const uint32_t word = block->qs[k / 4].word;
            const float scale = d * (0.5f + (float)(word >> 28)) * 0.25f;
            iq2_expand(y, ws_grid8_iq2_xxs[block->qs[k / 4].p[k % 4]], iq2_eight_signs(word >> 7 * (k % 4) & 127u),
                       scale);
        }
    }
}
