/* One struct of facts, two printers: hostile files, exact numbers, valid JSON. */
#include "json.h"
#include "model_file.h"
#include "report.h"

#include <math.h>
#include <string.h>

static char dir[32], path[64];

static void set_up(void) {
    test_temp_dir(dir);
    snprintf(path, sizeof path, "%s/model.gguf", dir);
}

static void tear_down(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", dir);
    cr_assert_eq(system(command), 0);
}

static ws_report *open_report(void) {
    ws_error err = {0};
    ws_report *r;
    cr_assert_eq(ws_report_open(&r, path, &err), WS_OK, "%s", err.msg);
    return r;
}

static char *as_text(const ws_report *r, const ws_findings *v, unsigned show) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    ws_report_print(f, r, &(ws_checks){v, NULL}, show);
    fclose(f);
    return text;
}

/* The report's JSON, parsed; *text (may be NULL) gets the text, to be freed. cJSON takes no lone surrogates, which
 * stand for bytes that are no UTF-8 (Python takes them): they are replaced before parsing. */
static cJSON *as_json(const ws_report *r, const ws_findings *v, char **text) {
    ws_error err = {0};
    char *out = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&out, &size);
    cr_assert_eq(ws_report_json(f, r, &(ws_checks){v, NULL}, &err), WS_OK, "%s", err.msg);
    fclose(f);
    cr_assert_eq(strlen(out), size, "no NUL inside");
    char *copy = strdup(out);
    for (char *p = copy; (p = strstr(p, "\\udc")); p++) memcpy(p, "\\u00", 4);
    cJSON *root = ws_json_parse(copy, size, "output", &err);
    cr_assert_not_null(root, "%s in %s", err.msg, out);
    free(copy);
    if (text)
        *text = out;
    else
        free(out);
    return root;
}

/* A file whose every string is hostile. */
static void write_hostile(void) {
    static const char evil[] = "\x1b]0;owned\x07\xff\"\\\n\xc2\x9b"
                               "2J";
    static const test_tensor tensors[] = {{"\x1b[31mred\xff", WS_TYPE_F32, {4, 2}}};
    ws_error err = {0};
    ws_gguf_writer *w;
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_strn(w, "general.architecture", evil, sizeof evil - 1);
    ws_gguf_put_strn(w, "general.name", evil, sizeof evil - 1);
    ws_gguf_put_strn(w, "tokenizer.chat_template", evil, sizeof evil - 1);
    ws_gguf_put_str(w, "key \x1b[2J \xfe\"\n", "value");
    const ws_str tokens[] = {{evil, sizeof evil - 1}, {"", 0}, {"\0", 1}};
    ws_gguf_put_str_array(w, "tokenizer.ggml.tokens", tokens, 3);
    ws_gguf_add_tensor(w, tensors[0].name, tensors[0].type, 2, tensors[0].ne);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    test_write_tensor(w, &tensors[0], 0);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

Test(report, hostile_strings_are_escaped_in_text, .init = set_up, .fini = tear_down) {
    write_hostile();
    ws_report *r = open_report();
    static const unsigned shows[] = {WS_SHOW_ALL, WS_SHOW_SUMMARY, WS_SHOW_METADATA, WS_SHOW_TEMPLATE, WS_SHOW_TENSORS};
    for (size_t i = 0; i < sizeof shows / sizeof *shows; i++) {
        char *text = as_text(r, NULL, shows[i]);
        for (const unsigned char *p = (const unsigned char *)text; *p; p++)
            cr_assert(*p == '\n' || (*p >= 0x20 && *p < 0x7f), "part %zu prints byte %d", i, *p);
        cr_assert_not_null(strstr(text, "\\x1b"), "part %zu", i);
        free(text);
    }
    ws_report_close(r);
}

Test(report, json_is_valid_whatever_the_bytes, .init = set_up, .fini = tear_down) {
    write_hostile();
    ws_report *r = open_report();
    char *text;
    cJSON *root = as_json(r, NULL, &text);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        cr_assert(*p < 0xfe && (*p >= 0x20 || *p == '\n'));
    cr_assert_not_null(strstr(text, "\"key \\u001b[2J \\udcfe\\\"\\u000a\": \"value\""), "%s", text);
    cr_assert_not_null(strstr(text, "{\"name\": \"\\u001b[31mred\\udcff\", \"type\": \"F32\", \"shape\": [4, 2]"));
    cJSON_Delete(root);
    free(text);
    ws_report_close(r);
}

static void put_raw(ws_gguf_writer *w, const char *key, ws_kv_type type, const void *raw, size_t n) {
    ws_gguf_put_kv(w, &(ws_kv){.key = key, .type = type, .raw = raw, .raw_bytes = n});
}

static void write_every_type(void) {
    ws_error err = {0};
    ws_gguf_writer *w;
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    put_raw(w, "u8", WS_KV_U8, "\xff", 1);
    put_raw(w, "i8", WS_KV_I8, "\xff", 1);
    put_raw(w, "u16", WS_KV_U16, "\xff\xff", 2);
    put_raw(w, "i16", WS_KV_I16, "\x00\x80", 2);
    put_raw(w, "u32", WS_KV_U32, "\xff\xff\xff\xff", 4);
    put_raw(w, "i32", WS_KV_I32, "\x00\x00\x00\x80", 4);
    put_raw(w, "u64", WS_KV_U64, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    put_raw(w, "i64", WS_KV_I64, "\x00\x00\x00\x00\x00\x00\x00\x80", 8);
    put_raw(w, "bool", WS_KV_BOOL, "\x01", 1);
    const float eps = 1e-5f, third = 1.0f / 3, bad[] = {NAN, -INFINITY};
    const double tenth = 0.1;
    put_raw(w, "f32", WS_KV_F32, &eps, 4);
    put_raw(w, "f32 third", WS_KV_F32, &third, 4);
    put_raw(w, "f64", WS_KV_F64, &tenth, 8);
    ws_gguf_put_array(w, "not finite", WS_KV_F32, bad, 2);
    const uint64_t large[] = {UINT64_MAX, 0};
    ws_gguf_put_array(w, "u64s", WS_KV_U64, large, 2);
    ws_gguf_put_array(w, "none", WS_KV_U32, large, 0);
    /* [[1, 2], ["a"], []] */
    static const char nested[] = "\x09\0\0\0\x03\0\0\0\0\0\0\0"
                                 "\0\0\0\0\x02\0\0\0\0\0\0\0\x01\x02"
                                 "\x08\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0a"
                                 "\x07\0\0\0\0\0\0\0\0\0\0";
    put_raw(w, "nested", WS_KV_ARRAY, nested, sizeof nested); /* the literal's NUL is the last byte */
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

static const char *const every_type[] = {
    "\"u8\": 255,",
    "\"i8\": -1,",
    "\"u16\": 65535,",
    "\"i16\": -32768,",
    "\"u32\": 4294967295,",
    "\"i32\": -2147483648,",
    "\"u64\": 18446744073709551615,",
    "\"i64\": -9223372036854775808,",
    "\"bool\": true,",
    "\"f32\": 1e-05,",
    "\"f32 third\": 0.33333334,",
    "\"f64\": 0.1,",
    "\"not finite\": [\"nan\", \"-inf\"],",
    "\"u64s\": [18446744073709551615, 0],",
    "\"none\": [],",
    "\"nested\": [[1, 2], [\"a\"], []]",
};

Test(report, every_type_of_value_is_exact, .init = set_up, .fini = tear_down) {
    write_every_type();
    ws_report *r = open_report();
    char *json;
    cJSON *root = as_json(r, NULL, &json);
    for (size_t i = 0; i < sizeof every_type / sizeof *every_type; i++)
        cr_expect_not_null(strstr(json, every_type[i]), "%s is not in %s", every_type[i], json);
    cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(root, "tensors")), 0);
    char *text = as_text(r, NULL, WS_SHOW_ALL);
    cr_expect_not_null(strstr(text, "array[3]"));
    cr_expect_not_null(strstr(text, "[[1, 2], [\"a\"], []]"));
    cr_expect_not_null(strstr(text, "-9223372036854775808"));
    free(text);
    free(json);
    cJSON_Delete(root);
    ws_report_close(r);
}

Test(report, totals, .init = set_up, .fini = tear_down) {
    static const test_tensor tensors[] = {
        {"token_embd.weight", WS_TYPE_Q4_0, {64, 10}}, {"a", WS_TYPE_F32, {8, 1}}, {"b", WS_TYPE_Q4_0, {32, 2}}};
    test_write_model(path, "llama", 2, 4, 2, 0, tensors, 3);
    ws_report *r = open_report();
    cr_assert_eq(r->n_types, 2);
    cr_expect_str_eq(r->types[0].type, "Q4_0");
    cr_expect_eq(r->types[0].n_tensors, 2);
    cr_expect_eq(r->types[0].n_elements, 704);
    cr_expect_eq(r->types[0].bytes, 704 / 32 * 18);
    cr_expect_eq(r->n_elements, 712);
    cr_expect_float_eq(r->bits_per_weight, 8.0 * (396 + 32) / 712, 1e-12);
    cJSON *root = as_json(r, NULL, NULL);
    const cJSON *t = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "tensors"), 1);
    cr_expect_str_eq(ws_json_str(t, "name"), "a");
    cr_expect_eq(cJSON_GetObjectItem(t, "offset")->valueint, (int)(r->gguf->data_offset + 384), "360 bytes, padded");
    cr_expect_eq(cJSON_GetObjectItem(t, "bytes")->valueint, 32);
    cJSON_Delete(root);
    ws_report_close(r);
}

Test(report, long_arrays_are_shortened_in_text_and_whole_in_json, .init = set_up, .fini = tear_down) {
    enum { N = 1000 };
    uint32_t numbers[N];
    for (uint32_t i = 0; i < N; i++) numbers[i] = i;
    ws_error err = {0};
    ws_gguf_writer *w;
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_array(w, "numbers", WS_KV_U32, numbers, N);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK);
    ws_report *r = open_report();
    char *text = as_text(r, NULL, WS_SHOW_METADATA);
    cr_expect_not_null(strstr(text, "[0, 1, 2, 3, 4, ... 995 more]"), "%s", text);
    free(text);
    cJSON *root = as_json(r, NULL, NULL);
    const cJSON *array = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "metadata"), "numbers");
    cr_assert_eq(cJSON_GetArraySize(array), N);
    cr_expect_eq(cJSON_GetArrayItem(array, N - 1)->valueint, N - 1);
    cJSON_Delete(root);
    ws_report_close(r);
}

Test(report, safetensors, .init = set_up, .fini = tear_down) {
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    ws_error err = {0};
    ws_safetensors_writer *w;
    static const uint64_t shape[] = {3, 2};
    static const uint16_t zeros[6];
    cr_assert_eq(ws_safetensors_writer_new(&w, &err), WS_OK);
    ws_safetensors_put_metadata(w, "format", "pt\x1b");
    ws_safetensors_add(w, "w", WS_ST_BF16, 2, shape);
    cr_assert_eq(ws_safetensors_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_safetensors_write(w, zeros, sizeof zeros, &err), WS_OK);
    cr_assert_eq(ws_safetensors_writer_finish(w, &err), WS_OK, "%s", err.msg);
    ws_report *r = open_report();
    char *json;
    cJSON *root = as_json(r, NULL, &json);
    cr_expect_str_eq(ws_json_str(root, "format"), "safetensors");
    cr_expect_str_eq(ws_json_str(cJSON_GetObjectItem(root, "metadata"), "format"), "pt\x1b");
    cr_expect_not_null(strstr(json, "\"type\": \"BF16\", \"shape\": [3, 2]"), "slowest first: %s", json);
    free(json);
    cJSON_Delete(root);
    ws_report_close(r);
}

Test(report, neither_format, .init = set_up, .fini = tear_down) {
    snprintf(path, sizeof path, "%s/model", dir);
    FILE *f = fopen(path, "wb");
    fputs("hello", f);
    fclose(f);
    ws_error err = {0};
    ws_report *r;
    cr_expect_eq(ws_report_open(&r, path, &err), WS_FORMAT);
    cr_expect_null(r);
    cr_expect_not_null(strstr(err.msg, "model' is neither"), "%s", err.msg);
}
