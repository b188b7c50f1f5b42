/* html.h - pieces of self-contained HTML pages. */
#ifndef WS_HTML_H
#define WS_HTML_H

#include <stddef.h>
#include <stdio.h>

/* Text from a file, with what HTML or a terminal would obey escaped. */
void ws_html_text(FILE *f, const char *s, size_t n);

/* Everything up to the body's content, and what closes it. `title` is escaped. */
void ws_html_begin(FILE *f, const char *title);
void ws_html_end(FILE *f);

#endif
