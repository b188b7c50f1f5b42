#include "recipe_text.h"

#include "alloc.h"
#include "text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct {
    const char *word;
    unsigned bit;
} word_bit;

static const word_bit categories[] = {
    {"any", WS_CAT_ANY},
    {"output", WS_CAT_OUTPUT},
    {"token_embd", WS_CAT_TOKEN_EMBD},
    {"attn_v", WS_CAT_ATTN_V},
    {"attn_k", WS_CAT_ATTN_K},
    {"attn_q", WS_CAT_ATTN_Q},
    {"attn_output", WS_CAT_ATTN_OUTPUT},
    {"ffn_up", WS_CAT_FFN_UP},
    {"ffn_gate", WS_CAT_FFN_GATE},
    {"ffn_down", WS_CAT_FFN_DOWN},
    {"other", WS_CAT_OTHER},
    {NULL, 0},
};

static const word_bit conditions[] = {
    {"more-bits", WS_IF_MORE_BITS},
    {"first-eighth", WS_IF_FIRST_EIGHTH},
    {"first-16th", WS_IF_FIRST_16TH},
    {"middle", WS_IF_MIDDLE},
    {"first-two", WS_IF_FIRST_TWO},
    {"first-four", WS_IF_FIRST_FOUR},
    {"gqa-4", WS_IF_GQA_4},
    {"experts-4", WS_IF_EXPERTS_4},
    {"experts-8", WS_IF_EXPERTS_8},
    {"stacked", WS_IF_STACKED},
    {"70b", WS_IF_70B},
    {"short-rows", WS_IF_SHORT_ROWS},
    {"imatrix", WS_IF_IMATRIX},
    {"no-imatrix", WS_IF_NO_IMATRIX},
    {NULL, 0},
};

static const word_bit flags[] = {
    {"copy", WS_RECIPE_COPY},
    {"needs-imatrix", WS_RECIPE_NEEDS_IMATRIX},
    {"counts-layers", WS_RECIPE_COUNTS_LAYERS},
    {NULL, 0},
};

/* ---- printing ---- */

static void append(char *text, size_t n, const char *separator, const char *word) {
    const size_t used = strlen(text);
    snprintf(text + used, n - used, "%s%s", used ? separator : "", word);
}

static void append_words(char *text, size_t n, const char *separator, const word_bit *words, unsigned bits) {
    for (; words->word; words++)
        if ((bits & words->bit) == words->bit) {
            append(text, n, separator, words->word);
            bits &= ~words->bit;
        }
}

static void conditions_text(const ws_rule *r, char *text, size_t n) {
    *text = 0;
    append_words(text, n, " ", conditions, r->conditions);
    if (r->arch) append(text, n, " ", *r->arch == '!' ? "arch!=" : "arch=");
    if (r->arch) append(text, n, "", r->arch + (*r->arch == '!'));
    if (r->name) append(text, n, " ", "name=");
    if (r->name) append(text, n, "", r->name);
}

static void categories_text(const ws_rule *r, char *text, size_t n) {
    *text = 0;
    append_words(text, n, ",", categories, r->categories);
}

void ws_rule_text(const ws_rule *r, char *text, size_t n) {
    char when[400];
    categories_text(r, text, n);
    conditions_text(r, when, sizeof when);
    if (*when) append(text, n, " ", when);
}

char *ws_recipe_text(const ws_recipe *r, ws_error *err) {
    char words[200] = "";
    append_words(words, sizeof words, "\n", flags, r->flags);
    char *text = ws_sprintf(err, "name %s\nfile-type %u\ntype %s\n%s%s", r->name, (unsigned)r->file_type,
                            ws_dtype_name(r->type), words, *words ? "\n" : "");
    for (const ws_rule *rule = r->rules; text && rule->categories; rule++) {
        char what[160], when[4096];
        categories_text(rule, what, sizeof what);
        conditions_text(rule, when, sizeof when);
        char *longer = ws_sprintf(err, "%s%-20s %-28s %s\n", text, what, when, ws_dtype_name(rule->type));
        free(text);
        text = longer;
    }
    return text;
}

/* ---- parsing ---- */

typedef struct {
    ws_own_recipe *r;
    const char *path;
    size_t line;
    bool has_name, has_type, has_file_type;
    ws_error *err;
} parser;

static ws_status wrong(const parser *p, const char *what, const char *word) {
    return ws_fail(p->err, WS_FORMAT, "'%s' line %zu: %s '%s'", p->path, p->line, what,
                   ws_show(word, strlen(word)).text);
}

static const word_bit *find(const word_bit *words, const char *word) {
    for (; words->word; words++)
        if (strcasecmp(words->word, word) == 0) return words;
    return NULL;
}

static ws_status wrong_word(const parser *p, const char *what, const char *word, const word_bit *known) {
    char list[320] = "";
    append_words(list, sizeof list, " ", known + (known == categories), ~0u);
    return ws_fail(p->err, WS_FORMAT, "'%s' line %zu: unknown %s '%s'; known: %s", p->path, p->line, what,
                   ws_show(word, strlen(word)).text, list);
}

/* The next word of a line, in place; NULL at its end. */
static char *next_word(char **at) {
    static const char space[] = " \t\r";
    char *word = *at + strspn(*at, space);
    const size_t n = strcspn(word, space);
    *at = word + n + (word[n] != 0);
    word[n] = 0;
    return n ? word : NULL;
}

static ws_status keep(const parser *p, const char **out, const char *text) {
    *out = ws_arena_strndup(&p->r->texts, text, strlen(text), p->err);
    return *out ? WS_OK : WS_NOMEM;
}

static ws_status read_type(const parser *p, ws_dtype *type, const char *word) {
    return ws_dtype_by_name(type, word) ? WS_OK : wrong(p, "unknown tensor type", word);
}

static ws_status add_rule(parser *p, const ws_rule *rule) {
    ws_own_recipe *r = p->r;
    WS_TRY(ws_grow(&r->rules, &r->cap, r->n + 2, sizeof *r->rules, p->err));
    r->rules[r->n++] = *rule;
    r->rules[r->n] = (ws_rule){.categories = 0};
    return WS_OK;
}

static ws_status read_categories(const parser *p, ws_rule *rule, char *word) {
    for (char *next; word; word = next) {
        if ((next = strchr(word, ','))) *next++ = 0;
        const word_bit *c = find(categories, word);
        if (!c) return wrong_word(p, "kind of tensor", word, categories);
        rule->categories |= c->bit;
    }
    return WS_OK;
}

/* Compiled only to see that it can be. */
static ws_status read_name(const parser *p, ws_rule *rule, const char *text) {
    ws_pattern *pattern = ws_pattern_new(text, p->err);
    if (!pattern) return ws_fail_in(p->err, "'%s' line %zu", p->path, p->line);
    ws_pattern_free(pattern);
    return keep(p, &rule->name, text);
}

static ws_status read_condition(const parser *p, ws_rule *rule, const char *word) {
    static const char is[] = "arch=", is_not[] = "arch!=", name[] = "name=";
    const word_bit *c = find(conditions, word);
    if (c) {
        rule->conditions |= c->bit;
        return WS_OK;
    }
    if (strncmp(word, name, strlen(name)) == 0) return read_name(p, rule, word + strlen(name));
    if (strncmp(word, is, strlen(is)) == 0) return keep(p, &rule->arch, word + strlen(is));
    if (strncmp(word, is_not, strlen(is_not)) != 0) return wrong_word(p, "condition", word, conditions);
    char negated[72];
    snprintf(negated, sizeof negated, "!%s", word + strlen(is_not));
    return keep(p, &rule->arch, negated);
}

/* Categories, conditions, type. */
static ws_status read_rule(parser *p, char *first, char *rest) {
    ws_rule rule = {.categories = 0};
    char *word = next_word(&rest);
    WS_TRY(read_categories(p, &rule, first));
    if (!word) return wrong(p, "no type behind", first);
    for (char *next; (next = next_word(&rest)); word = next) WS_TRY(read_condition(p, &rule, word));
    WS_TRY(read_type(p, &rule.type, word));
    return add_rule(p, &rule);
}

static ws_status set_name(parser *p, const char *word) {
    p->has_name = true;
    return keep(p, &p->r->recipe.name, word);
}

static ws_status set_type(parser *p, const char *word) {
    p->has_type = true;
    return read_type(p, &p->r->recipe.type, word);
}

static ws_status set_file_type(parser *p, const char *word) {
    enum { MOST = 1 << 16 };
    char *end = NULL;
    const unsigned long number = isdigit((unsigned char)*word) ? strtoul(word, &end, 10) : MOST;
    const ws_recipe *named = number == MOST ? ws_recipe_by_name(word) : NULL;
    if (!named && (number >= MOST || *end)) return wrong(p, "unknown file type", word);
    p->r->recipe.file_type = named ? named->file_type : (uint32_t)number;
    p->has_file_type = true;
    return WS_OK;
}

static ws_status set_like(parser *p, const char *word) {
    const ws_recipe *base = ws_recipe_by_name(word);
    ws_recipe *r = &p->r->recipe;
    if (!base) return wrong(p, "unknown recipe", word);
    r->file_type = base->file_type, r->type = base->type, r->flags |= base->flags;
    p->has_type = p->has_file_type = true;
    for (const ws_rule *rule = base->rules; rule->categories; rule++) WS_TRY(add_rule(p, rule));
    return WS_OK;
}

static ws_status read_line(parser *p, char *line) {
    static const struct {
        const char *word;
        ws_status (*set)(parser *, const char *);
    } settings[] = {{"name", set_name}, {"type", set_type}, {"file-type", set_file_type}, {"like", set_like}};
    char *first = next_word(&line);
    if (!first || *first == '#') return WS_OK;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (strcmp(first, settings[i].word) != 0) continue;
        char *value = next_word(&line), *more = value ? next_word(&line) : NULL;
        if (!value) return wrong(p, "nothing behind", first);
        return more ? wrong(p, "unexpected", more) : settings[i].set(p, value);
    }
    const word_bit *flag = find(flags, first);
    if (!flag) return read_rule(p, first, line);
    p->r->recipe.flags |= flag->bit;
    return WS_OK;
}

/* What was not said: a file type that is named as the type, and the file's own name. */
static ws_status finish(parser *p) {
    ws_recipe *r = &p->r->recipe;
    const ws_recipe *named;
    const char *slash = strrchr(p->path, '/');
    if (!p->has_type && !(r->flags & WS_RECIPE_COPY))
        return ws_fail(p->err, WS_FORMAT, "'%s' has no line 'type TYPE', which is for tensors that no rule names",
                       p->path);
    if (!p->has_file_type) {
        if (!(named = ws_recipe_by_name(ws_dtype_name(r->type))))
            return ws_fail(p->err, WS_FORMAT, "'%s' has no line 'file-type', and none is named as %s", p->path,
                           ws_dtype_name(r->type));
        r->file_type = named->file_type;
    }
    if (!p->has_name) WS_TRY(keep(p, &r->name, slash ? slash + 1 : p->path));
    if (!p->r->rules) WS_TRY(ws_grow(&p->r->rules, &p->r->cap, 1, sizeof *p->r->rules, p->err));
    p->r->rules[p->r->n] = (ws_rule){.categories = 0};
    r->rules = p->r->rules;
    return WS_OK;
}

ws_status ws_recipe_parse(ws_own_recipe *r, const char *text, size_t size, const char *path, ws_error *err) {
    *r = (ws_own_recipe){.n = 0};
    parser p = {.r = r, .path = path, .err = err};
    if (memchr(text, 0, size)) return ws_fail(err, WS_FORMAT, "'%s' is no text", path);
    char *copy = ws_strndup(text, size, err);
    if (!copy) return WS_NOMEM;
    ws_status status = WS_OK;
    for (char *line = copy, *next; line && !status; line = next) {
        if ((next = strchr(line, '\n'))) *next++ = 0;
        p.line++;
        status = read_line(&p, line);
    }
    free(copy);
    return status ? status : finish(&p);
}

ws_status ws_recipe_read(ws_own_recipe *r, const char *path, ws_error *err) {
    enum { LIMIT = 1 << 20 };
    char *text;
    size_t size;
    *r = (ws_own_recipe){.n = 0};
    WS_TRY(ws_file_read(&text, &size, path, LIMIT, err));
    const ws_status status = ws_recipe_parse(r, text, size, path, err);
    free(text);
    return status;
}

void ws_own_recipe_free(ws_own_recipe *r) {
    free(r->rules);
    ws_arena_free(&r->texts);
    *r = (ws_own_recipe){.n = 0};
}
