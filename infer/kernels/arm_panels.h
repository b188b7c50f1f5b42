/* arm_panels.h - products of panels for NEON: one text, included by arm_neon.c, arm_dotprod.c and arm_i8mm.c after
 * arm_quants.h and definitions of
 *     dot(sum, w, x)   adds to each of four sums the products of four signed bytes
 *     sum_four(panel, g, end, x, tile, sum)   sum[t][v] = quant * activation over columns 4 g to 4 end, for the rows of
 *                      register v and four tokens whose cells lie side by side */
#ifndef WS_ARM_PANELS_H
#define WS_ARM_PANELS_H

#include "arm_quants.h"

/* sum_four() for one token. */
INLINE void sum_token(const ws_panel *panel, int g, const int end, const ws_q8_cell *x, const int tile,
                      int32x4_t sum[][N_VEC]) {
    UNROLL for (int v = 0; v < N_VEC; v++) sum[0][v] = vdupq_n_s32(0);
    UNROLL for (; g < end; g++) {
        const int8x16_t xs = (int8x16_t)all_32(x + g * tile);
        UNROLL for (int v = 0; v < N_VEC; v++) sum[0][v] = dot(sum[0][v], panel_quants(panel, g, v), xs);
    }
}

INLINE void sum_panel(const ws_panel *panel, const int g, const int end, const ws_q8_cell *x, const int tile,
                      int32x4_t sum[][N_VEC], const int n) {
    if (n == TOKENS)
        sum_four(panel, g, end, x, tile, sum);
    else
        sum_token(panel, g, end, x, tile, sum);
}

INLINE f32s scale_at(const float *d, const int v) { return (f32s)vld1q_f32(d + v * ROWS); }
INLINE f32s as_floats(int32x4_t sum) { return (f32s)vcvtq_f32_s32(sum); }

/* y += panel * x, for n tokens of a tile. */
INLINE void mul_panel(const ws_panel *panel, const ws_q8_cell *x, const int tile, f32s y[][N_VEC], const int n,
                      const bool halves, const bool min) {
    int32x4_t s0[TOKENS][N_VEC], s1[TOKENS][N_VEC];
    sum_panel(panel, 0, halves ? 4 : 8, x, tile, s0, n);
    if (halves) sum_panel(panel, 4, 8, x, tile, s1, n);
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) {
        f32s scaled = as_floats(s0[t][v]) * scale_at(panel->d[0], v);
        if (halves) scaled = fused(as_floats(s1[t][v]), scale_at(panel->d[1], v), scaled);
        y[t][v] = fused(scaled, all_f(x + WS_Q8_D * tile + t), y[t][v]);
        if (!min) continue;
        const ws_q8_cell *sum = x + (halves ? WS_Q8_SUM16 : WS_Q8_SUM) * tile + t;
        y[t][v] = fused(scale_at(panel->min[0], v), all_f(sum), y[t][v]);
        if (halves) y[t][v] = fused(scale_at(panel->min[1], v), all_f(sum + tile), y[t][v]);
    }
}

/* Tokens t0 .. t0 + n - 1 of a job, in one tile. */
INLINE void mul_tile(const ws_panel_job *job, size_t t0, const int tile, const int n, const bool halves,
                     const bool min) {
    f32s y[TOKENS][N_VEC];
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) y[t][v] =
        job->add ? scale_at(job->y + (t0 + (size_t)t) * job->y_stride, v) : FLOATS(0);
    const ws_q8_cell *x = ws_q8_at(job->x, t0, job->first_panel);
    for (size_t p = 0; p < job->n_panels; p++, x += WS_Q8_CELLS * tile)
        mul_panel(job->panels + p, x, tile, y, n, halves, min);
    UNROLL for (int t = 0; t < n; t++) memcpy(job->y + (t0 + (size_t)t) * job->y_stride, y[t], sizeof y[t]);
}

INLINE void mul_all(const ws_panel_job *job, const bool halves, const bool min) {
    size_t t = 0;
    if (job->x->tile == 1) {
        for (; t < job->n_tokens; t++) mul_tile(job, t, 1, 1, halves, min);
        return;
    }
    for (; t + TOKENS <= job->n_tokens; t += TOKENS) mul_tile(job, t, WS_TILE, TOKENS, halves, min);
    for (; t < job->n_tokens; t++) mul_tile(job, t, WS_TILE, 1, halves, min);
}

static void mul_whole(const ws_panel_job *job) { mul_all(job, false, false); }
static void mul_whole_min(const ws_panel_job *job) { mul_all(job, false, true); }
static void mul_halves(const ws_panel_job *job) { mul_all(job, true, false); }
static void mul_halves_min(const ws_panel_job *job) { mul_all(job, true, true); }

static void panels_init(ws_kernels *k) {
    static void (*const mul[2][2])(const ws_panel_job *) = {{mul_whole, mul_whole_min}, {mul_halves, mul_halves_min}};
    for (int type = 0; type < WS_TYPE_COUNT; type++)
        if (k->panel[type].decode) k->panel[type].mul = mul[k->panel[type].form.halves][k->panel[type].form.min];
}

#endif
