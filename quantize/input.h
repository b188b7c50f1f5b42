/* input.h - where weights come from: a GGUF file of one or more parts, or a checkpoint that another room turns into
 * GGUF tensors on the way. Several threads read at a time. */
#ifndef WS_INPUT_H
#define WS_INPUT_H

#include "gguf.h"

/* Elements [first, first + n) of a tensor: whole blocks of its type, and whole rows or within one row. */
typedef struct {
    const ws_tensor *tensor;
    uint64_t first, n;
} ws_span;

typedef struct ws_input {
    const ws_gguf *g; /* names, types, shapes, metadata; the data of its tensors comes from `read` only */

    /* The span's bytes, as the tensor's type has them. */
    ws_status (*read)(void *ctx, const ws_span *span, void *to, ws_error *err);
    /* Hints: this will be read soon / will not be read again. */
    void (*will_need)(void *ctx, const ws_span *span);
    void (*done_with)(void *ctx, const ws_span *span);
    void *ctx;
} ws_input;

/* Read g's files, which are opened again: reading tells of errors that a map would end the program with. `drop`:
 * pages that were read leave the page cache, for files so large that they would push everything else out. On success
 * release with ws_input_close_gguf(); g stays the caller's and must outlive it. */
WS_MUST_CHECK ws_status ws_input_open_gguf(ws_input *in, const ws_gguf *g, bool drop, ws_error *err);
void ws_input_close_gguf(ws_input *in); /* a zeroed one is fine */

/* Bytes of n elements of a type, whole blocks. */
uint64_t ws_bytes_of(ws_dtype type, uint64_t n_elements);

#endif
