/* matmul.h - products of weight matrices with rows of activations. One path for a single token and for a batch: 16
 * rows of weights are decoded once and multiplied with every token, so results do not depend on the batch. */
#ifndef WS_MATMUL_H
#define WS_MATMUL_H

#include "kernels.h"
#include "team.h"

/* A weight matrix as it lies in the file: n_out rows of n_in elements. */
typedef struct {
    const uint8_t *data;
    ws_dtype type;
    size_t n_in, n_out, row_bytes;
    const char *name; /* of the tensor, for messages */
} ws_matrix;

/* Rows of activations (one per token), as floats, with room for them as 8-bit groups or as BF16. */
typedef struct {
    float *x; /* x[t * stride + c] */
    size_t stride, n_cols;
    ws_q8 q;
} ws_rows;

/* y[t * y_stride + i] = (w * x[t])[i]; rows of y have room for a multiple of WS_LANES. */
typedef struct {
    const ws_matrix *w;
    float *y;
    size_t y_stride;
} ws_product;

enum {
    WS_CHUNK = 24,       /* panels decoded at a time: they stay in the first-level cache */
    WS_MAX_PRODUCTS = 4, /* of one call */
};

/* What work is done with: kernels, threads, and WS_CHUNK panels for each thread. */
typedef struct {
    ws_kernels k;
    ws_team *team;
    ws_panel *panels;
} ws_engine;

/* Can weights of this type be multiplied? */
bool ws_can_multiply(ws_dtype type);

/* Cells that are enough for n_tokens rows of n_cols columns, as 8-bit groups or as BF16. */
uint64_t ws_input_cells(uint64_t n_tokens, uint64_t n_cols);

/* All products of the same n_tokens rows (from x->x on), shared out over the threads together. What activations are
 * multiplied as goes by the matrix: as floats with F32 and F16, as BF16 with BF16, as 8-bit groups with all that is
 * quantized; what is not floats is written to x->q.cells first. */
void ws_matmul(const ws_engine *e, const ws_product *p, size_t n_products, const ws_rows *x, size_t n_tokens);

#endif
