/* x86_vectors.h - products for x86 registers of 8 or 16 lanes: one text, included by x86_avx2.c and x86_avx512.c
 * with V (the prefix of the intrinsics), VI, VF (register types), LOAD_I, N_VEC (registers for 16 lanes), LOAD_VEC
 * (floats of a type, the v-th register of 16) and the sizes of tiles defined. Functions with constant arguments are
 * inlined and unrolled, so that sums stay in registers. */
#ifndef WS_X86_VECTORS_H
#define WS_X86_VECTORS_H

#include "kernels.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#ifdef WS_SANITIZED /* unrolled and instrumented, this takes compilers many minutes */
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Keeps gcc from loading a value again for each of its uses: loads are what these loops have too many of. */
#define IN_REGISTER(v) __asm__("" : "+v"(v))

enum { VEC_ROWS = WS_LANES / N_VEC };

INLINE VI broadcast_32(const void *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return V(set1_epi32)(v);
}

/* ---- quantized rows: 8-bit products, summed in pairs to 16 bits ----
 *
 * maddubs adds two products of an unsigned and a signed byte, at most 2 * q * 127 in magnitude, and saturates at
 * 32767. `adds` such sums fit 16 bits: 8 of q <= 15 (30480), 4 of q <= 31 (31496), 2 of q <= 63 (32004). */

enum { ADDS_4_BIT = 8, ADDS_5_BIT = 4, ADDS_6_BIT = 2 };

typedef struct {
    const int8_t *q;
    const float *d, *sum32, *sum16;
} x_row;

INLINE x_row row_of(const ws_panel_job *job, size_t t) {
    const ws_q8 *x = job->x;
    const size_t group = t * (x->n_cols / WS_GROUP) + job->first_panel, at = group * WS_GROUP;
    return (x_row){x->q + at, x->d + group, x->sum32 + group, x->sum16 + 2 * group};
}

/* sum[t][v] = scale * q * x over the 32 columns of panel p; scales only where `halves`. */
INLINE void sum_panel(const ws_panel *panel, size_t p, const x_row *x, VI sum[][N_VEC], const int n, const int adds,
                      const bool halves) {
    VI part[TILE][N_VEC];
    UNROLL for (int g = 0; g < WS_GROUP / 4; g++) {
        VI w[N_VEC];
        UNROLL for (int v = 0; v < N_VEC; v++) w[v] = LOAD_I(panel->q[g][v * VEC_ROWS]);
        UNROLL for (int t = 0; t < n; t++) {
            const VI xs = broadcast_32(x[t].q + p * WS_GROUP + 4 * g);
            UNROLL for (int v = 0; v < N_VEC; v++) {
                const VI product = V(maddubs_epi16)(w[v], xs);
                part[t][v] = g % adds == 0 ? product : V(add_epi16)(part[t][v], product);
                if (g % adds != adds - 1) continue;
                const VI scale = halves ? LOAD_I(panel->scale[g / 4][v * VEC_ROWS]) : V(set1_epi16)(1);
                const VI wide = V(madd_epi16)(part[t][v], scale);
                sum[t][v] = g < adds ? wide : V(add_epi32)(sum[t][v], wide);
            }
        }
    }
}

/* Quants that need all eight bits: magnitudes times signed activations; two products of 128 * 127 fit 16 bits, a
 * third does not. */
INLINE void sum_signed(const ws_panel *panel, size_t p, const x_row *x, VI sum[][N_VEC], const int n) {
    const VI ones = V(set1_epi16)(1);
    UNROLL for (int g = 0; g < WS_GROUP / 4; g++) {
        VI w[N_VEC];
        UNROLL for (int v = 0; v < N_VEC; v++) w[v] = LOAD_I(panel->q[g][v * VEC_ROWS]);
        UNROLL for (int t = 0; t < n; t++) {
            const VI xs = broadcast_32(x[t].q + p * WS_GROUP + 4 * g);
            UNROLL for (int v = 0; v < N_VEC; v++) {
                const VI product = V(maddubs_epi16)(V(abs_epi8)(w[v]), WITH_SIGN(xs, w[v]));
                const VI wide = V(madd_epi16)(product, ones);
                sum[t][v] = g == 0 ? wide : V(add_epi32)(sum[t][v], wide);
            }
        }
    }
}

typedef enum { WHOLE, HALVES, SIGNED } panel_kind;

/* Tokens t .. t + n - 1 of a job. */
INLINE void mul_tile(const ws_panel_job *job, size_t t0, const int n, const panel_kind kind, const int adds) {
    x_row x[TILE];
    VF y[TILE][N_VEC];
    UNROLL for (int t = 0; t < n; t++) {
        x[t] = row_of(job, t0 + t);
        UNROLL for (int v = 0; v < N_VEC; v++) y[t][v] =
            job->add ? V(loadu_ps)(job->y + (t0 + t) * job->y_stride + v * VEC_ROWS) : V(setzero_ps)();
    }
    for (size_t p = 0; p < job->n_panels; p++) {
        const ws_panel *panel = job->panels + p;
        VI sum[TILE][N_VEC];
        if (kind == SIGNED)
            sum_signed(panel, p, x, sum, n);
        else
            sum_panel(panel, p, x, sum, n, adds, kind == HALVES);
        UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) {
            const int r = v * VEC_ROWS;
            const VF d = V(mul_ps)(V(loadu_ps)(panel->d + r), V(set1_ps)(x[t].d[p]));
            y[t][v] = V(add_ps)(y[t][v], V(mul_ps)(V(cvtepi32_ps)(sum[t][v]), d));
            if (kind == SIGNED) continue;
            const float *first = kind == HALVES ? x[t].sum16 + 2 * p : x[t].sum32 + p;
            y[t][v] = V(add_ps)(y[t][v], V(mul_ps)(V(loadu_ps)(panel->min[0] + r), V(set1_ps)(*first)));
            if (kind != HALVES) continue;
            y[t][v] = V(add_ps)(y[t][v], V(mul_ps)(V(loadu_ps)(panel->min[1] + r), V(set1_ps)(first[1])));
        }
    }
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++)
        V(storeu_ps)(job->y + (t0 + t) * job->y_stride + v * VEC_ROWS, y[t][v]);
}

INLINE void mul_all(const ws_panel_job *job, const panel_kind kind, const int adds) {
    size_t t = 0;
    for (; t + TILE <= job->n_tokens; t += TILE) mul_tile(job, t, TILE, kind, adds);
    for (; t + 2 <= job->n_tokens; t += 2) mul_tile(job, t, 2, kind, adds);
    for (; t < job->n_tokens; t++) mul_tile(job, t, 1, kind, adds);
}

static void mul_4_bit(const ws_panel_job *job) { mul_all(job, WHOLE, ADDS_4_BIT); }
static void mul_5_bit(const ws_panel_job *job) { mul_all(job, WHOLE, ADDS_5_BIT); }
static void mul_3_bit_halves(const ws_panel_job *job) { mul_all(job, HALVES, ADDS_5_BIT); }
static void mul_6_bit_halves(const ws_panel_job *job) { mul_all(job, HALVES, ADDS_6_BIT); }
static void mul_8_bit(const ws_panel_job *job) { mul_all(job, SIGNED, 0); }

/* ---- rows of floats ---- */

typedef struct {
    VF v[N_VEC];
} lanes;

typedef enum { AS_F32, AS_F16, AS_BF16 } float_kind;

INLINE size_t kind_bytes(const float_kind kind) { return kind == AS_F32 ? 4 : 2; }

/* acc[r][t] += w[r] * x[t] over 16 columns. */
INLINE void mul_add_16(const uint8_t *w, size_t w_bytes, const float *x, size_t x_stride, lanes acc[][TILE_T],
                       const int n_rows, const int n_tokens, const float_kind kind) {
    UNROLL for (int v = 0; v < N_VEC; v++) {
        VF wl[TILE_R];
        UNROLL for (int r = 0; r < n_rows; r++) wl[r] = LOAD_VEC(w + r * w_bytes, v, kind);
        UNROLL for (int t = 0; t < n_tokens; t++) {
            VF xs = V(loadu_ps)(x + t * x_stride + v * VEC_ROWS);
            IN_REGISTER(xs);
            UNROLL for (int r = 0; r < n_rows; r++) acc[r][t].v[v] = V(fmadd_ps)(wl[r], xs, acc[r][t].v[v]);
        }
    }
}

/* The last columns, fewer than 16: as 16 with zeros. */
INLINE void mul_add_tail(const uint8_t *w, size_t w_bytes, const float *x, size_t x_stride, size_t n,
                         lanes acc[][TILE_T], const int n_rows, const int n_tokens, const float_kind kind) {
    uint8_t wp[TILE_R][WS_LANES * 4] = {{0}};
    float xp[TILE_T][WS_LANES] = {{0}};
    UNROLL for (int r = 0; r < n_rows; r++) memcpy(wp[r], w + r * w_bytes, n * kind_bytes(kind));
    UNROLL for (int t = 0; t < n_tokens; t++) memcpy(xp[t], x + t * x_stride, n * sizeof *x);
    mul_add_16(wp[0], sizeof wp[0], xp[0], WS_LANES, acc, n_rows, n_tokens, kind);
}

/* A single token waits for memory: ask for the rows after these, which follow them in memory, as many bytes as are
 * being read. */
INLINE void fetch_ahead(const uint8_t *w, size_t w_bytes, size_t column, const int n_rows, const float_kind kind) {
    const size_t step = n_rows * kind_bytes(kind);
    const char *at = (const char *)w + n_rows * w_bytes + column * step;
    for (size_t i = 0; i < step * WS_LANES; i += 64) _mm_prefetch(at + i, _MM_HINT_T1);
}

INLINE void float_tile(const ws_float_job *job, size_t r0, size_t t0, const int n_rows, const int n_tokens,
                       const float_kind kind) {
    lanes acc[TILE_R][TILE_T];
    UNROLL for (int r = 0; r < n_rows; r++) UNROLL for (int t = 0; t < n_tokens; t++)
        UNROLL for (int v = 0; v < N_VEC; v++) acc[r][t]
            .v[v] = V(setzero_ps)();
    const uint8_t *w = job->w + r0 * job->w_bytes;
    const float *x = job->x + t0 * job->x_stride;
    const size_t whole = job->n_cols / WS_LANES * WS_LANES;
    for (size_t c = 0; c < whole; c += WS_LANES) {
        if (n_tokens == 1) fetch_ahead(w, job->w_bytes, c, n_rows, kind);
        mul_add_16(w + c * kind_bytes(kind), job->w_bytes, x + c, job->x_stride, acc, n_rows, n_tokens, kind);
    }
    if (whole < job->n_cols)
        mul_add_tail(w + whole * kind_bytes(kind), job->w_bytes, x + whole, job->x_stride, job->n_cols - whole, acc,
                     n_rows, n_tokens, kind);
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
    for (; t + TILE_T <= job->n_tokens; t += TILE_T) float_strip(job, t, 2, TILE_T, kind);
    for (; t < job->n_tokens; t++) float_strip(job, t, TILE_R, 1, kind);
}

static void mul_f32(const ws_float_job *job) { float_all(job, AS_F32); }
static void mul_f16(const ws_float_job *job) { float_all(job, AS_F16); }
static void mul_bf16(const ws_float_job *job) { float_all(job, AS_BF16); }

/* ---- attention ---- */

/* Scores of n query rows against the 16 keys from `key` on. */
INLINE void score_tile(const ws_attn_job *job, size_t key, size_t row, const int n, const float_kind kind) {
    const uint8_t *k = (const uint8_t *)job->k + key * job->head_k * kind_bytes(kind);
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
    k->panel[WS_TYPE_Q4_0].mul = mul_4_bit;
    k->panel[WS_TYPE_Q4_1].mul = mul_4_bit;
    k->panel[WS_TYPE_Q4_K].mul = mul_4_bit;
    k->panel[WS_TYPE_Q5_0].mul = mul_5_bit;
    k->panel[WS_TYPE_Q5_1].mul = mul_5_bit;
    k->panel[WS_TYPE_Q5_K].mul = mul_5_bit;
    k->panel[WS_TYPE_Q8_0].mul = mul_8_bit;
    k->panel[WS_TYPE_Q2_K].mul = mul_3_bit_halves;
    k->panel[WS_TYPE_Q3_K].mul = mul_3_bit_halves;
    k->panel[WS_TYPE_Q6_K].mul = mul_6_bit_halves;
    k->mul_float[WS_TYPE_F32] = mul_f32;
    k->mul_float[WS_TYPE_F16] = mul_f16;
    k->mul_float[WS_TYPE_BF16] = mul_bf16;
    k->attn[WS_TYPE_F32] = (ws_attn_kernel){scores_f32, values_f32};
    k->attn[WS_TYPE_F16] = (ws_attn_kernel){scores_f16, values_f16};
}

#endif
