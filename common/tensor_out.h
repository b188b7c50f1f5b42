/* tensor_out.h - the common half of the GGUF and safetensors writers: a header, then the data of tensors whose
 * sizes are known, in order, in pieces of any size; nothing missing and nothing too much. */
#ifndef WS_TENSOR_OUT_H
#define WS_TENSOR_OUT_H

#include "error.h"
#include "file.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct {
    const char *name; /* borrowed */
    uint64_t bytes;
    uint64_t offset; /* in the file; known after begin */
} ws_slot;

typedef struct {
    ws_outfile *file;
    uint32_t alignment; /* of the header's end and every tensor's: zeros fill up */
    ws_slot *slots;
    size_t n, cap, current; /* current: the tensor whose data comes next */
    uint64_t written;       /* of its bytes */
    bool any_order;
    atomic_ullong done; /* any order: bytes of tensors written */
} ws_tensor_out;        /* starts as {.alignment = A} */

WS_MUST_CHECK ws_status ws_tensor_out_add(ws_tensor_out *o, const char *name, uint64_t bytes, ws_error *err);

/* Create the file beside `path` and write the header. A name that was added twice is an error. */
WS_MUST_CHECK ws_status ws_tensor_out_begin(ws_tensor_out *o, const char *path, const void *header, size_t bytes,
                                            ws_error *err);

/* The next bytes of data; they belong to one tensor. */
WS_MUST_CHECK ws_status ws_tensor_out_write(ws_tensor_out *o, const void *data, size_t bytes, ws_error *err);

/* Instead of begin and write: data in any order, from any thread, in a file that a later run can go on with
 * (ws_outfile_open_partial). *found: an earlier run left this file with this very header; what its tensors hold is for
 * the caller to know, who says what is done already with skip. Devices and pipes take the data in order only. */
WS_MUST_CHECK ws_status ws_tensor_out_begin_partial(ws_tensor_out *o, const char *path, const void *header,
                                                    size_t bytes, const ws_partial_options *options, bool *found,
                                                    ws_error *err);
WS_MUST_CHECK ws_status ws_tensor_out_write_at(ws_tensor_out *o, size_t tensor, uint64_t offset, const void *data,
                                               size_t bytes, ws_error *err);
void ws_tensor_out_skip(ws_tensor_out *o, size_t tensor);

/* All data there? Sync and rename. Frees everything in every case. */
WS_MUST_CHECK ws_status ws_tensor_out_finish(ws_tensor_out *o, ws_error *err);
void ws_tensor_out_discard(ws_tensor_out *o);

#endif
