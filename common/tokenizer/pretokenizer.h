/* pretokenizer.h - the cut of a text into words before byte-level BPE merges them, by the regular expressions
 * that the name in tokenizer.ggml.pre stands for. */
#ifndef WS_PRETOKENIZER_H
#define WS_PRETOKENIZER_H

#include "error.h"
#include "gguf.h"

#include <stdint.h>

enum {
    WS_PRE_IGNORE_MERGES = 1, /* a word that is a token is taken whole */
    WS_PRE_ADD_BOS = 2,       /* unless tokenizer.ggml.add_bos_token says otherwise */
    WS_PRE_NO_BOS = 4,        /* there is no BOS token unless tokenizer.ggml.bos_token_id names one */
};

/* A row of the table in pretokenizer_table.c. */
typedef struct {
    const char *name;            /* NULL ends the table */
    const char *const *patterns; /* NULL-terminated */
    unsigned flags;
} ws_pre_row;

extern const ws_pre_row ws_pre_table[];

/* Lengths in bytes of consecutive words; starts as {0}. */
typedef struct {
    uint32_t *len;
    size_t n, cap;
} ws_words;

typedef struct ws_pretokenizer ws_pretokenizer;

/* WS_UNSUPPORTED names a name that is not in the table. */
WS_MUST_CHECK ws_status ws_pretokenizer_open(ws_pretokenizer **out, ws_str name, ws_error *err);
void ws_pretokenizer_close(ws_pretokenizer *p); /* NULL is fine */
unsigned ws_pretokenizer_flags(const ws_pretokenizer *p);

/* The words of `text`, which is well-formed UTF-8 of less than 2^32 bytes; release with free(words->len). */
WS_MUST_CHECK ws_status ws_pretokenize(const ws_pretokenizer *p, ws_words *words, const char *text, size_t n,
                                       ws_error *err);

#endif
