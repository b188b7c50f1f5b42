/* iq1_s.c - IQ1_S: groups of eight from a codebook of 2048 points; a scale and a shift for every 32. */
#include "iq1.h"

enum { N = 32 };

/* Sums over the elements before each cut, and what the run behind it adds, with both shifts. */
typedef struct {
    vf32 x[N + 1], w[N + 1], last_x[2][N + 1], last_w[2][N + 1];
} cut_sums;

static inline void sum_cuts(cut_sums *c, const iq1_sorted *s) {
    c->x[0] = c->w[0] = v_set(0);
    for (int j = 0; j < N; j++) {
        c->x[j + 1] = c->x[j] + s->w[j] * s->x[j];
        c->w[j + 1] = c->w[j] + s->w[j];
    }
    for (int m = 0; m < 2; m++)
        for (int j = 0; j <= N; j++) {
            c->last_x[m][j] = (c->x[N] - c->x[j]) * iq1_values[m][2];
            c->last_w[m][j] = (c->w[N] - c->w[j]) * iq1_values[m][2] * iq1_values[m][2];
        }
}

/* Pairs of cuts from `from` on, every `step`, with both shifts. */
static inline void try_cuts(iq1_best *best, const cut_sums *c, int from, int step) {
    for (int a = from; a <= N; a += step) {
        vf32 first_x[2], first_w[2];
        for (int m = 0; m < 2; m++) {
            first_x[m] = c->x[a] * iq1_values[m][0];
            first_w[m] = c->w[a] * iq1_values[m][0] * iq1_values[m][0];
        }
        for (int b = a; b <= N; b += step) {
            const vf32 middle_x = (c->x[b] - c->x[a]) * 0.125f, middle_w = (c->w[b] - c->w[a]) * 0.125f * 0.125f;
            const int tag = (a * 64 + b) * 4;
            iq1_try(best, first_x[0] + middle_x + c->last_x[0][b], first_w[0] + middle_w + c->last_w[0][b], tag);
            iq1_try(best, first_x[1] - middle_x + c->last_x[1][b], first_w[1] + middle_w + c->last_w[1][b], tag + 1);
        }
    }
}

static inline iq1_best search(const iq1_sorted *s) {
    cut_sums cuts;
    sum_cuts(&cuts, s);
    iq1_best best = {.score = v_set(-FLT_MAX), .scale = v_set(0), .tag = vi_set(-1)};
    try_cuts(&best, &cuts, 4, 4);
    best = iq1_begin(&best, s, cuts.w[N], N);
    try_cuts(&best, &cuts, 0, 1);
    return best;
}

typedef struct {
    vu32 place[4];
    vf32 scale;
    vi32 minus; /* shift -1 */
} sub_block;

static inline sub_block quantize_sub_block(const vf32 *x, const vf32 *w, const ws_grid8 *grid, size_t live) {
    iq1_sorted sorted;
    iq1_sort(&sorted, x, w, N);
    const iq1_best best = search(&sorted);
    const vi32 zero = iq1_all_below(x, N, 1e-12f) | v_lt(v_float(best.tag), v_set(0));
    const vi32 turn = v_lt(best.scale, v_set(0));
    iq1_block s = {.grid = grid, .live = live, .x = x, .w = w, .scale = v_abs(best.scale)};
    sub_block r = {.minus = ((best.tag & 1) * -1 ^ turn) & ~zero};
    vu32 code[4];
    vi32 moved = vi_set(0);
    iq1_cut(code, &sorted, x, best.tag >> 8, best.tag >> 2 & 63, N);
    for (int k = 0; k < 4; k++) {
        code[k] = vu_select(turn, 0xaaaau - code[k], code[k]);
        r.place[k] = iq1_choose(&s, k, &code[k], r.minus, zero, &moved);
    }
    iq1_sums sum = {v_set(0), v_set(0)};
    for (int k = 0; k < 4; k++) iq1_add(&sum, x + 8 * k, w + 8 * k, code[k], r.minus, v_set(1));
    const vi32 fits = moved & v_lt(v_set(0), sum.qx) & v_lt(v_set(0), sum.q2);
    r.scale = v_select(zero, v_set(0), v_select(fits, sum.qx / sum.q2, s.scale));
    return r;
}

static void quantize(const vf32 *x, const vf32 *importance, uint8_t *y, size_t live) {
    const ws_grid8 *grid = ws_grid8_get(WS_GRID8_IQ1);
    vf32 w[256], scales[8];
    vu32 words[12], codes[8], high[8]; /* 8 words of low bits, 4 of the rest */
    vi32 minus[8], some;
    iq1_weigh(w, x, importance);
    for (int j = 0; j < 8; j++) {
        const sub_block r = quantize_sub_block(x + N * j, w + N * j, grid, live);
        vu32 low[4];
        high[j] = vu_set(0);
        for (int k = 0; k < 4; k++) {
            low[k] = r.place[k] & 255u;
            high[j] |= r.place[k] >> 8 << 3 * k;
        }
        words[j] = v_word(low);
        scales[j] = r.scale;
        minus[j] = r.minus;
    }
    const vf32 d = iq1_encode_scales(codes, scales, 8, &some);
    for (int j = 0; j < 8; j++) high[j] |= codes[j] << 12 | ((vu32)(minus[j] & some) & 0x8000u);
    for (int i = 0; i < 4; i++) words[8 + i] = high[2 * i] | high[2 * i + 1] << 16;
    v_store_halves(y, sizeof(ws_iq1_s), v_half(d * 1.125f), live);
    v_store_words(y + offsetof(ws_iq1_s, qs), sizeof(ws_iq1_s), words, 12, live);
}

void WS_FN(iq1_s, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows,
                                       size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 256, sizeof(ws_iq1_s), quantize);
}

void WS_FN(iq1_s, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_iq1_s *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d);
        for (int k = 0; k < 32; k++, y += 8) {
            const uint32_t high = block->qh[k / 4], place = block->qs[k] | (high >> 3 * (k % 4) & 7u) << 8;
            iq1_expand(y, ws_grid8_iq1[place], d * (float)(2 * (high >> 12 & 7) + 1),
                       high & 0x8000u ? -0.125f : 0.125f);
        }
    }
}
