#include "bandwidth.h"

#include "alloc.h"
#include "parallel.h"
#include "progress.h"

#include <stdlib.h>
#include <string.h>

enum { PASSES = 6, PIECE = 1 << 20, PIECES = 512, AT_ONCE = 8, LANES = 32 };

typedef struct {
    const uint64_t *data; /* PIECES pieces of PIECE bytes */
    uint64_t sum;         /* keeps the compiler from leaving the reads out */
} reading;

static void fill(void *ctx, size_t begin, size_t end, int thread) {
    (void)thread;
    memset((uint8_t *)ctx + begin * PIECE, 1, (end - begin) * PIECE);
}

static void sum_up(void *ctx, size_t begin, size_t end, int thread) {
    enum { WORDS = PIECE / sizeof(uint64_t) };
    reading *r = ctx;
    uint64_t lane[LANES] = {0}, sum = 0;
    (void)thread;
    for (size_t i = begin * WORDS; i < end * WORDS; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] += r->data[i + j];
    for (size_t j = 0; j < LANES; j++) sum += lane[j];
    __atomic_fetch_add(&r->sum, sum, __ATOMIC_RELAXED);
}

ws_status ws_measure_bandwidth(double *out, int n_threads, ws_error *err) {
    uint64_t *data = ws_alloc_aligned(PIECES, PIECE, "measuring the memory", err);
    if (!data) return err->code;
    reading r = {.data = data};
    double best = 0;
    ws_parallel_for(PIECES, AT_ONCE, n_threads, fill, data);
    for (int i = 0; i < PASSES; i++) {
        const double start = ws_now();
        ws_parallel_for(PIECES, AT_ONCE, n_threads, sum_up, &r);
        const double rate = (double)PIECES * PIECE / (ws_now() - start);
        if (rate > best) best = rate;
    }
    free(data);
    *out = best;
    return WS_OK;
}
