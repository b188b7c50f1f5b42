/* SentencePiece BPE: spaces become U+2581, and of all adjacent pairs that make a token the one with the highest
 * score is merged first. */
#include "merge.h"
#include "model.h"

#include <stdlib.h>
#include <string.h>

/* A rank that orders scores from high to low. */
static uint32_t rank_of(float score) {
    uint32_t bits;
    score += 0.0F; /* -0 is 0 */
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000U ? bits : 0x7fffffffU - bits;
}

static bool pair_rank(const void *ctx, ws_str left, ws_str right, uint32_t *rank) {
    const ws_vocab *v = ctx;
    const int32_t id = ws_vocab_find(v, left.data, left.len + right.len); /* neighbours in one buffer */
    if (id >= 0) *rank = rank_of(v->score[id]);
    return id >= 0;
}

static ws_status emit_byte(const ws_tokenizer *t, ws_ids *ids, char byte, ws_error *err) {
    const ws_byte_token name = ws_spell_byte_token((uint8_t)byte);
    int32_t id = ws_vocab_find(&t->vocab, name.text, sizeof name.text);
    if (id < 0) id = ws_vocab_find(&t->vocab, &byte, 1);
    if (id < 0) id = t->unknown;
    return id < 0 ? WS_OK : ws_ids_add(ids, id, err);
}

static ws_status emit(const ws_tokenizer *t, ws_ids *ids, const char *piece, size_t n, ws_error *err) {
    const int32_t id = ws_vocab_find(&t->vocab, piece, n);
    if (id >= 0) return ws_ids_add(ids, id, err);
    for (size_t i = 0; i < n; i++) WS_TRY(emit_byte(t, ids, piece[i], err));
    return WS_OK;
}

/* The text with its spaces marked, after one more if a prefix is wanted. */
static char *mark_spaces(const char *text, size_t n, bool prefix, size_t *len, ws_error *err) {
    enum { MARK = sizeof WS_SPACE_MARK - 1 };
    size_t n_spaces = prefix;
    for (size_t i = 0; i < n; i++) n_spaces += text[i] == ' ';
    char *out = ws_alloc(n + n_spaces * MARK, 1, "a text", err);
    if (!out) return NULL;
    char *to = prefix ? (char *)memcpy(out, WS_SPACE_MARK, MARK) + MARK : out;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == ' ')
            to = (char *)memcpy(to, WS_SPACE_MARK, MARK) + MARK;
        else
            *to++ = text[i];
    }
    *len = (size_t)(to - out);
    return out;
}

static ws_status spm_encode(const ws_tokenizer *t, ws_ids *ids, const char *text, size_t n, ws_error *err) {
    size_t len;
    char *marked = mark_spaces(text, n, t->add_space_prefix, &len, err);
    if (!marked) return WS_NOMEM;
    ws_merger m = {0};
    ws_status st = ws_merge(&m, marked, len, pair_rank, &t->vocab, err);
    for (size_t i = 0; i < m.n_symbols && !st; i++)
        if (m.symbols[i].len) st = emit(t, ids, marked + m.symbols[i].at, m.symbols[i].len, err);
    ws_merger_free(&m);
    free(marked);
    return st;
}

const ws_model ws_model_spm = {
    .name = "llama",
    .spelling = WS_SPELL_SPACES,
    .bos = 1,
    .eos = 2,
    .unknown = 0,
    .add_bos = true,
    .add_space_prefix = true,
    .encode = spm_encode,
};
