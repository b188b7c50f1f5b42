/* Values of metadata: every type as number, string or array, and the messages for what is missing or of a wrong type.
 */
#include "bytes.h"
#include "gguf.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const piece pairs[] = {
    R("GGUF"),
    U32(3),
    U64(0),
    U64(16),
    S("u8"),
    U32(WS_KV_U8),
    U8(255),
    S("i8"),
    U32(WS_KV_I8),
    U8(-2),
    S("u16"),
    U32(WS_KV_U16),
    U16(65535),
    S("i16"),
    U32(WS_KV_I16),
    U16(-2),
    S("u32"),
    U32(WS_KV_U32),
    U32(4294967295),
    S("i32"),
    U32(WS_KV_I32),
    U32(-2),
    S("f32"),
    U32(WS_KV_F32),
    U32(0x3fc00000),
    S("bool"),
    U32(WS_KV_BOOL),
    U8(1),
    S("str"),
    U32(WS_KV_STRING),
    S("text"),
    S("u64"),
    U32(WS_KV_U64),
    U64(UINT64_MAX),
    S("i64"),
    U32(WS_KV_I64),
    U64(-2),
    S("f64"),
    U32(WS_KV_F64),
    U64(0x3fb999999999999a),
    S("ints"),
    U32(WS_KV_ARRAY),
    U32(WS_KV_I16),
    U64(3),
    U16(1),
    U16(-1),
    U16(7),
    S("strings"),
    U32(WS_KV_ARRAY),
    U32(WS_KV_STRING),
    U64(3),
    S("one"),
    S(""),
    S("three"),
    S("odd bool"),
    U32(WS_KV_BOOL),
    U8(2),
    S("nested"),
    U32(WS_KV_ARRAY),
    U32(WS_KV_ARRAY),
    U64(2),
    U32(WS_KV_F32),
    U64(1),
    U32(0x3fc00000),
    U32(WS_KV_STRING),
    U64(2),
    S("a"),
    S("bc"),
    {PIECE_END, 0, 0, NULL},
};

static uint8_t *data;
static ws_gguf *g;

static void open_pairs(void) {
    size_t size;
    ws_error err = {0};
    data = build(pairs, &size);
    cr_assert_eq(ws_gguf_open_bytes(&g, data, size, "pairs.gguf", &err), WS_OK, "%s", err.msg);
}

static void close_pairs(void) {
    ws_gguf_close(g);
    free(data);
}

TestSuite(gguf_kv, .init = open_pairs, .fini = close_pairs);

static const struct {
    const char *key;
    bool is_u64, is_i64, is_f64;
    uint64_t u64;
    int64_t i64;
    double f64;
} numbers[] = {
    {"u8", true, true, true, 255, 255, 255},
    {"i8", false, true, true, 0, -2, -2},
    {"u16", true, true, true, 65535, 65535, 65535},
    {"i16", false, true, true, 0, -2, -2},
    {"u32", true, true, true, 4294967295, 4294967295, 4294967295.0},
    {"i32", false, true, true, 0, -2, -2},
    {"f32", false, false, true, 0, 0, 1.5},
    {"bool", true, true, true, 1, 1, 1},
    {"odd bool", true, true, true, 1, 1, 1},
    {"str", false, false, false, 0, 0, 0},
    {"u64", true, false, true, UINT64_MAX, 0, 0x1p64},
    {"i64", false, true, true, 0, -2, -2},
    {"f64", false, false, true, 0, 0, 0.1},
    {"ints", false, false, false, 0, 0, 0},
};

Test(gguf_kv, numbers) {
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const ws_kv *kv = ws_gguf_kv(g, numbers[i].key);
        cr_assert_not_null(kv, "%s", numbers[i].key);
        uint64_t u = 0;
        int64_t s = 0;
        double f = 0;
        cr_expect_eq(ws_kv_u64(kv, &u), numbers[i].is_u64, "%s as u64", kv->key);
        cr_expect_eq(ws_kv_i64(kv, &s), numbers[i].is_i64, "%s as i64", kv->key);
        cr_expect_eq(ws_kv_f64(kv, &f), numbers[i].is_f64, "%s as f64", kv->key);
        cr_expect(u == numbers[i].u64 && s == numbers[i].i64 && f == numbers[i].f64, "%s", kv->key);
    }
    cr_expect_null(ws_gguf_kv(g, "u"));
    cr_expect_null(ws_gguf_kv(g, "u88"));
}

Test(gguf_kv, arrays_of_numbers) {
    const ws_kv *kv = ws_gguf_kv(g, "ints");
    const int64_t wanted[] = {1, -1, 7};
    cr_assert_eq(kv->type, WS_KV_ARRAY);
    cr_assert_eq(kv->elem_type, WS_KV_I16);
    cr_assert_eq(kv->n, 3);
    for (uint64_t i = 0; i < 3; i++) {
        int64_t v;
        double f;
        cr_expect(ws_kv_elem_i64(kv, i, &v) && v == wanted[i]);
        cr_expect(ws_kv_elem_f64(kv, i, &f) && f == (double)wanted[i]);
    }
    int64_t v;
    cr_expect_not(ws_kv_elem_i64(kv, 3, &v));
    cr_expect_not(ws_kv_elem_i64(ws_gguf_kv(g, "u8"), 0, &v));
    cr_expect_not(ws_kv_elem_i64(ws_gguf_kv(g, "strings"), 0, &v));
    cr_expect_not(ws_kv_elem_i64(ws_gguf_kv(g, "nested"), 0, &v));
}

static bool is(ws_str s, const char *text) { return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0; }

Test(gguf_kv, strings) {
    ws_str s;
    cr_expect(ws_kv_str(ws_gguf_kv(g, "str"), &s) && is(s, "text"));
    cr_expect_not(ws_kv_str(ws_gguf_kv(g, "u8"), &s));
    const ws_kv *kv = ws_gguf_kv(g, "strings");
    const uint8_t *it = kv->elems;
    cr_expect(is(ws_kv_next_str(&it), "one"));
    cr_expect(is(ws_kv_next_str(&it), ""));
    cr_expect(is(ws_kv_next_str(&it), "three"));
    cr_expect_eq(it, kv->raw + kv->raw_bytes);
}

Test(gguf_kv, arrays_of_arrays) {
    const ws_kv *kv = ws_gguf_kv(g, "nested");
    cr_assert_eq(kv->elem_type, WS_KV_ARRAY);
    cr_assert_eq(kv->n, 2);
    const uint8_t *it = kv->elems;
    const ws_kv first = ws_kv_next_array(&it, kv), second = ws_kv_next_array(&it, kv);
    cr_expect_eq(it, kv->raw + kv->raw_bytes);
    double f;
    cr_expect(first.elem_type == WS_KV_F32 && first.n == 1 && ws_kv_elem_f64(&first, 0, &f) && f == 1.5);
    cr_expect(second.elem_type == WS_KV_STRING && second.n == 2);
    const uint8_t *inner = second.elems;
    cr_expect(is(ws_kv_next_str(&inner), "a"));
    cr_expect(is(ws_kv_next_str(&inner), "bc"));
}

Test(gguf_kv, needed_and_optional_keys) {
    ws_error err = {0};
    uint64_t u = 9;
    float f = 9;
    ws_str s;
    cr_expect(ws_gguf_need_u64(g, "u16", &u, &err) == WS_OK && u == 65535);
    cr_expect(ws_gguf_opt_u64(g, "none", &u, &err) == WS_OK && u == 65535);
    cr_expect(ws_gguf_opt_f32(g, "f64", &f, &err) == WS_OK && f == 0.1f);
    cr_expect(ws_gguf_opt_f32(g, "none", &f, &err) == WS_OK && f == 0.1f);
    cr_expect(ws_gguf_need_str(g, "str", &s, &err) == WS_OK && is(s, "text"));
    expect_error("missing", ws_gguf_need_u64(g, "none", &u, &err), &err, WS_FORMAT, "'pairs.gguf' has no key 'none'");
    expect_error("missing", ws_gguf_need_str(g, "none", &s, &err), &err, WS_FORMAT, "'pairs.gguf' has no key 'none'");
    expect_error("negative", ws_gguf_opt_u64(g, "i8", &u, &err), &err, WS_FORMAT, "type i8, expected an integer >= 0");
    expect_error("string", ws_gguf_need_u64(g, "str", &u, &err), &err, WS_FORMAT, "has type string");
    expect_error("array", ws_gguf_opt_f32(g, "ints", &f, &err), &err, WS_FORMAT, "has type array, expected a number");
    expect_error("number", ws_gguf_need_str(g, "u8", &s, &err), &err, WS_FORMAT, "has type u8, expected a string");
}

Test(gguf_kv, names_and_sizes_of_types) {
    cr_expect_str_eq(ws_kv_type_name(WS_KV_F64), "f64");
    cr_expect_str_eq(ws_kv_type_name(WS_KV_ARRAY), "array");
    cr_expect_str_eq(ws_kv_type_name((ws_kv_type)99), "unknown");
    cr_expect_eq(ws_kv_type_size(WS_KV_U16), 2);
    cr_expect_eq(ws_kv_type_size(WS_KV_STRING), 0);
}
