/* tokens.h - the list of tokens that goes into the file: texts, types, scores. */
#ifndef WS_TOKENS_H
#define WS_TOKENS_H

#include "arena.h"
#include "source.h"
#include "tokenizer.h"

typedef struct {
    size_t n;
    ws_str *text;
    int32_t *type; /* ws_token_type */
    float *score;  /* NULL for byte-level BPE */
    ws_arena arena;
} ws_tokens; /* starts as {0} */

/* Make room for n tokens, all "[PAD0]", "[PAD1]", ... of type UNUSED with score -10000. */
WS_MUST_CHECK ws_status ws_tokens_init(ws_tokens *t, size_t n, bool scored, ws_error *err);
void ws_tokens_free(ws_tokens *t);

/* Give token i its text (copied) and type. */
WS_MUST_CHECK ws_status ws_tokens_set(ws_tokens *t, size_t i, const char *text, size_t len, ws_token_type type,
                                      ws_error *err);

/* Texts such as "<|...|>" are control tokens even if the tokenizer's files do not say so. */
bool ws_token_looks_special(const char *text);

/* A copy of the text with U+2581 as spaces, as user-defined tokens have it; release with free(). */
char *ws_token_spaced(const char *text, ws_error *err);

/* From tokenizer.model with added_tokens.json and tokenizer_config.json; n_vocab tokens in all. */
WS_MUST_CHECK ws_status ws_tokens_sentencepiece(ws_tokens *t, const ws_source *s, size_t n_vocab, ws_error *err);

/* The model of a sentencepiece.bpe.model, whose bytes are in the caller's `data`; at least n_vocab tokens. They are in
 * the order that transformers give XLM-RoBERTa's: <s>, <pad>, </s>, <unk>, then the model's from its fourth on. */
WS_MUST_CHECK ws_status ws_tokens_unigram(ws_tokens *t, const uint8_t *data, size_t size, const char *path,
                                          size_t n_vocab, ws_error *err);

/* The same from a tokenizer.json, in its own order, and its map of characters (release with free()). */
WS_MUST_CHECK ws_status ws_tokens_unigram_json(ws_tokens *t, const ws_source *s, size_t n_vocab, ws_error *err);
WS_MUST_CHECK ws_status ws_unigram_charsmap(uint8_t **out, size_t *n, const ws_source *s, ws_error *err);

/* The same for Phi 3: names make no token special, user-defined tokens keep their text, and tokenizer.json's added
 * tokens come last. */
WS_MUST_CHECK ws_status ws_tokens_phi(ws_tokens *t, const ws_source *s, size_t n_vocab, ws_error *err);

/* From tokenizer.json: byte-level BPE, n_vocab tokens in all. */
WS_MUST_CHECK ws_status ws_tokens_bpe(ws_tokens *t, const ws_source *s, size_t n_vocab, ws_error *err);

/* From tokenizer.json: WordPiece, n_vocab tokens in all. */
WS_MUST_CHECK ws_status ws_tokens_wordpiece(ws_tokens *t, const ws_source *s, size_t n_vocab, ws_error *err);

/* From tokenizer.json: SentencePiece's BPE with byte fallback, as many tokens as the file has. */
WS_MUST_CHECK ws_status ws_tokens_llama(ws_tokens *t, const ws_source *s, ws_error *err);

#endif
