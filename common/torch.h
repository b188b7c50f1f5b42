/* torch.h - what is in a file that torch.save wrote (a zip with a pickle and the tensors' data beside it): names,
 * types, shapes and data, without running anything. */
#ifndef WS_TORCH_H
#define WS_TORCH_H

#include "safetensors.h"

typedef struct {
    const char *module, *name;
    bool known;     /* one of those that state dictionaries need */
    bool dangerous; /* of a module that reaches the system */
} ws_torch_global;

typedef struct {
    size_t n_tensors;
    ws_st_tensor *tensors; /* sorted by name; data NULL: packed, of the other endianness, or strided */
    size_t n_globals;
    ws_torch_global *globals; /* the functions and classes that the pickle names, each once */
    size_t n_plain;           /* values that are no tensors */
    size_t n_parts;
    ws_map *parts;
    char **part_paths;
    struct ws_torch_storage *storage;
} ws_torch;

/* Open a file, a pytorch_model.bin.index.json, or a folder that holds either (under the name pytorch_model.bin). Names
 * of nested dictionaries are joined by dots. Valid until ws_torch_close(); on failure *out is NULL. */
WS_MUST_CHECK ws_status ws_torch_open(ws_torch **out, const char *path, ws_error *err);
void ws_torch_close(ws_torch *t); /* NULL is fine */

/* The same for a file in memory, which is borrowed until close; `name` stands for the path in messages. */
WS_MUST_CHECK ws_status ws_torch_open_bytes(ws_torch **out, const void *data, size_t size, const char *name,
                                            ws_error *err);

/* Is `path` such an index, or a folder with one of the two and without safetensors? */
bool ws_torch_probe_path(const char *path);

const ws_st_tensor *ws_torch_tensor(const ws_torch *t, const char *name); /* NULL: none */

#endif
