#include "text.h"

#include <string.h>
#include <utf8proc.h>

enum { SHOWN = 80 };

bool ws_ends_with(const char *s, const char *tail) {
    const size_t n = strlen(s), n_tail = strlen(tail);
    return n >= n_tail && strcmp(s + n - n_tail, tail) == 0;
}

ws_shown ws_show(const char *s, size_t n) {
    ws_shown out = {0};
    const size_t limit = n > SHOWN ? SHOWN - 3 : n;
    size_t at = 0;
    for (size_t i = 0; i < limit;) {
        utf8proc_int32_t code;
        const utf8proc_ssize_t len =
            utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(limit - i), &code);
        if (len <= 0 || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
            out.text[at++] = '?';
            i += len > 0 ? (size_t)len : 1;
        } else {
            memcpy(out.text + at, s + i, (size_t)len);
            at += (size_t)len;
            i += (size_t)len;
        }
    }
    if (n > SHOWN) memcpy(out.text + at, "...", 3);
    return out;
}
