/* values.h - the numbers of a tensor as floats, whatever its type. */
#ifndef WS_VALUES_H
#define WS_VALUES_H

#include "dtype.h"
#include "safetensors.h"

#include <stddef.h>

/* n_blocks whole blocks at any address into floats. Integers and doubles are rounded. */
typedef void ws_to_float(const void *x, float *y, size_t n_blocks);

/* NULL: the type cannot be decoded here. */
ws_to_float *ws_values_of(ws_dtype type, uint32_t cpu_flags);
ws_to_float *ws_values_of_st(ws_st_dtype type, uint32_t cpu_flags);

#endif
