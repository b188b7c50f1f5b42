/* formats.c - how fast each type is quantized, with and without importance matrix, in each instruction set at hand,
 * beside ggml's own function on the same data; and whether the bytes are the same.
 *
 *     bench_formats LIBGGML_BASE.so [ROUNDS [TYPE...]]
 *
 * One thread. Times are its CPU time; rounds alternate between all contestants, and the median of a contestant's
 * rounds counts. Prints JSON: one object with a row per type; formats.py makes a table of it. */
#include "formats.h"

#include "cpu.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { ROW = 2048, MAX_ROWS = 4096, MAX_ROUNDS = 99, N_CONTESTANTS = 4 };

typedef size_t ggml_quantize(int type, const float *src, void *dst, int64_t start, int64_t n_rows, int64_t n_per_row,
                             const float *imatrix);
typedef bool ggml_needs_imatrix(int type);

static ggml_quantize *quantize_chunk;
static ggml_needs_imatrix *needs_imatrix;

static const struct {
    const char *name;
    uint32_t flags;
} contestants[N_CONTESTANTS] = {
    {"ggml", 0},
    {"c", 0},
    {"avx2", WS_CPU_AVX2},
    {"avx512", WS_CPU_AVX2 | WS_CPU_AVX512},
};

typedef struct {
    ws_dtype type;
    bool weighted;
    const float *x, *weights;
    uint8_t *y, *expected; /* ours, ggml's */
    size_t n_rows;
} job;

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double uniform(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return ((double)(*state >> 11) + 0.5) * 0x1p-53;
}

/* Like a layer's weights: nearly normal, columns of different scale, a few outliers. */
static void fill(float *x, float *weights, size_t n_rows) {
    uint64_t state = 88172645463325252u;
    float scale[ROW];
    for (size_t i = 0; i < ROW; i++) {
        const double r = sqrt(-2 * log(uniform(&state))) * cos(6.283185307 * uniform(&state));
        scale[i] = (float)(0.02 * exp(0.4 * r));
        weights[i] = (float)(exp(3 * r) * (0.5 + uniform(&state)));
    }
    for (size_t i = 0; i < n_rows * ROW; i += 2) {
        const double radius = sqrt(-2 * log(uniform(&state))), angle = 6.283185307 * uniform(&state);
        const float outlier = uniform(&state) < 0.002 ? 6.0f : 1.0f;
        x[i] = (float)(radius * cos(angle)) * scale[i % ROW] * outlier;
        x[i + 1] = (float)(radius * sin(angle)) * scale[i % ROW + 1];
    }
}

static double run(const job *j, int contestant, size_t n_rows) {
    const ws_format *f = ws_format_get(j->type, contestants[contestant].flags);
    const size_t row_blocks = ROW / ws_dtype_get(j->type)->block_elements;
    const double start = cpu_seconds();
    if (contestant == 0)
        quantize_chunk(j->type, j->x, j->expected, 0, (int64_t)n_rows, ROW, j->weighted ? j->weights : NULL);
    else if (j->weighted)
        f->from_float_weighted(j->x, j->weights, j->y, n_rows, row_blocks);
    else
        f->from_float(j->x, j->y, n_rows * row_blocks);
    return cpu_seconds() - start;
}

/* As many rows as take ggml some hundredths of a second; but not so few that a processor learns their branches by
 * heart. */
static size_t choose_rows(const job *j) {
    size_t n = 128;
    while (n < MAX_ROWS && run(j, 0, n) < 0.04) n *= 2;
    return n;
}

static size_t count_different_blocks(const job *j) {
    const ws_dtype_info *info = ws_dtype_get(j->type);
    size_t n = j->n_rows * ROW / info->block_elements, different = 0;
    for (size_t i = 0; i < n; i++)
        different += memcmp(j->y + i * info->block_bytes, j->expected + i * info->block_bytes, info->block_bytes) != 0;
    return different;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Prints one row: million weights per second of each contestant, and the blocks in which ours are not ggml's. */
static void measure(job *j, int rounds, const char *separator) {
    static double seconds[N_CONTESTANTS][MAX_ROUNDS];
    const ws_dtype_info *info = ws_dtype_get(j->type);
    size_t different = 0;
    j->n_rows = choose_rows(j);
    for (int round = 0; round < rounds; round++)
        for (int k = 0; k < N_CONTESTANTS; k++) {
            if ((contestants[k].flags & ws_cpu_detect()) != contestants[k].flags) continue;
            seconds[k][round] = run(j, k, j->n_rows);
            if (k && round == 0) different += count_different_blocks(j);
        }
    printf("%s\n  {\"type\": \"%s\", \"imatrix\": %s, \"weights\": %zu, \"blocks\": %zu, \"different_blocks\": %zu",
           separator, info->name, j->weighted ? "true" : "false", j->n_rows * ROW,
           j->n_rows * ROW / info->block_elements, different);
    for (int k = 0; k < N_CONTESTANTS; k++) {
        if ((contestants[k].flags & ws_cpu_detect()) != contestants[k].flags) continue;
        qsort(seconds[k], (size_t)rounds, sizeof(double), compare_doubles);
        printf(", \"%s\": %.2f", contestants[k].name, (double)(j->n_rows * ROW) / seconds[k][rounds / 2] * 1e-6);
    }
    printf("}");
    fflush(stdout);
}

/* Million floats per second that a plain loop reads from memory: what a quantizer without a search is up against. */
static double reading_speed(const float *x, size_t n, int rounds) {
    double seconds[MAX_ROUNDS];
    volatile uint64_t sink = 0;
    for (int round = 0; round < rounds; round++) {
        const double start = cpu_seconds();
        uint64_t sum[16] = {0}, word[16];
        for (size_t i = 0; i < n; i += 32) {
            memcpy(word, x + i, sizeof word);
            for (int k = 0; k < 16; k++) sum[k] ^= word[k];
        }
        for (int k = 0; k < 16; k++) sink ^= sum[k];
        seconds[round] = cpu_seconds() - start;
    }
    (void)sink;
    qsort(seconds, (size_t)rounds, sizeof(double), compare_doubles);
    return (double)n / seconds[rounds / 2] * 1e-6;
}

static bool asked_for(ws_dtype type, int n_names, char **names) {
    for (int i = 0; i < n_names; i++)
        if (strcasecmp(names[i], ws_dtype_name(type)) == 0) return true;
    return n_names == 0;
}

static void measure_all(job *j, int rounds, int n_names, char **names) {
    const char *separator = "";
    for (uint32_t t = 0; t < 2 * WS_TYPE_COUNT; t++) {
        j->type = (ws_dtype)(t / 2);
        j->weighted = t % 2;
        const ws_format *f = ws_format_get(j->type, 0);
        if (!f || (j->weighted ? !f->from_float_weighted : !f->from_float) || !asked_for(j->type, n_names, names))
            continue;
        if (!j->weighted && needs_imatrix(j->type)) continue;
        measure(j, rounds, separator);
        separator = ",";
    }
}

int main(int argc, char **argv) {
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    const int rounds = argc > 2 ? atoi(argv[2]) : 7;
    if (!library || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_formats LIBGGML_BASE.so [ROUNDS [TYPE...]]\n");
        return 2;
    }
    *(void **)&quantize_chunk = dlsym(library, "ggml_quantize_chunk");
    *(void **)&needs_imatrix = dlsym(library, "ggml_quantize_requires_imatrix");
    const size_t n = (size_t)MAX_ROWS * ROW;
    float *x = malloc(n * sizeof *x), *weights = malloc(ROW * sizeof *weights);
    uint8_t *y = malloc(n * sizeof *x), *expected = malloc(n * sizeof *x);
    if (!quantize_chunk || !needs_imatrix || !x || !weights || !y || !expected) {
        fprintf(stderr, "bench_formats: %s: no ggml_quantize_chunk, or not enough memory\n", argv[1]);
        return 1;
    }
    fill(x, weights, MAX_ROWS);
    memset(y, 0, n * sizeof *x), memset(expected, 0, n * sizeof *x);
    printf("{\"cpu\": \"%s\", \"read_f32\": %.0f, \"rounds\": %d, \"rows\": [", ws_cpu_name(ws_cpu_detect()),
           reading_speed(x, n, rounds), rounds);
    job j = {.x = x, .weights = weights, .y = y, .expected = expected};
    measure_all(&j, rounds, argc > 3 ? argc - 3 : 0, argv + 3);
    printf("\n]}\n");
    free(x), free(weights), free(y), free(expected);
    dlclose(library);
    return 0;
}
