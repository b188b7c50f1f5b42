/* text.h - names and other short texts, many of them from files. */
#ifndef WS_TEXT_H
#define WS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char text[84];
} ws_shown;

bool ws_ends_with(const char *s, const char *tail);

/* For messages, short, on one line, nothing that a terminal would obey: the first 80 bytes of s ("..." marks what was
 * cut); control characters and bytes that are not UTF-8 become '?'. Use as ws_show(s, n).text in the arguments of a
 * call. */
ws_shown ws_show(const char *s, size_t n);

#endif
