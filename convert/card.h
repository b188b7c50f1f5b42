/* card.h - the model card: README.md begins with YAML between two lines of "---". */
#ifndef WS_CARD_H
#define WS_CARD_H

#include "error.h"
#include "json.h"

/* The front matter of `size` bytes of Markdown as a JSON tree: mappings, lists, strings and null as in YAML 1.1.
 * Plain scalars that YAML reads as numbers, booleans or dates become items of type Raw with their text; cards mean
 * text by them, but the reference treats them differently. *out is NULL when there is no front matter or when it
 * is no mapping; broken YAML is WS_FORMAT. */
WS_MUST_CHECK ws_status ws_card_parse(cJSON **out, const char *markdown, size_t size, ws_error *err);

#endif
