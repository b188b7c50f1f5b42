#include "charsmap.h"

#include "cursor.h"

#include <string.h>

ws_status ws_charsmap_open(ws_charsmap *m, const ws_gguf *g, ws_error *err) {
    static const char key[] = "tokenizer.ggml.precompiled_charsmap";
    *m = (ws_charsmap){0};
    const ws_kv *kv = ws_gguf_kv(g, key);
    if (!kv) return WS_OK;
    if (kv->type != WS_KV_ARRAY || (kv->elem_type != WS_KV_U8 && kv->elem_type != WS_KV_I8))
        return ws_fail(err, WS_FORMAT, "'%s': %s is not an array of bytes", ws_gguf_path(g), key);
    if (kv->n == 0) return WS_OK;
    ws_cursor c = {kv->elems, kv->elems + kv->n, false};
    const uint32_t bytes = ws_u32(&c);
    m->nodes = ws_take(&c, bytes);
    m->n_nodes = bytes / 4;
    m->strings = (const char *)c.at;
    m->n_strings = ws_left(&c);
    if (c.bad || m->n_strings == 0)
        return ws_fail(err, WS_FORMAT, "'%s': %s of %zu bytes is shorter than its array of %u bytes", ws_gguf_path(g),
                       key, (size_t)kv->n, bytes);
    return WS_OK;
}

/* A node: bits 10-30 offset (times 256 when bit 9 is set), bit 8 "a string ends here", bits 0-7 its byte. The node
 * at its offset is then a value: bit 31 set, the rest is the place of the replacement. */
static bool node_at(const ws_charsmap *m, size_t index, uint32_t *node) {
    if (index >= m->n_nodes) return false;
    ws_cursor c = {m->nodes + 4 * index, m->nodes + 4 * index + 4, false};
    *node = ws_u32(&c);
    return true;
}

static uint32_t offset(uint32_t node) { return (node >> 10) << ((node & 1U << 9) >> 6); }

static ws_status broken(ws_error *err) {
    return ws_fail(err, WS_FORMAT, "tokenizer.ggml.precompiled_charsmap points outside itself");
}

static ws_status replacement(const ws_charsmap *m, size_t at, ws_str *out, ws_error *err) {
    const char *end = at < m->n_strings ? memchr(m->strings + at, 0, m->n_strings - at) : NULL;
    if (!end) return broken(err);
    *out = (ws_str){m->strings + at, (size_t)(end - (m->strings + at))};
    return WS_OK;
}

ws_status ws_charsmap_match(const ws_charsmap *m, const char *text, size_t n, size_t *matched, ws_str *out,
                            ws_error *err) {
    *matched = 0;
    if (m->n_nodes == 0) return WS_OK;
    uint32_t node, value = 0;
    if (!node_at(m, 0, &node)) return broken(err);
    uint32_t index = offset(node);
    for (size_t i = 0; i < n && text[i]; i++) {
        const uint8_t byte = (uint8_t)text[i];
        index ^= byte;
        if (!node_at(m, index, &node)) return broken(err);
        if ((node & (1U << 31 | 0xff)) != byte) break;
        index ^= offset(node);
        if (!(node & 1U << 8)) continue;
        if (!node_at(m, index, &value)) return broken(err);
        *matched = i + 1;
    }
    return *matched ? replacement(m, value & ~(1U << 31), out, err) : WS_OK;
}
