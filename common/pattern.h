/* pattern.h - regular expressions that are searched for in names of tensors (PCRE2, bytes). */
#ifndef WS_PATTERN_H
#define WS_PATTERN_H

#include "error.h"

#include <stdbool.h>

typedef struct ws_pattern ws_pattern;

/* NULL with err filled (WS_USAGE: where the expression is wrong) on failure. Release with ws_pattern_free(). */
ws_pattern *ws_pattern_new(const char *text, ws_error *err);
void ws_pattern_free(ws_pattern *p); /* NULL is fine */

/* Is the pattern anywhere in `name`? A search that exceeds PCRE2's limits finds nothing. */
bool ws_pattern_found(const ws_pattern *p, const char *name);

#endif
