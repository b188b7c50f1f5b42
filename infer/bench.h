/* bench.h - how fast a model runs here: a prompt in batches, and generation token by token, as llama-bench measures
 * them (random tokens, an empty context, one round before to warm up). */
#ifndef WS_BENCH_H
#define WS_BENCH_H

#include "model.h"

#include <stdbool.h>

typedef struct {
    uint64_t n_tokens;
    bool one_by_one; /* generation; else a prompt */
    uint64_t n_batch;
    uint64_t rounds; /* at least 1 */
    int n_threads;
    ws_dtype kv_type;
    uint32_t cpu_flags;
} ws_bench_options;

typedef struct {
    double mean, stddev; /* tokens per second over the rounds; stddev is that of the sample, 0 for one round */
} ws_bench_result;

WS_MUST_CHECK ws_status ws_bench_run(const ws_model *m, const ws_bench_options *o, ws_bench_result *r, ws_error *err);

#endif
