#include "matmul.h"

#include "alloc.h"

#include <assert.h>

/* What the threads share: the groups of 16 rows of all products, numbered through. */
typedef struct {
    const ws_engine *e;
    const ws_product *p;
    const ws_rows *x;
    ws_q8 q; /* x, quantized */
    size_t n_tokens;
    size_t first[WS_MAX_PRODUCTS + 1]; /* number of a product's first group */
    size_t n_large, large, small;      /* pieces: so many large ones come first; groups in a piece */
} work;

bool ws_can_multiply(ws_dtype type) {
    ws_kernels k;
    ws_kernels_init(&k, 0);
    return k.panel[type].decode || k.mul_float[type];
}

/* BF16 takes a cell more than there are in a group. */
uint64_t ws_input_cells(uint64_t n_tokens, uint64_t n_cols) {
    const uint64_t groups = (n_cols + WS_GROUP - 1) / WS_GROUP;
    return (n_tokens == 1 ? 1 : ws_align_up(n_tokens, WS_TILE)) * groups * (WS_Q8_CELLS + 1);
}

/* What a matrix wants its input as: its own type for floats, blocks of 8 bits for what is quantized. */
static ws_dtype input_type(const ws_engine *e, const ws_matrix *w) {
    if (!e->k.mul_float[w->type]) return WS_TYPE_Q8_0;
    return w->type == WS_TYPE_BF16 ? WS_TYPE_BF16 : WS_TYPE_F32;
}

static void quantize_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const work *w = ctx;
    (void)thread;
    for (size_t t = begin; t < end; t++) w->e->k.quantize(w->x->x + t * w->x->stride, &w->q, t);
}

static size_t bf16_stride(const work *w) { return ws_align_up(w->x->n_cols, WS_GROUP); }

static void round_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const work *w = ctx;
    (void)thread;
    for (size_t t = begin; t < end; t++)
        w->e->k.to_bf16(w->x->x + t * w->x->stride, (uint16_t *)w->q.cells + t * bf16_stride(w), w->x->n_cols);
}

/* n_rows rows of a matrix, `step` rows apart. */
static void mul_floats(const work *w, const ws_product *p, size_t row, size_t step, size_t n_rows, float *y) {
    const bool is_bf16 = p->w->type == WS_TYPE_BF16;
    const ws_float_job job = {
        .w = p->w->data + row * p->w->row_bytes,
        .w_bytes = step * p->w->row_bytes,
        .n_rows = n_rows,
        .n_cols = p->w->n_in,
        .x = is_bf16 ? (const void *)w->q.cells : w->x->x,
        .x_stride = is_bf16 ? bf16_stride(w) : w->x->stride,
        .n_tokens = w->n_tokens,
        .y = y,
        .y_stride = p->y_stride,
    };
    w->e->k.mul_float[p->w->type](&job);
}

/* A single token waits for memory, and processors fetch ahead best what is read as a few long streams: a row of the
 * first half of the matrix goes with one of the second. */
static void mul_float_pairs(const work *w, const ws_product *p, size_t group) {
    const size_t half = (p->w->n_out + 1) / 2, first = group * (WS_LANES / 2), end = first + WS_LANES / 2;
    for (size_t row = first; row < end && row < half; row++) {
        float y[2];
        const size_t n = row + half < p->w->n_out ? 2 : 1;
        mul_floats(w, p, row, half, n, y);
        for (size_t i = 0; i < n; i++) p->y[row + i * half] = y[i];
    }
}

static void mul_blocks(const work *w, const ws_product *p, size_t row, size_t n_rows, ws_panel *panels) {
    const ws_dtype_info *info = ws_dtype_get(p->w->type);
    const ws_panel_kernel *kernel = &w->e->k.panel[p->w->type];
    const size_t n_panels = p->w->n_in / WS_GROUP;
    ws_block_rows rows = {p->w->data + row * p->w->row_bytes, p->w->row_bytes, n_rows};
    if (w->n_tokens == 1 && n_rows == WS_LANES && kernel->mul_one) {
        kernel->mul_one(&rows, &w->q, p->y + row);
        return;
    }
    for (size_t first = 0; first < n_panels; first += WS_CHUNK) {
        const size_t n = n_panels - first < WS_CHUNK ? n_panels - first : WS_CHUNK;
        const size_t n_blocks = n * WS_GROUP / info->block_elements;
        (n_rows == WS_LANES ? kernel->decode : kernel->decode_few)(&rows, n_blocks, panels);
        kernel->mul(&(ws_panel_job){
            .panels = panels,
            .n_panels = n,
            .first_panel = first,
            .x = &w->q,
            .n_tokens = w->n_tokens,
            .y = p->y + row,
            .y_stride = p->y_stride,
            .add = first > 0,
        });
        rows.base += n_blocks * info->block_bytes;
    }
}

static void mul_groups(const work *w, size_t begin, size_t end, int thread) {
    size_t product = 0;
    for (size_t group = begin; group < end; group++) {
        while (group >= w->first[product + 1]) product++;
        const ws_product *p = &w->p[product];
        const size_t row = (group - w->first[product]) * WS_LANES, left = p->w->n_out - row;
        const size_t n_rows = left < WS_LANES ? left : WS_LANES;
        if (!w->e->k.mul_float[p->w->type])
            mul_blocks(w, p, row, n_rows, w->e->panels + (size_t)thread * WS_CHUNK);
        else if (w->n_tokens == 1)
            mul_float_pairs(w, p, group - w->first[product]);
        else
            mul_floats(w, p, row, 1, n_rows, p->y + row);
    }
}

/* A large piece for each thread, then small ones that even out who is late. Large because what lies behind a piece is
 * asked for before it is known who will read it. */
static size_t divide_groups(work *w) {
    enum { SMALL_PIECES = 2 }; /* per thread */
    const size_t n_groups = w->first[WS_MAX_PRODUCTS], n_threads = (size_t)ws_team_threads(w->e->team);
    w->n_large = n_threads;
    w->large = n_groups * 7 / 8 / n_threads;
    const size_t left = n_groups - w->n_large * w->large;
    w->small = (left + SMALL_PIECES * n_threads - 1) / (SMALL_PIECES * n_threads);
    return w->n_large + (left + w->small - 1) / w->small;
}

static void mul_pieces(void *ctx, size_t begin, size_t end, int thread) {
    const work *w = ctx;
    for (size_t i = begin; i < end; i++) {
        const size_t n_groups = w->first[WS_MAX_PRODUCTS], rest = w->n_large * w->large;
        const size_t first = i < w->n_large ? i * w->large : rest + (i - w->n_large) * w->small;
        const size_t last = first + (i < w->n_large ? w->large : w->small);
        mul_groups(w, first, last < n_groups ? last : n_groups, thread);
    }
}

/* Products that all want the same input. */
static void multiply(const ws_engine *e, ws_dtype input, const ws_product *p, size_t n_products, const ws_rows *x,
                     size_t n_tokens) {
    work w = {.e = e, .p = p, .x = x, .q = x->q, .n_tokens = n_tokens};
    w.q.tile = n_tokens == 1 ? 1 : WS_TILE;
    if (input == WS_TYPE_Q8_0) ws_team_for(e->team, n_tokens, WS_TILE, quantize_tokens, &w);
    if (input == WS_TYPE_BF16) ws_team_for(e->team, n_tokens, WS_TILE, round_tokens, &w);
    for (size_t i = 0; i < WS_MAX_PRODUCTS; i++)
        w.first[i + 1] = w.first[i] + (i < n_products ? (p[i].w->n_out + WS_LANES - 1) / WS_LANES : 0);
    ws_team_for(e->team, divide_groups(&w), 1, mul_pieces, &w);
}

void ws_matmul(const ws_engine *e, const ws_product *p, size_t n_products, const ws_rows *x, size_t n_tokens) {
    static const ws_dtype inputs[] = {WS_TYPE_F32, WS_TYPE_BF16, WS_TYPE_Q8_0};
    assert(n_products <= WS_MAX_PRODUCTS);
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        ws_product alike[WS_MAX_PRODUCTS];
        size_t n = 0;
        for (size_t j = 0; j < n_products; j++)
            if (input_type(e, p[j].w) == inputs[i]) alike[n++] = p[j];
        if (n) multiply(e, inputs[i], alike, n, x, n_tokens);
    }
}
