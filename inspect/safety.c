#include "safety.h"

#include "report.h"
#include "text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define TEMPLATE_KEY "tokenizer.chat_template"
#define TOKENS_KEY   "tokenizer.ggml.tokens"

enum { LONG_LOOP = 100000, LONG_TOKEN = 512 };

typedef struct {
    ws_findings *fs;
    ws_error *err;
} scan;

/* ---- characters ---- */

/* Why a character does not belong into visible text; NULL: it does. */
static const char *problem_of(int32_t code) {
    if (code == '\n' || code == '\t' || code == '\r') return NULL;
    if ((code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)) return "reorders text";
    if (code >= 0xe0000 && code <= 0xe007f) return "is an invisible tag, which can carry hidden instructions";
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_CC: return "is a control character";
    case UTF8PROC_CATEGORY_CF: return "is invisible";
    case UTF8PROC_CATEGORY_CO: return "is for private use";
    default: return NULL;
    }
}

typedef struct {
    const char *why; /* NULL: nothing found */
    int32_t code;    /* -1: bytes that are not UTF-8 */
    uint64_t count, first;
} odd_characters;

/* The first problem, and how many characters have one. */
static odd_characters find_odd(ws_str s) {
    odd_characters odd = {0};
    for (size_t i = 0; i < s.len;) {
        utf8proc_int32_t code;
        const utf8proc_ssize_t n = utf8proc_iterate((const uint8_t *)s.data + i, (utf8proc_ssize_t)(s.len - i), &code);
        const char *why = n > 0 ? problem_of(code) : "is not UTF-8";
        if (why && odd.count++ == 0) odd.why = why, odd.first = i, odd.code = n > 0 ? code : -1;
        i += n > 0 ? (size_t)n : 1;
    }
    return odd;
}

static ws_status check_characters(const scan *c, const char *key, ws_str s, ws_severity severity) {
    const odd_characters odd = find_odd(s);
    if (!odd.why) return WS_OK;
    char code[24] = "a byte";
    if (odd.code >= 0) snprintf(code, sizeof code, "U+%04X", (unsigned)odd.code);
    const ws_finding f = {
        .kind = WS_FINDING_CHARACTERS, .severity = severity, .key = key, .count = odd.count, .first = odd.first};
    return ws_findings_add(c->fs, f, c->err, "%s at byte %" PRIu64 " %s (%" PRIu64 " such characters in all)", code,
                           odd.first, odd.why, odd.count);
}

/* ---- addresses ---- */

/* "scheme://x": the place of one in s, or NULL. */
static const char *find_url(ws_str s) {
    for (size_t i = 0; i + 4 < s.len; i++)
        if (memcmp(s.data + i, "://", 3) == 0 && i > 1 && isalpha((unsigned char)s.data[i - 1]) &&
            isalnum((unsigned char)s.data[i + 3])) {
            while (i > 0 && isalpha((unsigned char)s.data[i - 1])) i--;
            return s.data + i;
        }
    return NULL;
}

static ws_status check_url(const scan *c, const char *key, ws_str s, ws_severity severity) {
    const char *url = find_url(s);
    if (!url) return WS_OK;
    size_t n = 0;
    while (url + n < s.data + s.len && (unsigned char)url[n] > ' ' && !strchr("'\"<>", url[n])) n++;
    const ws_finding f = {.kind = WS_FINDING_URL, .severity = severity, .key = key, .first = (uint64_t)(url - s.data)};
    return ws_findings_add(c->fs, f, c->err, "holds the address '%s'", ws_show(url, n).text);
}

/* ---- templates ---- */

typedef struct {
    const char *word;  /* as a whole word */
    const char *after; /* the word counts only behind one of these characters; NULL: anywhere */
    ws_severity severity;
    const char *why;
} rule;

/* Names by which templates have escaped from their sandbox, or that no chat template needs. */
static const rule rules[] = {
    {"attr", "|", WS_SEVERITY_ERROR, "the filter 'attr' reads any attribute of an object"},
    {"import", "%-{ ", WS_SEVERITY_ERROR, "imports"},
    {"include", "%-", WS_SEVERITY_ERROR, "includes another template"},
    {"extends", "%-", WS_SEVERITY_ERROR, "extends another template"},
    {"lipsum", NULL, WS_SEVERITY_ERROR, "'lipsum' is a way out of the sandbox"},
    {"cycler", NULL, WS_SEVERITY_ERROR, "'cycler' is a way out of the sandbox"},
    {"joiner", NULL, WS_SEVERITY_ERROR, "'joiner' is a way out of the sandbox"},
    {"getattr", NULL, WS_SEVERITY_ERROR, "'getattr' reads any attribute of an object"},
    {"popen", NULL, WS_SEVERITY_ERROR, "'popen' runs programs"},
    {"subprocess", NULL, WS_SEVERITY_ERROR, "'subprocess' runs programs"},
    {"eval", NULL, WS_SEVERITY_WARNING, "'eval' runs code"},
    {"exec", NULL, WS_SEVERITY_WARNING, "'exec' runs code"},
    {"globals", NULL, WS_SEVERITY_WARNING, "'globals' reaches all names"},
};

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* The first character before `at` that is no space; 0 at the beginning. */
static char before(ws_str s, size_t at) {
    while (at > 0 && isspace((unsigned char)s.data[at - 1])) at--;
    return at > 0 ? s.data[at - 1] : 0;
}

/* Code is what stands between {{ }} and {% %}; the rest is text for the model. Sets *end behind it. */
static bool next_code(ws_str s, size_t *begin, size_t *end) {
    for (size_t i = *end; i + 1 < s.len; i++) {
        const char kind = s.data[i] == '{' ? s.data[i + 1] : 0;
        if (kind != '{' && kind != '%') continue;
        const char closing = kind == '{' ? '}' : '%';
        *begin = i + 2;
        *end = s.len;
        for (i += 2; i + 1 < s.len && *end == s.len; i++)
            if (s.data[i] == closing && s.data[i + 1] == '}') *end = i;
        return true;
    }
    return false;
}

static ws_status tell(const scan *c, const char *key, ws_severity severity, size_t at, const char *why) {
    const ws_finding f = {.kind = WS_FINDING_TEMPLATE, .severity = severity, .key = key, .first = at};
    return ws_findings_add(c->fs, f, c->err, "%s (byte %zu)", why, at);
}

static ws_status check_word(const scan *c, const char *key, ws_str s, size_t at, size_t n) {
    const char *word = s.data + at;
    if (n > 4 && memcmp(word, "__", 2) == 0 && memcmp(word + n - 2, "__", 2) == 0) {
        char why[128];
        snprintf(why, sizeof why, "reaches into an object by '%s'", ws_show(word, n < 60 ? n : 60).text);
        return tell(c, key, WS_SEVERITY_ERROR, at, why);
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const char last = before(s, at);
        if (strlen(rules[i].word) != n || memcmp(word, rules[i].word, n) != 0) continue;
        if (rules[i].after && (!last || !strchr(rules[i].after, last))) continue;
        WS_TRY(tell(c, key, rules[i].severity, at, rules[i].why));
    }
    return WS_OK;
}

/* Numbers that only a loop or a repetition needs. */
static ws_status check_number(const scan *c, const char *key, ws_str s, size_t at, size_t n) {
    char digits[24] = "";
    memcpy(digits, s.data + at, n < sizeof digits ? n : sizeof digits - 1);
    if (n < sizeof digits && strtoull(digits, NULL, 10) < LONG_LOOP) return WS_OK;
    char why[96];
    snprintf(why, sizeof why, "the number %s%s could make a very long loop or text", digits, n < 24 ? "" : "...");
    return tell(c, key, WS_SEVERITY_WARNING, at, why);
}

static ws_status check_code(const scan *c, const char *key, ws_str s, size_t begin, size_t end) {
    for (size_t i = begin; i < end;) {
        size_t n = 0;
        while (i + n < end && is_word(s.data[i + n])) n++;
        if (n && isdigit((unsigned char)s.data[i]))
            WS_TRY(check_number(c, key, s, i, n));
        else if (n)
            WS_TRY(check_word(c, key, s, i, n));
        i += n ? n : 1;
    }
    return WS_OK;
}

static ws_status check_template(const scan *c, const char *key, ws_str s) {
    for (size_t begin = 0, end = 0; next_code(s, &begin, &end);) WS_TRY(check_code(c, key, s, begin, end));
    WS_TRY(check_characters(c, key, s, WS_SEVERITY_ERROR));
    return check_url(c, key, s, WS_SEVERITY_WARNING);
}

/* ---- tokens ---- */

/* Tokens hold any characters; what acts on a terminal, reorders text or hides in it is worth a look. */
static const char *token_problem(ws_str s) {
    if (s.len > 1 && memchr(s.data, 0x1b, s.len)) return "holds a terminal's escape character";
    if (s.len > LONG_TOKEN) return "is very long";
    for (size_t i = 0; i + 2 < s.len; i++) {
        if ((unsigned char)s.data[i] < 0xe2) continue; /* where the ranges below begin in UTF-8 */
        utf8proc_int32_t code;
        if (utf8proc_iterate((const uint8_t *)s.data + i, (utf8proc_ssize_t)(s.len - i), &code) <= 0) continue;
        const bool reorders = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
        if (reorders && s.len > 3) return "holds a character that reorders text";
        if (code >= 0xe0000 && code <= 0xe007f && s.len > 4) return "holds an invisible tag";
    }
    return find_url(s) ? "holds an address" : NULL;
}

static ws_status check_tokens(const scan *c, const ws_kv *kv) {
    const uint8_t *it = kv->elems;
    const char *worst = NULL;
    ws_str first = {"", 0};
    ws_finding f = {.kind = WS_FINDING_TOKEN, .severity = WS_SEVERITY_NOTE, .key = kv->key};
    for (uint64_t i = 0; i < kv->n; i++) {
        const ws_str s = ws_kv_next_str(&it);
        const char *why = token_problem(s);
        if (why && f.count++ == 0) worst = why, f.first = i, first = s;
    }
    if (!worst) return WS_OK;
    return ws_findings_add(c->fs, f, c->err, "token %" PRIu64 " ('%s') %s (%" PRIu64 " such tokens in all)", f.first,
                           ws_show(first.data, first.len < 60 ? first.len : 60).text, worst, f.count);
}

/* ---- metadata ---- */

static bool starts_with(const char *s, const char *head) { return strncmp(s, head, strlen(head)) == 0; }

/* Where addresses are expected: general.url, general.source.repo_url, general.license.link ... */
static bool may_hold_url(const char *key) { return starts_with(key, "general.") || starts_with(key, "quantize."); }

static ws_status check_string(const scan *c, const char *key, ws_str s) {
    if (starts_with(key, TEMPLATE_KEY)) return check_template(c, key, s);
    WS_TRY(check_characters(c, key, s, WS_SEVERITY_WARNING));
    return may_hold_url(key) ? WS_OK : check_url(c, key, s, WS_SEVERITY_NOTE);
}

static ws_status check_strings(const scan *c, const ws_kv *kv) {
    const uint8_t *it = kv->elems;
    for (uint64_t i = 0; i < kv->n; i++) {
        const size_t so_far = c->fs->n;
        WS_TRY(check_string(c, kv->key, ws_kv_next_str(&it)));
        if (c->fs->n > so_far) return WS_OK; /* one finding per list is enough */
    }
    return WS_OK;
}

static ws_status check_pair(const scan *c, const ws_kv *kv) {
    ws_str s;
    WS_TRY(check_characters(c, kv->key, (ws_str){kv->key, strlen(kv->key)}, WS_SEVERITY_WARNING));
    if (ws_kv_str(kv, &s)) return check_string(c, kv->key, s);
    if (kv->type != WS_KV_ARRAY || kv->elem_type != WS_KV_STRING) return WS_OK;
    if (strcmp(kv->key, TOKENS_KEY) == 0) return check_tokens(c, kv);
    return starts_with(kv->key, "tokenizer.ggml.merges") ? WS_OK : check_strings(c, kv);
}

/* ---- pickles ---- */

/* A program that unpickles the file calls what it names; here nothing is called. */
static ws_status check_globals(const scan *c, const ws_torch *t) {
    for (size_t i = 0; i < t->n_globals; i++) {
        const ws_torch_global *g = &t->globals[i];
        if (g->known) continue;
        const ws_finding f = {.kind = WS_FINDING_CODE,
                              .severity = g->dangerous ? WS_SEVERITY_ERROR : WS_SEVERITY_WARNING};
        WS_TRY(ws_findings_add(c->fs, f, c->err, "unpickling would use '%s.%s', which %s",
                               ws_show(g->module, strlen(g->module)).text, ws_show(g->name, strlen(g->name)).text,
                               g->dangerous ? "can run anything" : "no tensor needs"));
    }
    return WS_OK;
}

ws_status ws_safety_run(ws_findings *fs, const ws_report *r, ws_error *err) {
    const scan c = {fs, err};
    *fs = (ws_findings){0};
    for (size_t i = 0; r->gguf && i < r->gguf->n_kv; i++) WS_TRY(check_pair(&c, &r->gguf->kv[i]));
    for (size_t i = 0; r->st && i < r->st->n_metadata; i++) {
        const char *key = r->st->metadata[2 * i], *value = r->st->metadata[2 * i + 1];
        WS_TRY(check_string(&c, key, (ws_str){value, strlen(value)}));
    }
    if (r->torch) WS_TRY(check_globals(&c, r->torch));
    for (size_t i = 0; i < r->n_tensors; i++) {
        const char *name = r->tensors[i].name;
        const odd_characters odd = find_odd((ws_str){name, strlen(name)});
        const ws_finding f = {.kind = WS_FINDING_CHARACTERS, .severity = WS_SEVERITY_WARNING, .tensor = name};
        if (odd.why) WS_TRY(ws_findings_add(fs, f, err, "a character of its name %s", odd.why));
    }
    return WS_OK;
}
