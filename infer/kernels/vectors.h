/* vectors.h - products of floats and attention for registers of 4, 8 or 16 lanes: one text, included by arm_neon.c,
 * x86_avx2.c and x86_avx512.c with V (the prefix of operations that are called as on x86), VF (the type of a register),
 * N_VEC (registers for 16 lanes), VEC_ROWS (lanes of one), LOAD_VEC (floats of a kind, the v-th register of 16),
 * ADD_LANES, IN_REGISTER, the sizes of tiles and, if it is worth it, ADD_FOUR (sums of four registers' lanes) defined.
 * Functions with constant arguments are inlined and unrolled, so that sums stay in registers. */
#ifndef WS_VECTORS_H
#define WS_VECTORS_H

#include "fetch.h"
#include "inline.h"
#include "kernels.h"

#include <string.h>

typedef struct {
    VF v[N_VEC];
} lanes;

/* BF16 is multiplied as its odd, then its even columns; a vector of either is the high halves of words. */
typedef enum { AS_F32, AS_F16, AS_ODD_BF16, AS_EVEN_BF16, AS_BF16 } float_kind;

INLINE size_t kind_bytes(const float_kind kind) { return kind == AS_F32 ? 4 : 2; }
INLINE size_t input_bytes(const float_kind kind) { return kind == AS_BF16 ? 2 : 4; }
INLINE size_t step_columns(const float_kind kind) { return kind == AS_BF16 ? 2 * WS_LANES : WS_LANES; }

/* Weights and activations from a column on, in bytes from row to row. */
typedef struct {
    const uint8_t *w, *x;
    size_t w_bytes, x_bytes;
} factors;

/* acc[r][t] += w[r] * x[t] over 16 columns. */
INLINE void mul_add_16(const factors *f, lanes acc[][TILE_T], const int n_rows, const int n_tokens,
                       const float_kind w_kind, const float_kind x_kind) {
    UNROLL for (int v = 0; v < N_VEC; v++) {
        VF wl[TILE_R];
        UNROLL for (int r = 0; r < n_rows; r++) wl[r] = LOAD_VEC(f->w + r * f->w_bytes, v, w_kind);
        UNROLL for (int t = 0; t < n_tokens; t++) {
            VF xs = LOAD_VEC(f->x + t * f->x_bytes, v, x_kind);
            IN_REGISTER(xs);
            UNROLL for (int r = 0; r < n_rows; r++) acc[r][t].v[v] = V(fmadd_ps)(wl[r], xs, acc[r][t].v[v]);
        }
    }
}

INLINE void mul_add_step(const factors *f, lanes acc[][TILE_T], const int n_rows, const int n_tokens,
                         const float_kind kind) {
    if (kind == AS_BF16) {
        mul_add_16(f, acc, n_rows, n_tokens, AS_ODD_BF16, AS_ODD_BF16);
        mul_add_16(f, acc, n_rows, n_tokens, AS_EVEN_BF16, AS_EVEN_BF16);
    } else
        mul_add_16(f, acc, n_rows, n_tokens, kind, AS_F32);
}

/* The last n columns, fewer than a step: as a whole one with zeros. */
INLINE void mul_add_tail(const factors *f, size_t n, lanes acc[][TILE_T], const int n_rows, const int n_tokens,
                         const float_kind kind) {
    enum { STEP_BYTES = 64 }; /* at most */
    uint8_t wp[TILE_R][STEP_BYTES] = {{0}}, xp[TILE_T][STEP_BYTES] = {{0}};
    UNROLL for (int r = 0; r < n_rows; r++) memcpy(wp[r], f->w + r * f->w_bytes, n * kind_bytes(kind));
    UNROLL for (int t = 0; t < n_tokens; t++) memcpy(xp[t], f->x + t * f->x_bytes, n * input_bytes(kind));
    mul_add_step(&(factors){wp[0], xp[0], STEP_BYTES, STEP_BYTES}, acc, n_rows, n_tokens, kind);
}

enum { ALONE_R = 2 }; /* rows of a single token, which come in pairs */

INLINE void float_tile(const ws_float_job *job, size_t r0, size_t t0, const int n_rows, const int n_tokens,
                       const float_kind kind) {
    lanes acc[TILE_R][TILE_T];
    UNROLL for (int r = 0; r < n_rows; r++) UNROLL for (int t = 0; t < n_tokens; t++)
        UNROLL for (int v = 0; v < N_VEC; v++) acc[r][t]
            .v[v] = V(setzero_ps)();
    const size_t x_bytes = job->x_stride * input_bytes(kind);
    factors f = {job->w + r0 * job->w_bytes, (const uint8_t *)job->x + t0 * x_bytes, job->w_bytes, x_bytes};
    size_t left = job->n_cols;
    for (; left >= step_columns(kind); left -= step_columns(kind)) {
        if (n_tokens == 1 && (job->n_cols - left) % FETCH_STEP == 0)
            UNROLL for (int r = 0; r < n_rows; r++) fetch_page(f.w + r * job->w_bytes);
        mul_add_step(&f, acc, n_rows, n_tokens, kind);
        f.w += step_columns(kind) * kind_bytes(kind), f.x += step_columns(kind) * input_bytes(kind);
    }
    if (left) mul_add_tail(&f, left, acc, n_rows, n_tokens, kind);
#ifdef ADD_FOUR
    if (n_rows == 4) {
        UNROLL for (int t = 0; t < n_tokens; t++) {
            const __m128 y = ADD_FOUR(acc[0][t], acc[1][t], acc[2][t], acc[3][t]);
            _mm_storeu_ps(job->y + (t0 + t) * job->y_stride + r0, y);
        }
        return;
    }
#endif
    UNROLL for (int r = 0; r < n_rows; r++) UNROLL for (int t = 0; t < n_tokens; t++)
        job->y[(t0 + t) * job->y_stride + r0 + r] = ADD_LANES(acc[r][t]);
}

INLINE void float_strip(const ws_float_job *job, size_t t, const int n_rows, const int n_tokens,
                        const float_kind kind) {
    size_t r = 0;
    for (; r + n_rows <= job->n_rows; r += n_rows) float_tile(job, r, t, n_rows, n_tokens, kind);
    for (; r < job->n_rows; r++) float_tile(job, r, t, 1, n_tokens, kind);
}

INLINE void float_all(const ws_float_job *job, const float_kind kind) {
    size_t t = 0;
    for (; t + TILE_T <= job->n_tokens; t += TILE_T) float_strip(job, t, STRIP_R, TILE_T, kind);
    for (; t < job->n_tokens; t++) float_strip(job, t, ALONE_R, 1, kind);
}

static void mul_f32(const ws_float_job *job) { float_all(job, AS_F32); }
static void mul_f16(const ws_float_job *job) { float_all(job, AS_F16); }
static void mul_bf16(const ws_float_job *job) { float_all(job, AS_BF16); }

/* ---- attention ---- */

/* Scores of n query rows against the 16 keys from `key` on. */
INLINE void score_tile(const ws_attn_job *job, size_t key, size_t row, const int n, const float_kind kind) {
    const uint8_t *k = (const uint8_t *)job->k + key * job->k_stride * kind_bytes(kind);
    const float *q = job->q + row * job->head_k;
    lanes sum[ATTN_ROWS];
    UNROLL for (int i = 0; i < n; i++) UNROLL for (int v = 0; v < N_VEC; v++) sum[i].v[v] = V(setzero_ps)();
    for (size_t c = 0; c < job->head_k; c++) {
        VF kl[N_VEC];
        UNROLL for (int v = 0; v < N_VEC; v++) kl[v] = LOAD_VEC(k + c * WS_LANES * kind_bytes(kind), v, kind);
        UNROLL for (int i = 0; i < n; i++) {
            const VF qs = V(set1_ps)(q[i * job->head_k + c]);
            UNROLL for (int v = 0; v < N_VEC; v++) sum[i].v[v] = V(fmadd_ps)(qs, kl[v], sum[i].v[v]);
        }
    }
    UNROLL for (int i = 0; i < n; i++) UNROLL for (int v = 0; v < N_VEC; v++)
        V(storeu_ps)(job->p + (row + i) * WS_SPAN + key + v * VEC_ROWS, sum[i].v[v]);
}

INLINE void scores_all(const ws_attn_job *job, const float_kind kind) {
    for (size_t key = 0; key < job->n_keys; key += WS_LANES) {
        size_t i = 0;
        for (; i + ATTN_ROWS <= job->n_rows; i += ATTN_ROWS) score_tile(job, key, i, ATTN_ROWS, kind);
        for (; i < job->n_rows; i++) score_tile(job, key, i, 1, kind);
    }
}

/* acc += p * v for n rows and `wide` times 16 dimensions from c on. */
INLINE void value_tile(const ws_attn_job *job, size_t row, size_t c, const int n, const int wide,
                       const float_kind kind) {
    const uint8_t *v_row = (const uint8_t *)job->v + c * kind_bytes(kind);
    const float *p = job->p + row * WS_SPAN;
    float *to = job->acc + row * job->acc_stride + c;
    lanes acc[ATTN_ROWS];
    UNROLL for (int i = 0; i < n * wide; i++) UNROLL for (int v = 0; v < N_VEC; v++) acc[i].v[v] =
        V(loadu_ps)(to + i / wide * job->acc_stride + i % wide * WS_LANES + v * VEC_ROWS);
    for (size_t key = 0; key < job->n_keys; key++, v_row += job->v_stride * kind_bytes(kind))
        UNROLL for (int b = 0; b < wide; b++) {
            VF vl[N_VEC];
            UNROLL for (int v = 0; v < N_VEC; v++) vl[v] = LOAD_VEC(v_row + b * WS_LANES * kind_bytes(kind), v, kind);
            UNROLL for (int i = 0; i < n; i++) {
                const VF ps = V(set1_ps)(p[i * WS_SPAN + key]);
                lanes *a = &acc[i * wide + b];
                UNROLL for (int v = 0; v < N_VEC; v++) a->v[v] = V(fmadd_ps)(ps, vl[v], a->v[v]);
            }
        }
    UNROLL for (int i = 0; i < n * wide; i++) UNROLL for (int v = 0; v < N_VEC; v++)
        V(storeu_ps)(to + i / wide * job->acc_stride + i % wide * WS_LANES + v * VEC_ROWS, acc[i].v[v]);
}

INLINE void values_all(const ws_attn_job *job, const float_kind kind) {
    size_t i = 0;
    for (; i + ATTN_ROWS <= job->n_rows; i += ATTN_ROWS)
        for (size_t c = 0; c < job->acc_stride; c += WS_LANES) value_tile(job, i, c, ATTN_ROWS, 1, kind);
    for (; i < job->n_rows; i++) {
        size_t c = 0;
        for (; c + ATTN_ROWS * WS_LANES <= job->acc_stride; c += ATTN_ROWS * WS_LANES)
            value_tile(job, i, c, 1, ATTN_ROWS, kind);
        for (; c < job->acc_stride; c += WS_LANES) value_tile(job, i, c, 1, 1, kind);
    }
}

static void scores_f32(const ws_attn_job *job) { scores_all(job, AS_F32); }
static void scores_f16(const ws_attn_job *job) { scores_all(job, AS_F16); }
static void values_f32(const ws_attn_job *job) { values_all(job, AS_F32); }
static void values_f16(const ws_attn_job *job) { values_all(job, AS_F16); }

static void vectors_init(ws_kernels *k) {
    k->mul_float[WS_TYPE_F32] = mul_f32;
    k->mul_float[WS_TYPE_F16] = mul_f16;
    k->mul_float[WS_TYPE_BF16] = mul_bf16;
    k->attn[WS_TYPE_F32] = (ws_attn_kernel){scores_f32, values_f32};
    k->attn[WS_TYPE_F16] = (ws_attn_kernel){scores_f16, values_f16};
}

#endif
