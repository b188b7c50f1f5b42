#include "imatrix.h"

#include "alloc.h"
#include "cursor.h"
#include "text.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ws_imatrix_entry {
    const char *name;
    const uint8_t *sums, *counts; /* f32; counts: NULL in .dat files, which have one count for all */
    uint64_t n_sums, n_counts;
    int32_t calls;     /* .dat */
    const ws_map *map; /* the file, when it is one, and where the sums are in it */
    uint64_t offset;
};

struct ws_imatrix {
    char *path;
    bool is_file;
    ws_map map; /* .dat */
    ws_gguf *gguf;
    ws_arena names;
    ws_imatrix_entry *list; /* sorted by name */
    size_t n, cap;
    ws_imatrix_origin origin;
};

static ws_status add(ws_imatrix *m, const ws_imatrix_entry *e, const char *name, size_t name_bytes, ws_error *err) {
    WS_TRY(ws_grow(&m->list, &m->cap, m->n + 1, sizeof *m->list, err));
    m->list[m->n] = *e;
    if (!(m->list[m->n].name = ws_arena_strndup(&m->names, name, name_bytes, err))) return WS_NOMEM;
    m->n++;
    return WS_OK;
}

/* ---- GGUF ---- */

static const char sums_suffix[] = ".in_sum2", counts_suffix[] = ".counts";

/* Does `name` end so? *stem: how long it is without. */
static bool ends_with(const char *name, const char *suffix, size_t *stem) {
    const size_t n = strlen(name), s = strlen(suffix);
    *stem = n - s;
    return n >= s && strcmp(name + n - s, suffix) == 0;
}

/* The other tensor of a pair, or NULL. */
static const ws_tensor *partner(const ws_gguf *g, const char *name, size_t stem, const char *suffix) {
    char *other = ws_sprintf(NULL, "%.*s%s", (int)stem, name, suffix);
    const ws_tensor *t = other ? ws_gguf_tensor(g, other) : NULL;
    free(other);
    return t;
}

static ws_status add_pair(ws_imatrix *m, const ws_tensor *sums, size_t stem, ws_error *err) {
    const ws_tensor *counts = partner(m->gguf, sums->name, stem, counts_suffix);
    if (!counts)
        return ws_fail(err, WS_FORMAT, "'%s': tensor '%s' has no %s beside it", m->path, sums->name, counts_suffix);
    if (sums->type != WS_TYPE_F32 || counts->type != WS_TYPE_F32)
        return ws_fail(err, WS_FORMAT, "'%s': tensors of '%.*s' are %s and %s, not F32", m->path, (int)stem, sums->name,
                       ws_dtype_name(sums->type), ws_dtype_name(counts->type));
    if (counts->n_elements == 0 || counts->n_elements > sums->n_elements)
        return ws_fail(err, WS_FORMAT, "'%s': '%s' has %" PRIu64 " values and %" PRIu64 " counts", m->path, sums->name,
                       sums->n_elements, counts->n_elements);
    const ws_imatrix_entry e = {.sums = sums->data,
                                .counts = counts->data,
                                .n_sums = sums->n_elements,
                                .n_counts = counts->n_elements,
                                .map = m->is_file ? &m->gguf->parts[sums->part] : NULL,
                                .offset = sums->offset};
    return add(m, &e, sums->name, stem, err);
}

/* Three keys make a file an importance matrix; the first data set and the number of chunks are of use. */
static ws_status read_gguf_keys(ws_imatrix *m, ws_error *err) {
    const ws_kv *datasets = ws_gguf_kv(m->gguf, "imatrix.datasets");
    const ws_kv *chunks = ws_gguf_kv(m->gguf, "imatrix.chunk_count");
    if (!datasets || !chunks || !ws_gguf_kv(m->gguf, "imatrix.chunk_size"))
        return ws_fail(err, WS_FORMAT,
                       "'%s' is no importance matrix: imatrix.datasets, imatrix.chunk_count or imatrix.chunk_size is "
                       "missing",
                       m->path);
    uint64_t n = 0;
    if (chunks->type != WS_KV_U32 || !ws_kv_u64(chunks, &n))
        return ws_fail(err, WS_FORMAT, "'%s': imatrix.chunk_count is %s, not u32", m->path,
                       ws_kv_type_name(chunks->type));
    m->origin.n_chunks = (uint32_t)n;
    if (datasets->type == WS_KV_ARRAY && datasets->elem_type == WS_KV_STRING && datasets->n) {
        const uint8_t *it = datasets->elems;
        m->origin.dataset = ws_kv_next_str(&it);
    }
    return WS_OK;
}

static ws_status read_gguf(ws_imatrix *m, ws_error *err) {
    WS_TRY(read_gguf_keys(m, err));
    for (size_t i = 0; i < m->gguf->n_tensors; i++) {
        const ws_tensor *t = &m->gguf->tensors[i];
        size_t stem;
        if (ends_with(t->name, sums_suffix, &stem))
            WS_TRY(add_pair(m, t, stem, err));
        else if (ends_with(t->name, counts_suffix, &stem) && !partner(m->gguf, t->name, stem, sums_suffix))
            return ws_fail(err, WS_FORMAT, "'%s': tensor '%s' has no %s beside it", m->path, t->name, sums_suffix);
    }
    return WS_OK;
}

/* ---- .dat ---- */

static ws_status broken_dat(const ws_imatrix *m, int32_t i, int32_t n, ws_error *err) {
    return ws_fail(err, WS_FORMAT,
                   "'%s' is no importance matrix: entry %" PRId32 " of %" PRId32 " is broken or cut off", m->path,
                   i + 1, n);
}

static int32_t i32(ws_cursor *c) { return (int32_t)ws_u32(c); }

static ws_status read_dat_entry(ws_imatrix *m, ws_cursor *c, int32_t i, int32_t n, ws_error *err) {
    const int32_t length = i32(c);
    if (c->bad || length < 0) return broken_dat(m, i, n, err);
    const uint8_t *name = ws_take(c, (uint64_t)length);
    const int32_t calls = i32(c), n_values = i32(c);
    if (c->bad || n_values < 1) return broken_dat(m, i, n, err);
    ws_imatrix_entry e = {.n_sums = (uint64_t)n_values, .n_counts = 1, .calls = calls};
    if (!(e.sums = ws_take(c, e.n_sums * sizeof(float)))) return broken_dat(m, i, n, err);
    if (m->is_file) e.map = &m->map, e.offset = (uint64_t)(e.sums - m->map.data);
    return add(m, &e, (const char *)name, strnlen((const char *)name, (size_t)length), err);
}

static ws_status read_dat(ws_imatrix *m, const uint8_t *data, size_t size, ws_error *err) {
    ws_cursor c = {data, data + size, false};
    const int32_t n = i32(&c);
    if (c.bad || n < 1) return ws_fail(err, WS_FORMAT, "'%s' is no importance matrix: no entries", m->path);
    for (int32_t i = 0; i < n; i++) WS_TRY(read_dat_entry(m, &c, i, n, err));
    const int32_t chunks = i32(&c), length = i32(&c);
    m->origin.n_chunks = chunks > 0 ? (uint32_t)chunks : 0;
    const uint8_t *text = length > 0 ? ws_take(&c, (uint64_t)length) : NULL;
    if (text) m->origin.dataset = (ws_str){(const char *)text, strnlen((const char *)text, (size_t)length)};
    return WS_OK;
}

/* ---- entries ---- */

static int by_name(const void *a, const void *b) {
    const ws_imatrix_entry *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (x->sums > y->sums) - (x->sums < y->sums);
}

static bool contains_any(const char *name, const char *const *parts, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strstr(name, parts[i])) return true;
    return false;
}

/* Sort, keep the last of entries with the same name, and those that the filter lets through. */
static void sort_and_filter(ws_imatrix *m, const ws_imatrix_filter *f) {
    size_t n = 0;
    if (m->n) qsort(m->list, m->n, sizeof *m->list, by_name);
    for (size_t i = 0; i < m->n; i++) {
        const char *name = m->list[i].name;
        if (i + 1 < m->n && strcmp(name, m->list[i + 1].name) == 0) continue;
        if (f && f->n_include && !contains_any(name, f->include, f->n_include)) continue;
        if (f && contains_any(name, f->exclude, f->n_exclude)) continue;
        m->list[n++] = m->list[i];
    }
    m->n = n;
}

/* What sums are divided by, as float; 0 when no token met the matrix. */
static float divisor(const ws_imatrix_entry *e, uint64_t j) {
    if (!e->counts) return e->calls > 0 ? (float)e->calls : 1;
    const long long count = llroundf(ws_f32_at(e->counts + j * sizeof(float)));
    return count > 0 ? (float)count : 0;
}

/* Values [first, first + n) of an entry: means, ones where there is no count, zeros behind the last whole row. */
static void values(const ws_imatrix_entry *e, uint64_t first, uint64_t n, float *out) {
    const uint64_t stride = e->n_sums / e->n_counts; /* values per count */
    for (uint64_t i = 0; i < n;) {
        const uint64_t row = (first + i) / stride, left = (row + 1) * stride - (first + i);
        const uint64_t stop = left < n - i ? i + left : n;
        const float by = row < e->n_counts ? divisor(e, row) : 0;
        for (; i < stop; i++) {
            const float sum = ws_f32_at(e->sums + (first + i) * sizeof(float));
            out[i] = row >= e->n_counts ? 0 : by > 0 ? sum / by : 1;
        }
    }
}

void ws_imatrix_row(const ws_imatrix_entry *e, uint64_t matrix, uint64_t n, float *out) {
    values(e, matrix * n, n, out);
}

void ws_imatrix_done(const ws_imatrix_entry *e) {
    if (e->map) ws_map_release(e->map, e->offset, e->n_sums * sizeof(float));
}

static ws_status check_counts(const ws_imatrix *m, const ws_imatrix_entry *e, ws_error *err) {
    static const float too_many = 1e18f; /* what fits an integer */
    for (uint64_t j = 0; e->counts && j < e->n_counts; j++) {
        const float count = ws_f32_at(e->counts + j * sizeof(float));
        if (!(fabsf(count) < too_many))
            return ws_fail(err, WS_FORMAT, "'%s': count %" PRIu64 " of '%s' is %g", m->path, j,
                           ws_show(e->name, strlen(e->name)).text, (double)count);
    }
    return WS_OK;
}

static ws_status check_values(const ws_imatrix *m, const ws_imatrix_entry *e, ws_error *err) {
    enum { AT_ONCE = 1024 };
    float v[AT_ONCE];
    for (uint64_t at = 0; at < e->n_sums; at += AT_ONCE) {
        const uint64_t n = e->n_sums - at < AT_ONCE ? e->n_sums - at : AT_ONCE;
        values(e, at, n, v);
        for (uint64_t i = 0; i < n; i++)
            if (!(v[i] >= 0 && v[i] <= FLT_MAX))
                return ws_fail(err, WS_FORMAT,
                               "'%s': value %" PRIu64 " of '%s' is %g; weights are finite and not "
                               "negative",
                               m->path, at + i, ws_show(e->name, strlen(e->name)).text, (double)v[i]);
    }
    ws_imatrix_done(e);
    return WS_OK;
}

/* ---- opening ---- */

static ws_status finish_open(ws_imatrix *m, const ws_imatrix_filter *filter, ws_error *err) {
    if (!m->n) return ws_fail(err, WS_FORMAT, "'%s' is no importance matrix: no entries", m->path);
    sort_and_filter(m, filter);
    for (size_t i = 0; i < m->n; i++) {
        WS_TRY(check_counts(m, &m->list[i], err));
        WS_TRY(check_values(m, &m->list[i], err));
    }
    return WS_OK;
}

static bool is_gguf(const uint8_t *data, size_t size) { return size >= 4 && memcmp(data, "GGUF", 4) == 0; }

static ws_status open_file(ws_imatrix *m, ws_error *err) {
    WS_TRY(ws_map_open(&m->map, m->path, err));
    m->is_file = true;
    if (!is_gguf(m->map.data, m->map.size)) return read_dat(m, m->map.data, m->map.size, err);
    ws_map_close(&m->map);
    m->map = (ws_map){NULL, 0};
    WS_TRY(ws_gguf_open(&m->gguf, m->path, err));
    return read_gguf(m, err);
}

static ws_status open_bytes(ws_imatrix *m, const void *data, size_t size, ws_error *err) {
    if (!is_gguf(data, size)) return read_dat(m, data, size, err);
    WS_TRY(ws_gguf_open_bytes(&m->gguf, data, size, m->path, err));
    return read_gguf(m, err);
}

static ws_imatrix *new_imatrix(const char *path, ws_error *err) {
    ws_imatrix *m = ws_alloc(1, sizeof *m, "an importance matrix", err);
    if (m && (m->path = ws_strndup(path, strlen(path), err))) return m;
    free(m);
    return NULL;
}

static ws_status open_done(ws_imatrix **out, ws_imatrix *m, ws_status status) {
    if (status)
        ws_imatrix_close(m);
    else
        *out = m;
    return status;
}

ws_status ws_imatrix_open(ws_imatrix **out, const char *path, const ws_imatrix_filter *filter, ws_error *err) {
    *out = NULL;
    ws_imatrix *m = new_imatrix(path, err);
    if (!m) return WS_NOMEM;
    ws_status status = open_file(m, err);
    if (!status) status = finish_open(m, filter, err);
    return open_done(out, m, status);
}

ws_status ws_imatrix_open_bytes(ws_imatrix **out, const void *data, size_t size, const char *name,
                                const ws_imatrix_filter *filter, ws_error *err) {
    *out = NULL;
    ws_imatrix *m = new_imatrix(name, err);
    if (!m) return WS_NOMEM;
    ws_status status = open_bytes(m, data, size, err);
    if (!status) status = finish_open(m, filter, err);
    return open_done(out, m, status);
}

void ws_imatrix_close(ws_imatrix *m) {
    if (!m) return;
    ws_gguf_close(m->gguf);
    ws_map_close(&m->map);
    ws_arena_free(&m->names);
    free(m->list);
    free(m->path);
    free(m);
}

size_t ws_imatrix_entries(const ws_imatrix *m) { return m->n; }

ws_imatrix_sums ws_imatrix_at(const ws_imatrix *m, size_t i) {
    const ws_imatrix_entry *e = &m->list[i];
    return (ws_imatrix_sums){.name = e->name,
                             .data = e->sums,
                             .counts = e->counts,
                             .n = e->n_sums,
                             .n_counts = e->counts ? e->n_counts : 0,
                             .calls = e->calls};
}

ws_imatrix_origin ws_imatrix_origin_of(const ws_imatrix *m) { return m->origin; }

size_t ws_imatrix_datasets(const ws_imatrix *m, ws_str *out, size_t max) {
    const ws_kv *all = m->gguf ? ws_gguf_kv(m->gguf, "imatrix.datasets") : NULL;
    size_t n = 0;
    if (!all && m->origin.dataset.data && max > 0) out[n++] = m->origin.dataset;
    if (!all || all->type != WS_KV_ARRAY || all->elem_type != WS_KV_STRING) return n;
    const uint8_t *it = all->elems;
    while (n < max && n < all->n) out[n++] = ws_kv_next_str(&it);
    return n;
}

/* ---- use ---- */

static int name_of_entry(const void *key, const void *entry) {
    return strcmp(key, ((const ws_imatrix_entry *)entry)->name);
}

static const ws_imatrix_entry *find(const ws_imatrix *m, const char *name) {
    return m && m->n ? bsearch(name, m->list, m->n, sizeof *m->list, name_of_entry) : NULL;
}

static bool is_token_embedding(const char *name) {
    return strcmp(name, "token_embd.weight") == 0 || strcmp(name, "per_layer_token_embd.weight") == 0;
}

static ws_status bind_one(const ws_imatrix *m, ws_choice *c, ws_error *err) {
    const ws_tensor *t = c->tensor;
    const ws_imatrix_entry *e = c->type == t->type ? NULL : find(m, t->name);
    uint64_t columns;
    if (ws_mul_overflows(t->ne[0], t->ne[2], &columns)) columns = 0;
    if (e && e->n_sums == columns) c->weights = e;
    if (e && !c->weights && !is_token_embedding(t->name))
        return ws_fail(err, WS_FORMAT,
                       "'%s' has %" PRIu64 " weights for tensor '%s', which has %" PRIu64 " columns: made for another "
                       "model?",
                       m->path, e->n_sums, t->name, columns);
    if (!c->needs_imatrix || c->weights || (m && c->type == t->type)) return WS_OK;
    if (m)
        return ws_fail(err, WS_UNSUPPORTED,
                       "'%s' has no weights for tensor '%s', and %s without an importance matrix is not usable",
                       m->path, t->name, ws_dtype_name(c->type));
    return ws_fail(err, WS_UNSUPPORTED,
                   "tensor '%s' would become %s, which is not usable without an importance matrix; give one with "
                   "--imatrix",
                   t->name, ws_dtype_name(c->type));
}

ws_status ws_imatrix_bind(const ws_imatrix *m, ws_choices *choices, ws_error *err) {
    if (m && !m->n) m = NULL;
    for (size_t i = 0; i < choices->n; i++) WS_TRY(bind_one(m, &choices->list[i], err));
    return WS_OK;
}

void ws_imatrix_put_keys(ws_gguf_writer *w, const ws_imatrix *m) {
    enum { LONGEST = 127 }; /* the reference's buffers */
    if (!m || !m->n) return;
    ws_gguf_put_strn(w, "quantize.imatrix.file", m->path, strnlen(m->path, LONGEST));
    if (m->origin.dataset.data)
        ws_gguf_put_strn(
            w, "quantize.imatrix.dataset", m->origin.dataset.data,
            strnlen(m->origin.dataset.data, m->origin.dataset.len < LONGEST ? m->origin.dataset.len : LONGEST));
    ws_gguf_put_u32(w, "quantize.imatrix.entries_count", (uint32_t)m->n);
    if (m->origin.n_chunks) ws_gguf_put_u32(w, "quantize.imatrix.chunks_count", m->origin.n_chunks);
}
