/* safetensors.h - read and write safetensors files: u64 header length, JSON header, tensor data.
 * Source of the format: huggingface/safetensors. Nothing in a file is trusted. */
#ifndef WS_SAFETENSORS_H
#define WS_SAFETENSORS_H

#include "error.h"
#include "file.h"

#include <stdbool.h>
#include <stdint.h>

/* Types of the specification; the name is the enumerator without prefix. */
typedef enum {
    WS_ST_BOOL,
    WS_ST_F4,
    WS_ST_F6_E2M3,
    WS_ST_F6_E3M2,
    WS_ST_U8,
    WS_ST_I8,
    WS_ST_F8_E5M2,
    WS_ST_F8_E4M3,
    WS_ST_F8_E8M0,
    WS_ST_F8_E4M3FNUZ,
    WS_ST_F8_E5M2FNUZ,
    WS_ST_I16,
    WS_ST_U16,
    WS_ST_F16,
    WS_ST_BF16,
    WS_ST_I32,
    WS_ST_U32,
    WS_ST_F32,
    WS_ST_C64,
    WS_ST_F64,
    WS_ST_I64,
    WS_ST_U64,
    WS_ST_COUNT
} ws_st_dtype;

const char *ws_st_dtype_name(ws_st_dtype t);
uint32_t ws_st_dtype_bits(ws_st_dtype t); /* bits per element */

enum { WS_ST_MAX_DIMS = 8 };

typedef struct {
    const char *name;
    ws_st_dtype dtype;
    uint32_t n_dims;
    uint64_t shape[WS_ST_MAX_DIMS]; /* as in the file: slowest first */
    uint64_t n_elements, bytes;
    uint32_t part;       /* which file */
    uint64_t offset;     /* of the data, from the start of that file */
    const uint8_t *data; /* at any alignment */
} ws_st_tensor;

/* One checkpoint: a file or a set of shards. Tensors are in order of (file name, tensor name), the order in
 * which the reference converter visits them. */
typedef struct {
    size_t n_tensors, n_parts;
    ws_st_tensor *tensors;
    ws_map *parts;
    char **part_paths;
    size_t n_metadata; /* pairs of the first file's __metadata__ */
    char **metadata;   /* key, value, key, value, ... */
    struct ws_st_storage *storage;
} ws_safetensors;

/* Open a .safetensors file, a model.safetensors.index.json, or a folder that holds either (index first, then
 * model.safetensors, then all model*.safetensors). Checks: header size (100 MB), JSON, types, shapes against
 * bytes, overlaps, holes, bytes left over, duplicate names, shards named by the index but missing, tensors in
 * the index but not in the shards. Valid until ws_safetensors_close(). */
WS_MUST_CHECK ws_status ws_safetensors_open(ws_safetensors **out, const char *path, ws_error *err);
void ws_safetensors_close(ws_safetensors *s); /* NULL is fine */

/* The same for one file in memory, which is borrowed until close; `name` stands for the path in messages. */
WS_MUST_CHECK ws_status ws_safetensors_open_bytes(ws_safetensors **out, const void *data, size_t size, const char *name,
                                                  ws_error *err);

const ws_st_tensor *ws_safetensors_tensor(const ws_safetensors *s, const char *name); /* NULL: none */

/* Does the file begin like a safetensors file (a plausible header length, then '{')? */
bool ws_safetensors_probe(const uint8_t *data, size_t size);

/* ---- writing: add all tensors, begin, write their data in the same order, finish ---- */

typedef struct ws_safetensors_writer ws_safetensors_writer;

WS_MUST_CHECK ws_status ws_safetensors_writer_new(ws_safetensors_writer **out, ws_error *err);
void ws_safetensors_put_metadata(ws_safetensors_writer *w, const char *key, const char *value);
void ws_safetensors_add(ws_safetensors_writer *w, const char *name, ws_st_dtype t, uint32_t n_dims,
                        const uint64_t *shape);
WS_MUST_CHECK ws_status ws_safetensors_writer_begin(ws_safetensors_writer *w, const char *path, ws_error *err);
WS_MUST_CHECK ws_status ws_safetensors_write(ws_safetensors_writer *w, const void *data, size_t bytes, ws_error *err);
WS_MUST_CHECK ws_status ws_safetensors_writer_finish(ws_safetensors_writer *w, ws_error *err);
void ws_safetensors_writer_discard(ws_safetensors_writer *w);

#endif
