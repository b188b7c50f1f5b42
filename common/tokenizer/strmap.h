/* strmap.h - which index a string has in an array of strings. The strings stay where they are. */
#ifndef WS_STRMAP_H
#define WS_STRMAP_H

#include "error.h"
#include "gguf.h"

#include <stdint.h>

typedef struct {
    const ws_str *strings; /* borrowed */
    struct ws_strmap_slot *slots;
    size_t mask; /* number of slots - 1 */
} ws_strmap;

enum { WS_STRMAP_NONE = -1 };

/* Index n strings (at most INT32_MAX). Empty strings are left out; of equal ones the first counts. Release with
 * ws_strmap_free(). */
WS_MUST_CHECK ws_status ws_strmap_build(ws_strmap *m, const ws_str *strings, size_t n, ws_error *err);
void ws_strmap_free(ws_strmap *m); /* a zeroed map is fine */

int32_t ws_strmap_find(const ws_strmap *m, const char *s, size_t n); /* WS_STRMAP_NONE when absent */

/* The same for the string "LEFT RIGHT" (one space between). */
int32_t ws_strmap_find_pair(const ws_strmap *m, ws_str left, ws_str right);

#endif
