/* tokens_json.c - the tokens of a tokenizer.json. */
#include "alloc.h"
#include "json_vocab.h"
#include "spelling.h"
#include "text.h"
#include "tokens.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- byte-level BPE ---- */

static bool is_byte_letter(const char *s, size_t n, uint32_t cp) {
    char byte[4];
    if (cp < 0x80) return cp > ' ' && cp < 0x7f;
    return ws_unspell(byte, (ws_str){s, n}, WS_SPELL_LETTERS) == 1;
}

/* What the tokenizer prints for an added token: a text of byte letters only is taken for bytes. Release with free(). */
static char *decoded(const char *text, ws_error *err) {
    const ws_str from = {text, strlen(text)};
    uint32_t cp;
    for (size_t at = 0, len; at < from.len; at += len) {
        len = ws_utf8_decode(text + at, from.len - at, &cp);
        if (len == 0 || !is_byte_letter(text + at, len, cp)) return ws_strndup(text, from.len, err);
    }
    char *bytes = ws_alloc(from.len + 1, 1, "a token", err), *repaired;
    if (!bytes) return NULL;
    const size_t n = ws_unspell(bytes, from, WS_SPELL_LETTERS);
    size_t n_repaired;
    if (ws_utf8_repair(&repaired, &n_repaired, bytes, n, err) || !repaired) return bytes;
    free(bytes);
    char *out = ws_strndup(repaired, n_repaired, err);
    free(repaired);
    return out;
}

static ws_status set_added(ws_tokens *t, const ws_added_token *a, ws_error *err) {
    char *text = a->normalized ? ws_strndup(a->text, strlen(a->text), err) : decoded(a->text, err);
    if (!text) return WS_NOMEM;
    ws_status st;
    if (a->special || ws_token_looks_special(text)) {
        st = ws_tokens_set(t, a->id, text, strlen(text), WS_TOKEN_CONTROL, err);
    } else {
        char *spaced = ws_token_spaced(text, err);
        st = spaced ? ws_tokens_set(t, a->id, spaced, strlen(spaced), WS_TOKEN_USER_DEFINED, err) : WS_NOMEM;
        free(spaced);
    }
    free(text);
    return st;
}

static ws_status fail_range(const ws_source *s, const char *text, uint64_t id, size_t n_vocab, ws_error *err) {
    return ws_fail(err, WS_FORMAT, "'%s/tokenizer.json': token '%s' has id %llu, but vocab_size is %zu in config.json",
                   s->dir, ws_show(text, strlen(text)).text, (unsigned long long)id, n_vocab);
}

static ws_status set_bpe(ws_tokens *t, const ws_json_vocab *v, const ws_source *s, ws_error *err) {
    for (size_t i = 0; i < v->n; i++) {
        if (v->id[i] >= t->n) return fail_range(s, v->text[i].data, v->id[i], t->n, err);
        WS_TRY(ws_tokens_set(t, v->id[i], v->text[i].data, v->text[i].len, WS_TOKEN_NORMAL, err));
    }
    for (size_t i = 0; i < v->n_added; i++) {
        if (v->added[i].id >= t->n) return fail_range(s, v->added[i].text, v->added[i].id, t->n, err);
        WS_TRY(set_added(t, &v->added[i], err));
    }
    return WS_OK;
}

static bool class_is(const ws_source *s, const char *name) {
    const char *cls = ws_json_str(s->tokenizer_config, "tokenizer_class");
    const size_t n = strlen(name);
    return cls && strncmp(cls, name, n) == 0 && (cls[n] == 0 || strcmp(cls + n, "Fast") == 0);
}

ws_status ws_tokens_bpe(ws_tokens *t, const ws_source *s, size_t n_vocab, ws_error *err) {
    static const ws_default_tokens gpt2 = {"<|endoftext|>", "<|endoftext|>", "<|endoftext|>"};
    ws_json_vocab v;
    WS_TRY(ws_json_vocab_read(&v, s, class_is(s, "GPT2Tokenizer") ? &gpt2 : NULL, err));
    ws_status st = ws_tokens_init(t, n_vocab, false, err);
    if (!st) st = set_bpe(t, &v, s, err);
    ws_json_vocab_free(&v);
    return st;
}

/* ---- WordPiece ---- */

/* "##ing" -> "ing", "ing" -> U+2581 "ing"; control tokens stay. */
static ws_status mark_words(ws_tokens *t, ws_error *err) {
    for (size_t i = 0; i < t->n; i++) {
        const ws_str text = t->text[i];
        if (t->type[i] == WS_TOKEN_CONTROL) continue;
        if (text.len >= 2 && memcmp(text.data, "##", 2) == 0) {
            t->text[i] = (ws_str){text.data + 2, text.len - 2};
            continue;
        }
        char *marked = ws_sprintf(err, WS_SPACE_MARK "%s", text.data);
        if (!marked) return WS_NOMEM;
        const ws_status st = ws_tokens_set(t, i, marked, strlen(marked), (ws_token_type)t->type[i], err);
        free(marked);
        WS_TRY(st);
    }
    return WS_OK;
}

ws_status ws_tokens_wordpiece(ws_tokens *t, const ws_source *s, size_t n_vocab, ws_error *err) {
    WS_TRY(ws_tokens_bpe(t, s, n_vocab, err));
    return mark_words(t, err);
}

/* ---- SentencePiece's BPE, converted ---- */

static const float UNKNOWN_SCORE = -1000; /* the file has merges instead of scores */

static bool is_byte_token(const char *text) {
    char byte;
    char upper[8] = "";
    if (strlen(text) != 6) return false;
    memcpy(upper, text, 6);
    for (int i = 3; i < 5; i++)
        if (upper[i] >= 'a' && upper[i] <= 'f') upper[i] = (char)(upper[i] - 'a' + 'A');
    return ws_unspell_byte_token(&byte, (ws_str){upper, 6});
}

static bool is_special(const ws_json_vocab *v, uint64_t id) {
    for (size_t i = 0; i < v->n_special; i++)
        if (v->special[i] == id) return true;
    return false;
}

static int compare_added(const void *a, const void *b) {
    const ws_added_token *ta = a, *tb = b;
    return (ta->id > tb->id) - (ta->id < tb->id);
}

static ws_status set_llama(ws_tokens *t, ws_json_vocab *v, const ws_source *s, ws_error *err) {
    for (size_t i = 0; i < v->n; i++) {
        if (v->id[i] >= v->n) return fail_range(s, v->text[i].data, v->id[i], v->n, err);
        const ws_token_type type = is_byte_token(v->text[i].data) ? WS_TOKEN_BYTE
                                   : is_special(v, v->id[i])      ? WS_TOKEN_CONTROL
                                                                  : WS_TOKEN_NORMAL;
        WS_TRY(ws_tokens_set(t, v->id[i], v->text[i].data, v->text[i].len, type, err));
    }
    size_t at = v->n;
    for (size_t i = 0; i < v->n_added; i++) {
        const ws_added_token *a = &v->added[i];
        if (a->id < v->n) continue;
        const ws_token_type type = is_special(v, a->id) ? WS_TOKEN_CONTROL : WS_TOKEN_USER_DEFINED;
        WS_TRY(ws_tokens_set(t, at++, a->text, strlen(a->text), type, err));
    }
    for (size_t i = 0; i < t->n; i++) t->score[i] = UNKNOWN_SCORE;
    return WS_OK;
}

ws_status ws_tokens_llama(ws_tokens *t, const ws_source *s, ws_error *err) {
    static const ws_default_tokens llama = {"<unk>", "<s>", "</s>"};
    const bool has_class = ws_json_str(s->tokenizer_config, "tokenizer_class") != NULL;
    ws_json_vocab v;
    WS_TRY(ws_json_vocab_read(&v, s, class_is(s, "LlamaTokenizer") || !has_class ? &llama : NULL, err));
    if (v.n_added) qsort(v.added, v.n_added, sizeof *v.added, compare_added);
    size_t n = v.n;
    for (size_t i = 0; i < v.n_added; i++) n += v.added[i].id >= v.n;
    ws_status st = ws_tokens_init(t, n, true, err);
    if (!st) st = set_llama(t, &v, s, err);
    ws_json_vocab_free(&v);
    return st;
}
