/* Reading safetensors: the headers are parsed by cJSON, everything they say is checked against the bytes. */
#include "alloc.h"
#include "arena.h"
#include "cursor.h"
#include "json.h"
#include "safetensors_internal.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { LENGTH_BYTES = 8 };

static const struct {
    const char *name;
    uint32_t bits;
} dtypes[WS_ST_COUNT] = {
    [WS_ST_BOOL] = {"BOOL", 8},
    [WS_ST_F4] = {"F4", 4},
    [WS_ST_F6_E2M3] = {"F6_E2M3", 6},
    [WS_ST_F6_E3M2] = {"F6_E3M2", 6},
    [WS_ST_U8] = {"U8", 8},
    [WS_ST_I8] = {"I8", 8},
    [WS_ST_F8_E5M2] = {"F8_E5M2", 8},
    [WS_ST_F8_E4M3] = {"F8_E4M3", 8},
    [WS_ST_F8_E8M0] = {"F8_E8M0", 8},
    [WS_ST_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [WS_ST_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8},
    [WS_ST_I16] = {"I16", 16},
    [WS_ST_U16] = {"U16", 16},
    [WS_ST_F16] = {"F16", 16},
    [WS_ST_BF16] = {"BF16", 16},
    [WS_ST_I32] = {"I32", 32},
    [WS_ST_U32] = {"U32", 32},
    [WS_ST_F32] = {"F32", 32},
    [WS_ST_C64] = {"C64", 64},
    [WS_ST_F64] = {"F64", 64},
    [WS_ST_I64] = {"I64", 64},
    [WS_ST_U64] = {"U64", 64},
};

const char *ws_st_dtype_name(ws_st_dtype t) { return (unsigned)t < WS_ST_COUNT ? dtypes[t].name : "unknown"; }
uint32_t ws_st_dtype_bits(ws_st_dtype t) { return (unsigned)t < WS_ST_COUNT ? dtypes[t].bits : 0; }

bool ws_st_bytes(ws_st_dtype t, uint64_t n_elements, uint64_t *bytes) {
    uint64_t bits;
    if (ws_mul_overflows(n_elements, ws_st_dtype_bits(t), &bits) || bits % 8) return false;
    *bytes = bits / 8;
    return true;
}

struct ws_st_storage {
    ws_arena names;
    const ws_st_tensor **by_name;
    size_t tensor_cap, metadata_cap, parts_cap, paths_cap;
    bool borrowed; /* the bytes of the only part belong to the caller */
};

/* One file while it is read. */
typedef struct {
    ws_safetensors *s;
    const ws_map *map;
    const char *path;
    uint32_t part;
    uint64_t data_offset, data_bytes;
    size_t first_tensor; /* of this file in s->tensors */
    ws_error *err;
} reader;

static ws_status bad_tensor(reader *r, const char *name, const char *fmt, ...) WS_PRINTF(3, 4);

static ws_status bad_tensor(reader *r, const char *name, const char *fmt, ...) {
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return ws_fail(r->err, WS_FORMAT, "'%s': tensor '%s' %s", r->path, ws_show(name, strlen(name)).text, what);
}

/* ---- one tensor ---- */

static ws_status read_dtype(reader *r, ws_st_tensor *t, const cJSON *item) {
    const char *name = cJSON_GetStringValue(item);
    if (!name) return bad_tensor(r, t->name, "has no dtype");
    for (int i = 0; i < WS_ST_COUNT; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            t->dtype = (ws_st_dtype)i;
            return WS_OK;
        }
    return bad_tensor(r, t->name, "has the unknown dtype '%s'", ws_show(name, strlen(name)).text);
}

static ws_status read_shape(reader *r, ws_st_tensor *t, const cJSON *shape) {
    if (!cJSON_IsArray(shape)) return bad_tensor(r, t->name, "has no shape");
    t->n_elements = 1;
    const cJSON *dim;
    cJSON_ArrayForEach(dim, shape) {
        uint64_t n;
        if (!ws_json_u64(dim, &n)) return bad_tensor(r, t->name, "has a dimension that is not a whole number >= 0");
        if (t->n_dims == WS_ST_MAX_DIMS) return bad_tensor(r, t->name, "has more than %d dimensions", WS_ST_MAX_DIMS);
        t->shape[t->n_dims++] = n;
        if (ws_mul_overflows(t->n_elements, n, &t->n_elements))
            return bad_tensor(r, t->name, "has a shape whose product overflows (dimension %" PRIu32 " is %" PRIu64 ")",
                              t->n_dims, n);
    }
    if (!ws_st_bytes(t->dtype, t->n_elements, &t->bytes))
        return bad_tensor(r, t->name, "has %" PRIu64 " elements of %s, which overflow or fill no whole bytes",
                          t->n_elements, ws_st_dtype_name(t->dtype));
    return WS_OK;
}

static ws_status read_offsets(reader *r, ws_st_tensor *t, const cJSON *offsets) {
    const cJSON *first = cJSON_IsArray(offsets) ? offsets->child : NULL, *second = first ? first->next : NULL;
    uint64_t begin, end;
    if (!second || second->next || !ws_json_u64(first, &begin) || !ws_json_u64(second, &end))
        return bad_tensor(r, t->name, "has no data_offsets of two whole numbers >= 0");
    if (end < begin || end - begin != t->bytes)
        return bad_tensor(r, t->name,
                          "has data_offsets %" PRIu64 " to %" PRIu64 ", but its shape and dtype need %" PRIu64 " bytes",
                          begin, end, t->bytes);
    if (end > r->data_bytes)
        return bad_tensor(r, t->name, "ends past the end of the file (at byte %" PRIu64 " of %" PRIu64 " of data)", end,
                          r->data_bytes);
    t->offset = r->data_offset + begin;
    t->data = r->map->data + t->offset;
    return WS_OK;
}

enum { DTYPE, SHAPE, OFFSETS, N_FIELDS };

/* The fields of a tensor's object, NULL where missing. Others are of no concern; none may come twice. */
static ws_status find_fields(reader *r, const cJSON *item, const cJSON *fields[N_FIELDS]) {
    static const char *const names[N_FIELDS] = {"dtype", "shape", "data_offsets"};
    const cJSON *field;
    cJSON_ArrayForEach(field, item) {
        int i = 0;
        while (i < N_FIELDS && strcmp(field->string, names[i]) != 0) i++;
        if (i == N_FIELDS) continue;
        if (fields[i]) return bad_tensor(r, item->string, "has '%s' twice", names[i]);
        fields[i] = field;
    }
    return WS_OK;
}

static ws_status read_tensor(reader *r, const cJSON *item) {
    ws_safetensors *s = r->s;
    const char *name = item->string;
    const cJSON *fields[N_FIELDS] = {0};
    if (!cJSON_IsObject(item)) return bad_tensor(r, name, "is not a JSON object");
    WS_TRY(find_fields(r, item, fields));
    WS_TRY(ws_grow(&s->tensors, &s->storage->tensor_cap, s->n_tensors + 1, sizeof *s->tensors, r->err));
    ws_st_tensor *t = &s->tensors[s->n_tensors];
    *t = (ws_st_tensor){.part = r->part};
    if (!(t->name = ws_arena_strndup(&s->storage->names, name, strlen(name), r->err))) return WS_NOMEM;
    WS_TRY(read_dtype(r, t, fields[DTYPE]));
    WS_TRY(read_shape(r, t, fields[SHAPE]));
    WS_TRY(read_offsets(r, t, fields[OFFSETS]));
    s->n_tensors++;
    return WS_OK;
}

/* ---- one file ---- */

static ws_status read_metadata(reader *r, const cJSON *object) {
    ws_safetensors *s = r->s;
    if (!cJSON_IsObject(object) && !cJSON_IsNull(object))
        return ws_fail(r->err, WS_FORMAT, "'%s': __metadata__ is not a JSON object", r->path);
    const cJSON *item;
    cJSON_ArrayForEach(item, object) {
        const char *value = cJSON_GetStringValue(item);
        if (!value)
            return ws_fail(r->err, WS_FORMAT, "'%s': the value of '%s' in __metadata__ is not a string", r->path,
                           ws_show(item->string, strlen(item->string)).text);
        if (r->part > 0) continue;
        const size_t n = 2 * s->n_metadata;
        WS_TRY(ws_grow(&s->metadata, &s->storage->metadata_cap, n + 2, sizeof *s->metadata, r->err));
        s->metadata[n] = ws_arena_strndup(&s->storage->names, item->string, strlen(item->string), r->err);
        s->metadata[n + 1] = ws_arena_strndup(&s->storage->names, value, strlen(value), r->err);
        if (!s->metadata[n] || !s->metadata[n + 1]) return WS_NOMEM;
        s->n_metadata++;
    }
    return WS_OK;
}

bool ws_safetensors_probe(const uint8_t *data, size_t size) {
    if (size <= LENGTH_BYTES) return false;
    ws_cursor c = {data, data + size, false};
    const uint64_t n = ws_u64(&c);
    return n >= 2 && n <= WS_ST_MAX_HEADER && data[LENGTH_BYTES] == '{';
}

static ws_status check_length(reader *r) {
    const size_t size = r->map->size;
    if (size < LENGTH_BYTES)
        return ws_fail(r->err, WS_FORMAT, "'%s' is not a safetensors file: it has %zu bytes", r->path, size);
    ws_cursor c = {r->map->data, r->map->data + size, false};
    const uint64_t n = ws_u64(&c), left = ws_left(&c);
    if (left && *c.at != '{')
        return ws_fail(r->err, WS_FORMAT, "'%s' is not a safetensors file: byte 8 is 0x%02x, not '{'", r->path, *c.at);
    if (n > WS_ST_MAX_HEADER)
        return ws_fail(r->err, WS_FORMAT, "'%s' has a header of %" PRIu64 " bytes; at most %d are allowed", r->path, n,
                       WS_ST_MAX_HEADER);
    if (n > left)
        return ws_fail(r->err, WS_FORMAT, "'%s' ends inside its header (%" PRIu64 " of %" PRIu64 " bytes are there)",
                       r->path, left, n);
    if (n < 2)
        return ws_fail(r->err, WS_FORMAT, "'%s' has a header of %" PRIu64 " bytes, which is no JSON object", r->path,
                       n);
    r->data_offset = LENGTH_BYTES + n;
    r->data_bytes = left - n;
    return WS_OK;
}

/* cJSON lets pass what JSON forbids and what C strings cannot hold: bytes that are not UTF-8, control characters,
 * NUL as an escape. NULL, or what is wrong at *at. */
static const char *find_bad_text(const uint8_t *text, size_t n, size_t *at) {
    bool in_string = false;
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t code;
        const utf8proc_ssize_t len = text[i] < 0x80 ? 1 : utf8proc_iterate(text + i, (utf8proc_ssize_t)(n - i), &code);
        const bool escape = text[i] == '\\' && n - i > 1;
        *at = i;
        if (len <= 0) return "bytes that are not UTF-8";
        if (text[i] < 0x20 && (in_string || !text[i] || !strchr("\t\n\r", text[i]))) return "a control character";
        if (escape && n - i >= 6 && memcmp(text + i + 1, "u0000", 5) == 0) return "a NUL character";
        in_string ^= text[i] == '"';
        i += escape ? 2 : (size_t)len;
    }
    return NULL;
}

static cJSON *parse_header(const reader *r) {
    const char *text = (const char *)r->map->data + LENGTH_BYTES, *at = text;
    const size_t n = (size_t)r->data_offset - LENGTH_BYTES;
    size_t where = 0;
    const char *problem = find_bad_text((const uint8_t *)text, n, &where);
    if (problem) {
        ws_fail(r->err, WS_FORMAT, "'%s': its JSON header holds %s at byte %zu of %zu", r->path, problem, where, n);
        return NULL;
    }
    cJSON *root = cJSON_ParseWithLengthOpts(text, n, &at, 0);
    while (root && at < text + n && strchr(" \t\r\n", *at)) at++;
    if (root && at == text + n) return root;
    cJSON_Delete(root);
    ws_fail(r->err, WS_FORMAT, "'%s': its JSON header is broken at byte %zu of %zu", r->path, (size_t)(at - text), n);
    return NULL;
}

static ws_status read_items(reader *r, const cJSON *root) {
    const cJSON *item, *metadata = NULL;
    cJSON_ArrayForEach(item, root) {
        if (strcmp(item->string, "__metadata__") != 0) {
            WS_TRY(read_tensor(r, item));
            continue;
        }
        if (metadata) return ws_fail(r->err, WS_FORMAT, "'%s' has __metadata__ twice", r->path);
        WS_TRY(read_metadata(r, metadata = item));
    }
    return WS_OK;
}

static int compare_offsets(const void *a, const void *b) {
    const ws_st_tensor *ta = a, *tb = b;
    if (ta->offset != tb->offset) return ta->offset < tb->offset ? -1 : 1;
    return (ta->bytes > tb->bytes) - (ta->bytes < tb->bytes);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const ws_st_tensor *)a)->name, ((const ws_st_tensor *)b)->name);
}

/* The tensors must fill the data section: no byte twice, none left out. Leaves them sorted by name. */
static ws_status check_layout(reader *r) {
    ws_safetensors *s = r->s;
    const size_t n = s->n_tensors - r->first_tensor;
    ws_st_tensor *t = n ? s->tensors + r->first_tensor : NULL;
    uint64_t end = 0;
    if (n) qsort(t, n, sizeof *t, compare_offsets);
    for (size_t i = 0; i < n; i++) {
        const uint64_t begin = t[i].offset - r->data_offset;
        if (begin < end)
            return bad_tensor(r, t[i].name,
                              "overlaps tensor '%s' (it begins at %" PRIu64 ", the other ends at %" PRIu64 ")",
                              ws_show(t[i - 1].name, strlen(t[i - 1].name)).text, begin, end);
        if (begin > end)
            return bad_tensor(r, t[i].name, "leaves a hole before it (bytes %" PRIu64 " to %" PRIu64 ")", end, begin);
        end = begin + t[i].bytes;
    }
    if (end != r->data_bytes)
        return ws_fail(r->err, WS_FORMAT, "'%s' has %" PRIu64 " bytes that belong to no tensor", r->path,
                       r->data_bytes - end);
    if (n) qsort(t, n, sizeof *t, compare_names);
    return WS_OK;
}

/* Read the newest part. */
static ws_status read_part(ws_safetensors *s, ws_error *err) {
    const uint32_t part = (uint32_t)s->n_parts - 1;
    reader r = {.s = s, .map = &s->parts[part], .path = s->part_paths[part], .part = part, .err = err};
    r.first_tensor = s->n_tensors;
    WS_TRY(check_length(&r));
    cJSON *root = parse_header(&r);
    if (!root) return WS_FORMAT;
    ws_status status = read_items(&r, root);
    cJSON_Delete(root);
    return status ? status : check_layout(&r);
}

/* Take over `path`. */
static ws_status add_part(ws_safetensors *s, char *path, ws_error *err) {
    struct ws_st_storage *m = s->storage;
    const size_t n = s->n_parts + 1;
    if (!path || ws_grow(&s->parts, &m->parts_cap, n, sizeof *s->parts, err) ||
        ws_grow(&s->part_paths, &m->paths_cap, n, sizeof *s->part_paths, err)) {
        free(path);
        return WS_NOMEM;
    }
    s->part_paths[s->n_parts] = path;
    s->parts[s->n_parts++] = (ws_map){0};
    return WS_OK;
}

ws_status ws_st_read_file(ws_safetensors *s, char *path, ws_error *err) {
    WS_TRY(add_part(s, path, err));
    WS_TRY(ws_map_open(&s->parts[s->n_parts - 1], path, err));
    return read_part(s, err);
}

/* ---- the whole checkpoint ---- */

static int compare_pointers(const void *a, const void *b) {
    return strcmp((*(const ws_st_tensor *const *)a)->name, (*(const ws_st_tensor *const *)b)->name);
}

static int compare_name_to(const void *name, const void *item) {
    return strcmp(name, (*(const ws_st_tensor *const *)item)->name);
}

ws_status ws_st_index_names(ws_safetensors *s, ws_error *err) {
    const ws_st_tensor **sorted = ws_alloc(s->n_tensors, sizeof *sorted, "the index of tensors", err);
    if (!sorted) return WS_NOMEM;
    s->storage->by_name = sorted;
    for (size_t i = 0; i < s->n_tensors; i++) sorted[i] = &s->tensors[i];
    qsort(sorted, s->n_tensors, sizeof *sorted, compare_pointers);
    for (size_t i = 1; i < s->n_tensors; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            return ws_fail(err, WS_FORMAT, "the tensor '%s' is there twice: in '%s' and in '%s'",
                           ws_show(sorted[i]->name, strlen(sorted[i]->name)).text, s->part_paths[sorted[i - 1]->part],
                           s->part_paths[sorted[i]->part]);
    return WS_OK;
}

const ws_st_tensor *ws_safetensors_tensor(const ws_safetensors *s, const char *name) {
    const ws_st_tensor *const *found =
        bsearch(name, s->storage->by_name, s->n_tensors, sizeof *s->storage->by_name, compare_name_to);
    return found ? *found : NULL;
}

ws_safetensors *ws_st_new(ws_error *err) {
    ws_safetensors *s = ws_alloc(1, sizeof *s, "a safetensors reader", err);
    if (s && !(s->storage = ws_alloc(1, sizeof *s->storage, "a safetensors reader", err))) {
        free(s);
        return NULL;
    }
    return s;
}

ws_status ws_safetensors_open_bytes(ws_safetensors **out, const void *data, size_t size, const char *name,
                                    ws_error *err) {
    *out = NULL;
    ws_safetensors *s = ws_st_new(err);
    if (!s) return WS_NOMEM;
    s->storage->borrowed = true;
    ws_status status = add_part(s, ws_strndup(name, strlen(name), err), err);
    if (!status) {
        s->parts[0] = (ws_map){data, size};
        status = read_part(s, err);
    }
    if (!status) status = ws_st_index_names(s, err);
    if (status)
        ws_safetensors_close(s);
    else
        *out = s;
    return status;
}

void ws_safetensors_close(ws_safetensors *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n_parts; i++) {
        if (!s->storage->borrowed) ws_map_close(&s->parts[i]);
        free(s->part_paths[i]);
    }
    free(s->storage->by_name);
    ws_arena_free(&s->storage->names);
    free(s->storage);
    free(s->tensors);
    free(s->parts);
    free(s->part_paths);
    free(s->metadata);
    free(s);
}
