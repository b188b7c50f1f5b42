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

/* Elements [first, first + n) of the result, whole blocks, as the item's type has them. By any thread. */
void ws_transform_part(const ws_plan_item *item, uint32_t cpu_flags, uint64_t first, uint64_t n, void *out);

/* Give ws_map_will_need() or ws_map_release() the part of the source that those elements are made of (nothing where it
 * is scattered). */
typedef void ws_map_advice(const ws_map *map, size_t offset, size_t bytes);
void ws_transform_advise(const ws_plan_item *item, const ws_safetensors *weights, uint64_t first, uint64_t n,
                         ws_map_advice *advice);

#endif
