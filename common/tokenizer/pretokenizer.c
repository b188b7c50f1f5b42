#define PCRE2_CODE_UNIT_WIDTH 8

#include "pretokenizer.h"

#include "alloc.h"
#include "text.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATTERNS = 8 };

struct ws_pretokenizer {
    const ws_pre_row *row;
    size_t n;
    pcre2_code *code[MAX_PATTERNS];
};

static ws_status regex_error(ws_error *err, const char *doing, const char *name, int code) {
    char text[160] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
    return ws_fail(err, code == PCRE2_ERROR_NOMEMORY ? WS_NOMEM : WS_FORMAT, "cannot %s pre-tokenizer '%s': %s", doing,
                   name, text);
}

static ws_status compile(ws_pretokenizer *p, ws_error *err) {
    for (const char *const *pattern = p->row->patterns; *pattern; pattern++) {
        int code;
        PCRE2_SIZE at;
        pcre2_code *c = pcre2_compile((PCRE2_SPTR)*pattern, PCRE2_ZERO_TERMINATED,
                                      PCRE2_UTF | PCRE2_UCP | PCRE2_NO_AUTO_CAPTURE, &code, &at, NULL);
        if (!c) return regex_error(err, "compile", p->row->name, code);
        p->code[p->n++] = c;
        pcre2_jit_compile(c, PCRE2_JIT_COMPLETE); /* where it fails, pcre2_match() interprets */
    }
    return WS_OK;
}

ws_status ws_pretokenizer_open(ws_pretokenizer **out, ws_str name, ws_error *err) {
    const ws_pre_row *row = ws_pre_table;
    while (row->name && !(strlen(row->name) == name.len && memcmp(row->name, name.data, name.len) == 0)) row++;
    *out = NULL;
    if (!row->name)
        return ws_fail(err, WS_UNSUPPORTED, "pre-tokenizer '%s' (tokenizer.ggml.pre) is not known",
                       ws_show(name.data, name.len).text);
    ws_pretokenizer *p = ws_alloc(1, sizeof *p, "a pre-tokenizer", err);
    if (!p) return WS_NOMEM;
    p->row = row;
    const ws_status st = compile(p, err);
    if (st)
        ws_pretokenizer_close(p);
    else
        *out = p;
    return st;
}

void ws_pretokenizer_close(ws_pretokenizer *p) {
    if (!p) return;
    for (size_t i = 0; i < p->n; i++) pcre2_code_free(p->code[i]);
    free(p);
}

unsigned ws_pretokenizer_flags(const ws_pretokenizer *p) { return p->row->flags; }

/* ---- splitting ---- */

static ws_status add_word(ws_words *words, size_t len, ws_error *err) {
    if (len == 0) return WS_OK;
    WS_TRY(ws_grow(&words->len, &words->cap, words->n + 1, sizeof *words->len, err));
    words->len[words->n++] = (uint32_t)len;
    return WS_OK;
}

/* The compiled code has a small fixed stack; the interpreter takes its own from the heap. */
static int match(const pcre2_code *code, const char *s, size_t n, size_t at, pcre2_match_data *data) {
    const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    const int rc = pcre2_match(code, (PCRE2_SPTR)s, n, at, options, data, NULL);
    if (rc != PCRE2_ERROR_JIT_STACKLIMIT) return rc;
    return pcre2_match(code, (PCRE2_SPTR)s, n, at, options | PCRE2_NO_JIT, data, NULL);
}

/* Every match of one pattern in one segment is a word, and so is what lies between two matches. The pattern sees
 * nothing beyond the segment. */
static ws_status split(const ws_pretokenizer *p, size_t pattern, ws_words *words, const char *s, size_t n,
                       pcre2_match_data *data, ws_error *err) {
    size_t done = 0;
    while (done < n) {
        const int rc = match(p->code[pattern], s, n, done, data);
        if (rc == PCRE2_ERROR_NOMATCH) break;
        if (rc < 0) return regex_error(err, "apply", p->row->name, rc);
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(data);
        WS_TRY(add_word(words, span[0] - done, err));
        WS_TRY(add_word(words, span[1] - span[0], err));
        done = span[1];
    }
    return add_word(words, n - done, err);
}

static ws_status split_all(const ws_pretokenizer *p, ws_words *words, const char *text, pcre2_match_data *data,
                           ws_error *err) {
    for (size_t pattern = 0; pattern < p->n; pattern++) {
        ws_words finer = {0};
        ws_status st = WS_OK;
        for (size_t i = 0, at = 0; i < words->n && !st; at += words->len[i++])
            st = split(p, pattern, &finer, text + at, words->len[i], data, err);
        free(words->len);
        *words = finer;
        if (st) return st;
    }
    return WS_OK;
}

ws_status ws_pretokenize(const ws_pretokenizer *p, ws_words *words, const char *text, size_t n, ws_error *err) {
    words->n = 0;
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (!data) return ws_fail(err, WS_NOMEM, "out of memory: a match");
    ws_status st = add_word(words, n, err);
    if (!st) st = split_all(p, words, text, data, err);
    pcre2_match_data_free(data);
    return st;
}
