/* formats.h - conversion between float rows and the blocks of each tensor type, for the instruction set at hand.
 *
 * One plain source per family (formats/NAME.c), written over a lane type: lane i of a vector works on block i,
 * so every lane does the scalar operations in the scalar order and the bytes are the same at every width. The
 * sources are compiled once per instruction set; width 1 is the definition that the others are tested against. */
#ifndef WS_FORMATS_H
#define WS_FORMATS_H

#include "dtype.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    /* n_blocks whole blocks. No alignment is needed; any float is accepted (NaN and infinities give some block).
     * Bytes equal ggml's quantize_row_*_ref (no imatrix) for finite input. NULL: the type needs an importance matrix.
     */
    void (*from_float)(const float *x, void *y, size_t n_blocks);
    void (*to_float)(const void *x, float *y, size_t n_blocks);
    /* n_rows rows of row_blocks blocks each, where an error in column i of a row counts weights[i] (the importance
     * matrix: a finite number, not below 0, per column, the same for all rows). Bytes equal ggml's quantize_NAME with
     * that matrix. NULL: the type ignores it. */
    void (*from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows, size_t row_blocks);
} ws_format;

/* Conversions of a type on a processor with `cpu_flags`; NULL when the type has none. A pure function. */
const ws_format *ws_format_get(ws_dtype type, uint32_t cpu_flags);

#endif
