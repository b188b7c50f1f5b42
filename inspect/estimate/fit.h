/* fit.h - what of a model fits a machine: the longest context, by type of the cache and by quantization, and how many
 * layers or experts must stay on the CPU when not all fit. */
#ifndef WS_FIT_H
#define WS_FIT_H

#include "target.h"

typedef struct {
    const char *quantization; /* what it is then; NULL: the file does not say */
    bool as_is;               /* as the file is */
    ws_est_options options;
    ws_estimate estimate;
    bool on_gpus;   /* all layers and experts */
    bool requested; /* the context is as long as asked for */
} ws_plan;

enum { WS_MAX_PLANS = 40, WS_LEAST_CTX = 2048 };

typedef struct {
    ws_plan plans[WS_MAX_PLANS]; /* the best first */
    size_t n;
} ws_fit;

/* Add plans to out (starts as {0}) that give at least o's context, up to `most`, or less when that does not fit.
 * `free_quantization`: any may be chosen, and the blueprint's types change (ws_fit_apply() sets those of a plan); else
 * the file stays as it is. */
WS_MUST_CHECK ws_status ws_fit_solve(ws_fit *out, ws_blueprint *bp, const ws_est_options *o, const ws_target *t,
                                     uint64_t most, bool free_quantization, ws_error *err);
WS_MUST_CHECK ws_status ws_fit_apply(ws_blueprint *bp, const ws_plan *p, ws_error *err);

/* Whether the estimate leaves room for the driver on every device, and fits the host. */
bool ws_target_holds(const ws_target *t, const ws_estimate *e);

#endif
