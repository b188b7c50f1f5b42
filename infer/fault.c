#include "fault.h"

#include <math.h>
#include <stdio.h>

bool ws_all_finite(const float *y, size_t stride, size_t n_cols, size_t n_rows, size_t *row, size_t *column) {
    for (*row = 0; *row < n_rows; ++*row) {
        const float *x = y + *row * stride;
        for (*column = 0; *column < n_cols && isfinite(x[*column]); ++*column) {
        }
        if (*column < n_cols) return false;
    }
    return true;
}

void ws_watch(const ws_session *s, const float *y, size_t stride, size_t n_cols, size_t n_rows, size_t layer,
              const char *where) {
    ws_fault *f = s->watch;
    if (!f || f->found || ws_all_finite(y, stride, n_cols, n_rows, &f->row, &f->column)) return;
    f->found = true;
    f->nan = isnan(y[f->row * stride + f->column]);
    if (layer == SIZE_MAX)
        snprintf(f->where, sizeof f->where, "%s", where);
    else
        snprintf(f->where, sizeof f->where, "blk.%zu.%s", layer, where);
}

ws_status ws_fault_report(ws_session *s, ws_error *err) {
    ws_fault f = {.where = "the final norm"};
    s->watch = &f;
    ws_decode(s);
    s->watch = NULL;
    return ws_fail(err, WS_FORMAT, "'%s': %s arises first at '%s', element %zu, of the token at position %zu",
                   ws_gguf_path(s->m->gguf), f.nan ? "NaN" : "infinity", f.where, f.column, s->position + f.row);
}
