/* runner.h - a model that is measured: weights, one session, and room for the logits of some positions at a time. */
#ifndef WS_RUNNER_H
#define WS_RUNNER_H

#include "forward.h"

/* Starts as {0}; release with ws_runner_close() in every case. The fields are the interface. */
typedef struct {
    ws_model *model;
    ws_session *session;
    size_t n_batch, n_rows, stride; /* logits[n_rows][stride] */
    float *logits;
} ws_runner;

/* The session of an opened model (r->model), which the runner then owns. */
WS_MUST_CHECK ws_status ws_runner_start(ws_runner *r, const ws_session_options *o, ws_error *err);
void ws_runner_close(ws_runner *r);

#endif
