/* gguf_foreign.h - GGUF files of other kinds than gguf.h reads: version 1 (32-bit lengths and counts) and big-endian
 * ones. Their headers are rewritten as version 3, little-endian, for gguf.h to check and read. */
#ifndef WS_GGUF_FOREIGN_H
#define WS_GGUF_FOREIGN_H

#include "gguf.h"

typedef struct {
    uint32_t version;
    bool big_endian;
    uint64_t data_offset; /* where tensor data begins in the file */
    ws_gguf *gguf;        /* the model; its tensor data is not there (zeros), and its offsets are the image's */
    ws_map image;
} ws_gguf_foreign;

/* Does it begin like such a file? */
bool ws_gguf_foreign_probe(const uint8_t *data, size_t size);

/* `data` is the whole file, `path` its name for messages. Release with ws_gguf_foreign_close(), also after failure. */
WS_MUST_CHECK ws_status ws_gguf_foreign_open(ws_gguf_foreign *f, const uint8_t *data, size_t size, const char *path,
                                             ws_error *err);
void ws_gguf_foreign_close(ws_gguf_foreign *f); /* a zeroed one is fine */

#endif
