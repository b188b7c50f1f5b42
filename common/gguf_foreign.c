#include "gguf_foreign.h"

#include "alloc.h"
#include "gguf_internal.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { MAX_DEPTH = 8, MAX_HEADER = 1 << 30 };

/* Reads the file's way, writes version 3's. */
typedef struct {
    ws_cursor c;
    bool big, narrow; /* narrow: lengths and counts of 32 bits */
    uint8_t *out;
    size_t size, cap;
    ws_error *err;
} converter;

static uint64_t take(converter *v, size_t bytes) {
    const uint8_t *p = ws_take(&v->c, bytes);
    uint64_t x = 0;
    for (size_t i = 0; p && i < bytes; i++) x |= (uint64_t)p[v->big ? bytes - 1 - i : i] << (8 * i);
    return x;
}

static uint64_t take_count(converter *v) { return take(v, v->narrow ? 4 : 8); }

static ws_status put(converter *v, const void *data, size_t n) {
    if (n == 0) return WS_OK;
    WS_TRY(ws_grow(&v->out, &v->cap, v->size + n, 1, v->err));
    memcpy(v->out + v->size, data, n);
    v->size += n;
    return WS_OK;
}

static ws_status put_number(converter *v, uint64_t x, size_t bytes) { return put(v, &x, bytes); }

static ws_status copy_string(converter *v, ws_str *seen) {
    const uint64_t n = take_count(v);
    const uint8_t *p = ws_take(&v->c, n);
    if (seen) *seen = (ws_str){(const char *)p, p ? (size_t)n : 0};
    if (!p) return WS_OK; /* the cursor remembers */
    WS_TRY(put_number(v, n, 8));
    return put(v, p, (size_t)n);
}

static ws_status copy_value(converter *v, uint32_t type, int depth);

static ws_status copy_array(converter *v, int depth) {
    const uint32_t type = (uint32_t)take(v, 4);
    const uint64_t n = take_count(v);
    const size_t least = type == WS_KV_STRING || type == WS_KV_ARRAY ? 4 : 1;
    if (v->c.bad || depth == MAX_DEPTH || n > ws_left(&v->c) / least) {
        v->c.bad = true;
        return WS_OK;
    }
    WS_TRY(put_number(v, type, 4));
    WS_TRY(put_number(v, n, 8));
    for (uint64_t i = 0; i < n && !v->c.bad; i++) WS_TRY(copy_value(v, type, depth + 1));
    return WS_OK;
}

static ws_status copy_value(converter *v, uint32_t type, int depth) {
    if (type == WS_KV_STRING) return copy_string(v, NULL);
    if (type == WS_KV_ARRAY) return copy_array(v, depth);
    const size_t bytes = ws_kv_type_size((ws_kv_type)type);
    if (!bytes) v->c.bad = true;
    return put_number(v, take(v, bytes), bytes);
}

static ws_status copy_pair(converter *v, uint64_t *alignment) {
    static const char key_name[] = "general.alignment";
    ws_str key;
    WS_TRY(copy_string(v, &key));
    const uint32_t type = (uint32_t)take(v, 4);
    WS_TRY(put_number(v, type, 4));
    const size_t at = v->size;
    WS_TRY(copy_value(v, type, 0));
    const bool is_alignment = key.len == sizeof key_name - 1 && memcmp(key.data, key_name, key.len) == 0;
    if (is_alignment && type == WS_KV_U32 && !v->c.bad) {
        uint32_t value;
        memcpy(&value, v->out + at, sizeof value);
        *alignment = value;
    }
    return WS_OK;
}

static ws_status copy_info(converter *v) {
    WS_TRY(copy_string(v, NULL));
    const uint32_t n_dims = (uint32_t)take(v, 4);
    if (n_dims > WS_MAX_DIMS) v->c.bad = true;
    WS_TRY(put_number(v, n_dims, 4));
    for (uint32_t d = 0; d < n_dims && !v->c.bad; d++) WS_TRY(put_number(v, take_count(v), 8));
    WS_TRY(put_number(v, take(v, 4), 4));
    return put_number(v, take(v, 8), 8);
}

static ws_status copy_header(converter *v, ws_gguf_foreign *f, uint64_t *alignment) {
    *alignment = WS_GGUF_DEFAULT_ALIGNMENT;
    ws_take(&v->c, 4);
    f->version = (uint32_t)take(v, 4);
    v->narrow = f->version == 1;
    const uint64_t n_tensors = take_count(v), n_kv = take_count(v);
    WS_TRY(put(v, "GGUF", 4));
    WS_TRY(put_number(v, 3, 4));
    WS_TRY(put_number(v, n_tensors, 8));
    WS_TRY(put_number(v, n_kv, 8));
    for (uint64_t i = 0; i < n_kv && !v->c.bad; i++) WS_TRY(copy_pair(v, alignment));
    for (uint64_t i = 0; i < n_tensors && !v->c.bad; i++) WS_TRY(copy_info(v));
    if (!ws_gguf_alignment_ok(*alignment) || v->size > MAX_HEADER) v->c.bad = true;
    return WS_OK;
}

/* The header, and as many zeros as the file has data; pages that nobody touches take no memory. */
static ws_status make_image(ws_gguf_foreign *f, const converter *v, uint64_t alignment, uint64_t data_bytes,
                            ws_error *err) {
    const uint64_t size = ws_align_up(v->size, alignment) + data_bytes;
    void *image = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (image == MAP_FAILED) return ws_fail_errno(err, "cannot map a header of %zu bytes", v->size);
    f->image = (ws_map){image, size};
    memcpy(image, v->out, v->size);
    return WS_OK;
}

static uint32_t version_of(const uint8_t *p, bool big) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) v |= (uint32_t)p[big ? 3 - i : i] << (8 * i);
    return v;
}

bool ws_gguf_foreign_probe(const uint8_t *data, size_t size) {
    if (size < 8 || memcmp(data, "GGUF", 4) != 0) return false;
    const uint32_t little = version_of(data + 4, false), big = version_of(data + 4, true);
    return little == 1 || (big >= 1 && big <= 3 && little > 3);
}

static ws_status convert(converter *v, ws_gguf_foreign *f, const uint8_t *data, size_t size, const char *path) {
    uint64_t alignment;
    WS_TRY(copy_header(v, f, &alignment));
    if (v->c.bad)
        return ws_fail(v->err, WS_FORMAT, "'%s' (GGUF version %u, %s-endian) ends inside its header, or it is broken",
                       path, f->version, v->big ? "big" : "little");
    f->data_offset = ws_align_up((uint64_t)(v->c.at - data), alignment);
    const uint64_t data_bytes = f->data_offset < size ? size - f->data_offset : 0;
    WS_TRY(make_image(f, v, alignment, data_bytes, v->err));
    return ws_gguf_open_bytes(&f->gguf, f->image.data, f->image.size, path, v->err);
}

ws_status ws_gguf_foreign_open(ws_gguf_foreign *f, const uint8_t *data, size_t size, const char *path, ws_error *err) {
    *f = (ws_gguf_foreign){0};
    if (!ws_gguf_foreign_probe(data, size))
        return ws_fail(err, WS_FORMAT, "'%s' is not a GGUF file of version 1 or a big-endian one", path);
    converter v = {.c = {data, data + size, false}, .big = version_of(data + 4, false) > 3, .err = err};
    f->big_endian = v.big;
    const ws_status status = convert(&v, f, data, size, path);
    free(v.out);
    return status;
}

void ws_gguf_foreign_close(ws_gguf_foreign *f) {
    ws_gguf_close(f->gguf);
    ws_map_close(&f->image);
    *f = (ws_gguf_foreign){0};
}
