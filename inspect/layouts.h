/* layouts.h - where the floating-point numbers lie in each tensor type, and which of their bits say that a number is
 * not finite, or that a scale is none that a quantizer makes of sound weights. Nothing is decoded for that. */
#ifndef WS_LAYOUTS_H
#define WS_LAYOUTS_H

#include "dtype.h"
#include "safetensors.h"

#include <stdint.h>

/* A little-endian number of `bytes` bytes is not finite when (v & mask) == bad. It is an infinity when, besides,
 * (v & mantissa) == 0; formats without infinities have mantissa 0 and only NaNs. */
typedef struct {
    uint32_t bytes;
    uint64_t mask, bad, mantissa;
    /* Scales only (else 0), as bits without sign: from `large` on a scale is absurd; from 1 to `small` so small that it
     * has lost most of its bits. One byte has no sign. */
    uint64_t large, small;
} ws_number;

/* `count` numbers one after the other, `offset` bytes into each block. */
typedef struct {
    const ws_number *number; /* NULL ends the list */
    uint32_t offset, count;
} ws_number_field;

enum { WS_MAX_FIELDS = 3 };

typedef struct {
    const char *what; /* "values", or "scales" of blocks that share them */
    uint32_t block_bytes, block_elements;
    ws_number_field fields[WS_MAX_FIELDS];
} ws_layout;

/* The layout of a type; one without fields holds nothing that could be wrong (integers, booleans). */
ws_layout ws_layout_of(ws_dtype type);
ws_layout ws_layout_of_st(ws_st_dtype type);

#endif
