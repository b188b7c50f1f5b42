/* escape.h - strings from a file, shown to a person. Names, keys and values come from whoever made the file, so
 * nothing in them may move a cursor, change a colour or reverse the reading direction. */
#ifndef WS_ESCAPE_H
#define WS_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Print `n` bytes in at most `columns` columns of a terminal; returns the columns used. Control characters, format
 * characters and bytes that are not UTF-8 become escapes (\n, \x1b, \u{202e}); what does not fit is replaced by
 * "..." at the end. */
size_t ws_escape_put(FILE *f, const char *s, size_t n, size_t columns);

/* ws_escape_put() without limit, padded with spaces to `width`. */
void ws_escape_pad(FILE *f, const char *s, size_t width);

/* Columns that ws_escape_put() needs without limit. */
size_t ws_escape_width(const char *s, size_t n);

/* Print a text of several lines, each after `indent` spaces, at most `lines` of them; returns the number of lines
 * that the text has. Only line feeds act; everything else is escaped as above. */
size_t ws_escape_block(FILE *f, const char *s, size_t n, size_t indent, size_t lines);

/* 1234567 -> "1,234,567" into buf (at least 32 bytes); returns buf. */
char *ws_format_count(char *buf, unsigned long long v);

/* 134515008 -> "134.5 M", into buf (at least 32 bytes); returns buf. */
char *ws_format_short(char *buf, double v);

#endif
