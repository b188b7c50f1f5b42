/* utf8.h - text that may hold bytes which are not UTF-8. */
#ifndef WS_UTF8_H
#define WS_UTF8_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed character at s (n > 0 bytes are left), its code point in *cp; 0 when there is none. */
size_t ws_utf8_decode(const char *s, size_t n, uint32_t *cp);

/* A copy of `text` in which U+FFFD stands for every byte that is not part of a well-formed character, as in
 * llama.cpp; *out is NULL when the text is well-formed already. Release with free(). */
WS_MUST_CHECK ws_status ws_utf8_repair(char **out, size_t *out_len, const char *text, size_t n, ws_error *err);

#endif
