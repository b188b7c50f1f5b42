#include "tokens.h"

#include "alloc.h"
#include "spelling.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ws_status ws_tokens_init(ws_tokens *t, size_t n, bool scored, ws_error *err) {
    static const float unused_score = -10000;
    t->n = n;
    t->text = ws_alloc(n, sizeof *t->text, "tokens", err);
    t->type = ws_alloc(n, sizeof *t->type, "token types", err);
    t->score = scored ? ws_alloc(n, sizeof *t->score, "token scores", err) : NULL;
    if (!t->text || !t->type || (scored && !t->score)) return WS_NOMEM;
    for (size_t i = 0; i < n; i++) {
        char text[32];
        const int len = snprintf(text, sizeof text, "[PAD%zu]", i);
        WS_TRY(ws_tokens_set(t, i, text, (size_t)len, WS_TOKEN_UNUSED, err));
        if (scored) t->score[i] = unused_score;
    }
    return WS_OK;
}

void ws_tokens_free(ws_tokens *t) {
    free(t->text);
    free(t->type);
    free(t->score);
    ws_arena_free(&t->arena);
    *t = (ws_tokens){0};
}

ws_status ws_tokens_set(ws_tokens *t, size_t i, const char *text, size_t len, ws_token_type type, ws_error *err) {
    const char *copy = ws_arena_strndup(&t->arena, text, len, err);
    if (!copy) return WS_NOMEM;
    t->text[i] = (ws_str){copy, len};
    t->type[i] = type;
    return WS_OK;
}

static bool is_between(const char *text, const char *first, const char *last) {
    const size_t n = strlen(text), n_first = strlen(first), n_last = strlen(last);
    return n >= n_first && n >= n_last && memcmp(text, first, n_first) == 0 &&
           memcmp(text + n - n_last, last, n_last) == 0;
}

bool ws_token_looks_special(const char *text) {
    static const char *const known[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i]) == 0) return true;
    return is_between(text, "<|", "|>") || is_between(text, "<\xef\xbd\x9c", "\xef\xbd\x9c>") || /* U+FF5C */
           is_between(text, "<unused", ">");
}

char *ws_token_spaced(const char *text, ws_error *err) {
    const ws_str from = {text, strlen(text)};
    char *out = ws_alloc(from.len + 1, 1, "a token", err);
    if (out) ws_unspell(out, from, WS_SPELL_SPACES); /* ws_alloc() zeroes: the end is there */
    return out;
}
