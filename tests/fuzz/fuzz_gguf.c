/* Any bytes: the GGUF reader refuses them or hands out only what lies inside of them, and whatever it accepts the
 * writer can write and the reader reads again. */
#include "gguf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* keeps the reads */

static void require(bool ok) {
    if (!ok) abort();
}

static void touch(const uint8_t *p, uint64_t n) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) sum += p[i];
    sink += sum;
}

static void use_array(const ws_kv *kv) {
    const uint8_t *it = kv->elems;
    for (uint64_t i = 0; i < kv->n; i++) {
        int64_t v;
        double f;
        if (kv->elem_type == WS_KV_STRING) {
            const ws_str s = ws_kv_next_str(&it);
            touch((const uint8_t *)s.data, s.len);
        } else if (kv->elem_type == WS_KV_ARRAY) {
            const ws_kv inner = ws_kv_next_array(&it, kv);
            use_array(&inner);
        } else {
            sink += ws_kv_elem_i64(kv, i, &v) ? (uint64_t)v : 0;
            sink += ws_kv_elem_f64(kv, i, &f) && f > 0;
        }
    }
}

static void use_pair(const ws_gguf *g, const ws_kv *kv) {
    uint64_t u;
    int64_t v;
    double f;
    ws_str s;
    require(ws_gguf_kv(g, kv->key) == kv);
    touch(kv->raw, kv->raw_bytes);
    sink += ws_kv_u64(kv, &u) + ws_kv_i64(kv, &v) + ws_kv_f64(kv, &f);
    if (ws_kv_str(kv, &s)) touch((const uint8_t *)s.data, s.len);
    if (kv->type == WS_KV_ARRAY) use_array(kv);
}

static void use_tensor(const ws_gguf *g, const ws_tensor *t, const uint8_t *data, size_t size) {
    require(ws_gguf_tensor(g, t->name) == t);
    require(t->data >= data && t->bytes <= size && (size_t)(t->data - data) <= size - t->bytes);
    require(t->data == data + t->offset);
    touch(t->data, t->bytes);
}

static void write_copy(const ws_gguf *g, const char *path) {
    ws_error err = {0};
    ws_gguf_writer *w;
    require(ws_gguf_writer_new(&w, &err) == WS_OK);
    for (size_t i = 0; i < g->n_kv; i++) ws_gguf_put_kv(w, &g->kv[i]);
    for (size_t i = 0; i < g->n_tensors; i++)
        ws_gguf_add_tensor(w, g->tensors[i].name, g->tensors[i].type, g->tensors[i].n_dims, g->tensors[i].ne);
    const uint64_t size = ws_gguf_writer_file_size(w);
    require(ws_gguf_writer_begin(w, path, &err) == WS_OK);
    for (size_t i = 0; i < g->n_tensors; i++)
        require(ws_gguf_write(w, g->tensors[i].data, g->tensors[i].bytes, &err) == WS_OK);
    require(ws_gguf_writer_finish(w, &err) == WS_OK);
    ws_map map;
    require(ws_map_open(&map, path, &err) == WS_OK && map.size == size);
    ws_map_close(&map);
}

static void compare_copy(const ws_gguf *g, const char *path) {
    ws_gguf *copy;
    require(ws_gguf_open(&copy, path, NULL) == WS_OK);
    require(copy->n_kv == g->n_kv && copy->n_tensors == g->n_tensors && copy->alignment == g->alignment);
    for (size_t i = 0; i < g->n_kv; i++)
        require(copy->kv[i].raw_bytes == g->kv[i].raw_bytes && strcmp(copy->kv[i].key, g->kv[i].key) == 0 &&
                memcmp(copy->kv[i].raw, g->kv[i].raw, g->kv[i].raw_bytes) == 0);
    for (size_t i = 0; i < g->n_tensors; i++)
        require(copy->tensors[i].bytes == g->tensors[i].bytes &&
                memcmp(copy->tensors[i].data, g->tensors[i].data, g->tensors[i].bytes) == 0);
    ws_gguf_close(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ws_gguf *g;
    ws_error err = {0};
    if (ws_gguf_open_bytes(&g, data, size, "fuzz", &err)) {
        require(!g && err.code && err.msg[0] && !strchr(err.msg, '\n'));
        return 0;
    }
    for (size_t i = 0; i < g->n_kv; i++) use_pair(g, &g->kv[i]);
    for (size_t i = 0; i < g->n_tensors; i++) use_tensor(g, &g->tensors[i], data, size);
    char path[64];
    snprintf(path, sizeof path, "/tmp/ws-fuzz-%ld.gguf", (long)getpid());
    if (g->alignment <= 1 << 16) { /* else padding takes gigabytes */
        write_copy(g, path);
        compare_copy(g, path);
        unlink(path);
    }
    ws_gguf_close(g);
    return 0;
}
