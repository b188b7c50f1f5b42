/* x86_panels.h - products of panels from their integer sums: one text, included after definitions of sum_form (a
 * struct with `halves`, `min`), sum_panel(), V, VF, N_VEC, VEC_ROWS and TILE (x86_pairs.h, x86_avxvnni.c). */
#ifndef WS_X86_PANELS_H
#define WS_X86_PANELS_H

#include "inline.h"
#include "kernels.h"

INLINE VF broadcast_f(const ws_q8_cell *x) { return V(set1_ps)(x->f); }

/* y += panel * x, for n tokens of a tile. */
INLINE void mul_panel(const ws_panel *panel, const ws_q8_cell *x, const int tile, VF y[][N_VEC], const int n,
                      const sum_form f) {
    VF s[TILE][N_VEC], s1[TILE][N_VEC];
    sum_panel(panel, x, tile, 0, f.halves ? 1 : 2, s, n, f);
    if (f.halves) sum_panel(panel, x, tile, 1, 2, s1, n, f);
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) {
        const int r = v * VEC_ROWS;
        VF scaled = V(mul_ps)(s[t][v], V(loadu_ps)(panel->d[0] + r));
        if (f.halves) scaled = V(fmadd_ps)(s1[t][v], V(loadu_ps)(panel->d[1] + r), scaled);
        y[t][v] = V(fmadd_ps)(scaled, broadcast_f(x + WS_Q8_D * tile + t), y[t][v]);
        if (!f.min) continue;
        const ws_q8_cell *sum = x + (f.halves ? WS_Q8_SUM16 : WS_Q8_SUM) * tile + t;
        y[t][v] = V(fmadd_ps)(V(loadu_ps)(panel->min[0] + r), broadcast_f(sum), y[t][v]);
        if (f.halves) y[t][v] = V(fmadd_ps)(V(loadu_ps)(panel->min[1] + r), broadcast_f(sum + tile), y[t][v]);
    }
}

/* Tokens t0 .. t0 + n - 1 of a job, in one tile. */
INLINE void mul_tile(const ws_panel_job *job, size_t t0, const int tile, const int n, const sum_form f) {
    VF y[TILE][N_VEC];
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) y[t][v] =
        job->add ? V(loadu_ps)(job->y + (t0 + t) * job->y_stride + v * VEC_ROWS) : V(setzero_ps)();
    const ws_q8_cell *x = ws_q8_at(job->x, t0, job->first_panel);
    for (size_t p = 0; p < job->n_panels; p++, x += WS_Q8_CELLS * tile) mul_panel(job->panels + p, x, tile, y, n, f);
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++)
        V(storeu_ps)(job->y + (t0 + t) * job->y_stride + v * VEC_ROWS, y[t][v]);
}

INLINE void mul_all(const ws_panel_job *job, const sum_form f) {
    size_t t = 0;
    if (job->x->tile == 1) {
        for (; t < job->n_tokens; t++) mul_tile(job, t, 1, 1, f);
        return;
    }
    for (; t + TILE <= job->n_tokens; t += TILE) mul_tile(job, t, WS_TILE, TILE, f);
    for (; t + 2 <= job->n_tokens; t += 2) mul_tile(job, t, WS_TILE, 2, f);
    for (; t < job->n_tokens; t++) mul_tile(job, t, WS_TILE, 1, f);
}

#endif
