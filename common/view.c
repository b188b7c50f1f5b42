#include "view.h"

/* Within each head, row 2i is the i-th of the first half and row 2i+1 the i-th of the second. */
uint64_t ws_view_permuted_row(uint64_t row, uint64_t n_rows, uint64_t n_heads) {
    const uint64_t head_rows = n_rows / n_heads, in_head = row % head_rows;
    return row - in_head + in_head % 2 * (head_rows / 2) + in_head / 2;
}

bool ws_view_is_copy(const ws_view *v, const uint64_t ne[WS_MAX_DIMS]) {
    return !v->first && v->stack == ne[0] * ne[1] && v->row == ne[0] && v->column == 1 && !v->n_heads && v->add == 0;
}

bool ws_view_is_packed(ws_transform transform) {
    return transform == WS_MXFP4 || transform == WS_MXFP4_EVEN || transform == WS_MXFP4_ODD;
}

/* The same shape, in the same order. */
static ws_view_source same(const uint64_t *ne, uint32_t n_dims) {
    ws_view_source s = {.n_dims = n_dims, .view = {.stack = ne[0] * ne[1], .row = ne[0], .column = 1}};
    for (uint32_t d = 0; d < n_dims; d++) s.shape[d] = ne[n_dims - 1 - d];
    return s;
}

static ws_view_source permuted(const uint64_t *ne, uint32_t n_dims, uint64_t n_heads) {
    ws_view_source s = same(ne, n_dims);
    s.view.n_heads = n_heads;
    if (n_dims == 1) s.view.row = 1; /* a bias: its elements are the rows */
    return s;
}

static ws_view_source matrix(uint64_t rows, uint64_t columns, ws_view view) {
    return (ws_view_source){.n_dims = 2, .shape = {rows, columns}, .view = view};
}

static ws_view_source stack(uint64_t n, uint64_t rows, uint64_t columns, ws_view view) {
    view.stack = rows * columns;
    return (ws_view_source){.n_dims = 3, .shape = {n, rows, columns}, .view = view};
}

/* As many dimensions as the result has. */
static ws_view_source matrix_or_stack(uint32_t n_dims, uint64_t n, uint64_t rows, uint64_t columns, ws_view view) {
    return n_dims == 2 ? matrix(rows, columns, view) : stack(n, rows, columns, view);
}

static ws_view_source plus_one(const uint64_t *ne, uint32_t n_dims) {
    ws_view_source s = same(ne, n_dims);
    s.view.add = 1;
    return s;
}

/* MLA's kv_b: of every head, rows for the plain part of its key, then rows for its value. */
static ws_view_source of_latent(bool values, const ws_hparams *hp) {
    const uint64_t plain = hp->head_k_mla - hp->n_rot, head = plain + hp->head_v_mla, n = hp->kv_latent;
    ws_view view = values ? (ws_view){.first = plain * n, .row = n, .column = 1} : (ws_view){.row = 1, .column = n};
    view.stack = head * n;
    return matrix(hp->n_head * head, n, view);
}

/* Blocks of 32 numbers in 16 bytes: every `step`-th row. */
static ws_view_source packed(const uint64_t *ne, uint64_t step, uint64_t first) {
    const uint64_t rows = step * ne[1];
    return (ws_view_source){.n_dims = 4,
                            .shape = {ne[2], rows, ne[0] / 32, 16},
                            .view = {.first = first * ne[0], .stack = rows * ne[0], .row = step * ne[0], .column = 1}};
}

ws_view_source ws_view_make(ws_transform transform, const uint64_t ne[WS_MAX_DIMS], uint32_t n_dims,
                            const ws_hparams *hp) {
    const uint64_t c = ne[0], r = ne[1], n = ne[2];
    const ws_view turned = {.row = 1, .column = r}, every_other = {.row = 2, .column = 2 * r};
    switch (transform) {
    case WS_COPY: return same(ne, n_dims);
    case WS_PERMUTE_HEADS: return permuted(ne, n_dims, hp->n_head);
    case WS_PERMUTE_KV_HEADS: return permuted(ne, n_dims, hp->n_head_kv);
    case WS_BEHIND_PADDING: {
        ws_view_source s = same(ne, n_dims);
        s.shape[0] += hp->n_padding;
        s.view.first = hp->n_padding * c;
        return s;
    }
    case WS_ADD_ONE: return plus_one(ne, n_dims);
    case WS_TRANSPOSE: return matrix_or_stack(n_dims, n, c, r, turned);
    case WS_STACK: return same(ne, 2);
    case WS_FIRST_HALF: return matrix_or_stack(n_dims, n, 2 * r, c, (ws_view){.row = c, .column = 1});
    case WS_SECOND_HALF: return matrix_or_stack(n_dims, n, 2 * r, c, (ws_view){.first = r * c, .row = c, .column = 1});
    case WS_EVEN_COLUMNS: return matrix(r, 2 * c, (ws_view){.row = 2 * c, .column = 2});
    case WS_ODD_COLUMNS: return matrix(r, 2 * c, (ws_view){.first = 1, .row = 2 * c, .column = 2});
    case WS_TRANSPOSE_EVEN: return stack(n, c, 2 * r, every_other);
    case WS_TRANSPOSE_ODD: {
        ws_view_source s = stack(n, c, 2 * r, every_other);
        s.view.first = 1;
        return s;
    }
    case WS_MXFP4: return packed(ne, 1, 0);
    case WS_MXFP4_EVEN: return packed(ne, 2, 0);
    case WS_MXFP4_ODD: return packed(ne, 2, 1);
    case WS_LATENT_KEYS: return of_latent(false, hp);
    case WS_LATENT_VALUES: return of_latent(true, hp);
    }
    return same(ne, n_dims);
}
