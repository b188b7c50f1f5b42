/* tensor.h - a tensor in a GGUF file: what it is and where its bytes are. */
#ifndef WS_TENSOR_H
#define WS_TENSOR_H

#include "dtype.h"

enum { WS_MAX_DIMS = 4 };

typedef struct {
    const char *name; /* NUL-terminated, borrowed from the file's reader */
    ws_dtype type;
    uint32_t n_dims;
    uint64_t ne[WS_MAX_DIMS]; /* fastest dimension first, as in the file; 1 beyond n_dims */
    uint64_t n_elements;
    uint64_t bytes;
    uint32_t part;       /* which file of a split model */
    uint64_t offset;     /* of the data, from the start of that file */
    const uint8_t *data; /* in the map */
} ws_tensor;

/* Rows of a tensor: everything above the fastest dimension. */
static inline uint64_t ws_tensor_rows(const ws_tensor *t) { return t->ne[0] ? t->n_elements / t->ne[0] : 0; }

#endif
