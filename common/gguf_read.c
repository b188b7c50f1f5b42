/* Reading GGUF: one pass over each file's header checks everything, then lookups are binary searches. */
#include "alloc.h"
#include "arena.h"
#include "gguf_internal.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PARTS = 65535 }; /* split.count is a u16 */

/* Smallest possible entries: they bound the counts before anything is allocated. A key or name has a byte. */
enum { KV_MIN = 8 + 1 + 4 + 1, TENSOR_MIN = 8 + 1 + 4 + 4 + 8 };

struct ws_gguf_index {
    const ws_kv **by_key;
    const ws_tensor **by_name;
    ws_arena names;
    size_t tensor_cap;
    bool borrowed; /* the bytes of the only part belong to the caller */
    bool no_data;  /* they end with the header */
};

/* One file while it is read. */
typedef struct {
    ws_gguf *g;
    const ws_map *map;
    const char *path;
    uint32_t part, version, alignment;
    ws_cursor c;
    uint64_t n_tensors, n_kv, data_offset;
    size_t first_tensor; /* of this file in g->tensors */
    ws_kv *kv;
    const ws_kv **by_key;
    ws_error *err;
} reader;

static ws_str next_string(reader *r) {
    const uint64_t len = ws_u64(&r->c);
    const uint8_t *p = ws_take(&r->c, len);
    return (ws_str){(const char *)p, p ? (size_t)len : 0};
}

static ws_status truncated(reader *r, const char *where, uint64_t i, uint64_t n) {
    return ws_fail(r->err, WS_FORMAT, "'%s' ends inside %s %" PRIu64 " of %" PRIu64 " (%zu bytes)", r->path, where,
                   i + 1, n, r->map->size);
}

/* ---- header ---- */

static ws_status check_version(reader *r) {
    if (r->version == 2 || r->version == 3) return WS_OK;
    if (r->version && (r->version & 0xffff) == 0)
        return ws_fail(r->err, WS_UNSUPPORTED,
                       "'%s' is a big-endian GGUF file; only little-endian files can be read "
                       "(gguf-py's gguf_convert_endian.py converts)",
                       r->path);
    return ws_fail(r->err, WS_UNSUPPORTED, "'%s' has GGUF version %" PRIu32 "; versions 2 and 3 can be read", r->path,
                   r->version);
}

static ws_status read_header(reader *r) {
    const uint8_t *magic = ws_take(&r->c, 4);
    if (!magic || memcmp(magic, "GGUF", 4) != 0)
        return ws_fail(r->err, WS_FORMAT, "'%s' is not a GGUF file: it %s%s", r->path,
                       magic          ? "starts with "
                       : r->map->size ? "has less than 4 bytes"
                                      : "is empty",
                       magic ? ws_show((const char *)magic, 4).text : "");
    r->version = ws_u32(&r->c);
    if (!r->c.bad) WS_TRY(check_version(r));
    r->n_tensors = ws_u64(&r->c);
    r->n_kv = ws_u64(&r->c);
    const uint64_t left = ws_left(&r->c);
    if (r->c.bad) return ws_fail(r->err, WS_FORMAT, "'%s' ends inside its header (%zu bytes)", r->path, r->map->size);
    if (r->n_kv > left / KV_MIN || r->n_tensors > left / TENSOR_MIN)
        return ws_fail(r->err, WS_FORMAT,
                       "'%s' declares %" PRIu64 " keys and %" PRIu64 " tensors, more than its %zu bytes can hold",
                       r->path, r->n_kv, r->n_tensors, r->map->size);
    return WS_OK;
}

/* ---- metadata ---- */

static ws_status read_pair(reader *r, uint64_t i) {
    ws_kv *kv = &r->kv[i];
    const ws_str key = next_string(r);
    if (r->c.bad) return truncated(r, "key", i, r->n_kv);
    if (!ws_gguf_name_ok(key.data, key.len, WS_GGUF_MAX_KEY))
        return ws_fail(r->err, WS_FORMAT, "'%s': key %" PRIu64 " of %" PRIu64 " has a bad name of %zu bytes ('%s')",
                       r->path, i + 1, r->n_kv, key.len, ws_show(key.data, key.len).text);
    if (!(kv->key = ws_arena_strndup(&r->g->index->names, key.data, key.len, r->err))) return WS_NOMEM;
    const uint32_t type = ws_u32(&r->c);
    if (r->c.bad) return truncated(r, "key", i, r->n_kv);
    const char *problem = ws_kv_parse(&r->c, type, kv);
    if (!problem) return WS_OK;
    return ws_fail(r->err, WS_FORMAT, "'%s': the value of key '%s' %s (type %" PRIu32 ", file of %zu bytes)", r->path,
                   ws_show(key.data, key.len).text, problem, type, r->map->size);
}

static int compare_keys(const void *a, const void *b) {
    return strcmp((*(const ws_kv *const *)a)->key, (*(const ws_kv *const *)b)->key);
}

static int compare_key_to(const void *key, const void *item) { return strcmp(key, (*(const ws_kv *const *)item)->key); }

static ws_status sort_keys(reader *r) {
    const size_t n = (size_t)r->n_kv;
    if (!(r->by_key = ws_alloc(n, sizeof *r->by_key, "the index of keys", r->err))) return WS_NOMEM;
    for (size_t i = 0; i < n; i++) r->by_key[i] = &r->kv[i];
    qsort(r->by_key, n, sizeof *r->by_key, compare_keys);
    for (size_t i = 1; i < n; i++)
        if (strcmp(r->by_key[i - 1]->key, r->by_key[i]->key) == 0)
            return ws_fail(r->err, WS_FORMAT, "'%s' has the key '%s' twice", r->path,
                           ws_show(r->by_key[i]->key, strlen(r->by_key[i]->key)).text);
    return WS_OK;
}

static const ws_kv *find_key(const ws_kv *const *by_key, size_t n, const char *key) {
    const ws_kv *const *found = bsearch(key, by_key, n, sizeof *by_key, compare_key_to);
    return found ? *found : NULL;
}

static ws_status read_alignment(reader *r) {
    const ws_kv *kv = find_key(r->by_key, (size_t)r->n_kv, "general.alignment");
    uint64_t v = WS_GGUF_DEFAULT_ALIGNMENT;
    if (kv && (kv->type != WS_KV_U32 || !ws_kv_u64(kv, &v)))
        return ws_fail(r->err, WS_FORMAT, "'%s': key 'general.alignment' has type %s, expected u32", r->path,
                       ws_kv_type_name(kv->type));
    if (!ws_gguf_alignment_ok(v))
        return ws_fail(r->err, WS_FORMAT,
                       "'%s': general.alignment is %" PRIu64 ", which is not a power of two of at least %d", r->path, v,
                       WS_GGUF_MIN_ALIGNMENT);
    r->alignment = (uint32_t)v;
    return WS_OK;
}

static ws_status read_metadata(reader *r) {
    if (!(r->kv = ws_alloc((size_t)r->n_kv, sizeof *r->kv, "metadata", r->err))) return WS_NOMEM;
    for (uint64_t i = 0; i < r->n_kv; i++) WS_TRY(read_pair(r, i));
    WS_TRY(sort_keys(r));
    return read_alignment(r);
}

/* ---- tensor infos ---- */

static ws_status bad_tensor(reader *r, const ws_tensor *t, const char *fmt, ...) WS_PRINTF(3, 4);

static ws_status bad_tensor(reader *r, const ws_tensor *t, const char *fmt, ...) {
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return ws_fail(r->err, WS_FORMAT, "'%s': tensor '%s' %s", r->path, ws_show(t->name, strlen(t->name)).text, what);
}

static ws_status read_name(reader *r, ws_tensor *t, uint64_t i) {
    const ws_str name = next_string(r);
    if (r->c.bad) return truncated(r, "the info of tensor", i, r->n_tensors);
    if (!ws_gguf_name_ok(name.data, name.len, WS_GGUF_MAX_NAME))
        return ws_fail(r->err, WS_FORMAT, "'%s': tensor %" PRIu64 " of %" PRIu64 " has a bad name of %zu bytes ('%s')",
                       r->path, i + 1, r->n_tensors, name.len, ws_show(name.data, name.len).text);
    t->name = ws_arena_strndup(&r->g->index->names, name.data, name.len, r->err);
    return t->name ? WS_OK : WS_NOMEM;
}

/* Elements per dimension; they and their product are below 2^63, as in the reference, which has them signed. */
static ws_status read_shape(reader *r, ws_tensor *t) {
    t->n_dims = ws_u32(&r->c);
    if (t->n_dims > WS_MAX_DIMS)
        return bad_tensor(r, t, "has %" PRIu32 " dimensions; at most %d are possible", t->n_dims, WS_MAX_DIMS);
    t->n_elements = 1;
    for (uint32_t d = 0; d < WS_MAX_DIMS; d++) {
        t->ne[d] = d < t->n_dims ? ws_u64(&r->c) : 1;
        if (t->ne[d] > INT64_MAX || ws_mul_overflows(t->n_elements, t->ne[d], &t->n_elements) ||
            t->n_elements > INT64_MAX)
            return bad_tensor(r, t, "has a shape whose product overflows (dimension %" PRIu32 " is %" PRIu64 ")", d,
                              t->ne[d]);
    }
    return WS_OK;
}

static ws_status read_type(reader *r, ws_tensor *t) {
    const uint32_t number = ws_u32(&r->c);
    t->offset = ws_u64(&r->c);
    if (r->c.bad) return WS_OK; /* the caller reports it */
    const ws_dtype_info *info = ws_dtype_get(number);
    if (!info) return bad_tensor(r, t, "has the unknown type number %" PRIu32, number);
    t->type = (ws_dtype)number;
    if (t->ne[0] % info->block_elements)
        return bad_tensor(r, t, "has rows of %" PRIu64 " elements, not a multiple of the %" PRIu32 " in a block of %s",
                          t->ne[0], info->block_elements, info->name);
    if (!ws_dtype_bytes(t->type, t->n_elements, &t->bytes))
        return bad_tensor(r, t, "has %" PRIu64 " elements of %s, which overflows", t->n_elements, info->name);
    return WS_OK;
}

static ws_status read_info(reader *r, uint64_t i) {
    ws_tensor *t = &r->g->tensors[r->first_tensor + i];
    *t = (ws_tensor){.part = r->part};
    WS_TRY(read_name(r, t, i));
    WS_TRY(read_shape(r, t));
    WS_TRY(read_type(r, t));
    return r->c.bad ? truncated(r, "the info of tensor", i, r->n_tensors) : WS_OK;
}

/* ---- tensor data ---- */

/* Turn the offset within the data section into one within the file. */
static ws_status place_tensor(reader *r, ws_tensor *t) {
    const bool no_data = r->g->index->no_data;
    const uint64_t in_file = no_data ? UINT64_MAX - r->data_offset : r->map->size - r->data_offset;
    if (t->offset % r->alignment)
        return bad_tensor(r, t, "has offset %" PRIu64 ", not a multiple of the alignment %" PRIu32, t->offset,
                          r->alignment);
    if (t->offset > in_file || t->bytes > in_file - t->offset)
        return bad_tensor(r, t,
                          "ends past the end of the file (%" PRIu64 " bytes at offset %" PRIu64 " of %" PRIu64
                          " bytes of data)",
                          t->bytes, t->offset, in_file);
    t->offset += r->data_offset;
    t->data = no_data ? NULL : r->map->data + t->offset;
    return WS_OK;
}

static int compare_offsets(const void *a, const void *b) {
    const ws_tensor *ta = *(const ws_tensor *const *)a, *tb = *(const ws_tensor *const *)b;
    return ta->offset != tb->offset ? (ta->offset < tb->offset ? -1 : 1) : 0;
}

static ws_status check_overlaps(reader *r) {
    const ws_tensor *all = r->g->tensors + r->first_tensor;
    const ws_tensor **sorted = ws_alloc((size_t)r->n_tensors, sizeof *sorted, "the order of tensors", r->err);
    if (!sorted) return WS_NOMEM;
    size_t n = 0;
    for (size_t i = 0; i < r->n_tensors; i++)
        if (all[i].bytes) sorted[n++] = &all[i];
    qsort(sorted, n, sizeof *sorted, compare_offsets);
    ws_status status = WS_OK;
    for (size_t i = 1; i < n && !status; i++)
        if (sorted[i]->offset - sorted[i - 1]->offset < sorted[i - 1]->bytes)
            status = bad_tensor(r, sorted[i], "overlaps tensor '%s' (they start at %" PRIu64 " and %" PRIu64 ")",
                                ws_show(sorted[i - 1]->name, strlen(sorted[i - 1]->name)).text, sorted[i]->offset,
                                sorted[i - 1]->offset);
    free(sorted);
    return status;
}

static ws_status read_tensors(reader *r) {
    ws_gguf *g = r->g;
    r->first_tensor = g->n_tensors;
    const size_t n = (size_t)r->n_tensors;
    const size_t room = g->n_tensors + n + 1; /* one to spare, so that the array exists without tensors too */
    WS_TRY(ws_grow(&g->tensors, &g->index->tensor_cap, room, sizeof *g->tensors, r->err));
    for (size_t i = 0; i < n; i++) WS_TRY(read_info(r, i));
    const size_t end = (size_t)(r->c.at - r->map->data);
    r->data_offset = ws_align_up(end, r->alignment);
    if (n && r->data_offset > r->map->size && !g->index->no_data)
        return ws_fail(r->err, WS_FORMAT, "'%s' ends before its tensor data (%zu bytes, data begins at %" PRIu64 ")",
                       r->path, r->map->size, r->data_offset);
    for (size_t i = 0; i < n; i++) WS_TRY(place_tensor(r, &g->tensors[r->first_tensor + i]));
    g->n_tensors += n;
    return check_overlaps(r);
}

/* Read the newest part. The caller releases r->kv and r->by_key in every case. */
static ws_status read_part(reader *r, ws_gguf *g, ws_error *err) {
    const uint32_t part = (uint32_t)g->n_parts - 1;
    const ws_map *map = &g->parts[part];
    *r = (reader){.g = g, .map = map, .path = g->part_paths[part], .part = part, .err = err};
    r->c = (ws_cursor){map->data, map->size ? map->data + map->size : map->data, false};
    WS_TRY(read_header(r));
    WS_TRY(read_metadata(r));
    return read_tensors(r);
}

/* ---- parts ---- */

static ws_status grow_parts(ws_gguf *g, size_t n, ws_error *err) {
    size_t cap = g->n_parts, path_cap = g->n_parts;
    WS_TRY(ws_grow(&g->parts, &cap, n, sizeof *g->parts, err));
    return ws_grow(&g->part_paths, &path_cap, n, sizeof *g->part_paths, err);
}

/* Take over `path`; the arrays have room. */
static ws_status add_part(ws_gguf *g, char *path) {
    if (!path) return WS_NOMEM;
    g->part_paths[g->n_parts] = path;
    g->parts[g->n_parts++] = (ws_map){0};
    return WS_OK;
}

static ws_status add_file(ws_gguf *g, char *path, ws_error *err) {
    WS_TRY(add_part(g, path));
    return ws_map_open(&g->parts[g->n_parts - 1], path, err);
}

/* split.no, split.count and split.tensors.count of one part; a file that is not split has count 1. */
typedef struct {
    uint64_t no, count, n_tensors;
} split_keys;

static ws_status read_split_keys(const reader *r, split_keys *s) {
    *s = (split_keys){.count = 1};
    const struct {
        const char *key;
        uint64_t *out;
    } rows[] = {{"split.count", &s->count}, {"split.no", &s->no}, {"split.tensors.count", &s->n_tensors}};
    for (size_t i = 0; i < 3 && (i == 0 || s->count > 1); i++) {
        const ws_kv *kv = find_key(r->by_key, (size_t)r->n_kv, rows[i].key);
        if (!kv && i == 0) return WS_OK;
        if (!kv || !ws_kv_u64(kv, rows[i].out))
            return ws_fail(r->err, WS_FORMAT, "'%s' is part of a split model, but its key '%s' is %s", r->path,
                           rows[i].key, kv ? "not an integer >= 0" : "missing");
    }
    if (s->count > MAX_PARTS || (s->count > 1 && s->no >= s->count))
        return ws_fail(r->err, WS_FORMAT, "'%s' says it is part %" PRIu64 " (from 0) of %" PRIu64, r->path, s->no,
                       s->count);
    return WS_OK;
}

static char *part_path(const char *prefix, size_t prefix_len, uint64_t no, uint64_t count, ws_error *err) {
    return ws_sprintf(err, "%.*s-%05" PRIu64 "-of-%05" PRIu64 ".gguf", (int)prefix_len, prefix, no + 1, count);
}

/* The length of what stands before "-00001-of-00003.gguf" in the path of part s->no, or an error. */
static ws_status split_prefix(const char *path, const split_keys *s, size_t *len, ws_error *err) {
    char *suffix = part_path("", 0, s->no, s->count, err);
    if (!suffix) return WS_NOMEM;
    const size_t n = strlen(path), tail = strlen(suffix);
    const bool named = n > tail && n <= INT32_MAX && strcmp(path + n - tail, suffix) == 0;
    ws_status status = WS_OK;
    if (named)
        *len = n - tail;
    else
        status = ws_fail(err, WS_FORMAT,
                         "'%s' is part %" PRIu64 " of %" PRIu64 " of a split model, so its name must end in '%s'", path,
                         s->no + 1, s->count, suffix);
    free(suffix);
    return status;
}

static ws_status not_the_first(const char *path, size_t prefix_len, const split_keys *s, ws_error *err) {
    char *first = part_path(path, prefix_len, 0, s->count, err);
    if (!first) return WS_NOMEM;
    ws_fail(err, WS_FORMAT, "'%s' is part %" PRIu64 " of %" PRIu64 " of a split model: give its first part, '%s'", path,
            s->no + 1, s->count, first);
    free(first);
    return WS_FORMAT;
}

/* Read part `no` of the model that the first part (its keys: `first`) belongs to. */
static ws_status read_later_part(ws_gguf *g, uint64_t no, const split_keys *first, ws_error *err) {
    reader r;
    split_keys s;
    ws_status status = read_part(&r, g, err);
    if (!status) status = read_split_keys(&r, &s);
    if (!status && (s.no != no || s.count != first->count || s.n_tensors != first->n_tensors))
        status = ws_fail(err, WS_FORMAT,
                         "'%s' says it is part %" PRIu64 " of %" PRIu64 " with %" PRIu64
                         " tensors in all; expected part %" PRIu64 " of %" PRIu64 " with %" PRIu64,
                         r.path, s.no + 1, s.count, s.n_tensors, no + 1, first->count, first->n_tensors);
    free(r.kv);
    free(r.by_key);
    return status;
}

static ws_status read_later_parts(ws_gguf *g, const split_keys *first, ws_error *err) {
    const char *path = g->part_paths[0];
    size_t prefix_len = 0;
    WS_TRY(split_prefix(path, first, &prefix_len, err));
    if (first->no != 0) return not_the_first(path, prefix_len, first, err);
    WS_TRY(grow_parts(g, (size_t)first->count, err));
    for (uint64_t no = 1; no < first->count; no++) {
        if (add_file(g, part_path(path, prefix_len, no, first->count, err), err))
            return ws_fail_in(err, "part %" PRIu64 " of %" PRIu64 " of the split model '%s'", no + 1, first->count,
                              path);
        WS_TRY(read_later_part(g, no, first, err));
    }
    if (g->n_tensors != first->n_tensors)
        return ws_fail(err, WS_FORMAT, "the parts of '%s' hold %zu tensors; split.tensors.count says %" PRIu64, path,
                       g->n_tensors, first->n_tensors);
    return WS_OK;
}

/* ---- the index ---- */

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const ws_tensor *const *)a)->name, (*(const ws_tensor *const *)b)->name);
}

static int compare_name_to(const void *name, const void *item) {
    return strcmp(name, (*(const ws_tensor *const *)item)->name);
}

static ws_status sort_names(ws_gguf *g, ws_error *err) {
    const ws_tensor **sorted = ws_alloc(g->n_tensors, sizeof *sorted, "the index of tensors", err);
    if (!sorted) return WS_NOMEM;
    g->index->by_name = sorted;
    for (size_t i = 0; i < g->n_tensors; i++) sorted[i] = &g->tensors[i];
    qsort(sorted, g->n_tensors, sizeof *sorted, compare_names);
    for (size_t i = 1; i < g->n_tensors; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            return ws_fail(err, WS_FORMAT, "'%s' has the tensor '%s' twice", g->part_paths[sorted[i]->part],
                           ws_show(sorted[i]->name, strlen(sorted[i]->name)).text);
    return WS_OK;
}

const ws_tensor *ws_gguf_tensor(const ws_gguf *g, const char *name) {
    const ws_tensor *const *found =
        bsearch(name, g->index->by_name, g->n_tensors, sizeof *g->index->by_name, compare_name_to);
    return found ? *found : NULL;
}

const ws_kv *ws_gguf_kv(const ws_gguf *g, const char *key) { return find_key(g->index->by_key, g->n_kv, key); }

const char *ws_gguf_path(const ws_gguf *g) { return g->part_paths[0]; }

/* ---- open and close ---- */

static ws_status read_model(ws_gguf *g, ws_error *err) {
    reader r;
    split_keys s;
    ws_status status = read_part(&r, g, err);
    g->kv = r.kv;
    g->index->by_key = r.by_key;
    if (status) return status;
    g->n_kv = (size_t)r.n_kv;
    g->version = r.version;
    g->alignment = r.alignment;
    g->data_offset = r.data_offset;
    WS_TRY(read_split_keys(&r, &s));
    if (s.count > 1 && g->index->borrowed)
        return ws_fail(err, WS_UNSUPPORTED, "'%s' is part of a split model; only files can be", r.path);
    if (s.count > 1) WS_TRY(read_later_parts(g, &s, err));
    return sort_names(g, err);
}

static ws_gguf *new_gguf(ws_error *err) {
    ws_gguf *g = ws_alloc(1, sizeof *g, "a GGUF reader", err);
    if (g && (!(g->index = ws_alloc(1, sizeof *g->index, "a GGUF reader", err)) || grow_parts(g, 1, err))) {
        ws_gguf_close(g);
        return NULL;
    }
    return g;
}

/* Hand over or close. */
static ws_status open_done(ws_gguf **out, ws_gguf *g, ws_status status) {
    if (status)
        ws_gguf_close(g);
    else
        *out = g;
    return status;
}

ws_status ws_gguf_open(ws_gguf **out, const char *path, ws_error *err) {
    *out = NULL;
    ws_gguf *g = new_gguf(err);
    if (!g) return WS_NOMEM;
    ws_status status = add_file(g, ws_strndup(path, strlen(path), err), err);
    if (!status) status = read_model(g, err);
    return open_done(out, g, status);
}

static ws_status open_bytes(ws_gguf **out, const void *data, size_t size, const char *name, bool no_data,
                            ws_error *err) {
    *out = NULL;
    ws_gguf *g = new_gguf(err);
    if (!g) return WS_NOMEM;
    g->index->borrowed = true;
    g->index->no_data = no_data;
    ws_status status = add_part(g, ws_strndup(name, strlen(name), err));
    if (!status) {
        g->parts[0] = (ws_map){data, size};
        status = read_model(g, err);
    }
    return open_done(out, g, status);
}

ws_status ws_gguf_open_bytes(ws_gguf **out, const void *data, size_t size, const char *name, ws_error *err) {
    return open_bytes(out, data, size, name, false, err);
}

ws_status ws_gguf_open_header(ws_gguf **out, const void *data, size_t size, const char *name, ws_error *err) {
    return open_bytes(out, data, size, name, true, err);
}

void ws_gguf_close(ws_gguf *g) {
    if (!g) return;
    for (size_t i = 0; i < g->n_parts; i++) {
        if (!g->index->borrowed) ws_map_close(&g->parts[i]);
        free(g->part_paths[i]);
    }
    if (g->index) {
        free(g->index->by_key);
        free(g->index->by_name);
        ws_arena_free(&g->index->names);
    }
    free(g->index);
    free(g->tensors);
    free(g->kv);
    free(g->parts);
    free(g->part_paths);
    free(g);
}
