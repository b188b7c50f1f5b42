/* Any bytes as a GGUF file of version 1 or a big-endian one: refused, or a header that the reader has checked. */
#include "gguf_foreign.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ws_gguf_foreign f;
    ws_error err = {0};
    if (ws_gguf_foreign_open(&f, data, size, "fuzz", &err)) {
        require(err.code && err.msg[0]);
    } else {
        require(ws_gguf_foreign_probe(data, size) && f.gguf);
        for (size_t i = 0; i < f.gguf->n_tensors; i++) {
            const ws_tensor *t = &f.gguf->tensors[i];
            const uint64_t at = t->offset - f.gguf->data_offset + f.data_offset;
            require(t->bytes == 0 || (at <= size && t->bytes <= size - at));
        }
    }
    ws_gguf_foreign_close(&f);
    return 0;
}
