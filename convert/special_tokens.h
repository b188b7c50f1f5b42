/* special_tokens.h - which tokens begin, end, pad, ... a text, and whether they are to be added: gathered from the
 * post-processor in tokenizer.json, tokenizer_config.json and config.json, in this order of trust. */
#ifndef WS_SPECIAL_TOKENS_H
#define WS_SPECIAL_TOKENS_H

#include "pairs.h"
#include "source.h"

/* Put the ids (of tokens below n_vocab), then the flags. */
void ws_special_tokens_put(ws_pairs *p, const ws_source *s, size_t n_vocab);

#endif
