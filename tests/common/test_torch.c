/* Pickles, zip files, PyTorch files, GGUF files of other kinds: read right, and refused at every truncation. */
#include "bytes.h"
#include "gguf_foreign.h"
#include "pickle.h"
#include "torch.h"
#include "zip.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- pickles ---- */

static ws_status parse(ws_pickle *p, const char *code, size_t n, ws_error *err) {
    return ws_pickle_parse(p, (const uint8_t *)code, n, "test", err);
}

#define PARSE(p, code, err) parse(p, code, sizeof(code) - 1, err)

Test(pickle, values_of_every_kind) {
    /* [-2, 300, 2**40, 1.5, True, None, "ab", os.system("x"), {"k": ()}] */
    static const char code[] = "\x80\x02](J\xfe\xff\xff\xffM\x2c\x01\x8a\x06\0\0\0\0\0\1G\x3f\xf8\0\0\0\0\0\0\x88N"
                               "X\2\0\0\0ab"
                               "cos\nsystem\nU\1x\x85R}U\1k)se.";
    ws_pickle p;
    ws_error err = {0};
    cr_assert_eq(PARSE(&p, code, &err), WS_OK, "%s", err.msg);
    const ws_pickle_node *list = &p.nodes[p.root], *n[10];
    for (size_t i = 0; i < 10; i++) n[i] = ws_pickle_item(&p, list, i);
    cr_assert(list->kind == WS_PICKLE_LIST && n[8] && !n[9]);
    cr_expect(n[0]->integer == -2 && n[1]->integer == 300 && n[2]->integer == (int64_t)1 << 40);
    cr_expect(n[3]->kind == WS_PICKLE_REAL && n[3]->real == 1.5);
    cr_expect(n[4]->kind == WS_PICKLE_BOOL && n[4]->integer == 1 && n[5]->kind == WS_PICKLE_NONE);
    cr_expect(n[6]->kind == WS_PICKLE_TEXT && n[6]->len == 2 && memcmp(n[6]->text, "ab", 2) == 0);
    const ws_pickle_node *f = ws_pickle_item(&p, n[7], 0);
    cr_expect(n[7]->kind == WS_PICKLE_CALL && f->kind == WS_PICKLE_GLOBAL && f->len == 2 && f->name_len == 6);
    cr_expect(n[8]->kind == WS_PICKLE_DICT && ws_pickle_item(&p, n[8], 1)->kind == WS_PICKLE_LIST);
    ws_pickle_free(&p);
    for (size_t i = 0; i + 1 < sizeof code - 1; i++) {
        cr_expect_eq(parse(&p, code, i, &err), WS_FORMAT, "cut at %zu", i);
        ws_pickle_free(&p);
    }
}

Test(pickle, broken) {
    static const struct {
        const char *code;
        size_t n;
    } cases[] = {
        {".", 1},
        {"a.", 2},
        {"Na.", 3},
        {"(.", 2},
        {"t.", 2},
        {"N\x85\x86.", 4},
        {"R.", 2},
        {"h\0.", 3},
        {"Nq\1h\0.", 6},
        {"\x80\x09N.", 4},
        {"\xff", 1},
        {"0.", 2},
        {"u.", 2},
        {"(Nu.", 4},
        {"NN\x93.", 4},
        {"j\xff\xff\xff\xff.", 6},
        {"Nr\xff\xff\xff\xff.", 7},
        {"X\xff\xff\xff\xff", 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_pickle p;
        ws_error err = {0};
        cr_expect_eq(parse(&p, cases[i].code, cases[i].n, &err), WS_FORMAT, "case %zu", i);
        cr_expect(strstr(err.msg, "test"), "%s", err.msg);
        ws_pickle_free(&p);
    }
}

/* ---- a zip of stored entries ---- */

typedef struct {
    uint8_t *data;
    size_t size, directory, n;
    uint8_t central[1024];
} zip_file;

static void put(zip_file *z, const void *p, size_t n) {
    z->data = realloc(z->data, z->size + n);
    memcpy(z->data + z->size, p, n);
    z->size += n;
}

static void put_pieces(zip_file *z, const piece *pieces) {
    size_t n;
    uint8_t *data = build(pieces, &n);
    put(z, data, n);
    free(data);
}

static void add(zip_file *z, const char *name, const void *content, size_t n) {
    const uint32_t at = (uint32_t)z->size;
    const uint16_t len = (uint16_t)strlen(name);
    put_pieces(z,
               (piece[]){R("PK\3\4"), U16(20), U16(0), U16(0), U32(0), U32(0), U32(n), U32(n), U16(len), U16(0), {0}});
    put(z, name, len);
    put(z, content, n);
    size_t size;
    uint8_t *entry = build((piece[]){R("PK\1\2"),
                                     U16(20),
                                     U16(20),
                                     U16(0),
                                     U16(0),
                                     U32(0),
                                     U32(0),
                                     U32(n),
                                     U32(n),
                                     U16(len),
                                     U16(0),
                                     U16(0),
                                     U16(0),
                                     U16(0),
                                     U32(0),
                                     U32(at),
                                     {0}},
                           &size);
    memcpy(z->central + z->directory, entry, size);
    memcpy(z->central + z->directory + size, name, len);
    z->directory += size + len;
    z->n++;
    free(entry);
}

static void finish(zip_file *z) {
    const uint32_t at = (uint32_t)z->size, n = (uint32_t)z->n, bytes = (uint32_t)z->directory;
    put(z, z->central, z->directory);
    put_pieces(z, (piece[]){R("PK\5\6"), U16(0), U16(0), U16(n), U16(n), U32(bytes), U32(at), U16(0), {0}});
}

/* {"w": two floats from the second of four on} */
#define STORAGE "(U\7storagectorch\nFloatStorage\nU\0010U\3cpuK\4tQ"
#define TENSOR(storage, offset, shape, strides)                                                                        \
    "\x80\2}U\1wctorch._utils\n_rebuild_tensor_v2\n(" storage "K" offset shape strides "\x89"                          \
    "ccollections\nOrderedDict\n)RtRs."

static ws_status open_torch(ws_torch **t, zip_file *z, const char *code, size_t n, ws_error *err) {
    static const float values[] = {1, 2, 3, 4};
    *z = (zip_file){0};
    add(z, "archive/data.pkl", code, n);
    add(z, "archive/data/0", values, sizeof values);
    finish(z);
    return ws_torch_open_bytes(t, z->data, z->size, "test.pt", err);
}

Test(torch, a_tensor) {
    static const char code[] = TENSOR(STORAGE, "\1", "K\2\x85", "K\1\x85");
    ws_torch *t;
    zip_file z;
    ws_error err = {0};
    cr_assert_eq(open_torch(&t, &z, code, sizeof code - 1, &err), WS_OK, "%s", err.msg);
    const ws_st_tensor *w = ws_torch_tensor(t, "w");
    cr_assert(t->n_tensors == 1 && w && w->dtype == WS_ST_F32 && w->n_dims == 1 && w->shape[0] == 2);
    cr_expect(w->bytes == 8 && w->data == z.data + w->offset);
    float x[2];
    memcpy(x, w->data, sizeof x);
    cr_expect(x[0] == 2 && x[1] == 3);
    cr_expect_eq(t->n_globals, 3);
    for (size_t i = 0; i < t->n_globals; i++) cr_expect(t->globals[i].known, "%s", t->globals[i].name);
    cr_expect_null(ws_torch_tensor(t, "v"));
    ws_torch_close(t);
    for (size_t i = 0; i < z.size; i++) { /* a block of its own, so that reading past its end shows */
        uint8_t *cut = malloc(i ? i : 1);
        memcpy(cut, z.data, i);
        cr_expect_eq(ws_torch_open_bytes(&t, cut, i, "test.pt", &err), WS_FORMAT, "cut at %zu", i);
        free(cut);
    }
    free(z.data);
}

Test(torch, tensors_that_are_refused_or_only_listed) {
    static const struct {
        const char *code;
        size_t n;
        const char *message; /* NULL: listed, without data */
    } cases[] = {
#define CASE(message, ...) {TENSOR(__VA_ARGS__), sizeof(TENSOR(__VA_ARGS__)) - 1, message}
        CASE("ends past", STORAGE, "\3", "K\2\x85", "K\1\x85"),
        CASE("ends past", STORAGE, "\0", "K\5\x85", "K\1\x85"),
        CASE("overflows", STORAGE, "\0", "J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x87", "K\1K\1K\1\x87"),
        CASE("bad shape", STORAGE, "\0", "J\xff\xff\xff\xff\x85", "K\1\x85"),
        CASE("described", "N", "\0", "K\2\x85", "K\1\x85"),
        CASE("not in the file", "(U\7storagectorch\nFloatStorage\nU\0019U\3cpuK\4tQ", "\0", "K\2\x85", "K\1\x85"),
        CASE("not known here", "(U\7storagectorch\nOddStorage\nU\0010U\3cpuK\4tQ", "\0", "K\2\x85", "K\1\x85"),
        CASE(NULL, STORAGE, "\0", "K\2\x85", "K\2\x85"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_torch *t;
        zip_file z;
        ws_error err = {0};
        const ws_status status = open_torch(&t, &z, cases[i].code, cases[i].n, &err);
        cr_expect_eq(status == WS_OK, !cases[i].message, "case %zu: %s", i, err.msg);
        if (cases[i].message) cr_expect(strstr(err.msg, cases[i].message), "case %zu: %s", i, err.msg);
        if (!status) cr_expect(t->n_tensors == 1 && !t->tensors[0].data);
        ws_torch_close(t);
        free(z.data);
    }
}

Test(torch, calls_are_named_and_loops_end) {
    static const char evil[] = "\x80\2}U\1acos\nsystem\nU\1x\x85Rs.", loop[] = "\x80\2]q\0h\0a.";
    ws_torch *t;
    zip_file z;
    ws_error err = {0};
    cr_assert_eq(open_torch(&t, &z, evil, sizeof evil - 1, &err), WS_OK, "%s", err.msg);
    cr_assert(t->n_globals == 1 && t->globals[0].dangerous && !t->globals[0].known && t->n_tensors == 0);
    cr_expect_str_eq(t->globals[0].module, "os");
    ws_torch_close(t);
    free(z.data);
    cr_expect_eq(open_torch(&t, &z, loop, sizeof loop - 1, &err), WS_FORMAT);
    cr_expect(strstr(err.msg, "holds itself"), "%s", err.msg);
    free(z.data);
}

/* ---- GGUF of other kinds ---- */

static void swap(uint8_t *p, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        const uint8_t v = p[i];
        p[i] = p[n - 1 - i], p[n - 1 - i] = v;
    }
}

/* Version 1: lengths and counts of 32 bits. */
#define S32(s) U32(sizeof(s) - 1), R(s)

static const piece version1[] = {
    R("GGUF"),
    U32(1),
    U32(1),
    U32(3),
    S32("general.alignment"),
    U32(WS_KV_U32),
    U32(64),
    S32("n"),
    U32(WS_KV_I16),
    U16(-5),
    S32("words"),
    U32(WS_KV_ARRAY),
    U32(WS_KV_STRING),
    U32(2),
    S32("a"),
    S32("bc"),
    S32("x"),
    U32(2),
    U32(4),
    U32(2),
    U32(WS_TYPE_F32),
    U64(0),
    PAD(64),
    FILL(32),
    {0},
};

Test(gguf_foreign, version_1) {
    size_t n;
    uint8_t *data = build(version1, &n);
    ws_gguf_foreign f;
    ws_error err = {0};
    cr_assert(ws_gguf_foreign_probe(data, n));
    cr_assert_eq(ws_gguf_foreign_open(&f, data, n, "one.gguf", &err), WS_OK, "%s", err.msg);
    cr_expect(f.version == 1 && !f.big_endian && f.gguf->alignment == 64 && f.data_offset == n - 32);
    int64_t v = 0;
    cr_expect(ws_kv_i64(ws_gguf_kv(f.gguf, "n"), &v) && v == -5);
    const ws_kv *words = ws_gguf_kv(f.gguf, "words");
    const uint8_t *it = words->elems;
    cr_assert_eq(words->n, 2);
    ws_kv_next_str(&it);
    cr_expect_eq(ws_kv_next_str(&it).len, 2);
    const ws_tensor *x = ws_gguf_tensor(f.gguf, "x");
    cr_assert(x && x->ne[0] == 4 && x->ne[1] == 2 && x->bytes == 32);
    ws_gguf_foreign_close(&f);
    for (size_t i = 0; i < n; i++) {
        uint8_t *cut = malloc(i ? i : 1);
        memcpy(cut, data, i);
        cr_expect_neq(ws_gguf_foreign_open(&f, cut, i, "cut.gguf", &err), WS_OK, "cut at %zu", i);
        ws_gguf_foreign_close(&f);
        free(cut);
    }
    free(data);
}

Test(gguf_foreign, big_endian) {
    static const piece pieces[] = {R("GGUF"),        U32(3),          U64(1),  U64(1),   U64(1), R("k"),
                                   U32(WS_KV_F32),   U32(0x3fc00000), U64(1),  R("t"),   U32(1), U64(8),
                                   U32(WS_TYPE_F16), U64(0),          PAD(32), FILL(16), {0}};
    static const size_t numbers[][2] = {{4, 4},  {8, 8},  {16, 8}, {24, 8}, {33, 4}, {37, 4},
                                        {41, 8}, {50, 4}, {54, 8}, {62, 4}, {66, 8}};
    size_t n;
    uint8_t *data = build(pieces, &n);
    ws_gguf_foreign f;
    ws_error err = {0};
    cr_expect_not(ws_gguf_foreign_probe(data, n), "a little-endian file is not foreign");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) swap(data + numbers[i][0], numbers[i][1]);
    cr_assert(ws_gguf_foreign_probe(data, n));
    cr_assert_eq(ws_gguf_foreign_open(&f, data, n, "big.gguf", &err), WS_OK, "%s", err.msg);
    double v = 0;
    cr_expect(f.version == 3 && f.big_endian && ws_kv_f64(ws_gguf_kv(f.gguf, "k"), &v) && v == 1.5);
    cr_expect(f.gguf->n_tensors == 1 && f.gguf->tensors[0].ne[0] == 8 && f.gguf->tensors[0].type == WS_TYPE_F16);
    ws_gguf_foreign_close(&f);
    free(data);
}
