/* The safetensors reader: broken headers are refused with a reason, whole ones are read as they are. */
#include "bytes.h"
#include "safetensors.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file with this header and n bytes of data, in a block of exactly that size. */
static uint8_t *file_of(const char *json, size_t data_bytes, size_t *size) {
    const uint64_t length = strlen(json);
    *size = sizeof length + length + data_bytes;
    uint8_t *data = calloc(1, *size);
    cr_assert_not_null(data);
    memcpy(data, &length, sizeof length);
    memcpy(data + sizeof length, json, length);
    return data;
}

#define T(dtype, shape, begin, end)                                                                                    \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static const struct {
    const char *name, *json;
    size_t data_bytes;
    ws_status status;
    const char *message;
} files[] = {
    /* JSON */
    {"not an object", "[1,2,3]", 0, WS_FORMAT, "byte 8 is 0x5b, not '{'"},
    {"header of one byte", "{", 0, WS_FORMAT, "header of 1 bytes, which is no JSON"},
    {"cut", "{\"a\":" T("F32", "[2]", 0, 8), 8, WS_FORMAT, "JSON header is broken at byte"},
    {"something behind the object", "{} x", 0, WS_FORMAT, "JSON header is broken at byte 3 of 4"},
    {"two objects", "{}{}", 0, WS_FORMAT, "JSON header is broken at byte 2 of 4"},
    {"not UTF-8", "{\"a\xff\":" T("U8", "[1]", 0, 1) "}", 1, WS_FORMAT, "not UTF-8 at byte 3"},
    {"overlong UTF-8", "{\"a\xc0\x80\":" T("U8", "[1]", 0, 1) "}", 1, WS_FORMAT, "not UTF-8 at byte 3"},
    {"vertical tab between tokens", "{\v}", 0, WS_FORMAT, "control character at byte 1"},
    {"line feed in a name", "{\"a\n\":" T("U8", "[1]", 0, 1) "}", 1, WS_FORMAT, "control character at byte 3"},
    {"line feed after an escaped quote", "{\"a\\\"\n\":" T("U8", "[1]", 0, 1) "}", 1, WS_FORMAT,
     "control character at byte 5"},
    {"escaped NUL in a name", "{\"a\\u0000b\":" T("U8", "[1]", 0, 1) "}", 1, WS_FORMAT, "NUL character at byte 3"},

    /* fields */
    {"tensor that is no object", "{\"a\":1}", 0, WS_FORMAT, "tensor 'a' is not a JSON object"},
    {"no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, WS_FORMAT, "tensor 'a' has no dtype"},
    {"no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, WS_FORMAT, "tensor 'a' has no shape"},
    {"no offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, WS_FORMAT, "tensor 'a' has no data_offsets"},
    {"shape twice", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}", 4, WS_FORMAT,
     "has 'shape' twice"},
    {"unknown dtype", "{\"a\":" T("F128", "[1]", 0, 16) "}", 16, WS_FORMAT, "unknown dtype 'F128'"},
    {"dtype in small letters", "{\"a\":" T("f32", "[1]", 0, 4) "}", 4, WS_FORMAT, "unknown dtype 'f32'"},
    {"one offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, WS_FORMAT, "data_offsets"},
    {"three offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, WS_FORMAT,
     "data_offsets"},
    {"negative offset", "{\"a\":" T("F32", "[1]", -4, 0) "}", 4, WS_FORMAT, "data_offsets"},
    {"offset that is no integer", "{\"a\":" T("F32", "[1]", 0, 4.5) "}", 5, WS_FORMAT, "data_offsets"},
    {"offset beyond all integers", "{\"a\":" T("F32", "[1]", 1e300, 1e300) "}", 4, WS_FORMAT, "data_offsets"},
    {"negative dimension", "{\"a\":" T("F32", "[-1]", 0, 4) "}", 4, WS_FORMAT, "dimension that is not"},
    {"dimension as text", "{\"a\":" T("F32", "[\"1\"]", 0, 4) "}", 4, WS_FORMAT, "dimension that is not"},
    {"nine dimensions", "{\"a\":" T("U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, WS_FORMAT, "more than 8 dimensions"},
    {"shape product that overflows", "{\"a\":" T("U8", "[4294967296,4294967296]", 0, 0) "}", 0, WS_FORMAT,
     "product overflows"},
    {"bits that overflow", "{\"a\":" T("F64", "[1073741824,536870912]", 0, 0) "}", 0, WS_FORMAT, "overflow"},
    {"half a byte", "{\"a\":" T("F4", "[3]", 0, 2) "}", 2, WS_FORMAT, "no whole bytes"},
    {"six bits", "{\"a\":" T("F6_E2M3", "[2]", 0, 2) "}", 2, WS_FORMAT, "no whole bytes"},
    {"metadata that is no object", "{\"__metadata__\":[]}", 0, WS_FORMAT, "__metadata__ is not a JSON object"},
    {"metadata of numbers", "{\"__metadata__\":{\"n\":1}}", 0, WS_FORMAT, "the value of 'n' in __metadata__"},
    {"metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, WS_FORMAT, "__metadata__ twice"},

    /* layout */
    {"shape larger than the data", "{\"a\":" T("F32", "[3]", 0, 8) "}", 8, WS_FORMAT,
     "data_offsets 0 to 8, but its shape and dtype need 12 bytes"},
    {"end before begin", "{\"a\":" T("F32", "[1]", 8, 4) "}", 8, WS_FORMAT, "data_offsets 8 to 4"},
    {"data cut", "{\"a\":" T("F32", "[2]", 0, 8) "}", 7, WS_FORMAT,
     "'a' ends past the end of the file (at byte 8 of 7"},
    {"bytes left over", "{\"a\":" T("F32", "[2]", 0, 8) "}", 9, WS_FORMAT, "1 bytes that belong to no tensor"},
    {"bytes without tensors", "{}", 3, WS_FORMAT, "3 bytes that belong to no tensor"},
    {"hole at the start", "{\"a\":" T("U8", "[1]", 1, 2) "}", 2, WS_FORMAT, "hole before it (bytes 0 to 1)"},
    {"hole between", "{\"a\":" T("U8", "[1]", 0, 1) ",\"b\":" T("U8", "[1]", 2, 3) "}", 3, WS_FORMAT,
     "'b' leaves a hole before it (bytes 1 to 2)"},
    {"overlap", "{\"a\":" T("U8", "[2]", 0, 2) ",\"b\":" T("U8", "[2]", 1, 3) "}", 3, WS_FORMAT,
     "'b' overlaps tensor 'a'"},
    {"two tensors in one place", "{\"a\":" T("U8", "[2]", 0, 2) ",\"b\":" T("U8", "[2]", 0, 2) "}", 2, WS_FORMAT,
     "overlaps"},
    {"same name twice", "{\"a\":" T("U8", "[1]", 0, 1) ",\"a\":" T("U8", "[1]", 1, 2) "}", 2, WS_FORMAT,
     "tensor 'a' is there twice"},

    /* not broken at all */
    {"nothing", "{}", 0, WS_OK, NULL},
    {"spaces behind the object", "{}  \n\t ", 0, WS_OK, NULL},
    {"no metadata", "{\"__metadata__\":null}", 0, WS_OK, NULL},
    {"any order", "{\"b\":" T("U8", "[1]", 2, 3) ",\"a\":" T("U8", "[2]", 0, 2) "}", 3, WS_OK, NULL},
    {"no elements", "{\"a\":" T("F32", "[0,7]", 0, 0) ",\"b\":" T("U8", "[1]", 0, 1) "}", 1, WS_OK, NULL},
    {"no elements at the end", "{\"a\":" T("F32", "[0]", 1, 1) ",\"b\":" T("U8", "[1]", 0, 1) "}", 1, WS_OK, NULL},
    {"scalar", "{\"a\":" T("F32", "[]", 0, 4) "}", 4, WS_OK, NULL},
    {"field that means nothing", "{\"a\":{\"x\":[{}],\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, WS_OK,
     NULL},
    {"backslash before u0000", "{\"__metadata__\":{\"json\":\"\\\\u0000\"}}", 0, WS_OK, NULL},
};

Test(safetensors, broken_headers_are_refused_with_a_reason) {
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t size;
        uint8_t *data = file_of(files[i].json, files[i].data_bytes, &size);
        ws_safetensors *s = (ws_safetensors *)1;
        ws_error err = {0};
        const ws_status status = ws_safetensors_open_bytes(&s, data, size, "x.safetensors", &err);
        expect_error(files[i].name, status, &err, files[i].status, files[i].message);
        cr_expect(status == WS_OK ? s != NULL : s == NULL, "%s", files[i].name);
        if (status) cr_expect_not_null(strstr(err.msg, "'x.safetensors'"), "%s: '%s'", files[i].name, err.msg);
        ws_safetensors_close(status ? NULL : s);
        cr_expect_eq(ws_safetensors_open_bytes(&s, data, size, "x", NULL), files[i].status, "%s", files[i].name);
        ws_safetensors_close(s);
        free(data);
    }
}

static void expect_bytes_refused(const char *what, const void *data, size_t size, const char *message) {
    ws_safetensors *s;
    ws_error err = {0};
    expect_error(what, ws_safetensors_open_bytes(&s, data, size, "x", &err), &err, WS_FORMAT, message);
    ws_safetensors_close(s);
}

Test(safetensors, broken_lengths) {
    expect_bytes_refused("empty", "", 0, "it has 0 bytes");
    expect_bytes_refused("seven bytes", "\2\0\0\0\0\0\0", 7, "it has 7 bytes");
    expect_bytes_refused("length 0", "\0\0\0\0\0\0\0\0{}", 10, "header of 0 bytes, which is no JSON");
    expect_bytes_refused("one byte too long", "\3\0\0\0\0\0\0\0{}", 10, "ends inside its header (2 of 3 bytes");
    expect_bytes_refused("over the limit", "\1\xe1\xf5\5\0\0\0\0{}", 10,
                         "header of 100000001 bytes; at most 100000000");
    expect_bytes_refused("wraps", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "bytes; at most 100000000");
    expect_bytes_refused("a ZIP archive", "PK\3\4\0\0\0\0\0\0", 10, "not a safetensors file");
    expect_bytes_refused("NUL in the text", "\12\0\0\0\0\0\0\0{\"a\0\":1}  ", 18, "a control character at byte 3");
}

/* A million brackets must not exhaust the stack. */
Test(safetensors, deep_nesting) {
    enum { N = 1000000 };
    char *json = malloc(N + 6);
    cr_assert_not_null(json);
    memset(json, '[', N + 5);
    memcpy(json, "{\"a\":", 5);
    json[N + 5] = 0;
    size_t size;
    uint8_t *data = file_of(json, 0, &size);
    expect_bytes_refused("deep", data, size, "JSON header is broken");
    free(data);
    free(json);
}

static const char whole[] = "{\"__metadata__\":{\"format\":\"pt\",\"note\":\"caf\\u00e9\"},"
                            "\"b\":" T("BF16", "[2,3]", 0, 12) ",\"a.\xc3\xa9\":" T("F4", "[4]", 12, 14) "}  ";

Test(safetensors, cut_at_every_byte) {
    size_t size;
    uint8_t *data = file_of(whole, 14, &size);
    for (size_t n = 0; n <= size; n++) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, data, n);
        ws_safetensors *s;
        ws_error err = {0};
        const ws_status status = ws_safetensors_open_bytes(&s, cut, n, "cut", &err);
        cr_expect_eq(status, n == size ? WS_OK : WS_FORMAT, "%zu of %zu bytes: %s", n, size, err.msg);
        ws_safetensors_close(s);
        free(cut);
    }
    free(data);
}

Test(safetensors, tensors) {
    size_t size;
    uint8_t *data = file_of(whole, 14, &size);
    ws_safetensors *s;
    ws_error err = {0};
    cr_assert_eq(ws_safetensors_open_bytes(&s, data, size, "whole", &err), WS_OK, "%s", err.msg);
    cr_assert_eq(s->n_tensors, 2);
    cr_expect_eq(s->n_parts, 1);
    cr_expect_str_eq(s->part_paths[0], "whole");
    cr_assert_eq(s->n_metadata, 2);
    cr_expect_str_eq(s->metadata[0], "format");
    cr_expect_str_eq(s->metadata[1], "pt");
    cr_expect_str_eq(s->metadata[3], "caf\xc3\xa9");

    const ws_st_tensor *a = ws_safetensors_tensor(s, "a.\xc3\xa9"), *b = ws_safetensors_tensor(s, "b");
    cr_expect_eq(a, &s->tensors[0], "tensors are sorted by name");
    cr_expect_eq(b, &s->tensors[1]);
    cr_expect_null(ws_safetensors_tensor(s, "c"));
    cr_expect(a->dtype == WS_ST_F4 && a->n_dims == 1 && a->n_elements == 4 && a->bytes == 2);
    cr_expect(b->dtype == WS_ST_BF16 && b->n_dims == 2 && b->shape[0] == 2 && b->shape[1] == 3 && b->bytes == 12);
    cr_expect_eq(b->offset, size - 14);
    cr_expect_eq(a->offset, size - 2);
    cr_expect_eq(b->data, data + b->offset);
    ws_safetensors_close(s);
    ws_safetensors_close(NULL);
    free(data);
}

Test(safetensors, dtypes_of_the_specification) {
    static const char *const by_bits[][14] = {
        [0] = {"F4"},
        [1] = {"F6_E2M3", "F6_E3M2"},
        [2] = {"BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"},
        [3] = {"I16", "U16", "F16", "BF16"},
        [4] = {"I32", "U32", "F32"},
        [5] = {"C64", "F64", "I64", "U64"},
    };
    static const uint32_t bits[] = {4, 6, 8, 16, 32, 64};
    int seen = 0;
    for (int i = 0; i < 6; i++)
        for (const char *const *name = by_bits[i]; *name; name++, seen++) {
            char json[128];
            size_t size;
            snprintf(json, sizeof json, "{\"a\":{\"dtype\":\"%s\",\"shape\":[8],\"data_offsets\":[0,%u]}}", *name,
                     bits[i]);
            uint8_t *data = file_of(json, bits[i], &size);
            ws_safetensors *s;
            ws_error err = {0};
            cr_assert_eq(ws_safetensors_open_bytes(&s, data, size, "x", &err), WS_OK, "%s: %s", *name, err.msg);
            cr_expect_str_eq(ws_st_dtype_name(s->tensors[0].dtype), *name);
            cr_expect_eq(ws_st_dtype_bits(s->tensors[0].dtype), bits[i]);
            ws_safetensors_close(s);
            free(data);
        }
    cr_expect_eq(seen, WS_ST_COUNT);
    cr_expect_str_eq(ws_st_dtype_name(WS_ST_COUNT), "unknown");
    cr_expect_eq(ws_st_dtype_bits(WS_ST_COUNT), 0);
}

Test(safetensors, probe) {
    size_t size;
    uint8_t *data = file_of(whole, 0, &size);
    cr_expect(ws_safetensors_probe(data, size));
    cr_expect_not(ws_safetensors_probe(data, 8));
    cr_expect_not(ws_safetensors_probe((const uint8_t *)"GGUF\3\0\0\0{", 9));
    cr_expect_not(ws_safetensors_probe((const uint8_t *)"\1\0\0\0\0\0\0\0{", 9));
    cr_expect_not(ws_safetensors_probe(NULL, 0));
    free(data);
}
