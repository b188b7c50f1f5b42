/* The GGUF reader: broken files are refused with a reason, whole ones are read as they are. */
#include "bad_gguf.h"
#include "gguf.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(gguf_read, broken_files_are_refused_with_a_reason) {
    for (const bad_file *b = bad_ggufs; b->name; b++) {
        size_t size;
        uint8_t *data = build(b->pieces, &size);
        ws_gguf *g = (ws_gguf *)1;
        ws_error err = {0};
        const ws_status status = ws_gguf_open_bytes(&g, data, size, "x.gguf", &err);
        expect_error(b->name, status, &err, b->status, b->message);
        cr_expect(status == WS_OK ? g != NULL : g == NULL, "%s", b->name);
        if (status) cr_expect_not_null(strstr(err.msg, "'x.gguf'"), "%s: '%s' names no file", b->name, err.msg);
        ws_gguf_close(status ? NULL : g);
        cr_expect_eq(ws_gguf_open_bytes(&g, data, size, "x.gguf", NULL), b->status, "%s without ws_error", b->name);
        ws_gguf_close(g);
        free(data);
    }
}

/* Every kind of entry: two tensors, the last without padding. */
static const piece whole[] = {
    R("GGUF"),
    U32(3),
    U64(2),
    U64(6), /* header */
    S("a.u8"),
    U32(WS_KV_U8),
    U8(200),
    S("a.i16"),
    U32(WS_KV_I16),
    U16(-300), /* scalars */
    S("a.f64"),
    U32(WS_KV_F64),
    U64(0x3ff8000000000000),
    S("a.str"),
    U32(WS_KV_STRING),
    S("text"),
    S("a.array"),
    U32(WS_KV_ARRAY),
    U32(WS_KV_STRING),
    U64(3),
    S("x"),
    S(""),
    S("yz"),
    S("a.nested"),
    U32(WS_KV_ARRAY),
    U32(WS_KV_ARRAY),
    U64(2),
    U32(WS_KV_I8),
    U64(2),
    U8(-1),
    U8(5),
    U32(WS_KV_STRING),
    U64(1),
    S("deep"),
    S("w"),
    U32(2),
    U64(32),
    U64(2),
    U32(WS_TYPE_Q8_0),
    U64(0),
    S("b"),
    U32(1),
    U64(3),
    U32(WS_TYPE_F32),
    U64(96),
    PAD(32),
    FILL(68),
    PAD(32),
    FILL(12),
    {PIECE_END, 0, 0, NULL},
};

Test(gguf_read, cut_at_every_byte) {
    size_t size;
    uint8_t *data = build(whole, &size);
    for (size_t n = 0; n <= size; n++) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, data, n);
        ws_gguf *g;
        ws_error err = {0};
        const ws_status status = ws_gguf_open_bytes(&g, cut, n, "cut", &err);
        cr_expect_eq(status, n == size ? WS_OK : WS_FORMAT, "%zu of %zu bytes: %d %s", n, size, status, err.msg);
        ws_gguf_close(g);
        free(cut);
    }
    free(data);
}

/* Each bit turned: whatever comes out, nothing outside of the bytes is touched and what is accepted can be used. */
Test(gguf_read, any_bit_turned) {
    size_t size;
    uint8_t *data = build(whole, &size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ws_gguf *g;
        if (ws_gguf_open_bytes(&g, data, size, "turned", NULL) == WS_OK)
            for (size_t i = 0; i < g->n_tensors; i++)
                cr_expect_leq(g->tensors[i].offset + g->tensors[i].bytes, size, "bit %zu", bit);
        ws_gguf_close(g);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(data);
}

Test(gguf_read, tensors) {
    size_t size;
    uint8_t *data = build(whole, &size);
    ws_gguf *g;
    ws_error err = {0};
    cr_assert_eq(ws_gguf_open_bytes(&g, data, size, "whole", &err), WS_OK, "%s", err.msg);
    cr_expect_eq(g->version, 3);
    cr_expect_eq(g->alignment, 32);
    cr_expect_eq(g->n_tensors, 2);
    cr_expect_eq(g->n_parts, 1);
    cr_expect_eq(g->data_offset, size - 108);
    cr_expect_str_eq(ws_gguf_path(g), "whole");

    const ws_tensor *w = ws_gguf_tensor(g, "w"), *b = ws_gguf_tensor(g, "b");
    cr_assert_not_null(w);
    cr_assert_not_null(b);
    cr_expect_null(ws_gguf_tensor(g, "c"));
    cr_expect_eq(w, &g->tensors[0]);
    cr_expect_eq(w->type, WS_TYPE_Q8_0);
    cr_expect_eq(w->n_dims, 2);
    cr_expect(w->ne[0] == 32 && w->ne[1] == 2 && w->ne[2] == 1 && w->ne[3] == 1);
    cr_expect_eq(w->n_elements, 64);
    cr_expect_eq(w->bytes, 68);
    cr_expect_eq(w->data, data + g->data_offset);
    cr_expect_eq(b->offset, g->data_offset + 96);
    cr_expect_eq(b->data, data + b->offset);
    cr_expect_eq(b->bytes, 12);
    ws_gguf_close(g);
    free(data);
}

/* A vocabulary of 250,000 tokens and as many keys as fit: opening takes no noticeable time. */
Test(gguf_read, many_entries, .timeout = 10) {
    enum { N = 250000 };
    const size_t cap = 24 + 8 + 6 + 4 + 12 + N * (size_t)(8 + 7) + N * (size_t)(8 + 7 + 4 + 1);
    uint8_t *data = calloc(1, cap), *p = data;
    cr_assert_not_null(data);
    const uint64_t header[] = {0, N + 1}, count = N, seven = 7, six = 6;
    const uint32_t version = 3, array = WS_KV_ARRAY, string = WS_KV_STRING;
    char text[16];
#define ADD(v) (memcpy(p, &(v), sizeof(v)), p += sizeof(v))
    p = (uint8_t *)memcpy(p, "GGUF", 4) + 4;
    ADD(version), ADD(header), ADD(six), p = (uint8_t *)memcpy(p, "tokens", 6) + 6;
    ADD(array), ADD(string), ADD(count);
    for (int i = 0; i < N; i++) snprintf(text, sizeof text, "%07d", i), ADD(seven), memcpy(p, text, 7), p += 7;
    for (int i = 0; i < N; i++)
        snprintf(text, sizeof text, "%07d", N - i), ADD(seven), memcpy(p, text, 7), p += 7 + 4 + 1; /* u8 0 */
#undef ADD
    ws_gguf *g;
    ws_error err = {0};
    cr_assert_eq(ws_gguf_open_bytes(&g, data, (size_t)(p - data), "large", &err), WS_OK, "%s", err.msg);
    cr_expect_not_null(ws_gguf_kv(g, "0123456"));
    const ws_kv *tokens = ws_gguf_kv(g, "tokens");
    cr_assert_not_null(tokens);
    const uint8_t *it = tokens->elems;
    for (int i = 0; i < N; i++) {
        const ws_str s = ws_kv_next_str(&it);
        if (s.len != 7 || strtol(s.data, NULL, 10) % 10000000 != i) cr_assert_fail("token %d", i);
    }
    ws_gguf_close(g);
    free(data);
}

Test(gguf_read, files_that_cannot_be_read) {
    ws_gguf *g;
    ws_error err = {0};
    expect_error("missing", ws_gguf_open(&g, "/nowhere/x.gguf", &err), &err, WS_IO, "/nowhere/x.gguf");
    expect_error("folder", ws_gguf_open(&g, "/tmp", &err), &err, WS_IO, "/tmp");
    cr_expect_null(g);
    ws_gguf_close(NULL);
}
