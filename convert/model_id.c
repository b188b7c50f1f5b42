#include "model_id.h"

#include "alloc.h"

#include <ctype.h>
#include <math.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a part of a name can be; several at once while the rules are applied. */
enum { BASENAME = 1, SIZE_LABEL = 2, FINETUNE = 4, VERSION = 8, FILE_TYPE = 16 };

typedef struct {
    char *text; /* has room for one more character (see tidy_size) */
    unsigned kinds;
} part;

typedef struct {
    part *part;
    size_t n;
} part_list;

/* Ids are ASCII in practice: letters and digits are those of ASCII, whatever the locale. */
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_letter(char c) { return is_lower(c) || is_upper(c) || (unsigned char)c >= 0x80; }
static char to_upper(char c) { return is_lower(c) ? (char)(c - 'a' + 'A') : c; }
static char to_lower(char c) { return is_upper(c) ? (char)(c - 'A' + 'a') : c; }

/* Does the whole text match, whatever its case? */
static bool matches(const char *text, const char *pattern) {
    char anchored[160];
    regex_t re;
    snprintf(anchored, sizeof anchored, "^(%s)$", pattern);
    if (regcomp(&re, anchored, REG_EXTENDED | REG_ICASE | REG_NOSUB)) return false;
    const bool found = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return found;
}

/* ---- sizes ---- */

/* "7b1" (Bloom) -> "7.1B", "1_5b" -> "1.5B". */
static void tidy_size(char *s) {
    for (char *c = s; *c; c++)
        if (*c == '_') *c = '.';
    size_t n = strlen(s);
    if (is_digit(s[n - 1])) {
        const char unit = s[n - 2];
        s[n] = unit;
        s[n + 1] = 0;
        s[n - 2] = '.';
        n++;
    }
    if (n > 1 && is_digit(s[n - 2])) s[n - 1] = to_upper(s[n - 1]);
}

/* Is a label such as "7B" within a factor of 8 of the model's size? Labels that are no plain number ("8x7B",
 * "mini") are believed. */
static bool is_plausible(const char *label, uint64_t n_params) {
    static const char units[] = " KMBT";
    const size_t n = strlen(label);
    const char *unit = strchr(units, label[n - 1]);
    if (n_params == 0 || !matches(label, "[0-9]+(\\.[0-9]+)?[KMBT]") || !unit) return true;
    const double labelled = strtod(label, NULL) * pow(1000, (double)(unit - units));
    return !(fabs(labelled - (double)n_params) > (double)(7 * n_params / 8));
}

static bool has_digit(const char *s) {
    while (*s && !is_digit(*s)) s++;
    return *s != 0;
}

static bool all_letters(const char *s) {
    while (is_letter(*s)) s++;
    return *s == 0;
}

/* "mini" and the like are no sizes beside a number. */
static void drop_word_sizes(part_list *list) {
    bool numbered = false;
    for (size_t i = 0; i < list->n; i++) numbered |= list->part[i].kinds & SIZE_LABEL && has_digit(list->part[i].text);
    for (size_t i = 0; numbered && i < list->n; i++)
        if (all_letters(list->part[i].text)) list->part[i].kinds &= ~(unsigned)SIZE_LABEL;
}

/* ---- parts ---- */

static void annotate_size(part *p, uint64_t n_params) {
    tidy_size(p->text);
    p->kinds = SIZE_LABEL;
    if (is_plausible(p->text, n_params)) return;
    char *unit = p->text + strlen(p->text) - 1; /* likely a context length: "128k" */
    *unit = to_lower(*unit);
    p->kinds = FINETUNE;
}

static void annotate(part *p, bool first, uint64_t n_params) {
    if (matches(p->text, "(v|iter)?[0-9]+([.][0-9]+)*")) {
        p->kinds = VERSION;
    } else if (matches(p->text, "i?q[0-9](_[[:alnum:]_])*|b?fp?(16|32)")) {
        p->kinds = FILE_TYPE;
        for (char *c = p->text; *c; c++) *c = to_upper(*c);
    } else if (!first &&
               matches(p->text, "((A|[0-9]+x)?[0-9]+([._][0-9]+)?[KMBT][0-9]?|small|mini|medium|large|x?xl)")) {
        annotate_size(p, n_params);
    } else if (!first && matches(p->text, "chat|instruct|vision|lora")) {
        p->kinds = FINETUNE;
    }
}

/* The basename: unmarked words and versions at the start; but versions that end it are versions only. */
static void mark_basename(part_list *list) {
    bool at_start = true;
    for (size_t i = 0; i < list->n; i++) {
        part *p = &list->part[i];
        if (at_start && ((p->kinds == 0 && is_letter(p->text[0])) || p->kinds & VERSION)) {
            p->kinds |= BASENAME;
        } else {
            at_start = false;
            if (p->kinds == 0) p->kinds = FINETUNE;
        }
    }
    for (size_t i = list->n; i-- > 0;) {
        if (!(list->part[i].kinds & BASENAME) || list->part[i].kinds == BASENAME) break;
        list->part[i].kinds &= ~(unsigned)BASENAME;
    }
}

static void free_parts(part_list *list) {
    for (size_t i = 0; i < list->n; i++) free(list->part[i].text);
    free(list->part);
}

static ws_status split(part_list *list, const char *name, ws_error *err) {
    size_t cap = 0;
    for (const char *at = name;; at++) {
        const size_t len = strcspn(at, "-");
        if (len) {
            WS_TRY(ws_grow(&list->part, &cap, list->n + 1, sizeof *list->part, err));
            char *text = ws_alloc(len + 2, 1, "a model's name", err);
            if (!text) return WS_NOMEM;
            memcpy(text, at, len);
            list->part[list->n++] = (part){text, 0};
        }
        at += len;
        if (!*at) return WS_OK;
    }
}

static bool seen_before(const part_list *list, size_t i, unsigned kind) {
    for (size_t j = 0; j < i; j++)
        if (list->part[j].kinds & kind && strcmp(list->part[j].text, list->part[i].text) == 0) return true;
    return false;
}

/* All parts of a kind that are not `unlike`, joined by dashes; *out stays NULL when there are none. */
static ws_status join(const char **out, const part_list *list, unsigned kind, unsigned unlike, ws_arena *arena,
                      ws_error *err) {
    size_t bytes = 1;
    for (size_t i = 0; i < list->n; i++) bytes += strlen(list->part[i].text) + 1;
    char *text = ws_alloc(bytes, 1, "a model's name", err);
    if (!text) return WS_NOMEM;
    size_t len = 0;
    for (size_t i = 0; i < list->n; i++) {
        const part *p = &list->part[i];
        if (!(p->kinds & kind) || p->kinds & unlike || (kind == SIZE_LABEL && seen_before(list, i, kind))) continue;
        len += (size_t)snprintf(text + len, bytes - len, "%s%s", len ? "-" : "", p->text);
    }
    *out = len ? ws_arena_strndup(arena, text, len, err) : NULL;
    const bool failed = len && !*out;
    free(text);
    return failed ? WS_NOMEM : WS_OK;
}

static ws_status parse_parts(ws_model_id *out, part_list *list, uint64_t n_params, ws_arena *arena, ws_error *err) {
    WS_TRY(split(list, out->name, err));
    for (size_t i = 0; i < list->n; i++) annotate(&list->part[i], i == 0, n_params);
    drop_word_sizes(list);
    mark_basename(list);
    WS_TRY(join(&out->basename, list, BASENAME, 0, arena, err));
    WS_TRY(join(&out->size_label, list, SIZE_LABEL, 0, arena, err));
    WS_TRY(join(&out->finetune, list, FINETUNE, 0, arena, err));
    WS_TRY(join(&out->version, list, VERSION, BASENAME, arena, err));
    if (!out->size_label && !out->finetune && !out->version) out->basename = NULL; /* too ambiguous */
    return WS_OK;
}

ws_status ws_model_id_parse(ws_model_id *out, const char *id, uint64_t n_params, ws_arena *arena, ws_error *err) {
    *out = (ws_model_id){0};
    const char *slash = strchr(id, '/');
    const bool sentence = strchr(id, ' ') != NULL; /* a name for people, not an id */
    const char *name = slash && !sentence ? slash + 1 : id;
    out->name = ws_arena_strndup(arena, name, strlen(name), err);
    if (!out->name) return WS_NOMEM;
    if (sentence) return WS_OK;
    if (slash && id[0] != '.') { /* "./" and "../" are no organizations */
        out->organization = ws_arena_strndup(arena, id, (size_t)(slash - id), err);
        if (!out->organization) return WS_NOMEM;
    }
    part_list list = {0};
    const ws_status st = parse_parts(out, &list, n_params, arena, err);
    free_parts(&list);
    return st;
}

/* ---- titles ---- */

/* A word in lower case that is no version ("v1.5") and no number gets a capital after every non-letter. */
static void capitalize(char *word) {
    bool lower = false, upper = false;
    for (const char *c = word; *c; c++) lower |= is_lower(*c), upper |= is_upper(*c);
    if (!lower || upper || is_digit(word[0]) || matches(word, "v[0-9]+(\\.[0-9]+)*")) return;
    for (char *c = word; *c; c++)
        if (c == word || !is_letter(c[-1])) *c = to_upper(*c);
}

const char *ws_title_case(const char *id, ws_arena *arena, ws_error *err) {
    static const char separators[] = "- \t\n\r\v\f";
    char *words = ws_strndup(id, strlen(id), err), *title = ws_alloc(strlen(id) + 1, 1, "a title", err), *rest = NULL;
    const char *out = NULL;
    if (words && title) {
        size_t len = 0;
        for (char *w = strtok_r(words, separators, &rest); w; w = strtok_r(NULL, separators, &rest)) {
            capitalize(w);
            len += (size_t)sprintf(title + len, "%s%s", len ? " " : "", w);
        }
        out = ws_arena_strndup(arena, title, len, err);
    }
    free(words);
    free(title);
    return out;
}

char *ws_size_label(char *buf, uint64_t n_params) {
    static const struct {
        double above, scale;
        char unit;
    } units[] = {{1e12, 1e-12, 'T'}, {1e9, 1e-9, 'B'}, {1e6, 1e-6, 'M'}, {-1, 1e-3, 'K'}};
    int u = 0;
    while (!((double)n_params > units[u].above)) u++;
    const double scaled = (double)n_params * units[u].scale;
    const double whole = rint(scaled); /* 0 counts as no digit */
    const int decimals = whole >= 10 ? 0 : whole >= 1 ? 1 : 2;
    snprintf(buf, 32, "%.*f%c", decimals, scaled, units[u].unit);
    return buf;
}
