/* gguf.h - read and write GGUF files (versions 2 and 3). A file is mapped read-only and never trusted: every
 * count, length, type and offset is checked against the file before it is used.
 *
 * Layout, all little-endian: "GGUF", u32 version, u64 n_tensors, u64 n_kv, key-value pairs, tensor infos,
 * padding to general.alignment (default 32), tensor data, each tensor padded to the alignment.
 *   string = u64 length, bytes        pair = string key, u32 type, value
 *   array  = u32 type, u64 count, values        info = string name, u32 n_dims, u64 ne[], u32 type, u64 offset */
#ifndef WS_GGUF_H
#define WS_GGUF_H

#include "error.h"
#include "file.h"
#include "tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    WS_KV_U8,
    WS_KV_I8,
    WS_KV_U16,
    WS_KV_I16,
    WS_KV_U32,
    WS_KV_I32,
    WS_KV_F32,
    WS_KV_BOOL,
    WS_KV_STRING,
    WS_KV_ARRAY,
    WS_KV_U64,
    WS_KV_I64,
    WS_KV_F64,
    WS_KV_TYPE_COUNT
} ws_kv_type;

const char *ws_kv_type_name(ws_kv_type type); /* "u32", "string", ... */
size_t ws_kv_type_size(ws_kv_type type);      /* bytes of a scalar; 0 for string and array */

typedef struct {
    const char *data; /* not NUL-terminated; borrowed from the map */
    size_t len;
} ws_str;

typedef struct {
    const char *key; /* NUL-terminated */
    ws_kv_type type;
    const uint8_t *raw; /* the value as it is in the file (string: its length first; array: type, count, values) */
    size_t raw_bytes;
    ws_kv_type elem_type; /* arrays: type, number and first byte of the elements */
    uint64_t n;
    const uint8_t *elems;
} ws_kv;

/* One model, of one or several files. The fields are for reading. */
typedef struct {
    uint32_t version, alignment;
    size_t n_kv, n_tensors, n_parts;
    ws_kv *kv;                   /* of the first part, in file order */
    ws_tensor *tensors;          /* of all parts, in file order */
    ws_map *parts;               /* n_parts maps */
    char **part_paths;           /* and their paths */
    uint64_t data_offset;        /* where tensor data begins in the first part */
    struct ws_gguf_index *index; /* names and keys, sorted, and the storage of their copies */
} ws_gguf;

/* Open and validate `path`; the first file of a split model ("-00001-of-00003.gguf") opens all its parts. On
 * success *out is the caller's, to release with ws_gguf_close(); on failure *out is NULL and err says what and
 * where. Names, values and tensor data point into the maps: valid until close. */
WS_MUST_CHECK ws_status ws_gguf_open(ws_gguf **out, const char *path, ws_error *err);
void ws_gguf_close(ws_gguf *g); /* NULL is fine */

/* The same for a file in memory, which is borrowed until close; `name` stands for the path in messages. Parts of
 * split models are refused. */
WS_MUST_CHECK ws_status ws_gguf_open_bytes(ws_gguf **out, const void *data, size_t size, const char *name,
                                           ws_error *err);

/* The same for a header alone: tensors have no data (NULL), wherever it may be. */
WS_MUST_CHECK ws_status ws_gguf_open_header(ws_gguf **out, const void *data, size_t size, const char *name,
                                            ws_error *err);

const char *ws_gguf_path(const ws_gguf *g); /* of the first part, for messages */

const ws_tensor *ws_gguf_tensor(const ws_gguf *g, const char *name); /* NULL when there is none */
const ws_kv *ws_gguf_kv(const ws_gguf *g, const char *key);          /* NULL when there is none */

/* Values of scalars: any integer type or bool as u64/i64, any number as double. False when the value has
 * another type (or, for u64, is negative). */
bool ws_kv_u64(const ws_kv *kv, uint64_t *out);
bool ws_kv_i64(const ws_kv *kv, int64_t *out);
bool ws_kv_f64(const ws_kv *kv, double *out);
bool ws_kv_str(const ws_kv *kv, ws_str *out);

/* Element i < kv->n of an array of fixed-size elements (not strings); false for other types. */
bool ws_kv_elem_i64(const ws_kv *kv, uint64_t i, int64_t *out);
bool ws_kv_elem_f64(const ws_kv *kv, uint64_t i, double *out);

/* Walk the strings of an array: start with it = kv->elems and call kv->n times; bounds were checked at open. */
ws_str ws_kv_next_str(const uint8_t **it);

/* Walk the inner arrays of an array of arrays in the same way; each comes as an array of its own. */
ws_kv ws_kv_next_array(const uint8_t **it, const ws_kv *outer);

/* A key that must / may be there, as a number. Missing optional keys leave *out as it is. Wrong types are
 * errors in both. */
WS_MUST_CHECK ws_status ws_gguf_need_u64(const ws_gguf *g, const char *key, uint64_t *out, ws_error *err);
WS_MUST_CHECK ws_status ws_gguf_opt_u64(const ws_gguf *g, const char *key, uint64_t *out, ws_error *err);
WS_MUST_CHECK ws_status ws_gguf_opt_f32(const ws_gguf *g, const char *key, float *out, ws_error *err);
WS_MUST_CHECK ws_status ws_gguf_need_str(const ws_gguf *g, const char *key, ws_str *out, ws_error *err);

/* ---- writing ---- */

/* A file under construction: put keys, add tensors, begin, write the data of every tensor in order, finish.
 * Errors of put and add are remembered and reported by begin. */
typedef struct ws_gguf_writer ws_gguf_writer;

WS_MUST_CHECK ws_status ws_gguf_writer_new(ws_gguf_writer **out, ws_error *err);

/* Setting a key that is already there removes the old pair and appends the new one, as the reference does. */
void ws_gguf_put_u16(ws_gguf_writer *w, const char *key, uint16_t v);
void ws_gguf_put_u32(ws_gguf_writer *w, const char *key, uint32_t v);
void ws_gguf_put_i32(ws_gguf_writer *w, const char *key, int32_t v);
void ws_gguf_put_u64(ws_gguf_writer *w, const char *key, uint64_t v);
void ws_gguf_put_f32(ws_gguf_writer *w, const char *key, float v);
void ws_gguf_put_bool(ws_gguf_writer *w, const char *key, bool v);
void ws_gguf_put_str(ws_gguf_writer *w, const char *key, const char *v);
void ws_gguf_put_strn(ws_gguf_writer *w, const char *key, const char *v, size_t n);
/* n elements of a fixed-size type at `v`, little-endian as in memory. */
void ws_gguf_put_array(ws_gguf_writer *w, const char *key, ws_kv_type elem, const void *v, size_t n);
void ws_gguf_put_str_array(ws_gguf_writer *w, const char *key, const ws_str *v, size_t n);
void ws_gguf_put_kv(ws_gguf_writer *w, const ws_kv *kv); /* a copy of a pair that was read */
void ws_gguf_remove(ws_gguf_writer *w, const char *key);

/* The next tensor: ne has n_dims entries, fastest first. Its size and offset follow from type and shape. */
void ws_gguf_add_tensor(ws_gguf_writer *w, const char *name, ws_dtype type, uint32_t n_dims, const uint64_t *ne);

/* Size the finished file will have; valid after the last add. */
uint64_t ws_gguf_writer_file_size(ws_gguf_writer *w);

/* The header's bytes (release with free()), up to where the data begins but for the padding before it. */
WS_MUST_CHECK ws_status ws_gguf_writer_header(ws_gguf_writer *w, void **header, size_t *bytes, ws_error *err);

/* Write the header to a temporary file beside `path`. The alignment is general.alignment if it was put. */
WS_MUST_CHECK ws_status ws_gguf_writer_begin(ws_gguf_writer *w, const char *path, ws_error *err);

/* The next bytes of tensor data, in the order of add; padding between tensors is added here. */
WS_MUST_CHECK ws_status ws_gguf_write(ws_gguf_writer *w, const void *data, size_t bytes, ws_error *err);

/* Instead of begin and write: the data of tensors (numbered in the order of add) in any order, from any thread, in a
 * file that a later run can go on with: tensor_out.h says how. The header is written here. */
WS_MUST_CHECK ws_status ws_gguf_writer_begin_partial(ws_gguf_writer *w, const char *path, const ws_partial_options *o,
                                                     bool *found, ws_error *err);
WS_MUST_CHECK ws_status ws_gguf_write_at(ws_gguf_writer *w, size_t tensor, uint64_t offset, const void *data,
                                         size_t bytes, ws_error *err);
void ws_gguf_skip(ws_gguf_writer *w, size_t tensor);                           /* the earlier run wrote it */
WS_MUST_CHECK ws_status ws_gguf_writer_sync(ws_gguf_writer *w, ws_error *err); /* what was written is on the disk */
const char *ws_gguf_writer_temporary(const ws_gguf_writer *w); /* name of the partial file; NULL: device or pipe */

/* All data written? Sync and rename. Frees w in every case. */
WS_MUST_CHECK ws_status ws_gguf_writer_finish(ws_gguf_writer *w, ws_error *err);
void ws_gguf_writer_discard(ws_gguf_writer *w); /* NULL is fine; leaves no file */

#endif
