#include "special.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>

/* ---- the set ---- */

static bool is_special(uint8_t type) {
    return type == WS_TOKEN_CONTROL || type == WS_TOKEN_USER_DEFINED || type == WS_TOKEN_UNKNOWN;
}

typedef struct {
    size_t len;
    int32_t id;
} entry;

static int longer_first(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->len != y->len) return x->len > y->len ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static ws_status collect(ws_special *s, const ws_vocab *v, entry *entries, size_t n, ws_error *err) {
    size_t found = 0;
    for (size_t i = 0; i < v->n; i++)
        if (is_special(v->type[i]) && v->text[i].len > 0) entries[found++] = (entry){v->text[i].len, (int32_t)i};
    qsort(entries, n, sizeof *entries, longer_first);
    for (size_t i = n; i-- > 0;) { /* backwards, so that of equal texts the first token counts */
        s->id[i] = entries[i].id;
        WS_TRY(ws_trie_add(&s->trie, v->text[s->id[i]], (int32_t)i, err));
    }
    return WS_OK;
}

ws_status ws_special_open(ws_special *s, const ws_vocab *v, ws_error *err) {
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++) {
        if (!is_special(v->type[i]) || v->text[i].len == 0) continue;
        n++;
        s->any_user_defined |= v->type[i] == WS_TOKEN_USER_DEFINED;
    }
    s->id = ws_alloc(n, sizeof *s->id, "special tokens", err);
    entry *entries = ws_alloc(n, sizeof *entries, "special tokens", err);
    const ws_status st = s->id && entries ? collect(s, v, entries, n, err) : WS_NOMEM;
    free(entries);
    return st;
}

void ws_special_close(ws_special *s) {
    ws_trie_free(&s->trie);
    free(s->id);
    *s = (ws_special){0};
}

/* ---- finding ---- */

/* An occurrence; `rank` is the token's index in the order of placing. */
typedef struct {
    size_t at;
    int32_t rank;
} occurrence;

typedef struct {
    occurrence *at;
    size_t n, cap;
} occurrences;

static int by_rank(const void *a, const void *b) {
    const occurrence *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int by_place(const void *a, const void *b) {
    const ws_cut *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static ws_status scan(const ws_special *s, const ws_vocab *v, occurrences *found, const char *text, size_t n, bool all,
                      ws_error *err) {
    for (size_t at = 0; at < n; at++) {
        uint32_t node = WS_TRIE_ROOT;
        for (size_t i = at; i < n; i++) {
            node = ws_trie_step(&s->trie, node, (uint8_t)text[i]);
            if (node == WS_TRIE_NONE) break;
            const int32_t rank = ws_trie_value(&s->trie, node);
            if (rank < 0 || !(all || v->type[s->id[rank]] == WS_TOKEN_USER_DEFINED)) continue;
            WS_TRY(ws_grow(&found->at, &found->cap, found->n + 1, sizeof *found->at, err));
            found->at[found->n++] = (occurrence){at, rank};
        }
    }
    return WS_OK;
}

static ws_status place(const ws_special *s, const ws_vocab *v, const occurrences *found, ws_cuts *cuts, size_t n,
                       ws_error *err) {
    uint8_t *taken = ws_alloc(n, 1, "places of special tokens", err);
    if (!taken) return WS_NOMEM;
    ws_status st = WS_OK;
    for (size_t i = 0; i < found->n && !st; i++) {
        const size_t at = found->at[i].at;
        const int32_t id = s->id[found->at[i].rank];
        if (memchr(taken + at, 1, v->text[id].len)) continue;
        memset(taken + at, 1, v->text[id].len);
        st = ws_grow(&cuts->cut, &cuts->cap, cuts->n + 1, sizeof *cuts->cut, err);
        if (!st) cuts->cut[cuts->n++] = (ws_cut){at, id};
    }
    free(taken);
    if (cuts->n) qsort(cuts->cut, cuts->n, sizeof *cuts->cut, by_place);
    return st;
}

ws_status ws_special_find(const ws_special *s, const ws_vocab *v, ws_cuts *cuts, const char *text, size_t n, bool all,
                          ws_error *err) {
    cuts->n = 0;
    if (!all && !s->any_user_defined) return WS_OK;
    occurrences found = {0};
    ws_status st = scan(s, v, &found, text, n, all, err);
    if (!st && found.n) {
        qsort(found.at, found.n, sizeof *found.at, by_rank);
        st = place(s, v, &found, cuts, n, err);
    }
    free(found.at);
    return st;
}
