/* Byte-level BPE: the text is cut into words, every byte of a word becomes a letter, and letters are merged in the
 * order in which the merges are listed. */
#include "merge.h"
#include "model.h"
#include "pretokenizer.h"
#include "utf8.h"

#include <stdlib.h>

typedef struct {
    ws_pretokenizer *pre;
    ws_str *merge; /* "LEFT RIGHT" */
    ws_strmap merges;
} bpe;

static void bpe_close(void *state) {
    bpe *b = state;
    if (!b) return;
    ws_pretokenizer_close(b->pre);
    ws_strmap_free(&b->merges);
    free(b->merge);
    free(b);
}

static ws_status bpe_open(ws_tokenizer *t, const ws_gguf *g, ws_error *err) {
    bpe *b = t->state = ws_alloc(1, sizeof *b, "a tokenizer", err);
    if (!b) return WS_NOMEM;
    ws_str name = {"default", 7};
    const ws_kv *pre = ws_gguf_kv(g, "tokenizer.ggml.pre");
    if (pre && !ws_kv_str(pre, &name))
        return ws_fail(err, WS_FORMAT, "'%s': tokenizer.ggml.pre is not a string", ws_gguf_path(g));
    WS_TRY(ws_pretokenizer_open(&b->pre, name, err));
    const unsigned flags = ws_pretokenizer_flags(b->pre);
    t->add_bos = flags & WS_PRE_ADD_BOS;
    if (flags & WS_PRE_NO_BOS) t->bos = -1;
    size_t n;
    WS_TRY(ws_vocab_strings(&b->merge, &n, g, "tokenizer.ggml.merges", err));
    return ws_strmap_build(&b->merges, b->merge, n, err);
}

/* Working memory of one call. */
typedef struct {
    ws_merger merger;
    ws_words words;
    char *letters;
    size_t cap_letters;
} scratch;

static bool merge_rank(const void *ctx, ws_str left, ws_str right, uint32_t *rank) {
    const int32_t found = ws_strmap_find_pair(&((const bpe *)ctx)->merges, left, right);
    *rank = (uint32_t)found;
    return found >= 0;
}

/* A piece that is no token is taken byte by byte, and what is no token even then is left out. */
static ws_status emit(const ws_vocab *v, ws_ids *ids, const char *piece, size_t n, ws_error *err) {
    const int32_t whole = ws_vocab_find(v, piece, n);
    if (whole >= 0) return ws_ids_add(ids, whole, err);
    for (size_t i = 0; i < n; i++) {
        const int32_t id = ws_vocab_find(v, piece + i, 1);
        if (id >= 0) WS_TRY(ws_ids_add(ids, id, err));
    }
    return WS_OK;
}

static ws_status encode_word(const ws_tokenizer *t, scratch *s, ws_ids *ids, const char *word, size_t n,
                             ws_error *err) {
    const bpe *b = t->state;
    WS_TRY(ws_grow(&s->letters, &s->cap_letters, 2 * n, 1, err));
    size_t len = 0;
    for (size_t i = 0; i < n; i++) len += ws_spell_letter(s->letters + len, (uint8_t)word[i]);
    if (ws_pretokenizer_flags(b->pre) & WS_PRE_IGNORE_MERGES) {
        const int32_t whole = ws_vocab_find(&t->vocab, s->letters, len);
        if (whole >= 0) return ws_ids_add(ids, whole, err);
    }
    WS_TRY(ws_merge(&s->merger, s->letters, len, merge_rank, b, err));
    for (size_t i = 0; i < s->merger.n_symbols; i++) {
        const ws_symbol *symbol = &s->merger.symbols[i];
        if (symbol->len) WS_TRY(emit(&t->vocab, ids, s->letters + symbol->at, symbol->len, err));
    }
    return WS_OK;
}

static ws_status encode_text(const ws_tokenizer *t, scratch *s, ws_ids *ids, const char *text, size_t n,
                             ws_error *err) {
    WS_TRY(ws_pretokenize(((const bpe *)t->state)->pre, &s->words, text, n, err));
    for (size_t i = 0; i < s->words.n; i++) {
        WS_TRY(encode_word(t, s, ids, text, s->words.len[i], err));
        text += s->words.len[i];
    }
    return WS_OK;
}

static ws_status bpe_encode(const ws_tokenizer *t, ws_ids *ids, const char *text, size_t n, ws_error *err) {
    char *repaired;
    size_t n_repaired;
    WS_TRY(ws_utf8_repair(&repaired, &n_repaired, text, n, err));
    scratch s = {0};
    const ws_status st = encode_text(t, &s, ids, repaired ? repaired : text, repaired ? n_repaired : n, err);
    ws_merger_free(&s.merger);
    free(s.words.len);
    free(s.letters);
    free(repaired);
    return st;
}

const ws_model ws_model_bpe = {
    .name = "gpt2",
    .spelling = WS_SPELL_LETTERS,
    .bos = 11,
    .eos = 11,
    .unknown = -1,
    .open = bpe_open,
    .close = bpe_close,
    .encode = bpe_encode,
};
