/* The GGUF writer: the bytes are those of the reference, and what was not written whole leaves no file. */
#include "bytes.h"
#include "gguf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *folder;
static const char *path;
static ws_gguf_writer *w;
static ws_error err;

static void begin_test(void) {
    folder = make_folder();
    path = in_folder(folder, "out.gguf");
    err = (ws_error){0};
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
}

static void end_test(void) { remove_folder(folder); }

TestSuite(gguf_write, .init = begin_test, .fini = end_test);

static void add(const char *name, ws_dtype type, uint64_t ne0, uint64_t ne1) {
    ws_gguf_add_tensor(w, name, type, ne1 ? 2 : 1, (uint64_t[]){ne0, ne1});
}

static void begin(void) { cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg); }
static void data(const void *p, size_t n) { cr_assert_eq(ws_gguf_write(w, p, n, &err), WS_OK, "%s", err.msg); }
static void finish(void) { cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg); }

static void expect_file(const piece *pieces) {
    size_t size, wanted_size;
    uint8_t *bytes = read_file(path, &size), *wanted = build(pieces, &wanted_size);
    cr_assert_eq(size, wanted_size, "%zu bytes, expected %zu", size, wanted_size);
    for (size_t i = 0; i < size; i++) cr_assert_eq(bytes[i], wanted[i], "byte %zu is %u", i, bytes[i]);
    free(bytes);
    free(wanted);
}

static const char counting[64] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
                                  17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
                                  33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48,
                                  49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64};

Test(gguf_write, layout) {
    ws_gguf_put_str(w, "general.architecture", "llama");
    ws_gguf_put_u16(w, "u16", 1);
    ws_gguf_put_u32(w, "u32", 2);
    ws_gguf_put_i32(w, "i32", -3);
    ws_gguf_put_u64(w, "u64", 4);
    ws_gguf_put_f32(w, "f32", 1.5f);
    ws_gguf_put_bool(w, "bool", true);
    ws_gguf_put_strn(w, "strn", "abc", 2);
    ws_gguf_put_array(w, "array", WS_KV_I32, (int32_t[]){1, -1}, 2);
    ws_gguf_put_str_array(w, "strings", (ws_str[]){{"x", 1}, {"", 0}}, 2);
    add("first", WS_TYPE_F32, 3, 0);
    add("second", WS_TYPE_Q8_0, 32, 1);
    const uint64_t size = ws_gguf_writer_file_size(w);
    begin();
    data(counting, 5);
    data(counting + 5, 7);
    data(counting, 34);
    finish();
    expect_file((const piece[]){
        R("GGUF"),
        U32(3),
        U64(2),
        U64(10),
        S("general.architecture"),
        U32(WS_KV_STRING),
        S("llama"),
        S("u16"),
        U32(WS_KV_U16),
        U16(1),
        S("u32"),
        U32(WS_KV_U32),
        U32(2),
        S("i32"),
        U32(WS_KV_I32),
        U32(-3),
        S("u64"),
        U32(WS_KV_U64),
        U64(4),
        S("f32"),
        U32(WS_KV_F32),
        U32(0x3fc00000),
        S("bool"),
        U32(WS_KV_BOOL),
        U8(1),
        S("strn"),
        U32(WS_KV_STRING),
        S("ab"),
        S("array"),
        U32(WS_KV_ARRAY),
        U32(WS_KV_I32),
        U64(2),
        U32(1),
        U32(-1),
        S("strings"),
        U32(WS_KV_ARRAY),
        U32(WS_KV_STRING),
        U64(2),
        S("x"),
        S(""),
        S("first"),
        U32(1),
        U64(3),
        U32(WS_TYPE_F32),
        U64(0),
        S("second"),
        U32(2),
        U64(32),
        U64(1),
        U32(WS_TYPE_Q8_0),
        U64(32),
        PAD(32),
        FILL(12),
        PAD(32),
        FILL(34),
        PAD(32),
        {PIECE_END, 0, 0, NULL},
    });
    size_t n;
    free(read_file(path, &n));
    cr_expect_eq(size, n);
}

Test(gguf_write, setting_a_key_again_moves_it_to_the_end) {
    ws_gguf_put_u32(w, "a", 1);
    ws_gguf_put_u32(w, "b", 2);
    ws_gguf_put_u32(w, "c", 3);
    ws_gguf_put_u32(w, "d", 3);
    ws_gguf_put_u16(w, "a", 4);
    ws_gguf_remove(w, "c");
    ws_gguf_remove(w, "d");
    ws_gguf_remove(w, "never");
    cr_expect_gt(ws_gguf_writer_file_size(w), 0);
    ws_gguf_put_u32(w, "d", 5);
    begin();
    finish();
    expect_file((const piece[]){
        R("GGUF"),
        U32(3),
        U64(0),
        U64(3),
        S("b"),
        U32(WS_KV_U32),
        U32(2),
        S("a"),
        U32(WS_KV_U16),
        U16(4),
        S("d"),
        U32(WS_KV_U32),
        U32(5),
        PAD(32),
        {PIECE_END, 0, 0, NULL},
    });
}

Test(gguf_write, alignment_of_the_key_is_used) {
    ws_gguf_put_u32(w, "general.alignment", 64);
    add("a", WS_TYPE_F32, 1, 0);
    add("b", WS_TYPE_F32, 1, 0);
    begin();
    data(counting, 4);
    data(counting, 4);
    finish();
    expect_file((const piece[]){
        R("GGUF"),
        U32(3),
        U64(2),
        U64(1),
        S("general.alignment"),
        U32(WS_KV_U32),
        U32(64),
        S("a"),
        U32(1),
        U64(1),
        U32(0),
        U64(0),
        S("b"),
        U32(1),
        U64(1),
        U32(0),
        U64(64),
        PAD(64),
        FILL(4),
        PAD(64),
        FILL(4),
        PAD(64),
        {PIECE_END, 0, 0, NULL},
    });
}

Test(gguf_write, tensors_without_data_are_passed_over) {
    add("none", WS_TYPE_F32, 0, 0);
    add("one", WS_TYPE_F32, 1, 0);
    add("none again", WS_TYPE_F32, 4, 0);
    ws_gguf_add_tensor(w, "scalar", WS_TYPE_F32, 0, NULL);
    ws_gguf_add_tensor(w, "last", WS_TYPE_Q8_0, 2, (uint64_t[]){32, 0});
    begin();
    data(NULL, 0);
    data(counting, 4);
    data(counting, 16);
    data(counting, 4);
    finish();
    ws_gguf *g;
    cr_assert_eq(ws_gguf_open(&g, path, &err), WS_OK, "%s", err.msg);
    cr_expect_eq(g->n_tensors, 5);
    cr_expect_eq(ws_gguf_tensor(g, "last")->bytes, 0);
    cr_expect_eq(ws_gguf_tensor(g, "scalar")->n_dims, 0);
    cr_expect_arr_eq(ws_gguf_tensor(g, "none again")->data, counting, 16);
    ws_gguf_close(g);
}

Test(gguf_write, pairs_that_were_read_are_copied) {
    ws_gguf_put_array(w, "ints", WS_KV_U8, "\1\2\3", 3);
    ws_gguf_put_str_array(w, "strings", (ws_str[]){{"x", 1}, {"yz", 2}}, 2);
    ws_gguf_put_u64(w, "n", 77);
    begin();
    finish();
    size_t size, copied_size;
    uint8_t *bytes = read_file(path, &size);
    ws_gguf *g;
    cr_assert_eq(ws_gguf_open(&g, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    for (size_t i = 0; i < g->n_kv; i++) ws_gguf_put_kv(w, &g->kv[i]);
    begin(); /* over the file that is open: it is replaced, not changed */
    finish();
    ws_gguf_close(g);
    uint8_t *copied = read_file(path, &copied_size);
    cr_assert_eq(copied_size, size);
    cr_expect_arr_eq(copied, bytes, size);
    free(bytes);
    free(copied);
}

/* ---- refusals ---- */

static void expect_refused(const char *what, const char *message) {
    expect_error(what, ws_gguf_writer_begin(w, path, &err), &err, WS_FORMAT, message);
    cr_expect_eq(ws_gguf_writer_file_size(w), 0);
    ws_gguf_writer_discard(w);
    size_t n = remove_folder(folder);
    cr_expect_eq(n, 0, "%s left %zu files", what, n);
    begin_test();
}

Test(gguf_write, what_no_reader_takes_is_not_written) {
    char longest[257] = {0};
    memset(longest, 'x', 256);
    ws_gguf_put_u32(w, "", 1);
    expect_refused("empty key", "key of 0 bytes");
    ws_gguf_put_u32(w, "general.alignment", 48);
    expect_refused("alignment", "general.alignment");
    ws_gguf_put_u64(w, "general.alignment", 32);
    expect_refused("alignment's type", "u32");
    add("", WS_TYPE_F32, 1, 0);
    expect_refused("empty name", "name of 0 bytes");
    add(longest, WS_TYPE_F32, 1, 0);
    expect_refused("long name", "name of 256 bytes");
    add("q", WS_TYPE_Q4_K, 128, 1);
    expect_refused("half a block", "tensor 'q' cannot be written as Q4_K");
    add("huge", WS_TYPE_F32, 1ull << 62, 4);
    expect_refused("overflow", "tensor 'huge'");
    ws_gguf_add_tensor(w, "five", WS_TYPE_F32, 5, (uint64_t[]){1, 1, 1, 1, 1});
    expect_refused("five dimensions", "5 dimensions");
    add("unknown", (ws_dtype)4, 32, 0);
    expect_refused("unknown type", "tensor 'unknown'");
    add("many", WS_TYPE_I8, 1ull << 62, 0);
    add("more", WS_TYPE_I8, 1ull << 62, 0);
    expect_refused("sum overflows", "tensor 'more'");
    ws_gguf_writer_discard(w);
}

Test(gguf_write, names_come_once) {
    add("b", WS_TYPE_F32, 1, 0);
    add("a", WS_TYPE_F32, 1, 0);
    add("b", WS_TYPE_F32, 1, 0);
    expect_error("twice", ws_gguf_writer_begin(w, path, &err), &err, WS_FORMAT, "tensor 'b' cannot be written twice");
    ws_gguf_writer_discard(w);
}

Test(gguf_write, too_much_data_is_refused) {
    add("a", WS_TYPE_F32, 2, 0);
    add("b", WS_TYPE_F32, 2, 0);
    begin();
    data(counting, 5);
    expect_error("over two tensors", ws_gguf_write(w, counting, 4, &err), &err, WS_FORMAT,
                 "tensor 'a' of 8 bytes has 5");
    data(counting, 3);
    data(counting, 8);
    expect_error("after the last", ws_gguf_write(w, counting, 1, &err), &err, WS_FORMAT, "follow the last of 2");
    ws_gguf_writer_discard(w);
}

Test(gguf_write, missing_data_leaves_no_file) {
    add("a", WS_TYPE_F32, 2, 0);
    add("b", WS_TYPE_F32, 2, 0);
    begin();
    data(counting, 8);
    data(counting, 3);
    expect_error("missing", ws_gguf_writer_finish(w, &err), &err, WS_FORMAT, "'b' (2 of 2) has 3 of its 8 bytes");
    size_t n = remove_folder(folder);
    cr_expect_eq(n, 0);
    begin_test();
    ws_gguf_writer_discard(w);
    ws_gguf_writer_discard(NULL);
}

Test(gguf_write, discarded_file_is_gone) {
    add("a", WS_TYPE_F32, 2, 0);
    begin();
    data(counting, 8);
    ws_gguf_writer_discard(w);
    size_t n = remove_folder(folder);
    cr_expect_eq(n, 0);
    folder = make_folder();
}

Test(gguf_write, a_header_alone_can_be_read) {
    ws_gguf *g;
    void *header;
    size_t n;
    const uint64_t ne[] = {64, 1000};
    ws_gguf_put_u32(w, "a.key", 7);
    ws_gguf_add_tensor(w, "first", WS_TYPE_F32, 2, ne);
    ws_gguf_add_tensor(w, "second", WS_TYPE_Q8_0, 2, ne);
    cr_assert_eq(ws_gguf_writer_header(w, &header, &n, &err), WS_OK, "%s", err.msg);
    ws_gguf_writer_discard(w);
    cr_assert_neq(ws_gguf_open_bytes(&g, header, n, "header", &err), WS_OK, "the data is missing");
    cr_assert_eq(ws_gguf_open_header(&g, header, n, "header", &err), WS_OK, "%s", err.msg);
    const ws_tensor *t = ws_gguf_tensor(g, "second");
    cr_assert(t && t->type == WS_TYPE_Q8_0 && t->n_elements == 64000 && t->data == NULL);
    cr_assert(ws_gguf_kv(g, "a.key"));
    ws_gguf_close(g);
    free(header);
}
