/* vocab.h - the tokens of a GGUF file: their texts, scores and types, which of them are special. */
#ifndef WS_VOCAB_H
#define WS_VOCAB_H

#include "gguf.h"
#include "spelling.h"
#include "strmap.h"
#include "tokenizer.h"

typedef struct {
    size_t n;
    ws_str *text;  /* as in the file, borrowed from it */
    float *score;  /* 0 where the file has none */
    uint8_t *type; /* a ws_token_type; end markers count as control tokens whatever the file says */
    bool *ends;    /* generation stops at this token */
    ws_str *piece; /* what the token prints */
    char *pieces;  /* storage of the pieces */
    ws_strmap ids; /* by text */
} ws_vocab;

WS_MUST_CHECK ws_status ws_vocab_open(ws_vocab *v, const ws_gguf *g, ws_spelling spelling, ws_error *err);
void ws_vocab_close(ws_vocab *v); /* a zeroed vocabulary is fine */

static inline int32_t ws_vocab_find(const ws_vocab *v, const char *s, size_t n) {
    return ws_strmap_find(&v->ids, s, n);
}

/* An array of strings that must be there, each borrowed from the file; release with free(). */
WS_MUST_CHECK ws_status ws_vocab_strings(ws_str **out, size_t *n, const ws_gguf *g, const char *key, ws_error *err);

#endif
