#include "pairs.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>

const ws_kv *ws_pairs_find(const ws_pairs *p, const char *key) {
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->kv[i].key, key) == 0) return &p->kv[i];
    return NULL;
}

/* The slot of `key`: the one it has, or a new one at the end. NULL when memory is out. */
static ws_kv *slot_of(ws_pairs *p, const char *key) {
    ws_kv *found = (ws_kv *)ws_pairs_find(p, key);
    if (found) return found;
    if (ws_grow(&p->kv, &p->cap, p->n + 1, sizeof *p->kv, &p->err)) return NULL;
    char *name = ws_strndup(key, strlen(key), &p->err);
    if (!name) return NULL;
    p->kv[p->n] = (ws_kv){.key = name};
    return &p->kv[p->n++];
}

/* Give `key` a value of `bytes` bytes, to be filled in the layout of a GGUF file; returns them, or NULL. */
static uint8_t *reserve(ws_pairs *p, const char *key, ws_kv_type type, size_t bytes) {
    if (p->err.code) return NULL;
    uint8_t *raw = ws_alloc(bytes, 1, key, &p->err);
    ws_kv *kv = raw ? slot_of(p, key) : NULL;
    if (!kv) {
        free(raw);
        return NULL;
    }
    free((void *)kv->raw);
    *kv = (ws_kv){.key = kv->key, .type = type, .raw = raw, .raw_bytes = bytes};
    return raw;
}

static void put_scalar(ws_pairs *p, const char *key, ws_kv_type type, const void *v, size_t bytes) {
    uint8_t *raw = reserve(p, key, type, bytes);
    if (raw) memcpy(raw, v, bytes);
}

void ws_pairs_put_u32(ws_pairs *p, const char *key, uint32_t v) { put_scalar(p, key, WS_KV_U32, &v, sizeof v); }
void ws_pairs_put_i32(ws_pairs *p, const char *key, int32_t v) { put_scalar(p, key, WS_KV_I32, &v, sizeof v); }
void ws_pairs_put_f32(ws_pairs *p, const char *key, float v) { put_scalar(p, key, WS_KV_F32, &v, sizeof v); }

void ws_pairs_put_bool(ws_pairs *p, const char *key, bool v) {
    const uint8_t byte = v;
    put_scalar(p, key, WS_KV_BOOL, &byte, 1);
}

static uint8_t *store_str(uint8_t *at, const char *s, uint64_t len) {
    memcpy(at, &len, sizeof len);
    if (len) memcpy(at + sizeof len, s, len);
    return at + sizeof len + len;
}

void ws_pairs_put_str(ws_pairs *p, const char *key, const char *v) {
    if (!v || !*v) return;
    const size_t len = strlen(v);
    uint8_t *raw = reserve(p, key, WS_KV_STRING, sizeof(uint64_t) + len);
    if (raw) store_str(raw, v, len);
}

/* An array's value: its elements' type, their number, the elements. Returns where the elements go. */
static uint8_t *reserve_array(ws_pairs *p, const char *key, ws_kv_type elem, size_t n, size_t bytes) {
    const uint32_t type = elem;
    const uint64_t count = n;
    uint8_t *raw = reserve(p, key, WS_KV_ARRAY, sizeof type + sizeof count + bytes);
    if (!raw) return NULL;
    memcpy(raw, &type, sizeof type);
    memcpy(raw + sizeof type, &count, sizeof count);
    ws_kv *kv = slot_of(p, key);
    kv->elem_type = elem;
    kv->n = n;
    kv->elems = raw + sizeof type + sizeof count;
    return raw + sizeof type + sizeof count;
}

void ws_pairs_put_array(ws_pairs *p, const char *key, ws_kv_type elem, const void *v, size_t n) {
    const size_t bytes = n * ws_kv_type_size(elem);
    uint8_t *at = n ? reserve_array(p, key, elem, n, bytes) : NULL;
    if (at) memcpy(at, v, bytes);
}

void ws_pairs_put_str_array(ws_pairs *p, const char *key, const ws_str *v, size_t n) {
    size_t bytes = n * sizeof(uint64_t);
    for (size_t i = 0; i < n; i++) bytes += v[i].len;
    uint8_t *at = n ? reserve_array(p, key, WS_KV_STRING, n, bytes) : NULL;
    for (size_t i = 0; at && i < n; i++) at = store_str(at, v[i].data, v[i].len);
}

ws_status ws_pairs_check(const ws_pairs *p, ws_error *err) {
    return p->err.code ? ws_fail(err, p->err.code, "%s", p->err.msg) : WS_OK;
}

ws_status ws_pairs_write(const ws_pairs *p, ws_gguf_writer *w, ws_error *err) {
    WS_TRY(ws_pairs_check(p, err));
    for (size_t i = 0; i < p->n; i++) ws_gguf_put_kv(w, &p->kv[i]);
    return WS_OK;
}

void ws_pairs_free(ws_pairs *p) {
    for (size_t i = 0; i < p->n; i++) {
        free((void *)p->kv[i].key);
        free((void *)p->kv[i].raw);
    }
    free(p->kv);
    *p = (ws_pairs){0};
}
