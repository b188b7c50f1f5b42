/* iq1_m.c - IQ1_M: groups of eight from a codebook of 2048 points with a shift each; a scale for every 16. */
#include "iq1.h"

enum { N = 16 };

/* Sums of one half of the sub-block: those of its elements that come before a cut, for every cut. */
typedef struct {
    vf32 x[N + 1], w[N + 1];
    vf32 all_x[2], all_w[2]; /* the whole half as digit 2, with both shifts */
    vf32 second_w[2][N + 1]; /* what the second cut takes from all_w */
} half_sums;

/* What moving elements from digit 1 to 0 and from 2 to 1 changes in the squares, with both shifts. */
static const float first_step[2] = {0.75f, 1.25f}, second_step[2] = {-1.25f, -0.75f};

V_INLINE void sum_half(half_sums *h, const iq1_sorted *s, int half) {
    h->x[0] = h->w[0] = v_set(0);
    for (int j = 0; j < N; j++) {
        const vi32 mine = V_MASK(s->index[j] >> 3 == half);
        h->x[j + 1] = v_select(mine, h->x[j] + s->w[j] * s->x[j], h->x[j]);
        h->w[j + 1] = v_select(mine, h->w[j] + s->w[j], h->w[j]);
    }
    for (int m = 0; m < 2; m++) {
        h->all_x[m] = h->x[N] * iq1_values[m][2];
        h->all_w[m] = h->w[N] * iq1_values[m][2] * iq1_values[m][2];
        for (int j = 0; j <= N; j++) h->second_w[m][j] = h->w[j] * second_step[m];
    }
}

/* Pairs of cuts from `from` on, every `step`, with the four pairs of shifts (variant 2 * first half's + second half's,
 * 1 for minus). */
static inline void try_cuts(iq1_best *best, const half_sums *h, int from, int step) {
    for (int a = from; a <= N; a += step) {
        vf32 first_w[2][2];
        for (int k = 0; k < 2; k++)
            for (int m = 0; m < 2; m++) first_w[k][m] = h[k].all_w[m] + h[k].w[a] * first_step[m];
        for (int b = a; b <= N; b += step) {
            vf32 qx[2][2], q2[2][2];
            for (int k = 0; k < 2; k++)
                for (int m = 0; m < 2; m++) {
                    qx[k][m] = h[k].all_x[m] - (h[k].x[a] + h[k].x[b]);
                    q2[k][m] = first_w[k][m] + h[k].second_w[m][b];
                }
            for (int v = 0; v < 4; v++)
                iq1_try(best, qx[0][v / 2] + qx[1][v % 2], q2[0][v / 2] + q2[1][v % 2], (a * 64 + b) * 4 + v);
        }
    }
}

static inline iq1_best search(const iq1_sorted *s) {
    half_sums h[2];
    for (int k = 0; k < 2; k++) sum_half(&h[k], s, k);
    iq1_best best = {.score = v_set(-FLT_MAX), .scale = v_set(0), .tag = vi_set(-1)};
    try_cuts(&best, h, 4, 4);
    best = iq1_begin(&best, s, h[0].w[N] + h[1].w[N], N);
    try_cuts(&best, h, 0, 1);
    return best;
}

typedef struct {
    vu32 place[2], code[2];
    vi32 minus[2];
    vf32 scale;
} sub_block;

static inline sub_block quantize_sub_block(const vf32 *x, const vf32 *w, const ws_grid8 *grid, size_t live) {
    iq1_sorted sorted;
    iq1_sort(&sorted, x, w, N);
    const iq1_best best = search(&sorted);
    const vi32 zero = iq1_all_below(x, N, 1e-7f) | v_lt(v_float(best.tag), v_set(0));
    const vi32 turn = v_lt(best.scale, v_set(0));
    iq1_block s = {.grid = grid, .live = live, .x = x, .w = w, .scale = v_abs(best.scale)};
    sub_block r;
    vi32 moved = vi_set(0);
    iq1_cut(r.code, &sorted, x, best.tag >> 8, best.tag >> 2 & 63, N);
    iq1_sums sum = {v_set(0), v_set(0)};
    for (int k = 0; k < 2; k++) {
        r.minus[k] = (((best.tag >> (1 - k)) & 1) * -1 ^ turn) & ~zero;
        r.code[k] = vu_select(turn, 0xaaaau - r.code[k], r.code[k]) & ~(vu32)zero;
        r.place[k] = iq1_choose(&s, k, &r.code[k], r.minus[k], zero, &moved);
        iq1_add(&sum, x + 8 * k, w + 8 * k, r.code[k], r.minus[k], v_set(1));
    }
    const vi32 fits = moved & v_lt(v_set(0), sum.qx) & v_lt(v_set(0), sum.q2);
    r.scale = v_select(zero, v_set(0), v_select(fits, sum.qx / sum.q2, s.scale));
    return r;
}

/* The scale of the block that suits all its points and scales best. */
V_INLINE vf32 fit_scale(vf32 d, const sub_block *r, const vu32 *codes, const vf32 *x, const vf32 *w) {
    iq1_sums sum = {v_set(0), v_set(0)};
    for (int k = 0; k < 32; k++)
        iq1_add(&sum, x + 8 * k, w + 8 * k, r[k / 2].code[k % 2], r[k / 2].minus[k % 2],
                v_float((vi32)(2u * codes[k / 2] + 1u)));
    return v_select(v_lt(v_set(0), sum.q2), sum.qx / sum.q2, d);
}

static void quantize(const vf32 *x, const vf32 *importance, uint8_t *y, size_t live) {
    const ws_grid8 *grid = ws_grid8_get(WS_GRID8_IQ1);
    vf32 w[256], scales[16];
    vu32 words[14], codes[16], low[32], high[16]; /* 8 words of low bits, 4 of high bits, 2 of scales */
    sub_block r[16];
    vi32 some;
    iq1_weigh(w, x, importance);
    for (int j = 0; j < 16; j++) {
        r[j] = quantize_sub_block(x + N * j, w + N * j, grid, live);
        scales[j] = r[j].scale;
    }
    const vf32 d = fit_scale(iq1_encode_scales(codes, scales, 16, &some), r, codes, x, w);
    const vu32 half = v_half(d * 1.1125f) & (vu32)some;
    for (int j = 0; j < 16; j++) {
        for (int k = 0; k < 2; k++) low[2 * j + k] = r[j].place[k] & 255u;
        high[j] = r[j].place[0] >> 8 | r[j].place[1] >> 8 << 4 |
                  ((vu32)some & (((vu32)r[j].minus[0] & 8u) | ((vu32)r[j].minus[1] & 0x80u)));
    }
    for (int i = 0; i < 8; i++) words[i] = v_word(low + 4 * i);
    for (int i = 0; i < 4; i++) {
        words[8 + i] = v_word(high + 4 * i);
        const vu32 *c = codes + 4 * i;
        codes[i] = c[0] | c[1] << 3 | c[2] << 6 | c[3] << 9 | (half >> 4 * i & 15u) << 12;
    }
    for (int i = 0; i < 2; i++) words[12 + i] = codes[2 * i] | codes[2 * i + 1] << 16;
    v_store_words(y, sizeof(ws_iq1_m), words, 14, live);
}

static void quantize_plain(const vf32 *x, uint8_t *y, size_t live) { quantize(x, NULL, y, live); }

void WS_FN(iq1_m, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 256, sizeof(ws_iq1_m), quantize_plain);
}

void WS_FN(iq1_m, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows,
                                       size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 256, sizeof(ws_iq1_m), quantize);
}

void WS_FN(iq1_m, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_iq1_m *block = x;
    for (; n_blocks; n_blocks--, block++) {
        uint32_t half = 0;
        for (int i = 0; i < 4; i++) half |= (uint32_t)block->scales[i] >> 12 << 4 * i;
        const float d = ws_f16_to_f32((uint16_t)half);
        for (int k = 0; k < 32; k++, y += 8) {
            const uint32_t high = block->qh[k / 2] >> k % 2 * 4, place = block->qs[k] | (high & 7u) << 8;
            const uint32_t scale = block->scales[k / 8] >> k / 2 % 4 * 3 & 7u;
            iq1_expand(y, ws_grid8_iq1[place], d * (float)(2 * scale + 1), high & 8u ? -0.125f : 0.125f);
        }
    }
}
