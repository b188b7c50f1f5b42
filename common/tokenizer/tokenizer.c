#include "tokenizer.h"

#include "model.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static const ws_model *const models[] = {&ws_model_bpe, &ws_model_spm, &ws_model_unigram, &ws_model_wordpiece};

/* ---- opening ---- */

static ws_status find_model(const ws_model **out, const ws_gguf *g, ws_error *err) {
    ws_str name;
    WS_TRY(ws_gguf_need_str(g, "tokenizer.ggml.model", &name, err));
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        *out = models[i];
        if (strlen((*out)->name) == name.len && memcmp((*out)->name, name.data, name.len) == 0) return WS_OK;
    }
    return ws_fail(err, WS_UNSUPPORTED,
                   "'%s': tokenizer.ggml.model '%s' is not supported (gpt2, llama, t5 and bert are)", ws_gguf_path(g),
                   ws_show(name.data, name.len).text);
}

/* An id that the file may name. Ids outside of the vocabulary do not count, as in llama.cpp; nor does a default. */
static ws_status read_id(int32_t *id, const ws_tokenizer *t, const ws_gguf *g, const char *key, ws_error *err) {
    uint64_t named = UINT64_MAX;
    WS_TRY(ws_gguf_opt_u64(g, key, &named, err));
    if (*id >= 0 && (size_t)*id >= t->vocab.n) *id = -1;
    if (named < t->vocab.n) *id = (int32_t)named;
    return WS_OK;
}

static ws_status read_flag(bool *flag, const ws_gguf *g, const char *key, ws_error *err) {
    uint64_t v = *flag;
    WS_TRY(ws_gguf_opt_u64(g, key, &v, err));
    *flag = v != 0;
    return WS_OK;
}

/* Generation also ends where these keys say so. */
static ws_status read_ends(ws_tokenizer *t, const ws_gguf *g, ws_error *err) {
    static const char *const keys[] = {
        "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.eom_token_id",     "tokenizer.ggml.fim_pad_token_id",
        "tokenizer.ggml.fim_rep_token_id", "tokenizer.ggml.fim_sep_token_id",
    };
    if (t->eos >= 0) t->vocab.ends[t->eos] = true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int32_t id = -1;
        WS_TRY(read_id(&id, t, g, keys[i], err));
        if (id >= 0) t->vocab.ends[id] = true;
    }
    return WS_OK;
}

static ws_status open_parts(ws_tokenizer *t, const ws_gguf *g, ws_error *err) {
    WS_TRY(find_model(&t->model, g, err));
    t->bos = t->model->bos;
    t->eos = t->model->eos;
    t->unknown = t->model->unknown;
    t->add_bos = t->model->add_bos;
    t->add_eos = t->model->add_eos;
    t->add_space_prefix = t->model->add_space_prefix;
    WS_TRY(ws_vocab_open(&t->vocab, g, t->model->spelling, err));
    WS_TRY(ws_special_open(&t->special, &t->vocab, err));
    if (t->model->open) WS_TRY(t->model->open(t, g, err));
    WS_TRY(read_id(&t->bos, t, g, "tokenizer.ggml.bos_token_id", err));
    WS_TRY(read_id(&t->eos, t, g, "tokenizer.ggml.eos_token_id", err));
    WS_TRY(read_id(&t->unknown, t, g, "tokenizer.ggml.unknown_token_id", err));
    WS_TRY(read_flag(&t->add_bos, g, "tokenizer.ggml.add_bos_token", err));
    WS_TRY(read_flag(&t->add_eos, g, "tokenizer.ggml.add_eos_token", err));
    WS_TRY(read_flag(&t->add_space_prefix, g, "tokenizer.ggml.add_space_prefix", err));
    WS_TRY(read_flag(&t->merge_spaces, g, "tokenizer.ggml.remove_extra_whitespaces", err));
    return read_ends(t, g, err);
}

ws_status ws_tokenizer_open(ws_tokenizer **out, const ws_gguf *g, ws_error *err) {
    *out = NULL;
    ws_tokenizer *t = ws_alloc(1, sizeof *t, "a tokenizer", err);
    if (!t) return WS_NOMEM;
    const ws_status st = open_parts(t, g, err);
    if (st)
        ws_tokenizer_close(t);
    else
        *out = t;
    return st;
}

void ws_tokenizer_close(ws_tokenizer *t) {
    if (!t) return;
    if (t->model && t->model->close) t->model->close(t->state);
    ws_special_close(&t->special);
    ws_vocab_close(&t->vocab);
    free(t);
}

/* ---- tokenizing ---- */

/* The texts between the special tokens. */
static ws_status encode_parts(const ws_tokenizer *t, ws_ids *ids, const char *text, size_t n, const ws_cuts *cuts,
                              ws_error *err) {
    size_t at = 0;
    for (size_t i = 0; i <= cuts->n; i++) {
        const size_t end = i < cuts->n ? cuts->cut[i].at : n;
        if (end > at) WS_TRY(t->model->encode(t, ids, text + at, end - at, err));
        if (i == cuts->n) break;
        WS_TRY(ws_ids_add(ids, cuts->cut[i].id, err));
        at = end + t->vocab.text[cuts->cut[i].id].len;
    }
    return WS_OK;
}

static ws_status encode(const ws_tokenizer *t, ws_ids *ids, const char *text, size_t n, bool add_special,
                        bool parse_special, ws_error *err) {
    if (add_special && t->add_bos && t->bos >= 0) WS_TRY(ws_ids_add(ids, t->bos, err));
    ws_cuts cuts = {0};
    ws_status st = ws_special_find(&t->special, &t->vocab, &cuts, text, n, parse_special, err);
    if (!st) st = encode_parts(t, ids, text, n, &cuts, err);
    free(cuts.cut);
    if (!st && add_special && t->add_eos && t->eos >= 0) st = ws_ids_add(ids, t->eos, err);
    return st;
}

ws_status ws_tokenize(const ws_tokenizer *t, ws_ids *ids, const char *text, size_t n, bool add_special,
                      bool parse_special, ws_error *err) {
    enum { LONGEST = 1 << 29 }; /* replacements triple a text, letters double it, and places in it are 32-bit */
    if (n > LONGEST) return ws_fail(err, WS_UNSUPPORTED, "a text of %zu bytes is too long to tokenize at once", n);
    const size_t before = ids->n;
    const ws_status st = encode(t, ids, text, n, add_special, parse_special, err);
    if (st) ids->n = before;
    return st;
}

/* ---- facts ---- */

static bool is_token(const ws_tokenizer *t, int32_t id) { return id >= 0 && (size_t)id < t->vocab.n; }

ws_str ws_token_text(const ws_tokenizer *t, int32_t id) {
    return is_token(t, id) ? t->vocab.piece[id] : (ws_str){"", 0};
}

size_t ws_tokenizer_size(const ws_tokenizer *t) { return t->vocab.n; }
int32_t ws_tokenizer_bos(const ws_tokenizer *t) { return t->bos; }
int32_t ws_tokenizer_eos(const ws_tokenizer *t) { return t->eos; }
bool ws_tokenizer_adds_bos(const ws_tokenizer *t) { return t->add_bos && t->bos >= 0; }
bool ws_token_ends_generation(const ws_tokenizer *t, int32_t id) { return is_token(t, id) && t->vocab.ends[id]; }
