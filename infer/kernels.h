/* kernels.h - the inner loops of inference, as a table that is filled for the instruction set at hand.
 *
 * kernels/c.c is the definition. What an instruction set must keep of it:
 *   quantized weights: integer sums exactly, float operations in the same order: results equal bit for bit;
 *   float weights and attention: the same order of sums, where products may be fused with the addition;
 *   rows of floats (norm, activation, exponentials): one source (kernels/rows.h), equal bit for bit.
 * Every output element has its own order of operations, which does not depend on how many tokens or rows are
 * handled in one call: a prompt in one batch, in several, or token by token gives the same bits.
 *
 * Kernels neither allocate nor fail. Weights may lie at any address; all other pointers are to aligned floats. */
#ifndef WS_KERNELS_H
#define WS_KERNELS_H

#include "dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WS_LANES = 16,   /* rows of a panel; outputs have room for a multiple of it */
    WS_GROUP = 32,   /* columns of a panel and of one activation scale */
    WS_SPAN = 128,   /* keys that attention takes at a time, a multiple of WS_LANES */
    WS_Q8_MAX = 127, /* activations are quantized to -127..127 */
};

/* 32 columns of 16 rows of a quantized matrix, decoded: x[r][c] = d[r] * scale[h][r] * q[r][c] + min[h][r], where
 * h = c / 16. Rows lie side by side, so that a vector register holds the same columns of several rows and their
 * sums need no shuffling. Types with one scale and minimum for all 32 columns ("whole") leave `scale` alone and use
 * min[0] only; Q8_0 has no minimum either, and its quants are signed bytes. */
typedef struct {
    uint8_t q[WS_GROUP / 4][WS_LANES][4]; /* row r, column 4 g + i at q[g][r][i]; at most 63 but for Q8_0 */
    int16_t scale[2][WS_LANES][2];        /* twice the same */
    float min[2][WS_LANES];
    float d[WS_LANES];
} ws_panel;

/* Rows of activations, quantized: x[t][c] = d[t][c / 32] * q[t][c]. Each member is an array of rows; a row of n_cols
 * elements has n_cols quants, a scale per 32, and d * (sum of quants) per 32 and per 16. A row that holds a NaN or an
 * infinity has a NaN among its scales. */
typedef struct {
    size_t n_cols;
    int8_t *q;
    float *d, *sum32, *sum16;
} ws_q8;

/* Part of a product: outputs y[t][0..15] of the 16 rows of a panel. */
typedef struct {
    const ws_panel *panels; /* adjacent in columns */
    size_t n_panels;
    size_t first_panel; /* column / 32 of panels[0] */
    const ws_q8 *x;
    size_t n_tokens;
    float *y; /* y[t * y_stride + r] */
    size_t y_stride;
    bool add; /* go on from the sums in y; false: from zero */
} ws_panel_job;

/* How a quantized type is multiplied; a row without `decode` is a type that is not. */
typedef struct {
    /* Decode n_blocks blocks of 16 rows, rows[r] pointing at the first, into panels of 32 columns each. `ahead` is
     * where as many bytes begin that will be wanted next: a hint to fetch them from memory. */
    void (*decode)(const uint8_t *const rows[WS_LANES], size_t n_blocks, const uint8_t *ahead, ws_panel *out);

    /* y[t][r] = sum over panels p of
     *     float(sum of scale * q * x.q) * (d[r] * x.d[t][p]) + min[0][r] * x.sum32[t][p]
     * ("halves": ... + min[0][r] * x.sum16[t][2 p] + min[1][r] * x.sum16[t][2 p + 1]), from left to right. */
    void (*mul)(const ws_panel_job *job);
} ws_panel_kernel;

/* y[t][r] = w[r] . x[t] for rows of floats. The sum has 16 lanes: lane l takes columns l, l + 16, ...; then lanes
 * 8 apart are added, lanes 4, 2 and 1 apart. */
typedef struct {
    const uint8_t *w; /* row r at w + r * w_bytes */
    size_t w_bytes, n_rows, n_cols;
    const float *x; /* x[t * x_stride + c] */
    size_t x_stride, n_tokens;
    float *y; /* y[t * y_stride + r] */
    size_t y_stride;
} ws_float_job;

/* Attention of n_rows query rows over one span of n_keys <= WS_SPAN keys of one head. Keys lie in tiles of 16 keys,
 * transposed (k[tile][dimension][16 keys]), so that 16 scores come out side by side; values lie by row. */
typedef struct {
    const float *q; /* q[i * head_k + dimension] */
    size_t n_rows, head_k, head_v;
    const void *k, *v; /* elements of the cache's type; v rows are v_stride elements apart */
    size_t n_keys, v_stride;
    float *p;   /* p[i * WS_SPAN + key]: scores out of `scores`, weights into `values` */
    float *acc; /* acc[i * acc_stride + dimension], acc_stride a multiple of 16 */
    size_t acc_stride;
} ws_attn_job;

typedef struct {
    void (*scores)(const ws_attn_job *job); /* p = q . k, dimension by dimension, for whole tiles of 16 keys */
    void (*values)(const ws_attn_job *job); /* acc += p * v, key by key */
} ws_attn_kernel;

/* What a query row has seen of its keys so far: the running softmax. */
typedef struct {
    float max, sum[WS_LANES];
} ws_softmax;

typedef struct {
    ws_panel_kernel panel[WS_TYPE_COUNT];
    void (*mul_float[WS_TYPE_COUNT])(const ws_float_job *job); /* NULL: not a float type */
    ws_attn_kernel attn[WS_TYPE_COUNT];                        /* by type of the KV cache */

    /* Row t of q from n = q->n_cols floats (a multiple of 32). */
    void (*quantize)(const float *x, const ws_q8 *q, size_t t);
    /* y = x / sqrt(mean(x^2) + eps) * w; y may be x. */
    void (*rms_norm)(const float *x, const float *w, float eps, float *y, size_t n);
    void (*add)(float *y, const float *x, size_t n);      /* y += x */
    void (*silu_mul)(float *y, const float *x, size_t n); /* y = y / (1 + exp(-y)) * x */
    /* Rotate pairs of the n/2 angles whose cosines and sines are given: (x[2i], x[2i+1]) or (x[i], x[i+n/2]). */
    void (*rope_interleaved)(float *x, const float *cos, const float *sin, size_t n);
    void (*rope_neox)(float *x, const float *cos, const float *sin, size_t n);
    /* Turn scores of n keys into weights exp(scale * p - max), scaling what `acc` and s hold to the new maximum. */
    void (*softmax)(float *p, size_t n, float scale, ws_softmax *s, float *acc, size_t n_acc);
    /* log(sum(exp(x))) and the index of the largest; NaN when x has one. */
    double (*log_sum_exp)(const float *x, size_t n, size_t *argmax);
    /* Sum of exp(a - lse_a) * ((a - lse_a) - (b - lse_b)): how far b's distribution lies from a's, in nats. */
    double (*divergence)(const float *a, double lse_a, const float *b, double lse_b, size_t n);
} ws_kernels;

/* Fill the table for a processor with these flags (cpu.h). A pure function. */
void ws_kernels_init(ws_kernels *k, uint32_t cpu_flags);

/* One per instruction set, in kernels/: overwrites the slots that it improves. */
void ws_kernels_init_c(ws_kernels *k);
void ws_kernels_init_avx2(ws_kernels *k);
void ws_kernels_init_avx512(ws_kernels *k);
void ws_kernels_init_neon(ws_kernels *k);

#endif
