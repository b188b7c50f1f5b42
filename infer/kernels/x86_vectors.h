/* x86_vectors.h - products for x86 registers of 8 or 16 lanes: one text, included by x86_avx2.c and x86_avx512.c
 * with V (the prefix of the intrinsics), VI, VF (register types), LOAD_I, ZERO_I, N_VEC (registers for 16 lanes),
 * LOAD_VEC (floats of a type, the v-th register of 16) the sizes of tiles and, if it is worth it, ADD_FOUR (sums of
 * four registers' lanes) defined. Functions with constant arguments are inlined and unrolled, so that sums stay in
 * registers. */
#ifndef WS_X86_VECTORS_H
#define WS_X86_VECTORS_H

#include "inline.h"
#include "kernels.h"
#include "x86_fetch.h"

#include <immintrin.h>
#include <string.h>

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
 * 32767. `adds` such sums fit 16 bits: 8 of q <= 15 (30480), 4 of q <= 31 (31496), 2 of q <= 63 (32004), 1 of q <= 127.
 * Quants are shifted to 0..high - low for it, which their sums are corrected for by low * (sum of activations). Wider
 * quants are multiplied as magnitudes with signed activations: two products of 128 * 127 fit 16 bits, a third does not.
 */

typedef struct {
    bool halves, min;
    int low, adds; /* low is 0 or minus a power of two; adds = 0: wide quants */
} sum_form;

/* low * (sum of activations), of n tokens: the bias that they come with is -WS_BIAS * (that sum). */
INLINE VI first_sum(const ws_q8_cell *bias, const sum_form f) {
    return f.low == 0 ? ZERO_I : V(srai_epi32)(broadcast_32(bias), 7 - __builtin_ctz((unsigned)-f.low));
}

/* sum[t][v] = quant * activation over columns 16 first to 16 end of the panel. */
INLINE void sum_narrow(const ws_panel *panel, const ws_q8_cell *x, const int tile, const int first, const int end,
                       VI sum[][N_VEC], const int n, const sum_form f) {
    VI part[TILE][N_VEC];
    const VI ones = V(set1_epi16)(1), shift = V(set1_epi8)((char)(WS_BIAS + f.low));
    const int bias = f.halves ? WS_Q8_BIAS16 + first : WS_Q8_BIAS;
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) sum[t][v] =
        first_sum(x + bias * tile + t, f);
    UNROLL for (int g = 4 * first; g < 4 * end; g++) {
        VI w[N_VEC];
        UNROLL for (int v = 0; v < N_VEC; v++) w[v] = V(sub_epi8)(LOAD_I(panel->q[g][v * VEC_ROWS]), shift);
        UNROLL for (int t = 0; t < n; t++) {
            const VI xs = broadcast_32(x + g * tile + t);
            UNROLL for (int v = 0; v < N_VEC; v++) {
                const VI product = V(maddubs_epi16)(w[v], xs);
                part[t][v] = g % f.adds == 0 ? product : V(add_epi16)(part[t][v], product);
                if (g % f.adds == f.adds - 1) sum[t][v] = V(add_epi32)(sum[t][v], V(madd_epi16)(part[t][v], ones));
            }
        }
    }
}

INLINE void sum_wide(const ws_panel *panel, const ws_q8_cell *x, const int tile, const int first, const int end,
                     VI sum[][N_VEC], const int n) {
    const VI ones = V(set1_epi16)(1);
    UNROLL for (int g = 4 * first; g < 4 * end; g++) {
        VI w[N_VEC];
        UNROLL for (int v = 0; v < N_VEC; v++) w[v] =
            V(sub_epi8)(LOAD_I(panel->q[g][v * VEC_ROWS]), V(set1_epi8)((char)WS_BIAS));
        UNROLL for (int t = 0; t < n; t++) {
            const VI xs = broadcast_32(x + g * tile + t);
            UNROLL for (int v = 0; v < N_VEC; v++) {
                const VI product = V(maddubs_epi16)(V(abs_epi8)(w[v]), WITH_SIGN(xs, w[v]));
                const VI wide = V(madd_epi16)(product, ones);
                sum[t][v] = g == 4 * first ? wide : V(add_epi32)(sum[t][v], wide);
            }
        }
    }
}

/* The sums as floats. */
INLINE void sum_panel(const ws_panel *panel, const ws_q8_cell *x, const int tile, const int first, const int end,
                      VF out[][N_VEC], const int n, const sum_form f) {
    VI sum[TILE][N_VEC];
    if (f.adds)
        sum_narrow(panel, x, tile, first, end, sum, n, f);
    else
        sum_wide(panel, x, tile, first, end, sum, n);
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) out[t][v] = V(cvtepi32_ps)(sum[t][v]);
}

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

enum { ADDS_4_BIT = 8, ADDS_5_BIT = 4, ADDS_6_BIT = 2, ADDS_7_BIT = 1 };
#define MUL(name, halves, min, low, adds)                                                                              \
    static void name(const ws_panel_job *job) { mul_all(job, (sum_form){halves, min, low, adds}); }
MUL(mul_whole_8, false, false, -8, ADDS_4_BIT)
MUL(mul_whole_16, false, false, -16, ADDS_5_BIT)
MUL(mul_whole_64, false, false, -64, ADDS_7_BIT)
MUL(mul_whole_wide, false, false, 0, 0)
MUL(mul_min_4, false, true, 0, ADDS_4_BIT)
MUL(mul_min_5, false, true, 0, ADDS_5_BIT)
MUL(mul_halves_4, true, false, -4, ADDS_5_BIT)
MUL(mul_halves_32, true, false, -32, ADDS_6_BIT)
MUL(mul_halves_64, true, false, -64, ADDS_7_BIT)
MUL(mul_halves_wide, true, false, 0, 0)
MUL(mul_halves_min, true, true, 0, ADDS_5_BIT)
#undef MUL

/* The product for a form: the first row whose range holds the type's quants. */
static void (*panel_product(ws_panel_form form))(const ws_panel_job *job) {
    static const struct {
        ws_panel_form form;
        void (*mul)(const ws_panel_job *job);
    } products[] = {
        {{false, false, -8, 7}, mul_whole_8},    {{false, false, -16, 15}, mul_whole_16},
        {{false, false, -64, 63}, mul_whole_64}, {{false, false, -128, 127}, mul_whole_wide},
        {{false, true, 0, 15}, mul_min_4},       {{false, true, 0, 31}, mul_min_5},
        {{true, false, -4, 27}, mul_halves_4},   {{true, false, -32, 31}, mul_halves_32},
        {{true, false, -64, 63}, mul_halves_64}, {{true, false, -128, 127}, mul_halves_wide},
        {{true, true, 0, 31}, mul_halves_min},
    };
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        const ws_panel_form *f = &products[i].form;
        if (f->halves == form.halves && f->min == form.min && f->low <= form.low && f->high >= form.high)
            return products[i].mul;
    }
    return NULL;
}

/* ---- rows of floats ---- */

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
    for (int type = 0; type < WS_TYPE_COUNT; type++)
        if (k->panel[type].decode) k->panel[type].mul = panel_product(k->panel[type].form);
    k->mul_float[WS_TYPE_F32] = mul_f32;
    k->mul_float[WS_TYPE_F16] = mul_f16;
    k->mul_float[WS_TYPE_BF16] = mul_bf16;
    k->attn[WS_TYPE_F32] = (ws_attn_kernel){scores_f32, values_f32};
    k->attn[WS_TYPE_F16] = (ws_attn_kernel){scores_f16, values_f16};
}

#endif
