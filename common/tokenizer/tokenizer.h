/* tokenizer.h - text to token ids and back, as the metadata of a GGUF file describes it: byte-level BPE
 * ("gpt2") with its pre-tokenizer regexes, SentencePiece ("llama") with scores and byte fallback,,
 * SentencePiece's unigram model ("t5") or WordPiece ("bert"). Same ids as llama.cpp. */
#ifndef WS_TOKENIZER_H
#define WS_TOKENIZER_H

#include "error.h"
#include "gguf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* tokenizer.ggml.token_type */
typedef enum {
    WS_TOKEN_UNDEFINED,
    WS_TOKEN_NORMAL,
    WS_TOKEN_UNKNOWN,
    WS_TOKEN_CONTROL,
    WS_TOKEN_USER_DEFINED,
    WS_TOKEN_UNUSED,
    WS_TOKEN_BYTE,
} ws_token_type;

typedef struct ws_tokenizer ws_tokenizer;

/* Build the tokenizer that the file's tokenizer.ggml.* keys describe. It borrows from g: close it first. An
 * unknown model or pre-tokenizer is WS_UNSUPPORTED and named. */
WS_MUST_CHECK ws_status ws_tokenizer_open(ws_tokenizer **out, const ws_gguf *g, ws_error *err);
void ws_tokenizer_close(ws_tokenizer *t); /* NULL is fine */

/* Ids found in a text; zero-initialise, reuse, release with free(ids.id). */
typedef struct {
    int32_t *id;
    size_t n, cap;
} ws_ids;

/* Append the ids of `text` (any bytes) to *ids. add_special adds what the file asks for (BOS before, EOS after).
 * parse_special recognises control tokens written in the text; user-defined ones always are. In BPE, bytes that
 * are not UTF-8 count as U+FFFD. Texts are at most 512 MiB long; on failure *ids is as before. */
WS_MUST_CHECK ws_status ws_tokenize(const ws_tokenizer *t, ws_ids *ids, const char *text, size_t n, bool add_special,
                                    bool parse_special, ws_error *err);

/* The bytes a token stands for when it is printed (control tokens: none); borrowed from the tokenizer. The first
 * token of a SentencePiece text begins with the space that was put before it. */
ws_str ws_token_text(const ws_tokenizer *t, int32_t id);

size_t ws_tokenizer_size(const ws_tokenizer *t);
int32_t ws_tokenizer_bos(const ws_tokenizer *t); /* -1: none */
int32_t ws_tokenizer_eos(const ws_tokenizer *t);
bool ws_tokenizer_adds_bos(const ws_tokenizer *t);
bool ws_token_ends_generation(const ws_tokenizer *t, int32_t id); /* EOS, EOT and relatives */

/* ---- for convert: which named pre-tokenizer a tokenizer.json describes ---- */

/* Names of pre-tokenizers known here ("smollm", "llama-bpe", ...), NULL-terminated. */
const char *const *ws_pretokenizer_names(void);

#endif
