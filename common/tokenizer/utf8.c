#include "utf8.h"

#include "alloc.h"

#include <string.h>
#include <utf8proc.h>

size_t ws_utf8_decode(const char *s, size_t n, uint32_t *cp) {
    enum { LONGEST = 4 };
    utf8proc_int32_t decoded;
    const utf8proc_ssize_t len =
        utf8proc_iterate((const utf8proc_uint8_t *)s, n < LONGEST ? (int)n : LONGEST, &decoded);
    if (len <= 0) return 0;
    *cp = (uint32_t)decoded;
    return (size_t)len;
}

ws_status ws_utf8_repair(char **out, size_t *out_len, const char *text, size_t n, ws_error *err) {
    static const char replacement[3] = "\xef\xbf\xbd";
    size_t n_bad = 0;
    uint32_t cp;
    for (size_t at = 0, len; at < n; at += len ? len : 1) n_bad += (len = ws_utf8_decode(text + at, n - at, &cp)) == 0;
    *out = NULL;
    if (n_bad == 0) return WS_OK;
    char *to = *out = ws_alloc(n + 2 * n_bad, 1, "a text with replacement characters", err);
    if (!to) return WS_NOMEM;
    for (size_t at = 0, len; at < n; at += len ? len : 1) {
        len = ws_utf8_decode(text + at, n - at, &cp);
        memcpy(to, len ? text + at : replacement, len ? len : sizeof replacement);
        to += len ? len : sizeof replacement;
    }
    *out_len = (size_t)(to - *out);
    return WS_OK;
}
