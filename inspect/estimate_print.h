/* estimate_print.h - an estimate as text with bars, and as JSON. */
#ifndef WS_ESTIMATE_PRINT_H
#define WS_ESTIMATE_PRINT_H

#include "model_sizes.h"

#include <stdio.h>

/* An estimate with what it was made for. */
typedef struct {
    const ws_model_sizes *sizes;
    const ws_est_options *options;
    const ws_estimate *estimate;
    const char *caller; /* "server", "cli", "bindings" */
} ws_est_result;

void ws_estimate_print(FILE *f, const ws_est_result *r);
WS_MUST_CHECK ws_status ws_estimate_json(FILE *f, const ws_est_result *r, ws_error *err);

#endif
