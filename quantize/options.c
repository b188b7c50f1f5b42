#include "options.h"

#include "alloc.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ws_option_rows(ws_option rows[WS_OPTION_ROWS], ws_option_texts *t) {
    const ws_option all[WS_OPTION_ROWS] = {
        {"allow-requantize", 0, WS_OPT_FLAG, &t->allow_requantize, NULL, "accept a source that is quantized", 0, 0,
         NULL},
        {"leave-output-tensor", 0, WS_OPT_FLAG, &t->leave_output, NULL, "keep output.weight as it is", 0, 0, NULL},
        {"pure", 0, WS_OPT_FLAG, &t->pure, NULL, "the same type for every matrix, no mix", 0, 0, NULL},
        {"imatrix", 0, WS_OPT_TEXT, &t->imatrix, "FILE",
         "importance matrix (GGUF or .dat): what an error in each column costs", 0, 0, NULL},
        {"include-weights", 0, WS_OPT_MANY, &t->include, "NAME",
         "use the importance matrix for tensors with NAME in their name only (repeatable)", 0, 0, NULL},
        {"exclude-weights", 0, WS_OPT_MANY, &t->exclude, "NAME", "do not use it for those (repeatable)", 0, 0, NULL},
        {"output-tensor-type", 0, WS_OPT_TEXT, &t->output_type, "TYPE", "type of output.weight", 0, 0, NULL},
        {"token-embedding-type", 0, WS_OPT_TEXT, &t->token_embd_type, "TYPE", "type of the token embedding", 0, 0,
         NULL},
        {"tensor-type", 0, WS_OPT_MANY, &t->tensor_types, "REGEX=TYPE",
         "type of tensors whose name matches; the first that matches counts (repeatable)", 0, 0, NULL},
        {"tensor-type-file", 0, WS_OPT_MANY, &t->tensor_types, "FILE", "the same from a file, separated by space", 0, 0,
         NULL},
        {"prune-layers", 0, WS_OPT_TEXT, &t->prune_layers, "L0,L1,...", "leave layers out and renumber those behind", 0,
         0, NULL},
        {"keep-split", 0, WS_OPT_FLAG, &t->keep_split, NULL, "as many files as the source has", 0, 0, NULL},
        {"split-max-size", 0, WS_OPT_TEXT, &t->split_max_size, "N(M|G)",
         "write files of at most so many (decimal) MB or GB of tensors", 0, 0, NULL},
        {"override-kv", 0, WS_OPT_MANY, &t->overrides, "KEY=TYPE:VALUE",
         "set a metadata key; TYPE: int, float, bool, str (repeatable)", 0, 0, NULL},
        {"max-buffer-size", 0, WS_OPT_INT, &t->max_buffer_mib, "MIB",
         "as llama-quantize has it, and without effect: less than the least of it is used", 1, 1 << 30, NULL},
        {"recipe", 0, WS_OPT_TEXT, &t->recipe, "FILE", "types by the rules in FILE, instead of TYPE", 0, 0, NULL},
        {"print-recipe", 0, WS_OPT_TEXT, &t->print_recipe, "TYPE",
         "print the rules of TYPE, as --recipe takes them, and do nothing else", 0, 0, NULL},
        {"dry-run", 0, WS_OPT_FLAG, &t->dry_run, NULL, "show what each tensor would become; write nothing", 0, 0, NULL},
    };
    memcpy(rows, all, sizeof all);
}

void ws_option_texts_free(ws_option_texts *t) {
    free(t->include.list);
    free(t->exclude.list);
    free(t->tensor_types.list);
    free(t->overrides.list);
    *t = (ws_option_texts){.pure = false};
}

/* ---- types of tensors ---- */

static ws_status read_type(ws_dtype *type, const char *option, const char *name, ws_error *err) {
    if (ws_dtype_by_name(type, name)) return WS_OK;
    return ws_fail(err, WS_USAGE, "--%s: unknown tensor type '%s'", option, name);
}

static ws_status read_maybe_type(ws_maybe_type *t, const char *option, const char *name, ws_error *err) {
    t->set = name != NULL;
    return name ? read_type(&t->type, option, name, err) : WS_OK;
}

/* `text` up to `n`: "REGEX=TYPE", the expression in lower case as names of tensors are. */
static ws_status add_tensor_type(ws_settings *s, const char *text, size_t n, ws_error *err) {
    ws_dtype type;
    ws_recipe_options *choose = &s->plan.choose;
    char *pattern = ws_strndup(text, n, err);
    if (!pattern) return WS_NOMEM;
    char *eq = strchr(pattern, '=');
    ws_status status = WS_OK;
    if (!eq || eq == pattern || !eq[1]) {
        status = ws_fail(err, WS_USAGE, "--tensor-type: '%s' is not REGEX=TYPE", pattern);
    } else {
        *eq = 0;
        for (char *c = pattern; *c; c++) *c = (char)tolower((unsigned char)*c);
        status = read_type(&type, "tensor-type", eq + 1, err);
    }
    if (!status)
        status =
            ws_grow(&s->tensor_types, &s->cap_tensor_types, choose->n_tensor_types + 1, sizeof *s->tensor_types, err);
    if (!status) {
        ws_pattern *p = ws_pattern_new(pattern, err);
        choose->tensor_types = s->tensor_types;
        if (p)
            s->tensor_types[choose->n_tensor_types++] = (ws_tensor_type){p, type};
        else
            status = ws_fail_in(err, "--tensor-type");
    }
    free(pattern);
    return status;
}

static ws_status read_tensor_type_file(ws_settings *s, const char *path, ws_error *err) {
    enum { LIMIT = 16 << 20 };
    static const char space[] = " \t\r\n\v\f";
    char *text;
    size_t size;
    WS_TRY(ws_file_read(&text, &size, path, LIMIT, err));
    ws_status status = WS_OK;
    for (const char *at = text + strspn(text, space); *at && !status;) {
        const size_t n = strcspn(at, space);
        status = add_tensor_type(s, at, n, err);
        if (status) ws_fail_in(err, "'%s'", path);
        at += n;
        at += strspn(at, space);
    }
    free(text);
    return status;
}

static ws_status read_types(ws_settings *s, const ws_option_texts *t, ws_error *err) {
    ws_recipe_options *choose = &s->plan.choose;
    WS_TRY(read_maybe_type(&choose->output, "output-tensor-type", t->output_type, err));
    WS_TRY(read_maybe_type(&choose->token_embd, "token-embedding-type", t->token_embd_type, err));
    for (size_t i = 0; i < t->tensor_types.n; i++) {
        const ws_given *g = &t->tensor_types.list[i];
        if (strcmp(g->option, "tensor-type-file") == 0)
            WS_TRY(read_tensor_type_file(s, g->value, err));
        else
            WS_TRY(add_tensor_type(s, g->value, strlen(g->value), err));
    }
    return WS_OK;
}

/* ---- layers, sizes, keys ---- */

static int by_number(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static ws_status read_prune(ws_settings *s, const char *text, ws_error *err) {
    enum { MOST = 1 << 20 };
    ws_recipe_options *choose = &s->plan.choose;
    size_t n = 1, unique = 0;
    if (!text) return WS_OK;
    for (const char *c = text; *c; c++) n += *c == ',';
    if (!(s->prune = ws_alloc(n, sizeof *s->prune, "layers", err))) return WS_NOMEM;
    for (size_t i = 0; i < n; i++) {
        char *end;
        const unsigned long layer = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : MOST;
        if (layer >= MOST || (*end && *end != ','))
            return ws_fail(err, WS_USAGE, "--prune-layers: '%s' is not a list of layers", text);
        s->prune[i] = (uint32_t)layer;
        text = end + 1;
    }
    qsort(s->prune, n, sizeof *s->prune, by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || s->prune[i] != s->prune[i - 1]) s->prune[unique++] = s->prune[i];
    choose->prune = s->prune, choose->n_prune = unique;
    return WS_OK;
}

static ws_status read_split(ws_settings *s, const ws_option_texts *t, ws_error *err) {
    static const struct {
        char unit;
        uint64_t bytes;
    } units[] = {{'M', 1000 * 1000}, {'G', 1000 * 1000 * 1000}};
    const char *text = t->split_max_size;
    s->plan.choose.keep_split = s->split.keep = t->keep_split;
    if (!text) return WS_OK;
    if (t->keep_split) return ws_fail(err, WS_USAGE, "--keep-split and --split-max-size exclude each other");
    char *end = NULL;
    errno = 0;
    const unsigned long long n = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
    for (size_t i = 0; i < sizeof units / sizeof *units && n && !errno; i++)
        if (*end == units[i].unit && !end[1] && !ws_mul_overflows(n, units[i].bytes, &s->split.max_bytes)) return WS_OK;
    return ws_fail(err, WS_USAGE, "--split-max-size: '%s' is not a size such as 500M or 4G", text);
}

static ws_status read_overrides(ws_settings *s, const ws_given_list *given, ws_error *err) {
    if (!given->n) return WS_OK;
    if (!(s->overrides = ws_alloc(given->n, sizeof *s->overrides, "overrides", err))) return WS_NOMEM;
    for (size_t i = 0; i < given->n; i++) WS_TRY(ws_override_parse(&s->overrides[i], given->list[i].value, err));
    s->plan.overrides = s->overrides, s->plan.n_overrides = given->n;
    return WS_OK;
}

/* ---- importance matrix ---- */

static const char **values_of(const ws_given_list *given, ws_error *err) {
    const char **v = ws_alloc(given->n, sizeof *v, "names", err);
    for (size_t i = 0; v && i < given->n; i++) v[i] = given->list[i].value;
    return v;
}

static ws_status read_imatrix(ws_settings *s, const ws_option_texts *t, ws_error *err) {
    if (t->include.n && t->exclude.n)
        return ws_fail(err, WS_USAGE, "--include-weights and --exclude-weights exclude each other");
    if (!t->imatrix) return WS_OK;
    const char **include = values_of(&t->include, err), **exclude = values_of(&t->exclude, err);
    const ws_imatrix_filter filter = {include, exclude, t->include.n, t->exclude.n};
    const ws_status status = include && exclude ? ws_imatrix_open(&s->imatrix, t->imatrix, &filter, err) : WS_NOMEM;
    free(include);
    free(exclude);
    s->plan.imatrix = s->imatrix;
    s->plan.choose.has_imatrix = s->imatrix && ws_imatrix_entries(s->imatrix);
    return status;
}

ws_status ws_settings_read(ws_settings *s, const ws_option_texts *t, ws_error *err) {
    *s = (ws_settings){.plan = {.allow_requantize = t->allow_requantize, .dry_run = t->dry_run}};
    s->plan.choose.pure = t->pure, s->plan.choose.leave_output = t->leave_output;
    WS_TRY(read_types(s, t, err));
    WS_TRY(read_prune(s, t->prune_layers, err));
    WS_TRY(read_split(s, t, err));
    WS_TRY(read_overrides(s, &t->overrides, err));
    s->has_own = t->recipe != NULL;
    if (s->has_own) WS_TRY(ws_recipe_read(&s->own, t->recipe, err));
    return read_imatrix(s, t, err);
}

void ws_settings_free(ws_settings *s) {
    for (size_t i = 0; i < s->plan.choose.n_tensor_types; i++) ws_pattern_free(s->tensor_types[i].pattern);
    free(s->tensor_types);
    free(s->overrides);
    free(s->prune);
    ws_imatrix_close(s->imatrix);
    ws_own_recipe_free(&s->own);
    *s = (ws_settings){.cap_tensor_types = 0};
}

/* ---- arguments ---- */

ws_status ws_recipe_need(const ws_recipe **out, const ws_settings *s, const char *name, ws_error *err) {
    char known[400] = "";
    *out = s->has_own && strcmp(s->own.recipe.name, name) == 0 ? &s->own.recipe : ws_recipe_by_name(name);
    if (*out) return WS_OK;
    for (const ws_recipe *r = ws_recipe_all(); r->name; r++)
        snprintf(known + strlen(known), sizeof known - strlen(known), " %s", r->name);
    return ws_fail(err, WS_USAGE, "unknown type '%s'; known:%s", name, known);
}

static ws_status read_threads(ws_quantize_arguments *a, const char *text, ws_error *err) {
    enum { MOST = 1024 };
    char *end;
    a->threads = strtol(text, &end, 10);
    if (end == text || *end || a->threads < 1 || a->threads > MOST)
        return ws_fail(err, WS_USAGE, "'%s' is not a number of threads", text);
    return WS_OK;
}

static char *default_out(const ws_quantize_arguments *a, ws_error *err) {
    const char *slash = strrchr(a->in, '/');
    return ws_sprintf(err, "%.*sggml-model-%s.gguf", slash ? (int)(slash - a->in) + 1 : 0, a->in, a->recipe->name);
}

/* How many arguments lie before the type (or before where it would be). */
static ws_status find_type(ws_quantize_arguments *a, const ws_args *args, const ws_settings *s, int *before,
                           ws_error *err) {
    a->recipe = s->has_own ? &s->own.recipe : args->n_args > 1 ? ws_recipe_by_name(args->arg[1]) : NULL;
    *before = a->recipe && !(s->has_own && args->n_args > 1) ? 1 : 2;
    if (a->recipe) return WS_OK;
    if (args->n_args < 3) return ws_fail(err, WS_USAGE, "no type given: IN.gguf [OUT.gguf] TYPE");
    return ws_recipe_need(&a->recipe, s, args->arg[2], err);
}

ws_status ws_quantize_arguments_read(ws_quantize_arguments *a, const ws_args *args, const ws_settings *s,
                                     ws_error *err) {
    int before;
    *a = (ws_quantize_arguments){.in = args->arg[0]};
    WS_TRY(find_type(a, args, s, &before, err));
    a->out = before == 2 ? ws_strndup(args->arg[1], strlen(args->arg[1]), err) : default_out(a, err);
    if (!a->out) return WS_NOMEM;
    const int threads = before + !s->has_own;
    if (args->n_args > threads + 1) return ws_fail(err, WS_USAGE, "unexpected argument '%s'", args->arg[threads + 1]);
    return args->n_args > threads ? read_threads(a, args->arg[threads], err) : WS_OK;
}
