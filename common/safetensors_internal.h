/* safetensors_internal.h - what common/safetensors*.c share. */
#ifndef WS_SAFETENSORS_INTERNAL_H
#define WS_SAFETENSORS_INTERNAL_H

#include "safetensors.h"

enum { WS_ST_MAX_HEADER = 100 * 1000 * 1000 }; /* bytes, as the reference implementation has it */

/* Bytes of n_elements of a type; false when they overflow 64 bits or do not fill whole bytes. */
bool ws_st_bytes(ws_st_dtype t, uint64_t n_elements, uint64_t *bytes);

/* The steps of opening: an empty checkpoint; add and read a file (`path` is taken over); index all names. */
ws_safetensors *ws_st_new(ws_error *err);
WS_MUST_CHECK ws_status ws_st_read_file(ws_safetensors *s, char *path, ws_error *err);
WS_MUST_CHECK ws_status ws_st_index_names(ws_safetensors *s, ws_error *err);

#endif
