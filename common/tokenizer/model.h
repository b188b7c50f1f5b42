/* model.h - the inside of a tokenizer, and the kinds of tokenizer: a row each in the table of tokenizer.c. */
#ifndef WS_TOKENIZER_MODEL_H
#define WS_TOKENIZER_MODEL_H

#include "alloc.h"
#include "special.h"
#include "tokenizer.h"
#include "vocab.h"

/* What tokenizer.ggml.model names. The ids and flags hold where the file has no key for them (they are llama.cpp's;
 * -1: none). */
typedef struct {
    const char *name;
    ws_spelling spelling;
    int32_t bos, eos, unknown;
    bool add_bos, add_eos, add_space_prefix;
    /* Set t->state and change the defaults in t; t->vocab is there already. On failure close() is called with what
     * t->state is then. Both are NULL in a model without a state. */
    ws_status (*open)(ws_tokenizer *t, const ws_gguf *g, ws_error *err);
    void (*close)(void *state);
    /* Append the ids of a text without special tokens, n > 0 bytes: the whole text or what lies between them. */
    ws_status (*encode)(const ws_tokenizer *t, ws_ids *ids, const char *text, size_t n, ws_error *err);
} ws_model;

extern const ws_model ws_model_bpe, ws_model_spm, ws_model_unigram, ws_model_wordpiece;

struct ws_tokenizer {
    const ws_model *model;
    void *state;
    ws_vocab vocab;
    ws_special special;
    int32_t bos, eos, unknown; /* -1: none */
    bool add_bos, add_eos, add_space_prefix, merge_spaces;
};

static inline ws_status ws_ids_add(ws_ids *ids, int32_t id, ws_error *err) {
    WS_TRY(ws_grow(&ids->id, &ids->cap, ids->n + 1, sizeof *ids->id, err));
    ids->id[ids->n++] = id;
    return WS_OK;
}

#endif
