/* The definition (one lane) and the instruction sets at hand against ggml itself, where the environment variable
 * WS_GGML_BASE names its libggml-base.so. WS_GGML_ROUNDS (default 3) times 37 super-blocks of each of the patterns;
 * WS_GGML_TYPE narrows to one type. */
#include "cpu.h"
#include "formats_data.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ggml_quantize_chunk(type, src, dst, start, nrows, n_per_row, imatrix); type numbers are those of files. */
typedef size_t ggml_quantize(int type, const float *src, void *dst, int64_t start, int64_t n_rows, int64_t n_per_row,
                             const float *imatrix);

/* The beginning of ggml_type_traits, what ggml_get_type_traits(type) returns. */
typedef struct {
    const char *name;
    int64_t block_elements, block_elements_interleaved;
    size_t block_bytes;
    bool is_quantized;
    void (*to_float)(const void *x, float *y, int64_t n);
} ggml_traits;
typedef const ggml_traits *ggml_get_traits(int type);

static ggml_quantize *quantize;
static ggml_get_traits *get_traits;

static float input[DATA_FLOATS], weights[DATA_FLOATS], floats[DATA_FLOATS], expected_floats[DATA_FLOATS];
static uint8_t bytes[DATA_BYTES], expected_bytes[DATA_BYTES];

/* One row without weights; with them, rows of 7 blocks. */
static void compare(const ws_format *f, const ws_dtype_info *info, bool weighted, const char *pattern) {
    size_t n = DATA_FLOATS / info->block_elements;
    if (weighted) n -= n % DATA_ROW_BLOCKS;
    if (weighted)
        f->from_float_weighted(input, weights, bytes, n / DATA_ROW_BLOCKS, DATA_ROW_BLOCKS);
    else
        f->from_float(input, bytes, n);
    for (size_t i = 0; i < n * info->block_bytes; i++)
        cr_assert_eq(bytes[i], expected_bytes[i], "%s%s, %s: byte %zu of block %zu", info->name,
                     weighted ? " with weights" : "", pattern, i % info->block_bytes, i / info->block_bytes);
    f->to_float(expected_bytes, floats, n);
    for (size_t i = 0; i < n * info->block_elements; i++)
        if (!(isnan(floats[i]) && isnan(expected_floats[i])))
            cr_assert_eq(ws_f32_bits(floats[i]), ws_f32_bits(expected_floats[i]), "%s, %s: float %zu", info->name,
                         pattern, i);
}

/* Returns the blocks compared. */
static size_t compare_seed(ws_dtype type, bool weighted, int pattern, uint64_t seed) {
    const ws_dtype_info *info = ws_dtype_get(type);
    if (!data_fits(pattern, info)) return 0;
    const int64_t n_rows = (int64_t)data_rows(info), n_per_row = DATA_ROW_BLOCKS * (int64_t)info->block_elements;
    data_fill_seeded(input, DATA_FLOATS, pattern, seed);
    data_fill_weights(weights, (size_t)n_per_row, pattern + DATA_PATTERNS * (int)seed);
    quantize(type, input, expected_bytes, 0, weighted ? n_rows : 1, weighted ? n_per_row : DATA_FLOATS,
             weighted ? weights : NULL);
    if (type == WS_TYPE_F32)
        memcpy(expected_floats, input, sizeof input);
    else
        get_traits(type)->to_float(expected_bytes, expected_floats, weighted ? n_rows * n_per_row : DATA_FLOATS);
    compare(ws_format_get(type, 0), info, weighted, data_patterns[pattern].name);
    compare(ws_format_get(type, ws_cpu_detect()), info, weighted, data_patterns[pattern].name);
    compare(ws_format_get(type, ws_cpu_detect() & ~(uint32_t)WS_CPU_AVX512), info, weighted,
            data_patterns[pattern].name);
    return DATA_FLOATS / info->block_elements;
}

Test(formats_ggml, same_bytes_and_same_floats, .timeout = 3600) {
    const char *path = getenv("WS_GGML_BASE"), *rounds_text = getenv("WS_GGML_ROUNDS"), *only = getenv("WS_GGML_TYPE");
    if (!path || !*path) cr_skip_test("WS_GGML_BASE does not name libggml-base.so");
    void *library = dlopen(path, RTLD_NOW);
    cr_assert(library, "%s", dlerror());
    *(void **)&quantize = dlsym(library, "ggml_quantize_chunk");
    *(void **)&get_traits = dlsym(library, "ggml_get_type_traits");
    cr_assert(quantize && get_traits, "%s has no ggml_quantize_chunk or ggml_get_type_traits", path);
    const int rounds = rounds_text ? atoi(rounds_text) : 3;

    for (int t = 0; t < 2 * WS_TYPE_COUNT; t++) {
        const ws_dtype type = (ws_dtype)(t / 2);
        const bool weighted = t % 2;
        const ws_format *f = ws_format_get(type, 0);
        if (!f || (weighted ? !f->from_float_weighted : !f->from_float)) continue;
        if (only && strcasecmp(only, ws_dtype_name(type)) != 0) continue;
        size_t n_blocks = 0;
        for (int k = 0; k < rounds * DATA_PATTERNS; k++)
            n_blocks += compare_seed(type, weighted, k % DATA_PATTERNS, (uint64_t)(k / DATA_PATTERNS));
        printf("formats: %s%s equals ggml in %zu blocks\n", ws_dtype_name(type), weighted ? " with weights" : "",
               n_blocks);
    }
    dlclose(library);
}
