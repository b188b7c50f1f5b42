#include "edit.h"

#include "alloc.h"
#include "edit_journal.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 4 + 4 + 8 + 8, SLICE = 8 << 20, MAX_KEY = 65535 };

typedef struct {
    uint8_t *data;
    size_t size, cap;
} buffer;

static ws_status append(buffer *b, const void *data, size_t n, ws_error *err) {
    if (n == 0) return WS_OK;
    WS_TRY(ws_grow(&b->data, &b->cap, b->size + n, 1, err));
    memcpy(b->data + b->size, data, n);
    b->size += n;
    return WS_OK;
}

static ws_status append_pair(buffer *b, const char *key, ws_kv_type type, const void *value, size_t n, ws_error *err) {
    const uint64_t length = strlen(key);
    const uint32_t number = type;
    if (length == 0 || length > MAX_KEY)
        return ws_fail(err, WS_USAGE, "a key has 1 to %d bytes; '%s' has not", MAX_KEY, ws_show(key, length).text);
    WS_TRY(append(b, &length, sizeof length, err));
    WS_TRY(append(b, key, length, err));
    WS_TRY(append(b, &number, sizeof number, err));
    return append(b, value, n, err);
}

/* ---- the new header ---- */

/* The last edit of a key counts. */
static const ws_edit *edit_of(const ws_edit *edits, size_t n, const char *key) {
    while (n-- > 0)
        if (strcmp(edits[n].key, key) == 0) return &edits[n];
    return NULL;
}

static ws_status append_pairs(buffer *b, const ws_gguf *g, const ws_edit *edits, size_t n, uint64_t *count,
                              ws_error *err) {
    *count = 0;
    for (size_t i = 0; i < g->n_kv; i++) {
        const ws_kv *kv = &g->kv[i];
        const ws_edit *e = edit_of(edits, n, kv->key);
        if (e && e->remove) continue;
        ++*count;
        WS_TRY(e ? append_pair(b, e->key, e->type, e->value, e->bytes, err)
                 : append_pair(b, kv->key, kv->type, kv->raw, kv->raw_bytes, err));
    }
    for (size_t i = 0; i < n; i++) {
        const ws_edit *e = &edits[i];
        if (e->remove || ws_gguf_kv(g, e->key) || edit_of(edits, n, e->key) != e) continue;
        ++*count;
        WS_TRY(append_pair(b, e->key, e->type, e->value, e->bytes, err));
    }
    return WS_OK;
}

/* The tensor infos of the first file, as they are: their offsets count from the data section. */
static ws_status append_infos(buffer *b, const ws_gguf *g, ws_error *err) {
    const ws_kv *last = g->n_kv ? &g->kv[g->n_kv - 1] : NULL;
    const uint8_t *infos = last ? last->raw + last->raw_bytes : g->parts[0].data + HEADER_BYTES;
    size_t n = 0;
    for (size_t i = 0; i < g->n_tensors && g->tensors[i].part == 0; i++)
        n += 8 + strlen(g->tensors[i].name) + 4 + 8 * (size_t)g->tensors[i].n_dims + 4 + 8;
    return append(b, infos, n, err);
}

/* Without the padding that follows. */
static ws_status make_header(buffer *b, const ws_gguf *g, const ws_edit *edits, size_t n, ws_error *err) {
    uint64_t count;
    WS_TRY(append(b, g->parts[0].data, HEADER_BYTES, err));
    WS_TRY(append_pairs(b, g, edits, n, &count, err));
    memcpy(b->data + 16, &count, sizeof count);
    return append_infos(b, g, err);
}

static ws_status pad(buffer *b, uint32_t alignment, ws_error *err) {
    static const uint8_t zeros[256];
    for (size_t end = ws_align_up(b->size, alignment); b->size < end;)
        WS_TRY(append(b, zeros, end - b->size < sizeof zeros ? end - b->size : sizeof zeros, err));
    return WS_OK;
}

/* ---- writing it ---- */

/* Only from the first to the last byte that differs. */
static ws_status write_in_place(const ws_gguf *g, const buffer *header, ws_edit_result *result, ws_error *err) {
    const uint8_t *old = g->parts[0].data;
    size_t from = 0, to = header->size;
    while (from < to && old[from] == header->data[from]) from++;
    while (to > from && old[to - 1] == header->data[to - 1]) to--;
    *result = (ws_edit_result){true, to - from};
    if (from == to) return WS_OK;
    return ws_journaled_write(ws_gguf_path(g), g->parts[0].size, header->data, header->size, from, to - from, err);
}

static ws_status copy_data(ws_outfile *f, const ws_gguf *g, ws_error *err) {
    const ws_map *map = &g->parts[0];
    for (size_t at = (size_t)g->data_offset; at < map->size; at += SLICE) {
        const size_t n = map->size - at < SLICE ? map->size - at : SLICE;
        ws_map_will_need(map, at, n);
        WS_TRY(ws_outfile_write(f, map->data + at, n, err));
        ws_map_release(map, at, n);
    }
    return WS_OK;
}

static ws_status write_copy(const ws_gguf *g, const char *path, const buffer *header, ws_edit_result *result,
                            ws_error *err) {
    ws_outfile *f;
    WS_TRY(ws_outfile_open(&f, path, err));
    ws_status status = ws_outfile_write(f, header->data, header->size, err);
    if (!status) status = copy_data(f, g, err);
    *result = (ws_edit_result){false, ws_outfile_size(f)};
    if (!status) return ws_outfile_finish(f, err);
    ws_outfile_discard(f);
    return status;
}

ws_status ws_edit_apply(ws_gguf *g, const char *out_path, const ws_edit *edits, size_t n, ws_edit_result *result,
                        ws_error *err) {
    buffer header = {0};
    ws_status status = make_header(&header, g, edits, n, err);
    if (!status) status = pad(&header, g->alignment, err);
    const bool same_file = !out_path || ws_same_file(out_path, ws_gguf_path(g));
    const bool fits = header.size == g->data_offset && g->parts[0].size >= g->data_offset;
    if (!status)
        status = same_file && fits ? write_in_place(g, &header, result, err)
                                   : write_copy(g, out_path ? out_path : ws_gguf_path(g), &header, result, err);
    free(header.data);
    ws_gguf_close(g);
    return status;
}
