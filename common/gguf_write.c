/* Writing GGUF: pairs are kept as the bytes they will be, so the header is put together by copying. */
#include "alloc.h"
#include "arena.h"
#include "gguf_internal.h"
#include "tensor_out.h"
#include "text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint8_t *data;
    size_t size, cap;
} buffer;

/* One put or remove. Of several with the same key the last one counts, which sort_out() settles for all at once. */
typedef struct {
    const char *key;
    uint64_t order;
    size_t at, size; /* of the pair as it is written, in w->pairs; size 0: the key was removed */
} entry;

struct ws_gguf_writer {
    ws_error err; /* the first failure of put and add; code 0 while all is well */
    ws_arena names;
    buffer pairs;
    entry *entries;
    size_t n_entries, entries_cap;
    uint64_t n_puts;
    ws_tensor *tensors; /* offset: within the data section */
    size_t n_tensors, tensors_cap;
    ws_tensor_out out;
};

ws_status ws_gguf_writer_new(ws_gguf_writer **out, ws_error *err) {
    *out = ws_alloc(1, sizeof **out, "a GGUF writer", err);
    return *out ? WS_OK : WS_NOMEM;
}

static void append(ws_gguf_writer *w, buffer *b, const void *data, size_t n) {
    if (w->err.code || n == 0) return;
    if (n > SIZE_MAX - b->size)
        ws_fail(&w->err, WS_NOMEM, "out of memory: a header of more than %zu bytes", b->size);
    else if (!ws_grow(&b->data, &b->cap, b->size + n, 1, &w->err)) {
        memcpy(b->data + b->size, data, n);
        b->size += n;
    }
}

static void append_u32(ws_gguf_writer *w, buffer *b, uint32_t v) { append(w, b, &v, sizeof v); }
static void append_u64(ws_gguf_writer *w, buffer *b, uint64_t v) { append(w, b, &v, sizeof v); }

static void append_string(ws_gguf_writer *w, buffer *b, const char *s, size_t n) {
    append_u64(w, b, n);
    append(w, b, s, n);
}

/* ---- metadata ---- */

/* File what was appended to w->pairs since `at` under `key`. */
static void add_entry(ws_gguf_writer *w, const char *key, size_t at) {
    if (w->err.code || ws_grow(&w->entries, &w->entries_cap, w->n_entries + 1, sizeof *w->entries, &w->err)) return;
    const char *copy = ws_arena_strndup(&w->names, key, strlen(key), &w->err);
    if (copy) w->entries[w->n_entries++] = (entry){copy, w->n_puts++, at, w->pairs.size - at};
}

/* The beginning of a pair; the value and add_entry() follow. */
static size_t begin_pair(ws_gguf_writer *w, const char *key, ws_kv_type type) {
    const size_t at = w->pairs.size, len = strlen(key);
    if (!w->err.code && !ws_gguf_name_ok(key, len, WS_GGUF_MAX_KEY))
        ws_fail(&w->err, WS_FORMAT, "a GGUF key of %zu bytes ('%s') cannot be written", len, ws_show(key, len).text);
    append_string(w, &w->pairs, key, len);
    append_u32(w, &w->pairs, type);
    return at;
}

void ws_gguf_remove(ws_gguf_writer *w, const char *key) { add_entry(w, key, w->pairs.size); }

static void put_bytes(ws_gguf_writer *w, const char *key, ws_kv_type type, const void *v, size_t bytes) {
    const size_t at = begin_pair(w, key, type);
    append(w, &w->pairs, v, bytes);
    add_entry(w, key, at);
}

void ws_gguf_put_u16(ws_gguf_writer *w, const char *key, uint16_t v) { put_bytes(w, key, WS_KV_U16, &v, sizeof v); }
void ws_gguf_put_u32(ws_gguf_writer *w, const char *key, uint32_t v) { put_bytes(w, key, WS_KV_U32, &v, sizeof v); }
void ws_gguf_put_i32(ws_gguf_writer *w, const char *key, int32_t v) { put_bytes(w, key, WS_KV_I32, &v, sizeof v); }
void ws_gguf_put_u64(ws_gguf_writer *w, const char *key, uint64_t v) { put_bytes(w, key, WS_KV_U64, &v, sizeof v); }
void ws_gguf_put_f32(ws_gguf_writer *w, const char *key, float v) { put_bytes(w, key, WS_KV_F32, &v, sizeof v); }

void ws_gguf_put_bool(ws_gguf_writer *w, const char *key, bool v) {
    const uint8_t byte = v;
    put_bytes(w, key, WS_KV_BOOL, &byte, sizeof byte);
}

void ws_gguf_put_str(ws_gguf_writer *w, const char *key, const char *v) { ws_gguf_put_strn(w, key, v, strlen(v)); }

void ws_gguf_put_strn(ws_gguf_writer *w, const char *key, const char *v, size_t n) {
    const size_t at = begin_pair(w, key, WS_KV_STRING);
    append_string(w, &w->pairs, v, n);
    add_entry(w, key, at);
}

void ws_gguf_put_array(ws_gguf_writer *w, const char *key, ws_kv_type elem, const void *v, size_t n) {
    const size_t at = begin_pair(w, key, WS_KV_ARRAY), bytes = ws_kv_type_size(elem);
    assert(bytes && "strings have ws_gguf_put_str_array()");
    append_u32(w, &w->pairs, elem);
    append_u64(w, &w->pairs, n);
    append(w, &w->pairs, v, n * bytes);
    add_entry(w, key, at);
}

void ws_gguf_put_str_array(ws_gguf_writer *w, const char *key, const ws_str *v, size_t n) {
    const size_t at = begin_pair(w, key, WS_KV_ARRAY);
    append_u32(w, &w->pairs, WS_KV_STRING);
    append_u64(w, &w->pairs, n);
    for (size_t i = 0; i < n; i++) append_string(w, &w->pairs, v[i].data, v[i].len);
    add_entry(w, key, at);
}

void ws_gguf_put_kv(ws_gguf_writer *w, const ws_kv *kv) { put_bytes(w, kv->key, kv->type, kv->raw, kv->raw_bytes); }

/* By key, the latest first. */
static int compare_entries(const void *a, const void *b) {
    const entry *ea = a, *eb = b;
    const int order = strcmp(ea->key, eb->key);
    return order ? order : (ea->order < eb->order) - (ea->order > eb->order);
}

static int compare_orders(const void *a, const void *b) {
    const entry *ea = a, *eb = b;
    return (ea->order > eb->order) - (ea->order < eb->order);
}

/* Keep the last entry of every key, but not the removals, in the order of putting. */
static void sort_out(ws_gguf_writer *w) {
    entry *e = w->entries;
    if (w->n_entries == 0) return;
    qsort(e, w->n_entries, sizeof *e, compare_entries);
    size_t n_keys = 0, kept = 0;
    for (size_t i = 0; i < w->n_entries; i++)
        if (i == 0 || strcmp(e[i].key, e[i - 1].key) != 0) e[n_keys++] = e[i];
    for (size_t i = 0; i < n_keys; i++)
        if (e[i].size) e[kept++] = e[i];
    w->n_entries = kept;
    qsort(e, kept, sizeof *e, compare_orders);
}

/* The alignment is what readers will find: the value of the key. */
static void settle_alignment(ws_gguf_writer *w) {
    static const char key[] = "general.alignment";
    w->out.alignment = WS_GGUF_DEFAULT_ALIGNMENT;
    for (size_t i = 0; i < w->n_entries; i++)
        if (strcmp(w->entries[i].key, key) == 0) {
            const entry *e = &w->entries[i];
            ws_cursor c = {w->pairs.data + e->at + 8 + strlen(key), w->pairs.data + e->at + e->size, false};
            const uint32_t type = ws_u32(&c), value = ws_u32(&c);
            if (type != WS_KV_U32 || !ws_gguf_alignment_ok(value))
                ws_fail(&w->err, WS_FORMAT, "%s must be a u32 and a power of two of at least %d, not %s %" PRIu32, key,
                        WS_GGUF_MIN_ALIGNMENT, ws_kv_type_name((ws_kv_type)type), value);
            else
                w->out.alignment = value;
        }
}

/* ---- tensors ---- */

static bool shape_size(ws_tensor *t) {
    const ws_dtype_info *info = ws_dtype_get(t->type);
    if (!info || t->n_dims > WS_MAX_DIMS) return false;
    t->n_elements = 1;
    for (uint32_t d = 0; d < WS_MAX_DIMS; d++)
        if (t->ne[d] > INT64_MAX || ws_mul_overflows(t->n_elements, t->ne[d], &t->n_elements)) return false;
    return t->ne[0] % info->block_elements == 0 && t->n_elements <= INT64_MAX &&
           ws_dtype_bytes(t->type, t->n_elements, &t->bytes);
}

void ws_gguf_add_tensor(ws_gguf_writer *w, const char *name, ws_dtype type, uint32_t n_dims, const uint64_t *ne) {
    if (w->err.code || ws_grow(&w->tensors, &w->tensors_cap, w->n_tensors + 1, sizeof *w->tensors, &w->err)) return;
    ws_tensor t = {.type = type, .n_dims = n_dims};
    const size_t len = strlen(name);
    for (uint32_t d = 0; d < WS_MAX_DIMS; d++) t.ne[d] = d < n_dims ? ne[d] : 1;
    if (!ws_gguf_name_ok(name, len, WS_GGUF_MAX_NAME))
        ws_fail(&w->err, WS_FORMAT, "a tensor name of %zu bytes ('%s') cannot be written", len,
                ws_show(name, len).text);
    else if (!shape_size(&t))
        ws_fail(&w->err, WS_FORMAT,
                "tensor '%s' cannot be written as %s with %" PRIu32 " dimensions, rows of %" PRIu64
                ": whole blocks and at most %d dimensions are possible",
                ws_show(name, len).text, ws_dtype_name(type), n_dims, t.ne[0], WS_MAX_DIMS);
    else if ((t.name = ws_arena_strndup(&w->names, name, len, &w->err)) &&
             !ws_tensor_out_add(&w->out, t.name, t.bytes, &w->err))
        w->tensors[w->n_tensors++] = t;
}

/* ---- layout ---- */

enum { HEADER_BYTES = 4 + 4 + 8 + 8, INFO_BYTES = 8 + 4 + 4 + 8 /* without name and shape */ };

static uint64_t header_size(const ws_gguf_writer *w) {
    uint64_t n = HEADER_BYTES;
    for (size_t i = 0; i < w->n_entries; i++) n += w->entries[i].size;
    for (size_t i = 0; i < w->n_tensors; i++) n += INFO_BYTES + strlen(w->tensors[i].name) + 8 * w->tensors[i].n_dims;
    return ws_align_up(n, w->out.alignment);
}

/* Settle keys, alignment and offsets; the result is the size of the file, 0 after a failure. */
static uint64_t lay_out(ws_gguf_writer *w) {
    sort_out(w);
    settle_alignment(w);
    uint64_t end = 0;
    for (size_t i = 0; i < w->n_tensors && !w->err.code; i++) {
        ws_tensor *t = &w->tensors[i];
        t->offset = end;
        if (ws_add_overflows(end, t->bytes, &end) || end > INT64_MAX)
            ws_fail(&w->err, WS_FORMAT, "tensor '%s' of %" PRIu64 " bytes makes the file too large",
                    ws_show(t->name, strlen(t->name)).text, t->bytes);
        end = ws_align_up(end, w->out.alignment);
    }
    return w->err.code ? 0 : header_size(w) + end;
}

uint64_t ws_gguf_writer_file_size(ws_gguf_writer *w) { return lay_out(w); }

static void append_info(ws_gguf_writer *w, buffer *b, const ws_tensor *t) {
    append_string(w, b, t->name, strlen(t->name));
    append_u32(w, b, t->n_dims);
    for (uint32_t d = 0; d < t->n_dims; d++) append_u64(w, b, t->ne[d]);
    append_u32(w, b, t->type);
    append_u64(w, b, t->offset);
}

static void append_header(ws_gguf_writer *w, buffer *b) {
    append(w, b, "GGUF", 4);
    append_u32(w, b, 3);
    append_u64(w, b, w->n_tensors);
    append_u64(w, b, w->n_entries);
    for (size_t i = 0; i < w->n_entries; i++) append(w, b, w->pairs.data + w->entries[i].at, w->entries[i].size);
    for (size_t i = 0; i < w->n_tensors; i++) append_info(w, b, &w->tensors[i]);
}

/* The header's bytes, to be freed; a remembered failure of put and add shows here. */
static ws_status make_header(ws_gguf_writer *w, const char *path, buffer *header, ws_error *err) {
    *header = (buffer){0};
    lay_out(w);
    append_header(w, header);
    return w->err.code ? ws_fail(err, w->err.code, "cannot write '%s': %s", path, w->err.msg) : WS_OK;
}

ws_status ws_gguf_writer_header(ws_gguf_writer *w, void **header, size_t *bytes, ws_error *err) {
    buffer b;
    const ws_status status = make_header(w, "header", &b, err);
    if (status) free(b.data);
    *header = status ? NULL : b.data;
    *bytes = b.size;
    return status;
}

ws_status ws_gguf_writer_begin(ws_gguf_writer *w, const char *path, ws_error *err) {
    buffer header;
    ws_status status = make_header(w, path, &header, err);
    if (!status) status = ws_tensor_out_begin(&w->out, path, header.data, header.size, err);
    free(header.data);
    return status;
}

ws_status ws_gguf_write(ws_gguf_writer *w, const void *data, size_t bytes, ws_error *err) {
    return ws_tensor_out_write(&w->out, data, bytes, err);
}

ws_status ws_gguf_writer_begin_partial(ws_gguf_writer *w, const char *path, const ws_partial_options *o, bool *found,
                                       ws_error *err) {
    buffer header;
    *found = false;
    ws_status status = make_header(w, path, &header, err);
    if (!status) status = ws_tensor_out_begin_partial(&w->out, path, header.data, header.size, o, found, err);
    free(header.data);
    return status;
}

const char *ws_gguf_writer_temporary(const ws_gguf_writer *w) { return ws_outfile_temporary(w->out.file); }

ws_status ws_gguf_writer_sync(ws_gguf_writer *w, ws_error *err) { return ws_outfile_sync(w->out.file, err); }

ws_status ws_gguf_write_at(ws_gguf_writer *w, size_t tensor, uint64_t offset, const void *data, size_t bytes,
                           ws_error *err) {
    return ws_tensor_out_write_at(&w->out, tensor, offset, data, bytes, err);
}

void ws_gguf_skip(ws_gguf_writer *w, size_t tensor) { ws_tensor_out_skip(&w->out, tensor); }

ws_status ws_gguf_writer_finish(ws_gguf_writer *w, ws_error *err) {
    const ws_status status = ws_tensor_out_finish(&w->out, err);
    ws_gguf_writer_discard(w);
    return status;
}

void ws_gguf_writer_discard(ws_gguf_writer *w) {
    if (!w) return;
    ws_tensor_out_discard(&w->out);
    ws_arena_free(&w->names);
    free(w->pairs.data);
    free(w->entries);
    free(w->tensors);
    free(w);
}
