/* text.h - text from files in messages: short, on one line, nothing that a terminal would obey. */
#ifndef WS_TEXT_H
#define WS_TEXT_H

#include <stddef.h>

typedef struct {
    char text[84];
} ws_shown;

/* The first 80 bytes of s ("..." marks what was cut); control characters and bytes that are not UTF-8 become '?'.
 * Use as ws_show(s, n).text in the arguments of a call. */
ws_shown ws_show(const char *s, size_t n);

#endif
