/* parallel.h - work sharing over threads. OpenMP is used here and nowhere else. A reduction is never split
 * over threads, so results do not depend on their number. */
#ifndef WS_PARALLEL_H
#define WS_PARALLEL_H

#include <stddef.h>

/* Handles items [begin, end); `thread` in [0, n_threads) selects per-thread scratch. Must not fail. */
typedef void ws_parallel_fn(void *ctx, size_t begin, size_t end, int thread);

/* Call fn over [0, n) in pieces of at least `grain` items on n_threads threads; returns when all are done. */
void ws_parallel_for(size_t n, size_t grain, int n_threads, ws_parallel_fn *fn, void *ctx);

#endif
