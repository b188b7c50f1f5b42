/* gguf_internal.h - what common/gguf_*.c share. */
#ifndef WS_GGUF_INTERNAL_H
#define WS_GGUF_INTERNAL_H

#include "cursor.h"
#include "gguf.h"

#include <string.h>

enum {
    WS_GGUF_DEFAULT_ALIGNMENT = 32,
    WS_GGUF_MIN_ALIGNMENT = 8, /* the format wants a multiple of 8 */
    WS_GGUF_MAX_KEY = 65535,   /* bytes, by the format */
    WS_GGUF_MAX_NAME = 255,    /* bytes; the format says 64, ggml reads up to 63 */
};

/* Read a value of `type` into kv (all but the key) and move c behind it. NULL, or what is wrong with the value
 * as the end of a sentence ("has an unknown type"). */
const char *ws_kv_parse(ws_cursor *c, uint32_t type, ws_kv *kv);

/* A name that may be written and read: 1 to `max` bytes, no NUL among them. */
static inline bool ws_gguf_name_ok(const char *s, size_t n, size_t max) {
    return n > 0 && n <= max && !memchr(s, 0, n);
}

static inline bool ws_gguf_alignment_ok(uint64_t a) {
    return a >= WS_GGUF_MIN_ALIGNMENT && a <= UINT32_MAX && (a & (a - 1)) == 0;
}

#endif
