/* vocabulary.h - the keys "tokenizer.*". */
#ifndef WS_VOCABULARY_H
#define WS_VOCABULARY_H

#include "pairs.h"
#include "source.h"

/* `pre_tokenizer` is the name that the user chose, or NULL. */
WS_MUST_CHECK ws_status ws_vocabulary_put(ws_pairs *p, const ws_source *s, const char *pre_tokenizer, ws_error *err);

/* Tokens that have a text: rows of the embedding beyond them serve no purpose. */
uint64_t ws_vocabulary_tokens(const ws_source *s);

#endif
