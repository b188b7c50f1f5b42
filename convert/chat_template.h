/* chat_template.h - the template by which a conversation becomes a prompt. */
#ifndef WS_CHAT_TEMPLATE_H
#define WS_CHAT_TEMPLATE_H

#include "pairs.h"
#include "source.h"

/* Put tokenizer.chat_template and, when there are several, tokenizer.chat_template.NAME and tokenizer.chat_templates.
 * From tokenizer_config.json, else chat_template.jinja (and additional_chat_templates), else chat_template.json. */
WS_MUST_CHECK ws_status ws_chat_template_put(ws_pairs *p, const ws_source *s, ws_error *err);

#endif
