/* json_vocab.h - the vocabulary in a tokenizer.json as the transformers library sees it: the model's tokens, and the
 * added ones with what tokenizer_config.json changes or adds to them. */
#ifndef WS_JSON_VOCAB_H
#define WS_JSON_VOCAB_H

#include "source.h"
#include "strmap.h"

typedef struct {
    const char *text;
    uint64_t id;
    bool special, normalized;
} ws_added_token;

typedef struct {
    size_t n; /* the model's tokens, in the file's order */
    ws_str *text;
    uint64_t *id;
    ws_strmap index; /* text -> position */
    ws_added_token *added;
    size_t n_added, added_cap;
    uint64_t *special; /* ids of the named special tokens (bos, eos, ...) and of the extra ones */
    size_t n_special, special_cap;
} ws_json_vocab; /* texts are borrowed from the source */

/* Tokens that a class of tokenizers has even if its files name none. */
typedef struct {
    const char *unk, *bos, *eos;
} ws_default_tokens;

/* `defaults` may be NULL. On failure there is nothing to free. */
WS_MUST_CHECK ws_status ws_json_vocab_read(ws_json_vocab *v, const ws_source *s, const ws_default_tokens *defaults,
                                           ws_error *err);
void ws_json_vocab_free(ws_json_vocab *v);

#endif
