/* view.h - transforms as views: where the elements of a tensor are in the tensor that it is made of. */
#ifndef WS_VIEW_H
#define WS_VIEW_H

#include "arch.h"

/* Element (matrix s, row r, column c) of the result is element first + s * stack + r * row + c * column of the
 * source, after rows were regrouped within heads. */
typedef struct {
    uint64_t first, stack, row, column;
    uint64_t n_heads; /* 0: rows stay in order */
    float add;        /* to every element */
} ws_view;

/* What a source must look like, slowest dimension first, and the view of it. */
typedef struct {
    uint32_t n_dims;
    uint64_t shape[WS_MAX_DIMS];
    ws_view view;
} ws_view_source;

/* For a result of the shape ne[n_dims], fastest first; ones beyond. Of WS_STACK, the source is one expert's. */
ws_view_source ws_view_make(ws_transform transform, const uint64_t ne[WS_MAX_DIMS], uint32_t n_dims,
                            const ws_hparams *hp);

/* Is the source MXFP4 in blocks and scales? The view counts their numbers, but the shape is that of the blocks. */
bool ws_view_is_packed(ws_transform transform);

/* Is element i of the result of shape ne element i of the source, unchanged? */
bool ws_view_is_copy(const ws_view *v, const uint64_t ne[WS_MAX_DIMS]);

/* Which row of the source becomes row `row` when n_rows rows in heads of rotary halves become interleaved pairs. */
uint64_t ws_view_permuted_row(uint64_t row, uint64_t n_rows, uint64_t n_heads);

#endif
