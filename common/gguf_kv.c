/* Values of metadata. Everything here reads pairs whose bounds ws_gguf_open() has checked. */
#include "gguf_internal.h"
#include "text.h"

#include <string.h>

static const struct {
    const char *name;
    uint8_t bytes; /* 0: no fixed size */
} kinds[WS_KV_TYPE_COUNT] = {
    [WS_KV_U8] = {"u8", 1},         [WS_KV_I8] = {"i8", 1},       [WS_KV_U16] = {"u16", 2}, [WS_KV_I16] = {"i16", 2},
    [WS_KV_U32] = {"u32", 4},       [WS_KV_I32] = {"i32", 4},     [WS_KV_F32] = {"f32", 4}, [WS_KV_BOOL] = {"bool", 1},
    [WS_KV_STRING] = {"string", 0}, [WS_KV_ARRAY] = {"array", 0}, [WS_KV_U64] = {"u64", 8}, [WS_KV_I64] = {"i64", 8},
    [WS_KV_F64] = {"f64", 8},
};

const char *ws_kv_type_name(ws_kv_type type) {
    return (unsigned)type < WS_KV_TYPE_COUNT ? kinds[type].name : "unknown";
}

size_t ws_kv_type_size(ws_kv_type type) { return (unsigned)type < WS_KV_TYPE_COUNT ? kinds[type].bytes : 0; }

/* ---- skipping values ---- */

enum { MAX_ARRAY_DEPTH = 8, STRING_MIN = 8, ARRAY_MIN = 4 + 8 };

static const char *skip(ws_cursor *c, uint32_t type, int depth);

static const char *skip_elements(ws_cursor *c, uint32_t type, uint64_t n, int depth) {
    if (type >= WS_KV_TYPE_COUNT) return "has elements of an unknown type";
    const size_t fixed = kinds[type].bytes;
    if (fixed) return n <= ws_left(c) / fixed && ws_take(c, n * fixed) ? NULL : "ends past the end of the file";
    if (n > ws_left(c) / (type == WS_KV_STRING ? STRING_MIN : ARRAY_MIN)) return "ends past the end of the file";
    for (uint64_t i = 0; i < n; i++) {
        const char *problem = skip(c, type, depth);
        if (problem) return problem;
    }
    return NULL;
}

static const char *skip(ws_cursor *c, uint32_t type, int depth) {
    if (type == WS_KV_STRING) {
        const uint64_t len = ws_u64(c);
        return ws_take(c, len) ? NULL : "holds a string that ends past the end of the file";
    }
    if (type != WS_KV_ARRAY) return skip_elements(c, type, 1, depth);
    if (depth == MAX_ARRAY_DEPTH) return "holds arrays nested more than 8 deep";
    const uint32_t elem = ws_u32(c);
    const uint64_t n = ws_u64(c);
    if (c->bad) return "ends past the end of the file";
    return skip_elements(c, elem, n, depth + 1);
}

const char *ws_kv_parse(ws_cursor *c, uint32_t type, ws_kv *kv) {
    if (type >= WS_KV_TYPE_COUNT) return "has an unknown type";
    kv->type = (ws_kv_type)type;
    kv->raw = c->at;
    if (type == WS_KV_ARRAY) {
        ws_cursor peek = *c;
        kv->elem_type = (ws_kv_type)ws_u32(&peek);
        kv->n = ws_u64(&peek);
        kv->elems = peek.at;
    }
    const char *problem = skip(c, type, 0);
    kv->raw_bytes = (size_t)(c->at - kv->raw);
    return problem;
}

ws_kv ws_kv_next_array(const uint8_t **it, const ws_kv *outer) {
    ws_kv inner = {.key = outer->key};
    ws_cursor c = {*it, outer->raw + outer->raw_bytes, false};
    ws_kv_parse(&c, WS_KV_ARRAY, &inner);
    *it = c.at;
    return inner;
}

/* ---- numbers ---- */

/* The fixed-size value at p. Integers and bool: *u is the value, sign-extended to 64 bits, and true. */
static bool load_int(ws_kv_type type, const uint8_t *p, uint64_t *u, bool *is_signed) {
    *is_signed = type == WS_KV_I8 || type == WS_KV_I16 || type == WS_KV_I32 || type == WS_KV_I64;
    const size_t bytes = ws_kv_type_size(type);
    if (!bytes || type == WS_KV_F32 || type == WS_KV_F64) return false;
    ws_cursor c = {p, p + bytes, false};
    uint64_t v = ws_take_le(&c, bytes);
    const unsigned unused = 64 - 8 * (unsigned)bytes;
    *u = *is_signed ? (uint64_t)((int64_t)(v << unused) >> unused) : type == WS_KV_BOOL ? v != 0 : v;
    return true;
}

static bool load_i64(ws_kv_type type, const uint8_t *p, int64_t *out) {
    uint64_t u;
    bool is_signed;
    if (!load_int(type, p, &u, &is_signed) || (!is_signed && u > INT64_MAX)) return false;
    *out = (int64_t)u;
    return true;
}

static bool load_f64(ws_kv_type type, const uint8_t *p, double *out) {
    uint64_t u;
    bool is_signed;
    if (type == WS_KV_F64)
        memcpy(out, p, sizeof *out);
    else if (type == WS_KV_F32)
        *out = (double)ws_f32_at(p);
    else if (load_int(type, p, &u, &is_signed))
        *out = is_signed ? (double)(int64_t)u : (double)u;
    else
        return false;
    return true;
}

bool ws_kv_u64(const ws_kv *kv, uint64_t *out) {
    uint64_t u;
    bool is_signed;
    if (!load_int(kv->type, kv->raw, &u, &is_signed) || (is_signed && (int64_t)u < 0)) return false;
    *out = u;
    return true;
}

bool ws_kv_i64(const ws_kv *kv, int64_t *out) { return load_i64(kv->type, kv->raw, out); }

bool ws_kv_f64(const ws_kv *kv, double *out) { return load_f64(kv->type, kv->raw, out); }

static const uint8_t *element(const ws_kv *kv, uint64_t i) {
    return kv->type == WS_KV_ARRAY && i < kv->n ? kv->elems + i * ws_kv_type_size(kv->elem_type) : NULL;
}

bool ws_kv_elem_i64(const ws_kv *kv, uint64_t i, int64_t *out) {
    const uint8_t *p = element(kv, i);
    return p && load_i64(kv->elem_type, p, out);
}

bool ws_kv_elem_f64(const ws_kv *kv, uint64_t i, double *out) {
    const uint8_t *p = element(kv, i);
    return p && load_f64(kv->elem_type, p, out);
}

/* ---- strings ---- */

ws_str ws_kv_next_str(const uint8_t **it) {
    uint64_t len;
    memcpy(&len, *it, sizeof len);
    const ws_str s = {(const char *)*it + sizeof len, (size_t)len};
    *it += sizeof len + len;
    return s;
}

bool ws_kv_str(const ws_kv *kv, ws_str *out) {
    if (kv->type != WS_KV_STRING) return false;
    const uint8_t *it = kv->raw;
    *out = ws_kv_next_str(&it);
    return true;
}

/* ---- keys that must or may be there ---- */

static ws_status missing(const ws_gguf *g, const char *key, ws_error *err) {
    return ws_fail(err, WS_FORMAT, "'%s' has no key '%s'", ws_gguf_path(g), key);
}

static ws_status wrong_type(const ws_gguf *g, const ws_kv *kv, const char *wanted, ws_error *err) {
    return ws_fail(err, WS_FORMAT, "key '%s' in '%s' has type %s, expected %s", ws_show(kv->key, strlen(kv->key)).text,
                   ws_gguf_path(g), ws_kv_type_name(kv->type), wanted);
}

ws_status ws_gguf_opt_u64(const ws_gguf *g, const char *key, uint64_t *out, ws_error *err) {
    const ws_kv *kv = ws_gguf_kv(g, key);
    return !kv || ws_kv_u64(kv, out) ? WS_OK : wrong_type(g, kv, "an integer >= 0", err);
}

ws_status ws_gguf_need_u64(const ws_gguf *g, const char *key, uint64_t *out, ws_error *err) {
    return ws_gguf_kv(g, key) ? ws_gguf_opt_u64(g, key, out, err) : missing(g, key, err);
}

ws_status ws_gguf_opt_f32(const ws_gguf *g, const char *key, float *out, ws_error *err) {
    const ws_kv *kv = ws_gguf_kv(g, key);
    double v;
    if (!kv) return WS_OK;
    if (!ws_kv_f64(kv, &v)) return wrong_type(g, kv, "a number", err);
    *out = (float)v;
    return WS_OK;
}

ws_status ws_gguf_need_str(const ws_gguf *g, const char *key, ws_str *out, ws_error *err) {
    const ws_kv *kv = ws_gguf_kv(g, key);
    if (!kv) return missing(g, key, err);
    return ws_kv_str(kv, out) ? WS_OK : wrong_type(g, kv, "a string", err);
}
