/* The definition (one lane) and the widest instruction set at hand against ggml itself, where the environment variable
 * WS_GGML_BASE names its libggml-base.so. WS_GGML_ROUNDS (default 3) times 37 super-blocks of each of the patterns. */
#include "cpu.h"
#include "formats_data.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    ws_dtype type;
    const char *to_float; /* the symbol in ggml */
} types[] = {
    {WS_TYPE_F16, "ggml_fp16_to_fp32_row"},    {WS_TYPE_BF16, "ggml_bf16_to_fp32_row"},
    {WS_TYPE_Q4_0, "dequantize_row_q4_0"},     {WS_TYPE_Q4_1, "dequantize_row_q4_1"},
    {WS_TYPE_Q5_0, "dequantize_row_q5_0"},     {WS_TYPE_Q5_1, "dequantize_row_q5_1"},
    {WS_TYPE_Q8_0, "dequantize_row_q8_0"},     {WS_TYPE_Q2_K, "dequantize_row_q2_K"},
    {WS_TYPE_Q3_K, "dequantize_row_q3_K"},     {WS_TYPE_Q4_K, "dequantize_row_q4_K"},
    {WS_TYPE_Q5_K, "dequantize_row_q5_K"},     {WS_TYPE_Q6_K, "dequantize_row_q6_K"},
    {WS_TYPE_IQ4_NL, "dequantize_row_iq4_nl"}, {WS_TYPE_IQ4_XS, "dequantize_row_iq4_xs"},
};

/* ggml_quantize_chunk(type, src, dst, start, nrows, n_per_row, imatrix); type numbers are those of files. */
typedef size_t ggml_quantize(int type, const float *src, void *dst, int64_t start, int64_t n_rows, int64_t n_per_row,
                             const float *imatrix);
typedef void ggml_to_float(const void *x, float *y, int64_t n);

static float input[DATA_FLOATS], floats[DATA_FLOATS], expected_floats[DATA_FLOATS];
static uint8_t bytes[DATA_BYTES], expected_bytes[DATA_BYTES];

static void compare(const ws_format *f, const ws_dtype_info *info, const char *pattern) {
    const size_t n = DATA_FLOATS / info->block_elements;
    f->from_float(input, bytes, n);
    for (size_t i = 0; i < n * info->block_bytes; i++)
        cr_assert_eq(bytes[i], expected_bytes[i], "%s, %s: byte %zu of block %zu", info->name, pattern,
                     i % info->block_bytes, i / info->block_bytes);
    f->to_float(expected_bytes, floats, n);
    for (size_t i = 0; i < DATA_FLOATS; i++)
        if (!(isnan(floats[i]) && isnan(expected_floats[i])))
            cr_assert_eq(ws_f32_bits(floats[i]), ws_f32_bits(expected_floats[i]), "%s, %s: float %zu", info->name,
                         pattern, i);
}

Test(formats_ggml, same_bytes_and_same_floats, .timeout = 3600) {
    const char *path = getenv("WS_GGML_BASE"), *rounds_text = getenv("WS_GGML_ROUNDS");
    if (!path || !*path) cr_skip_test("WS_GGML_BASE does not name libggml-base.so");
    void *library = dlopen(path, RTLD_NOW);
    cr_assert(library, "%s", dlerror());
    ggml_quantize *quantize;
    *(void **)&quantize = dlsym(library, "ggml_quantize_chunk");
    cr_assert(quantize, "%s has no ggml_quantize_chunk", path);
    const int rounds = rounds_text ? atoi(rounds_text) : 3;

    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        ggml_to_float *to_float;
        *(void **)&to_float = dlsym(library, types[t].to_float);
        cr_assert(to_float, "%s has no %s", path, types[t].to_float);
        const ws_dtype_info *info = ws_dtype_get(types[t].type);
        for (int k = 0; k < rounds * DATA_PATTERNS; k++) {
            const int pattern = k % DATA_PATTERNS;
            data_fill_seeded(input, DATA_FLOATS, pattern, (uint64_t)(k / DATA_PATTERNS));
            quantize(types[t].type, input, expected_bytes, 0, 1, DATA_FLOATS, NULL);
            to_float(expected_bytes, expected_floats, DATA_FLOATS);
            compare(ws_format_get(types[t].type, 0), info, data_patterns[pattern].name);
            compare(ws_format_get(types[t].type, ws_cpu_detect()), info, data_patterns[pattern].name);
        }
        printf("formats: %s equals ggml in %d super-blocks\n", info->name, rounds * DATA_PATTERNS * 37);
    }
    dlclose(library);
}
