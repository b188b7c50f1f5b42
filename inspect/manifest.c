/* Manifests. Layout, a text file:
 *
 *     weightsmith manifest 1
 *     ALGORITHM MODEL_HASH
 *     HASH NAME          one line per tensor, sorted by name; bytes of NAME below '!', above '~' and '%' as %XX */
#include "alloc.h"
#include "hash.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define TITLE "weightsmith manifest 1\n"

enum { MAX_MANIFEST = 256 << 20 };

/* ---- writing ---- */

static void put_name(FILE *f, const char *s) {
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        fprintf(f, c > ' ' && c <= '~' && c != '%' ? "%c" : "%%%02x", c);
    }
}

ws_status ws_manifest_write(const ws_model_hash *h, const char *path, ws_error *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return ws_fail(err, WS_NOMEM, "out of memory: a manifest");
    fprintf(f, TITLE "%s %s\n", ws_hash_name(h->kind), h->model);
    for (size_t i = 0; i < h->n; i++) {
        fprintf(f, "%s ", h->tensors[i].hex);
        put_name(f, h->tensors[i].tensor->name);
        fputc('\n', f);
    }
    ws_status status = fclose(f) ? ws_fail(err, WS_NOMEM, "out of memory: a manifest") : WS_OK;
    ws_outfile *out = NULL;
    if (!status) status = ws_outfile_open(&out, path, err);
    if (!status) status = ws_outfile_write(out, text, size, err);
    if (!status)
        status = ws_outfile_finish(out, err);
    else
        ws_outfile_discard(out);
    free(text);
    return status;
}

/* ---- reading ---- */

/* The lines of a manifest; the text is cut up in place. */
typedef struct {
    char *text, *at;
    const char *path;
    size_t line;
    char *first, *second; /* words of the current line */
} manifest;

static ws_status bad(const manifest *m, ws_error *err) {
    return ws_fail(err, WS_FORMAT, "'%s' is not a manifest of inspect: line %zu", m->path, m->line);
}

/* False at the end; a line that is not two words has second == NULL. */
static bool next_line(manifest *m) {
    if (!*m->at) return false;
    m->line++;
    m->first = m->at;
    char *end = strchr(m->at, '\n');
    m->at = end ? end + 1 : m->at + strlen(m->at);
    if (end) *end = 0;
    m->second = strchr(m->first, ' ');
    if (m->second) *m->second++ = 0;
    return true;
}

static ws_status open_manifest(manifest *m, ws_hash_kind *kind, const char *path, ws_error *err) {
    *m = (manifest){.path = path};
    size_t n;
    WS_TRY(ws_file_read(&m->text, &n, path, MAX_MANIFEST, err));
    m->at = m->text + sizeof TITLE - 1;
    m->line = 1;
    if (n < sizeof TITLE - 1 || memcmp(m->text, TITLE, sizeof TITLE - 1) != 0 || strlen(m->text) != n)
        return bad(m, err);
    if (!next_line(m) || !m->second) return bad(m, err);
    for (int k = 0; k < WS_HASH_KINDS; k++)
        if (strcmp(m->first, ws_hash_name((ws_hash_kind)k)) == 0) {
            *kind = (ws_hash_kind)k;
            return WS_OK;
        }
    return ws_fail(err, WS_UNSUPPORTED, "'%s' holds hashes of an unknown kind '%s'", path,
                   ws_show(m->first, strlen(m->first)).text);
}

ws_status ws_manifest_kind(ws_hash_kind *kind, const char *path, ws_error *err) {
    manifest m;
    const ws_status status = open_manifest(&m, kind, path, err);
    free(m.text);
    return status;
}

static int hex_digit(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *p = c ? strchr(digits, c) : NULL;
    return p ? (int)(p - digits) : -1;
}

/* %XX to bytes, in place. */
static bool unescape(char *s) {
    char *out = s;
    for (; *s; s++) {
        if (*s != '%') {
            *out++ = *s;
            continue;
        }
        const int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);
        if (low < 0 || high * 16 + low == 0) return false;
        *out++ = (char)(high * 16 + low);
        s += 2;
    }
    *out = 0;
    return true;
}

static int compare_name_to(const void *name, const void *item) {
    return strcmp(name, ((const ws_tensor_hash *)item)->tensor->name);
}

typedef struct {
    ws_manifest_fn *fn;
    void *ctx;
    size_t n;
} listener;

static void tell(listener *l, ws_manifest_problem problem, const char *name) {
    l->fn(l->ctx, problem, name);
    l->n++;
}

static ws_status check_lines(const ws_model_hash *h, manifest *m, bool *seen, listener *l, ws_error *err) {
    while (next_line(m)) {
        if (!m->second || !unescape(m->second)) return bad(m, err);
        const ws_tensor_hash *t = bsearch(m->second, h->tensors, h->n, sizeof *h->tensors, compare_name_to);
        if (t) seen[t - h->tensors] = true;
        if (!t)
            tell(l, WS_MANIFEST_MISSING, m->second);
        else if (strcmp(t->hex, m->first) != 0)
            tell(l, WS_MANIFEST_CHANGED, m->second);
    }
    for (size_t i = 0; i < h->n; i++)
        if (!seen[i]) tell(l, WS_MANIFEST_EXTRA, h->tensors[i].tensor->name);
    return WS_OK;
}

/* Types and shapes are in the model's hash only. */
static void check_model(const ws_model_hash *h, const char *expected, listener *l) {
    if (l->n == 0 && strcmp(h->model, expected) != 0) tell(l, WS_MANIFEST_CHANGED, "(types or shapes)");
}

ws_status ws_manifest_check(const ws_model_hash *h, const char *path, ws_manifest_fn *fn, void *ctx, size_t *n_problems,
                            ws_error *err) {
    manifest m;
    ws_hash_kind kind = WS_HASH_XXH3;
    listener l = {fn, ctx, 0};
    char model[WS_HASH_HEX] = "";
    bool *seen = NULL;
    ws_status status = open_manifest(&m, &kind, path, err);
    if (!status && kind != h->kind)
        status =
            ws_fail(err, WS_FORMAT, "'%s' holds %s hashes, not %s", path, ws_hash_name(kind), ws_hash_name(h->kind));
    if (!status) snprintf(model, sizeof model, "%s", m.second);
    if (!status && !(seen = ws_alloc(h->n, sizeof *seen, "marks", err))) status = WS_NOMEM;
    if (!status) status = check_lines(h, &m, seen, &l, err);
    if (!status) check_model(h, model, &l);
    *n_problems = l.n;
    free(seen);
    free(m.text);
    return status;
}
