/* dtype.h - facts of GGUF tensor types: name, number in files, elements and bytes per block. */
#ifndef WS_DTYPE_H
#define WS_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
#define WS_DTYPE(ID, number, elements, bytes, impl, imatrix) WS_TYPE_##ID = number,
#include "dtypes.def"
#undef WS_DTYPE
    WS_TYPE_COUNT
} ws_dtype;

/* What a type's quantizer does with an importance matrix. */
typedef enum { WS_IMATRIX_ignores, WS_IMATRIX_takes, WS_IMATRIX_needs } ws_imatrix_use;

typedef struct {
    const char *name;        /* "Q4_K" */
    uint32_t block_elements; /* 0 in rows of numbers that no type has */
    uint32_t block_bytes;
    ws_imatrix_use imatrix;
} ws_dtype_info;

/* The row of a type number read from a file, or NULL when there is no such type. */
const ws_dtype_info *ws_dtype_get(uint32_t number);

const char *ws_dtype_name(ws_dtype type);

/* Type by name in any case ("q4_k"); false when unknown. */
bool ws_dtype_by_name(ws_dtype *type, const char *name);

/* Bytes of n_elements of a type; false when they do not fill whole blocks or overflow 64 bits. */
bool ws_dtype_bytes(ws_dtype type, uint64_t n_elements, uint64_t *bytes);

bool ws_dtype_is_quantized(ws_dtype type); /* blocks of more than one element */

#endif
