/* kernels.h - the inner loops of inference, as a table that is filled for the instruction set at hand.
 *
 * kernels/c.c is the definition, and every instruction set gives its results bit for bit: integer sums are exact,
 * float operations come in the same order, and where the definition says fma, product and sum are rounded once.
 * (For NaN results only that they are NaN is promised.)
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
    WS_TILE = 8,     /* tokens whose quantized activations lie side by side */
    WS_SPAN = 128,   /* keys that attention takes at a time, a multiple of WS_LANES */
    WS_Q8_MAX = 127, /* activations are quantized to -127..127 */
    WS_BIAS = 128,   /* panels hold quants plus this, so that they are unsigned bytes for every type */
};

/* 32 columns of 16 rows of a quantized matrix, decoded: x[r][c] = d[h][r] * (q[r][c] - WS_BIAS) + min[h][r], where
 * h = c / 16 if the type's scales are for 16 columns ("halves"), else 0. Exact but for a product of two scales that
 * needs more than 24 bits. Rows lie side by side, so that a vector register holds the same columns of several rows and
 * their sums need no shuffling. What a form has not (d[1], min) is left alone. */
typedef struct {
    uint8_t q[WS_GROUP / 4][WS_LANES][4]; /* row r, column 4 g + i at q[g][r][i] */
    float d[2][WS_LANES], min[2][WS_LANES];
} ws_panel;

/* What panels of a type look like; vector code multiplies narrow ranges of quants faster. */
typedef struct {
    bool halves;      /* scales (and minimums) for 16 columns, not 32 */
    bool min;         /* there are minimums; d alone otherwise */
    int8_t low, high; /* quants lie in low..high */
} ws_panel_form;

/* Activations of a group of 32 columns, x[c] = d * q[c], are 15 cells of four bytes: eight with four quants each,
 * then what the names say. */
typedef union {
    int8_t q[4];
    int32_t i;
    float f;
} ws_q8_cell;

enum {
    WS_Q8_Q = 0,
    WS_Q8_D = 8,       /* d */
    WS_Q8_BIAS = 9,    /* -WS_BIAS * sum of the quants: makes up for the bias of a panel's */
    WS_Q8_BIAS16 = 10, /* the same for the first and the second 16 */
    WS_Q8_SUM = 12,    /* d * sum of the quants */
    WS_Q8_SUM16 = 13,  /* the same for the first and the second 16 */
    WS_Q8_CELLS = 15,
};

/* Quantized rows of n_cols columns, one row per token, in tiles of `tile` tokens (1 or WS_TILE) whose cells lie side by
 * side. A row that holds a NaN or an infinity has a NaN among its scales. */
typedef struct {
    size_t n_cols, tile;
    ws_q8_cell *cells; /* tile, group, cell, token of the tile */
} ws_q8;

/* Cell 0 of a group of token t; cell i is `i * x->tile` further. */
static inline ws_q8_cell *ws_q8_at(const ws_q8 *x, size_t t, size_t group) {
    return x->cells + (t / x->tile * (x->n_cols / WS_GROUP) + group) * WS_Q8_CELLS * x->tile + t % x->tile;
}

/* Bytes of a matrix' rows: row r, counted from the first of a group of 16, at base + r * stride. */
typedef struct {
    const uint8_t *base;
    size_t stride;
    size_t n; /* of the 16 that there are */
} ws_block_rows;

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

/* How a quantized type is multiplied; a row without `decode` is a type of floats.
 * `decode`: n_blocks blocks of 16 rows into panels of 32 columns each. `decode_few` does it for fewer rows, too; those
 * that there are not decode as the last one.
 * `mul`: y[t][r] = sum over panels p, from left to right, of the operations (S: the integer sum of quant times
 * activation, exact in floats; S0 and S1: those of the two halves)
 *     whole:  y = fma(S * d[0][r], x.d, y)
 *     halves: y = fma(fma(S1, d[1][r], S0 * d[0][r]), x.d, y)
 * followed, if there are minimums, by
 *     whole:  y = fma(min[0][r], x.sum, y)
 *     halves: y = fma(min[0][r], x.sum16[0], y), y = fma(min[1][r], x.sum16[1], y)
 * `mul_one` (may be NULL): decode and mul in one for a single token and 16 whole rows of x->n_cols columns; it asks
 * for the 16 rows that follow in memory, too, as they will be wanted next. */
typedef struct {
    ws_panel_form form;
    void (*decode)(const ws_block_rows *rows, size_t n_blocks, ws_panel *out);
    void (*decode_few)(const ws_block_rows *rows, size_t n_blocks, ws_panel *out);
    void (*mul)(const ws_panel_job *job);
    void (*mul_one)(const ws_block_rows *rows, const ws_q8 *x, float *y);
} ws_panel_kernel;

/* y[t][r] = w[r] . x[t] for rows of floats. The sum has 16 lanes: lane l takes columns l, l + 16, ... by fma; then
 * lanes 8 apart are added, lanes 4, 2 and 1 apart.
 * Weights of BF16 are multiplied with activations of BF16, as processors do: lane l takes columns 2 l + 1 and 2 l, then
 * 2 l + 33 and 2 l + 32, ... (Products of two BF16 are exact; those and sums below 2^-126 may count as 0.) */
typedef struct {
    const uint8_t *w; /* row r at w + r * w_bytes */
    size_t w_bytes, n_rows, n_cols;
    const void *x; /* floats x[t * x_stride + c]; for BF16 bits of BF16, 0 in columns from n_cols to a multiple of 32 */
    size_t x_stride, n_tokens;
    float *y; /* y[t * y_stride + r] */
    size_t y_stride;
} ws_float_job;

/* Attention of n_rows query rows over one span of n_keys <= WS_SPAN keys of one head. Keys lie in tiles of 16 keys,
 * transposed (k[tile][k_stride dimensions, of which head_k count][16 keys]), so that 16 scores come out side by side;
 * values lie by row. */
typedef struct {
    const float *q; /* q[i * head_k + dimension] */
    size_t n_rows, head_k, head_v;
    const void *k, *v; /* elements of the cache's type; v rows are v_stride elements apart */
    size_t n_keys, k_stride, v_stride;
    float *p;   /* p[i * WS_SPAN + key]: scores out of `scores`, weights into `values` */
    float *acc; /* acc[i * acc_stride + dimension], acc_stride a multiple of 16 */
    size_t acc_stride;
} ws_attn_job;

typedef struct {
    void (*scores)(const ws_attn_job *job); /* p = q . k, dimension by dimension, for whole tiles of 16 keys; by fma */
    void (*values)(const ws_attn_job *job); /* acc += p * v, key by key; by fma */
} ws_attn_kernel;

/* What a query row has seen of its keys so far: the running softmax. */
typedef struct {
    float max, sum[WS_LANES];
} ws_softmax;

typedef struct {
    uint32_t cpu_flags; /* that the table was filled for */
    ws_panel_kernel panel[WS_TYPE_COUNT];
    void (*mul_float[WS_TYPE_COUNT])(const ws_float_job *job); /* NULL: not a float type */
    ws_attn_kernel attn[WS_TYPE_COUNT];                        /* by type of the KV cache; F16 and F32 */
    /* Other types of the cache: a tile of 16 keys of n_blocks times 32 dimensions (cache.h) as floats,
     * out[dimension][16 keys]. */
    void (*expand_keys[WS_TYPE_COUNT])(const uint8_t *tile, size_t n_blocks, float *out);

    /* Row t of q from q->n_cols floats (a multiple of 32). */
    void (*quantize)(const float *x, const ws_q8 *q, size_t t);
    /* n floats as BF16, and zeros up to a multiple of 32. */
    void (*to_bf16)(const float *x, uint16_t *y, size_t n);
    /* y = x / sqrt(mean(x^2) + eps) * w; y may be x. */
    void (*rms_norm)(const float *x, const float *w, float eps, float *y, size_t n);
    /* y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * w + bias (none if NULL); y may be x. */
    void (*layer_norm)(const float *x, const float *w, const float *bias, float eps, float *y, size_t n);
    void (*add)(float *y, const float *x, size_t n);                      /* y += x */
    void (*add_scaled)(float *y, const float *x, float factor, size_t n); /* y += factor * x */
    void (*scale)(float *y, float factor, size_t n);                      /* y *= factor */
    void (*soft_cap)(float *y, float factor, float cap, size_t n);        /* y = cap * tanh(factor * y / cap) */
    /* Activations y = f(y) * x; x == NULL: y = f(y).
     *   silu:           f(y) = y / (1 + exp(-y))
     *   gelu:           f(y) = y / 2 * (1 + tanh(sqrt(2 / pi) * (y + 0.044715 y^3)))
     *   gelu_exact:     f(y) = y / 2 * (1 + erf(y / sqrt(2)))
     *   swiglu_clamped: f(y) = y / (1 + exp(-1.702 y)) of min(y, 7), times max(min(x, 7), -7) + 1 */
    void (*silu_mul)(float *y, const float *x, size_t n);
    void (*gelu_mul)(float *y, const float *x, size_t n);
    void (*gelu_exact_mul)(float *y, const float *x, size_t n);
    void (*swiglu_clamped)(float *y, const float *x, size_t n); /* x != NULL */
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
void ws_kernels_init_avxvnni(ws_kernels *k);
void ws_kernels_init_avx512(ws_kernels *k);
void ws_kernels_init_vnni(ws_kernels *k);
void ws_kernels_init_bf16(ws_kernels *k);
void ws_kernels_init_neon(ws_kernels *k);
void ws_kernels_init_dotprod(ws_kernels *k);
void ws_kernels_init_i8mm(ws_kernels *k);

#endif
