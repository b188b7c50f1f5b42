/* The safetensors writer: the bytes are those of the reference, and what was not written whole leaves no file. */
#include "bytes.h"
#include "safetensors.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *folder;
static const char *path;
static ws_safetensors_writer *w;
static ws_error err;

static void begin_test(void) {
    folder = make_folder();
    path = in_folder(folder, "out.safetensors");
    err = (ws_error){0};
    cr_assert_eq(ws_safetensors_writer_new(&w, &err), WS_OK);
}

static void end_test(void) { remove_folder(folder); }

TestSuite(safetensors_write, .init = begin_test, .fini = end_test);

static void add(const char *name, ws_st_dtype type, uint64_t n) {
    ws_safetensors_add(w, name, type, 1, (uint64_t[]){n});
}

static void begin(void) { cr_assert_eq(ws_safetensors_writer_begin(w, path, &err), WS_OK, "%s", err.msg); }
static void data(const void *p, size_t n) { cr_assert_eq(ws_safetensors_write(w, p, n, &err), WS_OK, "%s", err.msg); }
static void finish(void) { cr_assert_eq(ws_safetensors_writer_finish(w, &err), WS_OK, "%s", err.msg); }

static void expect_file(const char *header, const char *content) {
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    const size_t n = strlen(header), m = strlen(content);
    cr_assert_eq(size, 8 + n + m, "%zu bytes", size);
    cr_expect_eq(bytes[0] | bytes[1] << 8, (int)n);
    cr_expect_arr_eq(bytes + 8, header, n, "%.*s", (int)n, (const char *)bytes + 8);
    cr_expect_arr_eq(bytes + 8 + n, content, m);
    free(bytes);
}

Test(safetensors_write, layout) {
    ws_safetensors_put_metadata(w, "format", "pt");
    ws_safetensors_put_metadata(w, "odd \"\\\b\f\n\r\t\x01\x1f\x7f", "caf\xc3\xa9");
    ws_safetensors_add(w, "w", WS_ST_BF16, 2, (uint64_t[]){2, 1});
    ws_safetensors_add(w, "scalar", WS_ST_F32, 0, NULL);
    ws_safetensors_add(w, "none", WS_ST_F64, 1, (uint64_t[]){0});
    ws_safetensors_add(w, "tiny", WS_ST_F6_E3M2, 1, (uint64_t[]){4});
    begin();
    data("ab", 2);
    data("cd", 2);
    data("efgh", 4);
    data("ijk", 3);
    finish();
    expect_file(
        "{\"__metadata__\":{\"format\":\"pt\",\"odd \\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\":\"caf\xc3\xa9\"},"
        "\"w\":{\"dtype\":\"BF16\",\"shape\":[2,1],\"data_offsets\":[0,4]},"
        "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]},"
        "\"none\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[8,8]},"
        "\"tiny\":{\"dtype\":\"F6_E3M2\",\"shape\":[4],\"data_offsets\":[8,11]}}",
        "abcdefghijk");
    ws_safetensors *s;
    cr_assert_eq(ws_safetensors_open(&s, path, &err), WS_OK, "%s", err.msg);
    cr_expect_eq(s->n_tensors, 4);
    cr_expect_str_eq(s->metadata[2], "odd \"\\\b\f\n\r\t\x01\x1f\x7f");
    cr_expect_arr_eq(ws_safetensors_tensor(s, "tiny")->data, "ijk", 3);
    ws_safetensors_close(s);
}

Test(safetensors_write, nothing) {
    begin();
    finish();
    expect_file("{}      ", "");
}

Test(safetensors_write, only_metadata) {
    ws_safetensors_put_metadata(w, "a", "b");
    begin();
    finish();
    expect_file("{\"__metadata__\":{\"a\":\"b\"}}      ", "");
}

static void expect_refused(const char *what, const char *message) {
    expect_error(what, ws_safetensors_writer_begin(w, path, &err), &err, WS_FORMAT, message);
    ws_safetensors_writer_discard(w);
    const size_t n = remove_folder(folder);
    cr_expect_eq(n, 0, "%s left %zu files", what, n);
    begin_test();
}

Test(safetensors_write, what_no_reader_takes_is_not_written) {
    add("__metadata__", WS_ST_U8, 1);
    expect_refused("reserved", "reserved");
    add("half", WS_ST_F4, 3);
    expect_refused("half a byte", "tensor 'half' of F4");
    add("huge", WS_ST_F64, UINT64_MAX / 2);
    expect_refused("overflow", "tensor 'huge'");
    add("many", WS_ST_U64, 1ull << 57);
    for (int i = 0; i < 8; i++) add((char[]){(char)('a' + i), 0}, WS_ST_U64, 1ull << 57);
    expect_refused("sum overflows", "tensor 'g'");
    ws_safetensors_add(w, "nine", WS_ST_U8, 9, (uint64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1});
    expect_refused("nine dimensions", "9 dimensions");
    add("a", WS_ST_U8, 1);
    add("a", WS_ST_U8, 1);
    expect_refused("twice", "tensor 'a' cannot be written twice");
    ws_safetensors_writer_discard(w);
}

Test(safetensors_write, data_must_fit) {
    add("a", WS_ST_U8, 2);
    add("b", WS_ST_U8, 2);
    begin();
    expect_error("too much", ws_safetensors_write(w, "abc", 3, &err), &err, WS_FORMAT, "tensor 'a' of 2 bytes has 0");
    data("ab", 2);
    expect_error("missing", ws_safetensors_writer_finish(w, &err), &err, WS_FORMAT,
                 "'b' (2 of 2) has 0 of its 2 bytes");
    const size_t n = remove_folder(folder);
    cr_expect_eq(n, 0);
    folder = make_folder();
    ws_safetensors_writer_discard(NULL);
}
