/* pieces.h - how tensors are cut into pieces that threads take one after the other: whole rows where they fit, so that
 * a piece has one row of importance weights; parts of a row where it is longer than a piece. */
#ifndef WS_PIECES_H
#define WS_PIECES_H

#include "input.h"

/* Elements of a piece: a multiple of every block. As float it fits the second-level cache. */
enum { WS_PIECE = 64 * 1024 };

typedef struct {
    const ws_tensor *tensor;
    uint64_t first_piece; /* number of its first in the whole list */
    uint64_t n_pieces;
    uint64_t unit;    /* elements of a piece; the last of a stretch may be shorter */
    uint64_t stretch; /* elements that are cut together: a matrix, or a long row */
} ws_cut;

typedef struct {
    ws_cut *cuts; /* one per tensor, in the order given */
    size_t n;
    uint64_t n_pieces, largest; /* pieces in all; elements of the largest */
} ws_pieces;

/* whole_rows[i]: tensor i must not be cut within a row. Release with ws_pieces_free(). */
WS_MUST_CHECK ws_status ws_pieces_make(ws_pieces *p, const ws_tensor *const *tensors, const bool *whole_rows, size_t n,
                                       ws_error *err);
void ws_pieces_free(ws_pieces *p);

/* The cut that a piece belongs to, and the elements of the piece. */
size_t ws_pieces_find(const ws_pieces *p, uint64_t piece, ws_span *span);

#endif
