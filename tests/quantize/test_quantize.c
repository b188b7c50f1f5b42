/* The stream from file to file: contents, metadata, refusals, nothing left behind after a failure. */
#include "cpu.h"
#include "file.h"
#include "formats.h"
#include "model_file.h"
#include "output.h"
#include "quantize.h"

#include <string.h>

static char dir[32], in[64], out[64];

static void setup(void) {
    test_temp_dir(dir);
    snprintf(in, sizeof in, "%s/in.gguf", dir);
    snprintf(out, sizeof out, "%s/out.gguf", dir);
}

static void teardown(void) {
    unlink(in);
    unlink(out);
    cr_assert_eq(rmdir(dir), 0, "something was left in %s", dir);
}

static const test_tensor tensors[] = {
    {"token_embd.weight", WS_TYPE_F32, {256, 3000}}, /* several batches */
    {"blk.0.attn_norm.weight", WS_TYPE_F32, {256, 1}},
    {"blk.0.ffn_down.weight", WS_TYPE_F32, {512, 256}},
    {"blk.0.odd.bias", WS_TYPE_I64, {3, 1}},
};

static ws_status run(const ws_gguf *g, const char *recipe, int threads, uint32_t cpu, bool requantize, ws_error *err) {
    const ws_plan_options po = {.recipe = ws_recipe_by_name(recipe), .allow_requantize = requantize, .cpu_flags = cpu};
    const ws_run_options ro = {.n_threads = threads, .cpu_flags = cpu};
    ws_quantize_plan plan = {0};
    ws_input input = {0};
    ws_sink sink = {0};
    ws_status status = ws_quantize_plan_make(&plan, g, &po, err);
    if (!status) status = ws_input_open_gguf(&input, g, false, err);
    if (!status)
        status = ws_output_open(&sink,
                                &(ws_output_request){.path = out, .plan = &plan, .source = g, .fingerprint = "x"}, err);
    if (!status) status = ws_quantize_run(&input, &(ws_target){&plan, &sink, NULL}, 1, &ro, err);
    if (sink.close) sink.close(sink.ctx);
    ws_input_close_gguf(&input);
    ws_quantize_plan_free(&plan);
    return status;
}

static ws_status quantize(const char *recipe, int threads, uint32_t cpu, bool requantize, ws_error *err) {
    ws_gguf *g;
    ws_status status = ws_gguf_open(&g, in, err);
    if (!status) status = run(g, recipe, threads, cpu, requantize, err);
    ws_gguf_close(g);
    return status;
}

static char *read_all(const char *path, size_t *n) {
    char *text;
    cr_assert_eq(ws_file_read(&text, n, path, 1 << 30, NULL), WS_OK);
    return text;
}

Test(quantize, content_is_what_the_format_gives, .init = setup, .fini = teardown) {
    ws_error err = {0};
    test_write_model(in, "llama", 1, 4, 2, 0, tensors, 4);
    cr_assert_eq(quantize("q8_0", 2, ws_cpu_detect(), false, &err), WS_OK, "%s", err.msg);
    ws_gguf *a, *b;
    cr_assert_eq(ws_gguf_open(&a, in, &err), WS_OK);
    cr_assert_eq(ws_gguf_open(&b, out, &err), WS_OK, "%s", err.msg);
    const ws_tensor *x = ws_gguf_tensor(a, "token_embd.weight"), *y = ws_gguf_tensor(b, "token_embd.weight");
    cr_assert_eq(y->type, WS_TYPE_Q8_0);
    uint8_t *expected = malloc(y->bytes);
    ws_format_get(WS_TYPE_Q8_0, 0)->from_float((const float *)(const void *)x->data, expected, x->n_elements / 32);
    cr_assert_eq(memcmp(expected, y->data, y->bytes), 0);
    free(expected);
    const char *const copied[] = {"blk.0.attn_norm.weight", "blk.0.odd.bias"};
    for (size_t i = 0; i < 2; i++) {
        x = ws_gguf_tensor(a, copied[i]), y = ws_gguf_tensor(b, copied[i]);
        cr_assert(x->type == y->type && x->bytes == y->bytes && memcmp(x->data, y->data, x->bytes) == 0);
        cr_assert_eq(y->n_dims, 1, "trailing ones are dropped");
    }
    uint64_t file_type = 0;
    cr_assert_eq(ws_gguf_need_u64(b, "general.file_type", &file_type, &err), WS_OK);
    cr_assert_eq(file_type, 7);
    ws_gguf_close(a);
    ws_gguf_close(b);
}

Test(quantize, same_file_for_any_threads_and_instructions, .init = setup, .fini = teardown) {
    ws_error err = {0};
    test_write_model(in, "llama", 1, 4, 2, 0, tensors, 4);
    size_t n_first, n;
    cr_assert_eq(quantize("q4_k_m", 1, 0, false, &err), WS_OK, "%s", err.msg);
    char *first = read_all(out, &n_first);
    for (int threads = 1; threads <= 4; threads++) {
        cr_assert_eq(quantize("q4_k_m", threads, ws_cpu_detect(), false, &err), WS_OK);
        char *again = read_all(out, &n);
        cr_assert(n == n_first && memcmp(first, again, n) == 0, "%d threads", threads);
        free(again);
    }
    free(first);
}

/* Put a float into the data of the embedding, element `at`. */
static void poke(uint64_t at, float value) {
    ws_gguf *g;
    cr_assert_eq(ws_gguf_open(&g, in, NULL), WS_OK);
    const long offset = (long)(ws_gguf_tensor(g, "token_embd.weight")->offset + at * 4);
    ws_gguf_close(g);
    FILE *f = fopen(in, "r+b");
    cr_assert(f && fseek(f, offset, SEEK_SET) == 0 && fwrite(&value, 4, 1, f) == 1 && fclose(f) == 0);
}

Test(quantize, nonfinite_values_are_named, .init = setup, .fini = teardown) {
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        ws_error err = {0};
        test_write_model(in, "llama", 1, 4, 2, 0, tensors, 4);
        poke(700001, bad[i]);
        cr_assert_eq(quantize("q4_0", 2, ws_cpu_detect(), false, &err), WS_FORMAT);
        cr_assert(strstr(err.msg, "token_embd.weight") && strstr(err.msg, "700001"), "%s", err.msg);
        cr_assert_not(ws_file_exists(out));
    }
}

Test(quantize, overflow_of_half_precision_is_refused, .init = setup, .fini = teardown) {
    ws_error err = {0};
    test_write_model(in, "llama", 1, 4, 2, 0, tensors, 4);
    poke(5, 65504);
    cr_assert_eq(quantize("f16", 1, ws_cpu_detect(), false, &err), WS_OK, "%s", err.msg);
    poke(5, 70000);
    cr_assert_eq(quantize("bf16", 1, ws_cpu_detect(), false, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(quantize("f16", 1, ws_cpu_detect(), false, &err), WS_FORMAT);
    cr_assert(strstr(err.msg, "token_embd.weight") && strstr(err.msg, "element 5"), "%s", err.msg);
}

Test(quantize, refusals, .init = setup, .fini = teardown) {
    ws_error err = {0};
    test_tensor quantized[] = {{"blk.0.ffn_down.weight", WS_TYPE_Q4_0, {256, 4}}};
    test_write_model(in, "llama", 1, 4, 2, 0, quantized, 1);
    cr_assert_eq(quantize("q8_0", 1, 0, false, &err), WS_UNSUPPORTED);
    cr_assert(strstr(err.msg, "--allow-requantize"), "%s", err.msg);
    cr_assert_eq(quantize("q8_0", 1, 0, true, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(quantize("q4_0", 1, 0, false, &err), WS_OK, "same type: copied; %s", err.msg);
    quantized[0].type = WS_TYPE_Q8_K;
    test_write_model(in, "llama", 1, 4, 2, 0, quantized, 1);
    cr_assert_eq(quantize("q8_0", 1, 0, true, &err), WS_UNSUPPORTED);
    cr_assert(strstr(err.msg, "Q8_K"), "%s", err.msg);
}

Test(quantize, input_is_not_overwritten, .init = setup, .fini = teardown) {
    ws_error err = {0};
    test_write_model(in, "llama", 1, 4, 2, 0, tensors, 4);
    cr_assert_eq(link(in, out), 0);
    cr_assert_eq(quantize("q8_0", 1, 0, false, &err), WS_IO);
    cr_assert(strstr(err.msg, "input"), "%s", err.msg);
}
