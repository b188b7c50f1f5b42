#include "parallel.h"

#include <omp.h>

void ws_parallel_for(size_t n, size_t grain, int n_threads, ws_parallel_fn *fn, void *ctx) {
    if (grain == 0) grain = 1;
    const size_t pieces = (n + grain - 1) / grain;
    if (pieces <= 1 || n_threads <= 1) {
        if (n) fn(ctx, 0, n, 0);
        return;
    }
    const int team = pieces < (size_t)n_threads ? (int)pieces : n_threads;
#pragma omp parallel for num_threads(team) schedule(dynamic)
    for (size_t i = 0; i < pieces; i++) {
        const size_t begin = i * grain, end = begin + grain < n ? begin + grain : n;
        fn(ctx, begin, end, omp_get_thread_num());
    }
}
