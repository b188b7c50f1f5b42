/* The vocabulary: sizes that go together, tokens that are there twice, ids that lead nowhere. */
#include "alloc.h"
#include "report.h"
#include "strmap.h"
#include "text.h"
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "tokenizer.ggml."

typedef struct {
    ws_findings *fs;
    const ws_gguf *g;
    ws_str *tokens;
    size_t n;
    ws_error *err;
} check;

static ws_status tell(const check *c, ws_severity severity, const char *key, const char *text) {
    const ws_finding f = {.kind = WS_FINDING_VOCABULARY, .severity = severity, .key = key};
    return ws_findings_add(c->fs, f, c->err, "%s", text);
}

/* ---- sizes ---- */

static ws_status check_length(const check *c, const char *key, bool strings) {
    const ws_kv *kv = ws_gguf_kv(c->g, key);
    char text[160];
    if (!kv) return WS_OK;
    if (kv->type != WS_KV_ARRAY || (kv->elem_type == WS_KV_STRING) != strings)
        return tell(c, WS_SEVERITY_ERROR, kv->key, "is not an array of the right type");
    if (kv->n == c->n) return WS_OK;
    snprintf(text, sizeof text, "has %" PRIu64 " entries for %zu tokens", kv->n, c->n);
    return tell(c, WS_SEVERITY_ERROR, kv->key, text);
}

/* The embedding has a row per token; llama.cpp refuses other files. */
static ws_status check_embedding(const check *c) {
    static const char *const names[] = {"token_embd.weight", "output.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const ws_tensor *t = ws_gguf_tensor(c->g, names[i]);
        if (!t || t->ne[1] == c->n) continue;
        const ws_finding f = {.kind = WS_FINDING_VOCABULARY, .severity = WS_SEVERITY_ERROR, .tensor = t->name};
        WS_TRY(ws_findings_add(c->fs, f, c->err, "has %" PRIu64 " rows for %zu tokens", t->ne[1], c->n));
    }
    return WS_OK;
}

static ws_status check_vocab_size(const check *c, const ws_report *r) {
    char key[128], text[160];
    uint64_t size;
    snprintf(key, sizeof key, "%.*s.vocab_size", (int)(r->architecture.len < 100 ? r->architecture.len : 100),
             r->architecture.data);
    const ws_kv *kv = ws_gguf_kv(c->g, key);
    if (!kv || !ws_kv_u64(kv, &size) || size == c->n) return WS_OK;
    snprintf(text, sizeof text, "is %" PRIu64 ", but there are %zu tokens", size, c->n);
    return tell(c, WS_SEVERITY_WARNING, kv->key, text);
}

/* ---- tokens ---- */

static int compare_texts(const void *a, const void *b) {
    const ws_str *x = *(const ws_str *const *)a, *y = *(const ws_str *const *)b;
    const size_t n = x->len < y->len ? x->len : y->len;
    const int order = n ? memcmp(x->data, y->data, n) : 0;
    if (order || x->len != y->len) return order ? order : x->len < y->len ? -1 : 1;
    return (x > y) - (x < y);
}

static ws_status check_duplicates(const check *c) {
    const ws_str **sorted = ws_alloc(c->n, sizeof *sorted, "the order of tokens", c->err);
    if (!sorted) return WS_NOMEM;
    for (size_t i = 0; i < c->n; i++) sorted[i] = &c->tokens[i];
    qsort(sorted, c->n, sizeof *sorted, compare_texts);
    ws_finding f = {.kind = WS_FINDING_VOCABULARY, .severity = WS_SEVERITY_WARNING, .key = PREFIX "tokens"};
    f.first = c->n;
    for (size_t i = 1; i < c->n; i++) {
        const ws_str *a = sorted[i - 1], *b = sorted[i];
        if (a->len != b->len || (a->len && memcmp(a->data, b->data, a->len) != 0)) continue;
        f.count++;
        if ((uint64_t)(b - c->tokens) < f.first) f.first = (uint64_t)(b - c->tokens);
    }
    free(sorted);
    if (!f.count) return WS_OK;
    const ws_str s = c->tokens[f.first];
    return ws_findings_add(c->fs, f, c->err,
                           "%" PRIu64 " tokens have the text of an earlier one; the first is token %" PRIu64 ", '%s'",
                           f.count, f.first, ws_show(s.data, s.len).text);
}

static ws_status check_empty(const check *c) {
    ws_finding f = {.kind = WS_FINDING_VOCABULARY, .severity = WS_SEVERITY_NOTE, .key = PREFIX "tokens"};
    for (size_t i = c->n; i-- > 0;)
        if (!c->tokens[i].len) f.count++, f.first = i;
    return f.count ? ws_findings_add(c->fs, f, c->err, "%" PRIu64 " tokens are empty, the first is token %" PRIu64,
                                     f.count, f.first)
                   : WS_OK;
}

/* Every key "tokenizer.ggml.*_token_id", and arrays of such ids. */
static ws_status check_special(const check *c) {
    static const char tail[] = "_token_id";
    for (size_t i = 0; i < c->g->n_kv; i++) {
        const ws_kv *kv = &c->g->kv[i];
        const size_t len = strlen(kv->key), n_tail = sizeof tail - 1;
        int64_t id;
        char text[160];
        if (strncmp(kv->key, PREFIX, sizeof PREFIX - 1) != 0 || len < n_tail ||
            strcmp(kv->key + len - n_tail, tail) != 0)
            continue;
        if (!ws_kv_i64(kv, &id)) {
            WS_TRY(tell(c, WS_SEVERITY_ERROR, kv->key, "is not a whole number"));
        } else if (id < 0 || (uint64_t)id >= c->n) {
            snprintf(text, sizeof text, "is %" PRId64 ", but the tokens are 0 to %zu", id, c->n - 1);
            WS_TRY(tell(c, id == -1 ? WS_SEVERITY_NOTE : WS_SEVERITY_ERROR, kv->key, text));
        }
    }
    return WS_OK;
}

/* ---- merges ---- */

/* "LEFT RIGHT": both and their sum must be tokens; a space that belongs to LEFT may come first. */
static bool merge_is_known(const ws_strmap *ids, ws_str s) {
    const char *space = s.len > 1 ? memchr(s.data + 1, ' ', s.len - 1) : NULL;
    if (!space) return false;
    const size_t left = (size_t)(space - s.data), right = s.len - left - 1;
    char joined[1024];
    if (s.len > sizeof joined || !right) return false;
    memcpy(joined, s.data, left);
    memcpy(joined + left, space + 1, right);
    return ws_strmap_find(ids, s.data, left) >= 0 && ws_strmap_find(ids, space + 1, right) >= 0 &&
           ws_strmap_find(ids, joined, left + right) >= 0;
}

static ws_status check_merges(const check *c) {
    const ws_kv *kv = ws_gguf_kv(c->g, PREFIX "merges");
    if (!kv) return WS_OK;
    if (kv->type != WS_KV_ARRAY || kv->elem_type != WS_KV_STRING)
        return tell(c, WS_SEVERITY_ERROR, kv->key, "is not an array of strings");
    ws_strmap ids = {0};
    WS_TRY(ws_strmap_build(&ids, c->tokens, c->n, c->err));
    ws_finding f = {.kind = WS_FINDING_VOCABULARY, .severity = WS_SEVERITY_WARNING, .key = kv->key};
    ws_str first = {"", 0};
    const uint8_t *it = kv->elems;
    for (uint64_t i = 0; i < kv->n; i++) {
        const ws_str s = ws_kv_next_str(&it);
        if (merge_is_known(&ids, s)) continue;
        if (f.count++ == 0) f.first = i, first = s;
    }
    ws_strmap_free(&ids);
    if (!f.count) return WS_OK;
    return ws_findings_add(c->fs, f, c->err,
                           "%" PRIu64 " of %" PRIu64
                           " merges refer to texts that are no tokens; the first is merge %" PRIu64 ", '%s'",
                           f.count, kv->n, f.first, ws_show(first.data, first.len).text);
}

ws_status ws_verify_vocabulary(ws_findings *fs, const ws_report *r, ws_error *err) {
    const ws_kv *kv = ws_gguf_kv(r->gguf, PREFIX "tokens");
    check c = {.fs = fs, .g = r->gguf, .err = err};
    if (!kv) return WS_OK;
    if (kv->type != WS_KV_ARRAY || kv->elem_type != WS_KV_STRING || !kv->n || kv->n > INT32_MAX)
        return tell(&c, WS_SEVERITY_ERROR, kv->key, "is not an array of strings");
    c.n = (size_t)kv->n;
    if (!(c.tokens = ws_alloc(c.n, sizeof *c.tokens, "tokens", err))) return WS_NOMEM;
    const uint8_t *it = kv->elems;
    for (size_t i = 0; i < c.n; i++) c.tokens[i] = ws_kv_next_str(&it);
    ws_status status = check_length(&c, PREFIX "scores", false);
    if (!status) status = check_length(&c, PREFIX "token_type", false);
    if (!status) status = check_embedding(&c);
    if (!status) status = check_vocab_size(&c, r);
    if (!status) status = check_duplicates(&c);
    if (!status) status = check_empty(&c);
    if (!status) status = check_special(&c);
    if (!status) status = check_merges(&c);
    free(c.tokens);
    return status;
}
