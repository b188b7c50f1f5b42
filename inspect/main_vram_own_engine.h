/* main_vram_own_engine.h - what this project's own `infer` takes. It is a program's file: the layer of inspect does
 * not know infer. */
#ifndef WS_MAIN_VRAM_OWN_ENGINE_H
#define WS_MAIN_VRAM_OWN_ENGINE_H

#include "estimate.h"

/* On the CPU, one sequence, `n_batch` tokens at a time. WS_UNSUPPORTED for what infer does not run. */
WS_MUST_CHECK ws_status ws_own_engine_run(ws_estimate *out, const ws_blueprint *bp, const ws_est_options *o,
                                          uint64_t n_batch, int n_threads, ws_error *err);

#endif
