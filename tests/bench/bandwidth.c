/* bandwidth.c - how fast memory can be read, which is what generation waits for.
 *
 *     bench_bandwidth THREADS
 *
 * Prints GB/s (10^9 bytes): the best of some rounds over 1 GiB, shared out as infer's matrices are. */
#include "alloc.h"
#include "progress.h"
#include "team.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 15, PIECE = 1 << 20, N_PIECES = 1024 };

typedef uint64_t words __attribute__((vector_size(64)));

typedef struct {
    const words *memory;
    words sums[64]; /* per thread: that the reading is not left out */
} job;

static void read_pieces(void *ctx, size_t begin, size_t end, int thread) {
    enum { PER_PIECE = PIECE / sizeof(words) };
    job *j = ctx;
    words a = {0}, b = {0};
    for (size_t i = begin * PER_PIECE; i < end * PER_PIECE; i += 2) a ^= j->memory[i], b ^= j->memory[i + 1];
    j->sums[thread] ^= a ^ b;
}

int main(int argc, char **argv) {
    ws_error err;
    ws_team *team;
    static job j;
    const int n_threads = argc > 1 ? atoi(argv[1]) : 1;
    void *memory = ws_alloc_aligned((size_t)N_PIECES * PIECE, 1, "memory", &err);
    if (n_threads > 64 || !memory || ws_team_open(&team, n_threads, &err)) return 1;
    memset(memory, 1, (size_t)N_PIECES * PIECE);
    j.memory = memory;
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = ws_now();
        ws_team_for(team, N_PIECES, 16, read_pieces, &j);
        const double seconds = ws_now() - start;
        if (seconds < best) best = seconds;
    }
    printf("%.2f\n", (double)N_PIECES * PIECE / best * 1e-9);
    ws_team_close(team);
    free(memory);
    return 0;
}
