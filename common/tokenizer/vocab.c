#include "vocab.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>

/* ---- arrays of the file ---- */

ws_status ws_vocab_strings(ws_str **out, size_t *n, const ws_gguf *g, const char *key, ws_error *err) {
    const ws_kv *kv = ws_gguf_kv(g, key);
    if (!kv) return ws_fail(err, WS_FORMAT, "'%s' has no key %s", ws_gguf_path(g), key);
    if (kv->type != WS_KV_ARRAY || kv->elem_type != WS_KV_STRING)
        return ws_fail(err, WS_FORMAT, "'%s': %s is not an array of strings", ws_gguf_path(g), key);
    if (kv->n > INT32_MAX)
        return ws_fail(err, WS_UNSUPPORTED, "'%s': %s has %zu strings", ws_gguf_path(g), key, (size_t)kv->n);
    *n = (size_t)kv->n;
    *out = ws_alloc(*n, sizeof **out, key, err);
    if (!*out) return WS_NOMEM;
    const uint8_t *it = kv->elems;
    for (size_t i = 0; i < *n; i++) (*out)[i] = ws_kv_next_str(&it);
    return WS_OK;
}

/* An optional array of at least n numbers: *out stays NULL without it. */
static ws_status numbers(const ws_kv **out, const ws_gguf *g, const char *key, size_t n, ws_error *err) {
    const ws_kv *kv = *out = ws_gguf_kv(g, key);
    if (!kv) return WS_OK;
    if (kv->type != WS_KV_ARRAY || ws_kv_type_size(kv->elem_type) == 0)
        return ws_fail(err, WS_FORMAT, "'%s': %s is not an array of numbers", ws_gguf_path(g), key);
    if (kv->n < n)
        return ws_fail(err, WS_FORMAT, "'%s': %s has %zu elements for %zu tokens", ws_gguf_path(g), key, (size_t)kv->n,
                       n);
    return WS_OK;
}

static ws_status read_scores(ws_vocab *v, const ws_gguf *g, ws_error *err) {
    const ws_kv *scores;
    WS_TRY(numbers(&scores, g, "tokenizer.ggml.scores", v->n, err));
    double score = 0;
    for (size_t i = 0; scores && i < v->n; i++)
        if (ws_kv_elem_f64(scores, i, &score)) v->score[i] = (float)score;
    return WS_OK;
}

static ws_status read_types(ws_vocab *v, const ws_gguf *g, ws_error *err) {
    const ws_kv *types;
    WS_TRY(numbers(&types, g, "tokenizer.ggml.token_type", v->n, err));
    for (size_t i = 0; i < v->n; i++) {
        int64_t type = WS_TOKEN_NORMAL;
        if (types && !(ws_kv_elem_i64(types, i, &type) && type >= 0 && type <= WS_TOKEN_BYTE))
            type = WS_TOKEN_UNDEFINED;
        v->type[i] = (uint8_t)type;
    }
    return WS_OK;
}

/* ---- tokens known by their text ---- */

enum { ENDS = 1, CONTROL = 2, USER_DEFINED = 4 };

/* llama.cpp goes by these texts, too, since most files name at most one end token by its id: chat turns, texts,
 * fill-in-the-middle marks, and the parts of gpt-oss messages that are to be shown. */
static const struct {
    const char *text;
    unsigned what;
} known[] = {
    {"<|eot_id|>", ENDS},
    {"<|im_end|>", ENDS},
    {"<|end|>", ENDS},
    {"<|return|>", ENDS},
    {"<|call|>", ENDS},
    {"<|calls|>", ENDS},
    {"<|flush|>", ENDS},
    {"<end_of_turn>", ENDS},
    {"<|endoftext|>", ENDS},
    {"</s>", ENDS},
    {"<|eom_id|>", ENDS},
    {"<EOT>", ENDS},
    {"_<EOT>", ENDS},
    {"[EOT]", ENDS},
    {"[EOS]", ENDS},
    {"<|end_of_text|>", ENDS},
    {"<end_of_utterance>", ENDS},
    {"<eos>", ENDS},
    {"<turn|>", ENDS},
    {"<|tool_response>", ENDS},
    {"<\uff5cend\u2581of\u2581sentence\uff5c>", ENDS},
    {"[e~[", ENDS},
    {"<|fim_pad|>", ENDS},
    {"<fim-pad>", ENDS},
    {"<fim_pad>", ENDS},
    {"<PAD>", ENDS},
    {"[PAD]", ENDS},
    {"<|fim_repo|>", ENDS},
    {"<|repo_name|>", ENDS},
    {"<fim-repo>", ENDS},
    {"<REPO>", ENDS},
    {"<reponame>", ENDS},
    {"<|file_sep|>", ENDS},
    {"<|fim_prefix|>", CONTROL},
    {"<fim-prefix>", CONTROL},
    {"<fim_prefix>", CONTROL},
    {"<\uff5cfim\u2581begin\uff5c>", CONTROL},
    {"<PRE>", CONTROL},
    {"\u2581<PRE>", CONTROL},
    {"<|code_prefix|>", CONTROL},
    {"<|prefix|>", CONTROL},
    {"<|fim_suffix|>", CONTROL},
    {"<fim-suffix>", CONTROL},
    {"<fim_suffix>", CONTROL},
    {"<\uff5cfim\u2581hole\uff5c>", CONTROL},
    {"<SUF>", CONTROL},
    {"\u2581<SUF>", CONTROL},
    {"<|code_suffix|>", CONTROL},
    {"<|suffix|>", CONTROL},
    {"<|fim_middle|>", CONTROL},
    {"<fim-middle>", CONTROL},
    {"<fim_middle>", CONTROL},
    {"<\uff5cfim\u2581end\uff5c>", CONTROL},
    {"<MID>", CONTROL},
    {"\u2581<MID>", CONTROL},
    {"<|code_middle|>", CONTROL},
    {"<|middle|>", CONTROL},
    {"<|channel|>", USER_DEFINED},
    {"<|message|>", USER_DEFINED},
    {"<|start|>", USER_DEFINED},
    {"<|constrain|>", USER_DEFINED},
};

static int32_t find_text(const ws_vocab *v, const char *text) { return ws_vocab_find(v, text, strlen(text)); }

static bool ends(const ws_vocab *v, const char *text) {
    const int32_t id = find_text(v, text);
    return id >= 0 && v->ends[id];
}

static void classify(ws_vocab *v) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const int32_t id = find_text(v, known[i].text);
        if (id < 0) continue;
        v->ends[id] = known[i].what == ENDS;
        v->type[id] = known[i].what == USER_DEFINED ? WS_TOKEN_USER_DEFINED : WS_TOKEN_CONTROL;
    }
    const int32_t end = find_text(v, "<|end|>"); /* of a message, in vocabularies with other ends of a turn */
    const bool call = ends(v, "<|call|>") || ends(v, "<|calls|>"), turn = ends(v, "<|return|>") || ends(v, "<|flush|>");
    if (end >= 0 && call && turn) {
        v->ends[end] = false;
        v->type[end] = WS_TOKEN_USER_DEFINED;
    }
}

/* ---- pieces: what tokens print ---- */

static size_t spell_out(char *out, ws_str text, uint8_t type, ws_spelling spelling) {
    if (type == WS_TOKEN_NORMAL) return ws_unspell(out, text, spelling);
    if (type == WS_TOKEN_BYTE) return ws_unspell_byte_token(out, text);
    if (type != WS_TOKEN_USER_DEFINED) return 0;
    memcpy(out, text.data, text.len);
    return text.len;
}

static ws_status make_pieces(ws_vocab *v, ws_spelling spelling, ws_error *err) {
    size_t bytes = 0;
    for (size_t i = 0; i < v->n; i++) bytes += v->text[i].len; /* disjoint parts of one file: no overflow */
    char *to = v->pieces = ws_alloc(bytes, 1, "texts of tokens", err);
    if (!to) return WS_NOMEM;
    for (size_t i = 0; i < v->n; i++) {
        v->piece[i] = (ws_str){to, spell_out(to, v->text[i], v->type[i], spelling)};
        to += v->piece[i].len;
    }
    return WS_OK;
}

/* ---- the whole ---- */

static ws_status fill(ws_vocab *v, const ws_gguf *g, ws_spelling spelling, ws_error *err) {
    WS_TRY(ws_vocab_strings(&v->text, &v->n, g, "tokenizer.ggml.tokens", err));
    if (v->n == 0) return ws_fail(err, WS_FORMAT, "'%s': tokenizer.ggml.tokens is empty", ws_gguf_path(g));
    v->score = ws_alloc(v->n, sizeof *v->score, "scores of tokens", err);
    v->type = ws_alloc(v->n, sizeof *v->type, "types of tokens", err);
    v->ends = ws_alloc(v->n, sizeof *v->ends, "end tokens", err);
    v->piece = ws_alloc(v->n, sizeof *v->piece, "texts of tokens", err);
    if (!v->score || !v->type || !v->ends || !v->piece) return WS_NOMEM;
    WS_TRY(read_scores(v, g, err));
    WS_TRY(read_types(v, g, err));
    WS_TRY(ws_strmap_build(&v->ids, v->text, v->n, err));
    classify(v);
    return make_pieces(v, spelling, err);
}

ws_status ws_vocab_open(ws_vocab *v, const ws_gguf *g, ws_spelling spelling, ws_error *err) {
    *v = (ws_vocab){0};
    const ws_status st = fill(v, g, spelling, err);
    if (st) ws_vocab_close(v);
    return st;
}

void ws_vocab_close(ws_vocab *v) {
    ws_strmap_free(&v->ids);
    free(v->text);
    free(v->score);
    free(v->type);
    free(v->ends);
    free(v->piece);
    free(v->pieces);
    *v = (ws_vocab){0};
}
