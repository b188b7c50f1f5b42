/* estimate_print.h - an estimate as text with bars, as JSON and as CSV. */
#ifndef WS_ESTIMATE_PRINT_H
#define WS_ESTIMATE_PRINT_H

#include "fit.h"
#include "speed.h"
#include "vllm.h"

#include <stdio.h>

/* An estimate with what it was made for. */
typedef struct {
    const char *path; /* as given */
    const ws_blueprint *model;
    const ws_est_options *options;
    const ws_estimate *estimate;
    const ws_target *target;
    const ws_speed *speed;
    const char *caller, *engine; /* "server", "llama.cpp" */
    const char *as;              /* the quantization that the estimate is for, when the file has another; or NULL */
    const char *llama_flags, *ollama_flags, *vllm_flags; /* NULL: not for this engine */
    const ws_fit *fit;                                   /* plans, of which the first is shown; or NULL */
    const ws_vllm_estimate *vllm;                        /* or NULL */
    double vllm_utilization;
} ws_est_result;

/* Does device i hold what the estimate puts there, with the least that the driver takes? */
bool ws_device_fits(const ws_est_result *r, unsigned i);
/* Do all devices and, where its size is known, the host? */
bool ws_result_fits(const ws_est_result *r);

void ws_estimate_print(FILE *f, const ws_est_result *r);
void ws_estimate_csv(FILE *f, const ws_est_result *r);
WS_MUST_CHECK ws_status ws_estimate_json(FILE *f, const ws_est_result *r, ws_error *err);

#endif
