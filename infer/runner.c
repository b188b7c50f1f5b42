#include "runner.h"

#include "alloc.h"

#include <stdlib.h>

/* Rows of logits at a time: many, so that the output matrix is decoded seldom, but not much memory. */
static size_t rows_at_once(size_t stride) {
    enum { LOGITS_BYTES = 16 << 20, MAX_ROWS = 64 };
    const size_t n = LOGITS_BYTES / sizeof(float) / stride;
    return n < 1 ? 1 : n > MAX_ROWS ? MAX_ROWS : n;
}

ws_status ws_runner_start(ws_runner *r, const ws_session_options *o, ws_error *err) {
    WS_TRY(ws_session_open(&r->session, r->model, o, err));
    r->n_batch = o->n_batch;
    r->stride = ws_logits_stride(r->model);
    r->n_rows = rows_at_once(r->stride);
    r->logits = ws_alloc_aligned(r->n_rows * r->stride, sizeof *r->logits, "logits", err);
    return r->logits ? WS_OK : WS_NOMEM;
}

void ws_runner_close(ws_runner *r) {
    free(r->logits);
    ws_session_close(r->session);
    ws_model_close(r->model);
    *r = (ws_runner){0};
}
