/* SentencePiece unigram: of all ways to cut the text into tokens the one with the highest sum of scores. */
#include "charsmap.h"
#include "merge.h"
#include "model.h"
#include "trie.h"
#include "utf8.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    ws_trie tokens;       /* that a text may be cut into */
    ws_trie user_defined; /* that are not rewritten */
    ws_charsmap charsmap;
    double unknown_score;
} unigram;

static void unigram_close(void *state) {
    unigram *u = state;
    if (!u) return;
    ws_trie_free(&u->tokens);
    ws_trie_free(&u->user_defined);
    free(u);
}

static ws_status unigram_open(ws_tokenizer *t, const ws_gguf *g, ws_error *err) {
    const float unknown_penalty = 10;
    unigram *u = t->state = ws_alloc(1, sizeof *u, "a tokenizer", err);
    if (!u) return WS_NOMEM;
    const ws_vocab *v = &t->vocab;
    float min_score = FLT_MAX;
    for (size_t i = 0; i < v->n; i++) {
        const uint8_t type = v->type[i];
        if (type == WS_TOKEN_NORMAL && v->score[i] < min_score) min_score = v->score[i];
        if (v->text[i].len == 0) continue;
        if (type == WS_TOKEN_NORMAL || type == WS_TOKEN_USER_DEFINED || type == WS_TOKEN_UNUSED)
            WS_TRY(ws_trie_add(&u->tokens, v->text[i], (int32_t)i, err));
        if (type == WS_TOKEN_USER_DEFINED) WS_TRY(ws_trie_add(&u->user_defined, v->text[i], (int32_t)i, err));
    }
    u->unknown_score = min_score - unknown_penalty;
    return ws_charsmap_open(&u->charsmap, g, err);
}

/* ---- normalisation ---- */

typedef struct {
    char *data;
    size_t n, cap;
    bool in_word, prefixed;
} buffer;

static ws_status append(buffer *b, const char *s, size_t n, ws_error *err) {
    WS_TRY(ws_grow(&b->data, &b->cap, b->n + n, 1, err));
    memcpy(b->data + b->n, s, n);
    b->n += n;
    return WS_OK;
}

/* The next characters of the text and what they are rewritten to. */
static ws_status rewrite(const unigram *u, const char *text, size_t n, size_t *taken, ws_str *out, ws_error *err) {
    uint32_t node = WS_TRIE_ROOT, cp;
    size_t len = 0;
    while (len < n && (node = ws_trie_step(&u->user_defined, node, (uint8_t)text[len])) != WS_TRIE_NONE) len++;
    if (len == 0) {
        WS_TRY(ws_charsmap_match(&u->charsmap, text, n, taken, out, err));
        if (*taken) return WS_OK;
        len = ws_utf8_decode(text, n, &cp);
    }
    *taken = len ? len : 1;
    *out = len ? (ws_str){text, len} : (ws_str){"\xef\xbf\xbd", 3};
    return WS_OK;
}

/* Spaces are marked; extra ones are dropped if the model wants that; one comes before the first word. */
static ws_status add_normal(const ws_tokenizer *t, buffer *b, ws_str s, ws_error *err) {
    enum { MARK = sizeof WS_SPACE_MARK - 1 };
    for (size_t i = 0; i < s.len; i++) {
        const bool space = s.data[i] == ' ';
        const bool first = !space && !b->in_word;
        b->in_word = !space;
        if (first && (t->merge_spaces || (t->add_space_prefix && !b->prefixed))) {
            WS_TRY(append(b, WS_SPACE_MARK, MARK, err));
            b->prefixed = true;
        }
        if (!space)
            WS_TRY(append(b, s.data + i, 1, err));
        else if (!t->merge_spaces)
            WS_TRY(append(b, WS_SPACE_MARK, MARK, err));
    }
    return WS_OK;
}

static ws_status normalise(const ws_tokenizer *t, buffer *b, const char *text, size_t n, ws_error *err) {
    for (size_t at = 0, taken; at < n; at += taken) {
        ws_str s;
        WS_TRY(rewrite(t->state, text + at, n - at, &taken, &s, err));
        WS_TRY(add_normal(t, b, s, err));
    }
    return WS_OK;
}

/* ---- the best cut ---- */

/* The best way to reach a place in the text: its last token and where that begins. */
typedef struct {
    double score;
    size_t from;
    int32_t id;
} step;

static void offer(step *place, double score, size_t from, int32_t id) {
    if (score > place->score) *place = (step){score, from, id};
}

static void extend(const ws_tokenizer *t, step *places, const char *text, size_t n, size_t at) {
    const unigram *u = t->state;
    const size_t announced = ws_utf8_announced(text[at]), character = announced < n - at ? announced : n - at;
    bool whole_character = false;
    uint32_t node = WS_TRIE_ROOT;
    for (size_t end = at; end < n && (node = ws_trie_step(&u->tokens, node, (uint8_t)text[end])) != WS_TRIE_NONE;) {
        const int32_t id = ws_trie_value(&u->tokens, node);
        end++;
        if (id < 0) continue;
        whole_character |= end - at == character;
        const double score = t->vocab.type[id] == WS_TOKEN_USER_DEFINED ? 0 : (double)t->vocab.score[id];
        offer(&places[end], places[at].score + score, at, id);
    }
    if (!whole_character) offer(&places[at + character], places[at].score + u->unknown_score, at, t->unknown);
}

/* Follow the best steps back from the end; a run of unknown characters is one token. */
static ws_status walk_back(const ws_tokenizer *t, ws_ids *ids, const step *places, size_t n, ws_error *err) {
    const size_t first = ids->n;
    bool after_unknown = false;
    for (size_t at = n; at > 0; at = places[at].from) {
        const bool unknown = places[at].id == t->unknown;
        if (places[at].id >= 0 && !(unknown && after_unknown)) WS_TRY(ws_ids_add(ids, places[at].id, err));
        after_unknown = unknown;
    }
    for (size_t i = first, j = ids->n; i + 1 < j; i++) {
        const int32_t id = ids->id[--j];
        ids->id[j] = ids->id[i];
        ids->id[i] = id;
    }
    return WS_OK;
}

static ws_status cut(const ws_tokenizer *t, ws_ids *ids, const char *text, size_t n, ws_error *err) {
    step *places = ws_alloc(n + 1, sizeof *places, "the places of a text", err);
    if (!places) return WS_NOMEM;
    for (size_t i = 1; i <= n; i++) places[i] = (step){-DBL_MAX, 0, t->unknown};
    for (size_t at = 0, announced; at < n; at += announced) {
        announced = ws_utf8_announced(text[at]);
        if (announced > n - at) announced = n - at;
        extend(t, places, text, n, at);
    }
    const ws_status st = walk_back(t, ids, places, n, err);
    free(places);
    return st;
}

static ws_status unigram_encode(const ws_tokenizer *t, ws_ids *ids, const char *text, size_t n, ws_error *err) {
    buffer b = {0};
    ws_status st = normalise(t, &b, text, n, err);
    if (!st && b.n) st = cut(t, ids, b.data, b.n, err);
    free(b.data);
    return st;
}

const ws_model ws_model_unigram = {
    .name = "t5",
    .spelling = WS_SPELL_SPACES,
    .bos = -1,
    .eos = 1,
    .unknown = 2,
    .add_eos = true,
    .open = unigram_open,
    .close = unigram_close,
    .encode = unigram_encode,
};
