/* c.c - the definition of every kernel in plain C, for any processor. */
#include "blocks.h"
#include "codes.h"
#include "fp16.h"
#include "kernels.h"
#include "rows.h"

#include <string.h>

/* ---- decoding: one row of one block, into row r of the panels it fills ---- */

typedef void decode_row(const void *block, ws_panel *out, int r);

static void set_q(ws_panel *out, int r, int column, int q) {
    out->q[column / 4][r][column % 4] = (uint8_t)(q + WS_BIAS);
}

static void set_whole(ws_panel *out, int r, float d, float min) {
    out->d[0][r] = d;
    out->min[0][r] = min;
}

static void set_half(ws_panel *out, int r, int h, float d, float min) {
    out->d[h][r] = d;
    out->min[h][r] = min;
}

static int nibble(const uint8_t *qs, int column) { return column < 16 ? qs[column] & 15 : qs[column - 16] >> 4; }

static int bit(const uint8_t *bits, int column) { return bits[column / 8] >> (column % 8) & 1; }

static void decode_q4_0(const void *block, ws_panel *out, int r) {
    const ws_q4_0 *b = block;
    for (int c = 0; c < 32; c++) set_q(out, r, c, nibble(b->qs, c) - 8);
    out->d[0][r] = ws_f16_to_f32(b->d);
}

static void decode_q4_1(const void *block, ws_panel *out, int r) {
    const ws_q4_1 *b = block;
    for (int c = 0; c < 32; c++) set_q(out, r, c, nibble(b->qs, c));
    set_whole(out, r, ws_f16_to_f32(b->d), ws_f16_to_f32(b->m));
}

static void decode_q5_0(const void *block, ws_panel *out, int r) {
    const ws_q5_0 *b = block;
    for (int c = 0; c < 32; c++) set_q(out, r, c, (nibble(b->qs, c) | bit(b->qh, c) << 4) - 16);
    out->d[0][r] = ws_f16_to_f32(b->d);
}

static void decode_q5_1(const void *block, ws_panel *out, int r) {
    const ws_q5_1 *b = block;
    for (int c = 0; c < 32; c++) set_q(out, r, c, nibble(b->qs, c) | bit(b->qh, c) << 4);
    set_whole(out, r, ws_f16_to_f32(b->d), ws_f16_to_f32(b->m));
}

static void decode_q8_0(const void *block, ws_panel *out, int r) {
    const ws_q8_0 *b = block;
    for (int c = 0; c < 32; c++) set_q(out, r, c, b->qs[c]);
    out->d[0][r] = ws_f16_to_f32(b->d);
}

static void decode_q2_k(const void *block, ws_panel *out, int r) {
    const ws_q2_k *b = block;
    const float d = ws_f16_to_f32(b->d), dmin = ws_f16_to_f32(b->dmin);
    for (int p = 0; p < 8; p++) {
        const uint8_t *qs = b->qs + p / 4 * 32;
        for (int c = 0; c < 32; c++) set_q(&out[p], r, c, qs[c] >> (p % 4 * 2) & 3);
        for (int h = 0; h < 2; h++) {
            const unsigned s = b->scales[2 * p + h];
            set_half(&out[p], r, h, d * (float)(s & 15), -dmin * (float)(s >> 4));
        }
    }
}

static int q3_k_scale(const uint8_t *scales, int s) {
    const unsigned low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
    return (int)(low | (scales[8 + s % 4] >> (s / 4 * 2) & 3) << 4) - 32;
}

static void decode_q3_k(const void *block, ws_panel *out, int r) {
    const ws_q3_k *b = block;
    const float d = ws_f16_to_f32(b->d);
    for (int p = 0; p < 8; p++) {
        const uint8_t *qs = b->qs + p / 4 * 32;
        for (int c = 0; c < 32; c++)
            set_q(&out[p], r, c, ((qs[c] >> (p % 4 * 2) & 3) | (b->hmask[c] >> p & 1) << 2) - 4);
        for (int h = 0; h < 2; h++) out[p].d[h][r] = d * (float)q3_k_scale(b->scales, 2 * p + h);
    }
}

/* Scale and minimum of sub-block p of Q4_K and Q5_K. */
static void q4_k_scale(const uint8_t *scales, int p, unsigned *scale, unsigned *min) {
    if (p < 4) {
        *scale = scales[p] & 63;
        *min = scales[4 + p] & 63;
    } else {
        *scale = (scales[4 + p] & 15) | (unsigned)(scales[p - 4] >> 6) << 4;
        *min = (unsigned)(scales[4 + p] >> 4) | (unsigned)(scales[p] >> 6) << 4;
    }
}

static void set_q4_k_scales(ws_panel *out, int r, uint16_t d, uint16_t dmin, const uint8_t *scales) {
    for (int p = 0; p < 8; p++) {
        unsigned scale, min;
        q4_k_scale(scales, p, &scale, &min);
        set_whole(&out[p], r, ws_f16_to_f32(d) * (float)scale, -ws_f16_to_f32(dmin) * (float)min);
    }
}

static void decode_q4_k(const void *block, ws_panel *out, int r) {
    const ws_q4_k *b = block;
    for (int p = 0; p < 8; p++)
        for (int c = 0; c < 32; c++) set_q(&out[p], r, c, b->qs[p / 2 * 32 + c] >> (p % 2 * 4) & 15);
    set_q4_k_scales(out, r, b->d, b->dmin, b->scales);
}

static void decode_q5_k(const void *block, ws_panel *out, int r) {
    const ws_q5_k *b = block;
    for (int p = 0; p < 8; p++)
        for (int c = 0; c < 32; c++)
            set_q(&out[p], r, c, (b->qs[p / 2 * 32 + c] >> (p % 2 * 4) & 15) | (b->qh[c] >> p & 1) << 4);
    set_q4_k_scales(out, r, b->d, b->dmin, b->scales);
}

static void decode_q6_k(const void *block, ws_panel *out, int r) {
    const ws_q6_k *b = block;
    const float d = ws_f16_to_f32(b->d);
    for (int p = 0; p < 8; p++) {
        const uint8_t *ql = b->ql + p / 4 * 64 + p % 2 * 32, *qh = b->qh + p / 4 * 32;
        for (int c = 0; c < 32; c++)
            set_q(&out[p], r, c, ((ql[c] >> (p % 4 / 2 * 4) & 15) | (qh[c] >> (p % 4 * 2) & 3) << 4) - 32);
        for (int h = 0; h < 2; h++) out[p].d[h][r] = d * (float)b->scales[2 * p + h];
    }
}

/* A single token waits for memory: ask for as many bytes of the 16 rows that follow as are being read. */
static void fetch(const ws_block_rows *rows, size_t block, size_t bytes) {
    const char *ahead = (const char *)rows->base + WS_LANES * (rows->stride + block * bytes);
    for (size_t i = 0; i < WS_LANES * bytes; i += 64) __builtin_prefetch(ahead + i, 0, 1);
}

static void decode_rows(const ws_block_rows *rows, size_t n_blocks, ws_panel *out, size_t block_bytes,
                        size_t block_panels, decode_row *decode) {
    for (size_t b = 0; b < n_blocks; b++) {
        fetch(rows, b, block_bytes);
        for (size_t r = 0; r < WS_LANES; r++) {
            const size_t row = r < rows->n ? r : rows->n - 1;
            decode(rows->base + row * rows->stride + b * block_bytes, out + b * block_panels, (int)r);
        }
    }
}

/* The types: X(prefix, ID, halves, min, low, high) */
#define EACH_TYPE(X)                                                                                                   \
    X(q4_0, Q4_0, false, false, -8, 7)                                                                                 \
    X(q4_1, Q4_1, false, true, 0, 15)                                                                                  \
    X(q5_0, Q5_0, false, false, -16, 15)                                                                               \
    X(q5_1, Q5_1, false, true, 0, 31)                                                                                  \
    X(q8_0, Q8_0, false, false, -128, 127)                                                                             \
    X(q2_k, Q2_K, true, true, 0, 3)                                                                                    \
    X(q3_k, Q3_K, true, false, -4, 3)                                                                                  \
    X(q4_k, Q4_K, false, true, 0, 15)                                                                                  \
    X(q5_k, Q5_K, false, true, 0, 31)                                                                                  \
    X(q6_k, Q6_K, true, false, -32, 31)                                                                                \
    X(q1_0, Q1_0, false, false, -1, 1)                                                                                 \
    X(q2_0, Q2_0, false, false, -1, 2)                                                                                 \
    X(tq1_0, TQ1_0, false, false, -1, 1)                                                                               \
    X(tq2_0, TQ2_0, false, false, -1, 2)                                                                               \
    X(mxfp4, MXFP4, false, false, -12, 12)                                                                             \
    X(nvfp4, NVFP4, true, false, -12, 12)                                                                              \
    X(iq4_nl, IQ4_NL, false, false, -127, 113)                                                                         \
    X(iq4_xs, IQ4_XS, false, false, -127, 113)                                                                         \
    X(iq2_xxs, IQ2_XXS, false, false, -43, 43)                                                                         \
    X(iq2_xs, IQ2_XS, true, false, -43, 43)                                                                            \
    X(iq2_s, IQ2_S, true, false, -43, 43)                                                                              \
    X(iq3_xxs, IQ3_XXS, false, false, -62, 62)                                                                         \
    X(iq3_s, IQ3_S, false, false, -15, 15)                                                                             \
    X(iq1_s, IQ1_S, false, false, -9, 9)                                                                               \
    X(iq1_m, IQ1_M, true, false, -9, 9)

#define DECODE(name, ID, halves, min, low, high)                                                                       \
    static void rows_##name(const ws_block_rows *rows, size_t n_blocks, ws_panel *out) {                               \
        decode_rows(rows, n_blocks, out, WS_BYTES_##ID, WS_ELEMENTS_##ID / WS_GROUP, decode_##name);                   \
    }
EACH_TYPE(DECODE)
#undef DECODE

/* ---- products of panels ---- */

/* Sums of quant times activation over columns [16 first, 16 end) of the 16 rows; |sum| <= 32 * 128 * 127 < 2^19. */
static void sum_halves(const ws_panel *p, const ws_q8_cell *x, size_t tile, int first, int end, float sum[WS_LANES]) {
    for (int r = 0; r < WS_LANES; r++) {
        int32_t s = 0;
        for (int g = 4 * first; g < 4 * end; g++)
            for (int i = 0; i < 4; i++) s += (p->q[g][r][i] - WS_BIAS) * x[(size_t)g * tile].q[i];
        sum[r] = (float)s;
    }
}

static void add_whole(const ws_panel *p, const ws_q8_cell *x, size_t tile, bool min, float *y) {
    float sum[WS_LANES];
    sum_halves(p, x, tile, 0, 2, sum);
    for (int r = 0; r < WS_LANES; r++) {
        y[r] = fmaf(sum[r] * p->d[0][r], x[WS_Q8_D * tile].f, y[r]);
        if (min) y[r] = fmaf(p->min[0][r], x[WS_Q8_SUM * tile].f, y[r]);
    }
}

static void add_halves(const ws_panel *p, const ws_q8_cell *x, size_t tile, bool min, float *y) {
    float sum[2][WS_LANES];
    for (int h = 0; h < 2; h++) sum_halves(p, x, tile, h, h + 1, sum[h]);
    for (int r = 0; r < WS_LANES; r++) {
        y[r] = fmaf(fmaf(sum[1][r], p->d[1][r], sum[0][r] * p->d[0][r]), x[WS_Q8_D * tile].f, y[r]);
        for (int h = 0; min && h < 2; h++) y[r] = fmaf(p->min[h][r], x[(size_t)(WS_Q8_SUM16 + h) * tile].f, y[r]);
    }
}

static void mul_panels(const ws_panel_job *job, ws_panel_form form) {
    for (size_t t = 0; t < job->n_tokens; t++) {
        float *y = job->y + t * job->y_stride;
        if (!job->add) memset(y, 0, WS_LANES * sizeof *y);
        for (size_t p = 0; p < job->n_panels; p++)
            (form.halves ? add_halves : add_whole)(&job->panels[p], ws_q8_at(job->x, t, job->first_panel + p),
                                                   job->x->tile, form.min, y);
    }
}

static void mul_whole(const ws_panel_job *job) { mul_panels(job, (ws_panel_form){.halves = false, .min = false}); }
static void mul_whole_min(const ws_panel_job *job) { mul_panels(job, (ws_panel_form){.halves = false, .min = true}); }
static void mul_halves(const ws_panel_job *job) { mul_panels(job, (ws_panel_form){.halves = true, .min = false}); }
static void mul_halves_min(const ws_panel_job *job) { mul_panels(job, (ws_panel_form){.halves = true, .min = true}); }

/* ---- products of float rows ---- */

/* Up to 16 elements as floats. */
typedef void load_lanes(const uint8_t *from, size_t n, float *to);

static void load_f32(const uint8_t *from, size_t n, float *to) { memcpy(to, from, n * sizeof *to); }

static void load_f16(const uint8_t *from, size_t n, float *to) {
    uint16_t half[WS_LANES];
    memcpy(half, from, n * sizeof *half);
    for (size_t i = 0; i < n; i++) to[i] = ws_f16_to_f32(half[i]);
}

static void fma_vector(const floats *a, const floats *b, floats *sum) {
    for (int l = 0; l < WIDTH; l++) (*sum)[l] = fmaf((*a)[l], (*b)[l], (*sum)[l]);
}

static float dot(const uint8_t *w, size_t element_bytes, const float *x, size_t n, load_lanes *load) {
    row_piece sum = {{0}}, wl, xl;
    float lane[WS_LANES];
    for (size_t i = 0; i < n; i += WS_LANES) {
        const size_t m = piece_size(i, n);
        load(w + i * element_bytes, m, lane);
        load_piece(lane, m, 0, wl);
        load_piece(x + i, m, 0, xl);
        for (int v = 0; v < VECTORS; v++) fma_vector(&wl[v], &xl[v], &sum[v]);
    }
    return sum_lanes(sum);
}

static void mul_float(const ws_float_job *job, size_t element_bytes, load_lanes *load) {
    for (size_t t = 0; t < job->n_tokens; t++)
        for (size_t r = 0; r < job->n_rows; r++)
            job->y[t * job->y_stride + r] = dot(job->w + r * job->w_bytes, element_bytes,
                                                (const float *)job->x + t * job->x_stride, job->n_cols, load);
}

/* Column `at` of both, or 0 beyond the last. */
static float bf16_product(const uint8_t *w, const uint16_t *x, size_t at, size_t n) {
    uint16_t half;
    if (at >= n) return 0;
    memcpy(&half, w + 2 * at, sizeof half);
    return ws_bf16_to_f32(half) * ws_bf16_to_f32(x[at]);
}

static float dot_bf16(const uint8_t *w, const uint16_t *x, size_t n) {
    row_piece sum = {{0}};
    for (size_t i = 0; i < n; i += 2 * WS_LANES)
        for (size_t l = 0; l < WS_LANES; l++) {
            float *lane = (float *)sum + l;
            *lane += bf16_product(w, x, i + 2 * l + 1, n);
            *lane += bf16_product(w, x, i + 2 * l, n);
        }
    return sum_lanes(sum);
}

static void mul_f32(const ws_float_job *job) { mul_float(job, 4, load_f32); }
static void mul_f16(const ws_float_job *job) { mul_float(job, 2, load_f16); }
static void mul_bf16(const ws_float_job *job) {
    for (size_t t = 0; t < job->n_tokens; t++)
        for (size_t r = 0; r < job->n_rows; r++)
            job->y[t * job->y_stride + r] =
                dot_bf16(job->w + r * job->w_bytes, (const uint16_t *)job->x + t * job->x_stride, job->n_cols);
}

/* ---- attention ---- */

static void scores(const ws_attn_job *job, size_t element_bytes, load_lanes *load) {
    for (size_t key = 0; key < job->n_keys; key += WS_LANES)
        for (size_t i = 0; i < job->n_rows; i++) {
            float sum[WS_LANES] = {0}, kl[WS_LANES];
            for (size_t c = 0; c < job->head_k; c++) {
                load((const uint8_t *)job->k + (key * job->k_stride + c * WS_LANES) * element_bytes, WS_LANES, kl);
                for (int l = 0; l < WS_LANES; l++) sum[l] = fmaf(job->q[i * job->head_k + c], kl[l], sum[l]);
            }
            memcpy(job->p + i * WS_SPAN + key, sum, sizeof sum);
        }
}

static void values(const ws_attn_job *job, size_t element_bytes, load_lanes *load) {
    for (size_t i = 0; i < job->n_rows; i++)
        for (size_t key = 0; key < job->n_keys; key++) {
            const float p = job->p[i * WS_SPAN + key];
            const uint8_t *v = (const uint8_t *)job->v + key * job->v_stride * element_bytes;
            float vl[WS_LANES], *acc = job->acc + i * job->acc_stride;
            for (size_t c = 0; c < job->acc_stride; c += WS_LANES) {
                load(v + c * element_bytes, WS_LANES, vl);
                for (int l = 0; l < WS_LANES; l++) acc[c + l] = fmaf(p, vl[l], acc[c + l]);
            }
        }
}

static void scores_f32(const ws_attn_job *job) { scores(job, 4, load_f32); }
static void scores_f16(const ws_attn_job *job) { scores(job, 2, load_f16); }
static void values_f32(const ws_attn_job *job) { values(job, 4, load_f32); }
static void values_f16(const ws_attn_job *job) { values(job, 2, load_f16); }

void ws_kernels_init_c(ws_kernels *k) {
    static void (*const mul[2][2])(const ws_panel_job *) = {{mul_whole, mul_whole_min}, {mul_halves, mul_halves_min}};
    rows_init(k);
#define ROW(name, ID, halves, min, low, high)                                                                          \
    k->panel[WS_TYPE_##ID] =                                                                                           \
        (ws_panel_kernel){{halves, min, low, high}, rows_##name, rows_##name, mul[halves][min], NULL};
    EACH_TYPE(ROW)
#undef ROW
    k->mul_float[WS_TYPE_F32] = mul_f32;
    k->mul_float[WS_TYPE_F16] = mul_f16;
    k->mul_float[WS_TYPE_BF16] = mul_bf16;
    k->attn[WS_TYPE_F32] = (ws_attn_kernel){scores_f32, values_f32};
    k->attn[WS_TYPE_F16] = (ws_attn_kernel){scores_f16, values_f16};
}
