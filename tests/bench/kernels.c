/* kernels.c - how fast infer's inner loops are, type by type, as a table.
 *
 *     bench_kernels [TYPE...]
 *
 * One thread, the best instruction set (WS_CPU chooses another). Columns: billion products per second of a prompt's
 * tokens with weights that lie in the first-level cache as panels; billion weights per second decoded into panels;
 * GB/s of weights that a single token is multiplied with, out of the second-level cache and out of memory. */
#include "alloc.h"
#include "cpu.h"
#include "formats.h"
#include "matmul.h"
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { N_COLS = 1536, N_TOKENS = 64, SMALL = 384 << 10, LARGE = 192 << 20, ROUNDS = 5 };

typedef struct {
    ws_engine e;
    ws_rows x;
    uint8_t *weights; /* LARGE bytes of blocks */
    float *y;
} bench;

/* Bytes of any bits, with halves of scales that are finite wherever they lie. */
static void fill(uint8_t *to, size_t n) {
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525 + 1013904223;
        to[i] = (uint8_t)(state >> 24) & 0xbb;
    }
}

static ws_matrix matrix(const bench *b, ws_dtype type, size_t bytes) {
    const ws_dtype_info *info = ws_dtype_get(type);
    const size_t row_bytes = N_COLS / info->block_elements * info->block_bytes;
    return (ws_matrix){b->weights, type, N_COLS, bytes / row_bytes / WS_LANES * WS_LANES, row_bytes, "weights"};
}

/* GB/s of products with n_tokens tokens. */
static double multiply(const bench *b, ws_dtype type, size_t bytes, size_t n_tokens) {
    const ws_matrix w = matrix(b, type, bytes);
    const ws_product p = {&w, b->y, w.n_out};
    const size_t times = LARGE / n_tokens / bytes + 1;
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = ws_now();
        for (size_t i = 0; i < times; i++) ws_matmul(&b->e, &p, 1, &b->x, n_tokens);
        const double seconds = (ws_now() - start) / (double)times;
        if (seconds < best) best = seconds;
    }
    return (double)(w.n_out * w.row_bytes) / best * 1e-9;
}

/* Billion weights per second into panels; and then billion products per second of those with tokens. */
static void panels(const bench *b, ws_dtype type, double *decoded, double *multiplied) {
    enum { TIMES = 1000 };
    const ws_panel_kernel *k = &b->e.k.panel[type];
    const ws_matrix w = matrix(b, type, SMALL);
    const ws_block_rows rows = {w.data, w.row_bytes, WS_LANES};
    ws_q8 q = b->x.q;
    q.tile = WS_TILE;
    const ws_panel_job job = {b->e.panels, WS_CHUNK, 0, &q, WS_TILE, b->y, WS_LANES, false};
    const size_t n_blocks = WS_CHUNK * WS_GROUP / ws_dtype_get(type)->block_elements;
    double best[2] = {1e9, 1e9};
    for (size_t t = 0; t < WS_TILE; t++) b->e.k.quantize(b->x.x + t * b->x.stride, &q, t);
    for (int round = 0; round < ROUNDS; round++) {
        const double start = ws_now();
        for (int i = 0; i < TIMES; i++) k->decode(&rows, n_blocks, b->e.panels);
        const double between = ws_now();
        for (int i = 0; i < TIMES; i++) k->mul(&job);
        const double end = ws_now();
        if (between - start < best[0]) best[0] = between - start;
        if (end - between < best[1]) best[1] = end - between;
    }
    const double weights = WS_LANES * WS_CHUNK * WS_GROUP * (double)TIMES * 1e-9;
    *decoded = weights / best[0], *multiplied = weights * WS_TILE / best[1];
}

static void measure(const bench *b, ws_dtype type) {
    const double tokens = (double)N_TOKENS / ws_dtype_get(type)->block_bytes * ws_dtype_get(type)->block_elements;
    double decoded = 0, multiplied = 0;
    if (b->e.k.panel[type].decode) panels(b, type, &decoded, &multiplied);
    printf("| %s | %.0f | %.1f | %.0f | %.1f | %.1f |\n", ws_dtype_name(type), multiplied, decoded,
           multiply(b, type, SMALL, N_TOKENS) * tokens, multiply(b, type, SMALL, 1), multiply(b, type, LARGE, 1));
    fflush(stdout);
}

static bool is_asked_for(const char *name, int argc, char **argv) {
    bool asked = argc == 1;
    for (int i = 1; i < argc; i++) asked |= strcasecmp(name, argv[i]) == 0;
    return asked;
}

int main(int argc, char **argv) {
    ws_error err;
    uint32_t flags;
    bench b = {.x = {.stride = N_COLS, .n_cols = N_COLS, .q = {.n_cols = N_COLS}}};
    b.weights = ws_alloc_aligned(LARGE, 1, "weights", &err);
    b.y = ws_alloc_aligned((size_t)N_TOKENS * LARGE / 256, sizeof *b.y, "results", &err);
    b.x.x = ws_alloc_aligned(N_TOKENS * N_COLS, sizeof *b.x.x, "activations", &err);
    b.x.q.cells = ws_alloc_aligned(ws_input_cells(N_TOKENS, N_COLS), sizeof *b.x.q.cells, "activations", &err);
    b.e.panels = ws_alloc_aligned(WS_CHUNK, sizeof *b.e.panels, "panels", &err);
    if (ws_cpu_flags(&flags, &err)) return fprintf(stderr, "bench_kernels: %s\n", err.msg), 2;
    if (!b.weights || !b.y || !b.x.x || !b.x.q.cells || !b.e.panels || ws_team_open(&b.e.team, 1, &err)) return 1;
    ws_kernels_init(&b.e.k, flags);
    fill(b.weights, LARGE);
    for (size_t i = 0; i < N_TOKENS * N_COLS; i++) b.x.x[i] = (float)(i * 2654435761u % 1000) * 0.002f - 1;
    printf("| type | panels, G/s | decoding, G/s | %d tokens, G/s | 1 token, cache, GB/s | memory, GB/s |\n", N_TOKENS);
    printf("|---|--:|--:|--:|--:|--:|\n");
    for (int type = 0; type < WS_TYPE_COUNT; type++)
        if (ws_can_multiply(type) && N_COLS % ws_dtype_get(type)->block_elements == 0 &&
            is_asked_for(ws_dtype_name(type), argc, argv))
            measure(&b, type);
    ws_team_close(b.e.team);
    return 0;
}
