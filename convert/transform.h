/* transform.h - the data of one tensor on its way from the checkpoint to the file. */
#ifndef WS_TRANSFORM_H
#define WS_TRANSFORM_H

#include "plan.h"

/* Receives consecutive pieces of a tensor's data. */
typedef ws_status ws_transform_sink(void *ctx, const void *data, size_t bytes, ws_error *err);

typedef struct {
    const ws_safetensors *weights; /* whose pages are released when they are done with */
    uint32_t cpu_flags;
    int n_threads;
    ws_transform_sink *sink;
    void *ctx;
} ws_transform_options;

/* Convert a tensor that has a source, a few MiB at a time. *n_overflows: finite values that the type F16 cannot
 * hold and which became infinite. */
WS_MUST_CHECK ws_status ws_transform_run(const ws_plan_item *item, const ws_transform_options *opt,
                                         uint64_t *n_overflows, ws_error *err);

#endif
