#include "pieces.h"

#include "alloc.h"

#include <stdlib.h>

static ws_cut cut(const ws_tensor *t, bool whole_rows, uint64_t first_piece) {
    ws_cut c = {.tensor = t, .first_piece = first_piece};
    const uint64_t row = t->ne[0];
    if (t->n_elements == 0) return c;
    c.stretch = row <= WS_PIECE || whole_rows ? row * t->ne[1] : row;
    c.unit = row <= WS_PIECE ? WS_PIECE / row * row : whole_rows ? row : WS_PIECE;
    c.n_pieces = t->n_elements / c.stretch * ((c.stretch + c.unit - 1) / c.unit);
    return c;
}

ws_status ws_pieces_make(ws_pieces *p, const ws_tensor *const *tensors, const bool *whole_rows, size_t n,
                         ws_error *err) {
    *p = (ws_pieces){.n = n};
    p->cuts = ws_alloc(n, sizeof *p->cuts, "the pieces of tensors", err);
    if (!p->cuts) return WS_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const ws_cut c = p->cuts[i] = cut(tensors[i], whole_rows[i], p->n_pieces);
        const uint64_t size = c.unit < c.stretch ? c.unit : c.stretch;
        p->n_pieces += c.n_pieces;
        if (size > p->largest) p->largest = size;
    }
    return WS_OK;
}

void ws_pieces_free(ws_pieces *p) {
    free(p->cuts);
    *p = (ws_pieces){0};
}

size_t ws_pieces_find(const ws_pieces *p, uint64_t piece, ws_span *span) {
    size_t low = 0, high = p->n; /* the last cut that begins at or before the piece; empty ones begin with the next */
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (p->cuts[middle].first_piece <= piece)
            low = middle;
        else
            high = middle;
    }
    const ws_cut *c = &p->cuts[low];
    const uint64_t per_stretch = (c->stretch + c->unit - 1) / c->unit, i = piece - c->first_piece;
    const uint64_t at = i % per_stretch * c->unit, left = c->stretch - at;
    *span = (ws_span){c->tensor, i / per_stretch * c->stretch + at, left < c->unit ? left : c->unit};
    return low;
}
