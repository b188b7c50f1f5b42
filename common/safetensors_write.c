/* Writing safetensors: the header is built as text in the form that the reference implementation gives it. */
#include "alloc.h"
#include "arena.h"
#include "safetensors_internal.h"
#include "tensor_out.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8 };

/* A JSON object under construction. */
typedef struct {
    char *data;
    size_t size, cap;
} text;

struct ws_safetensors_writer {
    ws_error err; /* the first failure of put and add; code 0 while all is well */
    ws_arena names;
    text metadata, infos; /* comma-separated members */
    uint64_t data_bytes;
    ws_tensor_out out;
};

ws_status ws_safetensors_writer_new(ws_safetensors_writer **out, ws_error *err) {
    *out = ws_alloc(1, sizeof **out, "a safetensors writer", err);
    if (!*out) return WS_NOMEM;
    (*out)->out.alignment = 1;
    return WS_OK;
}

/* ---- the header ---- */

static void append(ws_safetensors_writer *w, text *t, const char *s, size_t n) {
    if (w->err.code || n == 0) return;
    if (n > WS_ST_MAX_HEADER - t->size)
        ws_fail(&w->err, WS_FORMAT, "a safetensors header cannot have more than %d bytes", WS_ST_MAX_HEADER);
    else if (!ws_grow(&t->data, &t->cap, t->size + n, 1, &w->err)) {
        memcpy(t->data + t->size, s, n);
        t->size += n;
    }
}

static void append_text(ws_safetensors_writer *w, text *t, const char *s) { append(w, t, s, strlen(s)); }

static void append_u64(ws_safetensors_writer *w, text *t, uint64_t v) {
    char digits[24];
    append(w, t, digits, (size_t)snprintf(digits, sizeof digits, "%" PRIu64, v));
}

/* As serde_json does: short escapes where JSON has them, lower-case hexadecimal for other control characters. */
static void append_quoted(ws_safetensors_writer *w, text *t, const char *s) {
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    append(w, t, "\"", 1);
    for (; *s; s++) {
        const char *at = strchr(plain, *s);
        char escape[8];
        if (at)
            append(w, t, (char[]){'\\', letters[at - plain]}, 2);
        else if ((unsigned char)*s < 0x20)
            append(w, t, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*s));
        else
            append(w, t, s, 1);
    }
    append(w, t, "\"", 1);
}

/* `"key":`, after a comma unless it is the first of its object. */
static void append_key(ws_safetensors_writer *w, text *t, const char *key) {
    if (t->size) append(w, t, ",", 1);
    append_quoted(w, t, key);
    append(w, t, ":", 1);
}

void ws_safetensors_put_metadata(ws_safetensors_writer *w, const char *key, const char *value) {
    append_key(w, &w->metadata, key);
    append_quoted(w, &w->metadata, value);
}

static void append_info(ws_safetensors_writer *w, const char *name, ws_st_dtype type, uint32_t n_dims,
                        const uint64_t *shape, uint64_t bytes) {
    text *t = &w->infos;
    append_key(w, t, name);
    append_text(w, t, "{\"dtype\":\"");
    append_text(w, t, ws_st_dtype_name(type));
    append_text(w, t, "\",\"shape\":[");
    for (uint32_t d = 0; d < n_dims; d++) {
        if (d) append(w, t, ",", 1);
        append_u64(w, t, shape[d]);
    }
    append_text(w, t, "],\"data_offsets\":[");
    append_u64(w, t, w->data_bytes);
    append(w, t, ",", 1);
    append_u64(w, t, w->data_bytes + bytes);
    append_text(w, t, "]}");
}

static bool shape_size(ws_st_dtype type, uint32_t n_dims, const uint64_t *shape, uint64_t *bytes) {
    uint64_t n = 1;
    for (uint32_t d = 0; d < n_dims; d++)
        if (ws_mul_overflows(n, shape[d], &n)) return false;
    return n_dims <= WS_ST_MAX_DIMS && ws_st_bytes(type, n, bytes);
}

void ws_safetensors_add(ws_safetensors_writer *w, const char *name, ws_st_dtype t, uint32_t n_dims,
                        const uint64_t *shape) {
    const char *copy = w->err.code ? NULL : ws_arena_strndup(&w->names, name, strlen(name), &w->err);
    uint64_t bytes, end;
    if (!copy) return;
    if (strcmp(name, "__metadata__") == 0)
        ws_fail(&w->err, WS_FORMAT, "the tensor name '__metadata__' is reserved");
    else if (!shape_size(t, n_dims, shape, &bytes) || ws_add_overflows(w->data_bytes, bytes, &end) || end > INT64_MAX)
        ws_fail(&w->err, WS_FORMAT,
                "tensor '%s' of %s with %" PRIu32 " dimensions cannot be written: its size overflows or is no whole "
                "number of bytes, or it has more than %d dimensions",
                ws_show(name, strlen(name)).text, ws_st_dtype_name(t), n_dims, WS_ST_MAX_DIMS);
    else if (!ws_tensor_out_add(&w->out, copy, bytes, &w->err)) {
        append_info(w, name, t, n_dims, shape, bytes);
        w->data_bytes = end;
    }
}

/* The file up to the data: the length of what follows it, then the JSON object and spaces up to a multiple of 8. */
static void append_header(ws_safetensors_writer *w, text *t) {
    append(w, t, (const char[LENGTH_BYTES]){0}, LENGTH_BYTES);
    append(w, t, "{", 1);
    if (w->metadata.size) {
        append_text(w, t, "\"__metadata__\":{");
        append(w, t, w->metadata.data, w->metadata.size);
        append_text(w, t, w->infos.size ? "}," : "}");
    }
    append(w, t, w->infos.data, w->infos.size);
    append(w, t, "}", 1);
    while (!w->err.code && t->size % LENGTH_BYTES) append(w, t, " ", 1);
    if (w->err.code) return;
    const uint64_t length = t->size - LENGTH_BYTES;
    memcpy(t->data, &length, sizeof length);
}

ws_status ws_safetensors_writer_begin(ws_safetensors_writer *w, const char *path, ws_error *err) {
    text header = {0};
    append_header(w, &header);
    const ws_status status = w->err.code ? ws_fail(err, w->err.code, "cannot write '%s': %s", path, w->err.msg)
                                         : ws_tensor_out_begin(&w->out, path, header.data, header.size, err);
    free(header.data);
    return status;
}

ws_status ws_safetensors_write(ws_safetensors_writer *w, const void *data, size_t bytes, ws_error *err) {
    return ws_tensor_out_write(&w->out, data, bytes, err);
}

ws_status ws_safetensors_writer_finish(ws_safetensors_writer *w, ws_error *err) {
    const ws_status status = ws_tensor_out_finish(&w->out, err);
    ws_safetensors_writer_discard(w);
    return status;
}

void ws_safetensors_writer_discard(ws_safetensors_writer *w) {
    if (!w) return;
    ws_tensor_out_discard(&w->out);
    ws_arena_free(&w->names);
    free(w->metadata.data);
    free(w->infos.data);
    free(w);
}
