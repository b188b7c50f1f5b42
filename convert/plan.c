#include "plan.h"

#include "alloc.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t ws_plan_file_type(const ws_plan *plan) {
    if (plan->packed && plan->type != WS_TYPE_Q8_0) return 38;
    switch (plan->type) {
    case WS_TYPE_F32: return 0;
    case WS_TYPE_Q8_0: return 7;
    case WS_TYPE_BF16: return 32;
    default: return 1; /* F16 */
    }
}

/* ---- problems ---- */

typedef enum { MISSING, UNEXPECTED, MISSHAPEN, N_PROBLEMS } problem;

/* The first few names of each kind, for one message about all. */
typedef struct {
    const ws_plan_request *req;
    size_t n[N_PROBLEMS];
    char list[N_PROBLEMS][180];
} problems;

static const char *const words[] = {[MISSING] = "missing", [UNEXPECTED] = "unexpected", [MISSHAPEN] = "misshapen"};

static void note(problems *p, problem kind, const char *text) {
    enum { SHOWN = 3 };
    if (p->req->problem) {
        char line[300];
        snprintf(line, sizeof line, "%s tensor: %s", words[kind], ws_show(text, strlen(text)).text);
        p->req->problem(p->req->ctx, line);
    }
    char *list = p->list[kind];
    const size_t len = strlen(list);
    if (p->n[kind]++ < SHOWN)
        snprintf(list + len, sizeof p->list[kind] - len, "%s%s", len ? ", " : "", ws_show(text, strlen(text)).text);
    else if (p->n[kind] == SHOWN + 1)
        snprintf(list + len, sizeof p->list[kind] - len, ", ...");
}

static ws_status report(const problems *p, ws_error *err) {
    char text[sizeof p->list + 100] = "";
    for (int k = 0; k < N_PROBLEMS; k++) {
        const size_t len = strlen(text);
        if (p->n[k])
            snprintf(text + len, sizeof text - len, "%s%zu %s (%s)", len ? "; " : "", p->n[k], words[k], p->list[k]);
    }
    return *text ? ws_fail(err, WS_FORMAT, "'%s': tensors do not fit architecture '%s': %s", p->req->dir,
                           p->req->arch->name, text)
                 : WS_OK;
}

/* ---- names ---- */

/* A number without ornaments, below `limit`. Returns what follows it; NULL: there is none. */
static const char *parse_number(const char *text, uint64_t limit, uint64_t *out) {
    char *rest;
    if (*text < '0' || *text > '9') return NULL;
    *out = strtoull(text, &rest, 10);
    return (*text != '0' || rest == text + 1) && *out < limit ? rest : NULL;
}

/* Where a tensor belongs. */
typedef struct {
    uint64_t layer, expert;
} place;

/* Does the name fit the pattern, in which "%u" stands for a layer, "%x" for an expert and "*" for any rest? */
static bool fits(const char *name, const char *pattern, const ws_hparams *hp, place *at) {
    *at = (place){0};
    for (; *pattern; pattern++) {
        if (*pattern == '*') return true;
        if (*pattern != '%') {
            if (*name++ != *pattern) return false;
            continue;
        }
        const bool is_layer = *++pattern == 'u';
        name = parse_number(name, is_layer ? hp->n_layer : hp->n_expert, is_layer ? &at->layer : &at->expert);
        if (!name) return false;
    }
    return *name == 0;
}

/* The pattern with numbers in place of "%u" and "%x". */
static void fill_in(char *out, size_t size, const char *pattern, place at) {
    size_t len = 0;
    for (; *pattern && len + 1 < size; pattern++) {
        if (*pattern == '%')
            len += (size_t)snprintf(out + len, size - len, "%llu",
                                    (unsigned long long)(*++pattern == 'u' ? at.layer : at.expert));
        else
            out[len++] = *pattern;
    }
    out[len < size ? len : size - 1] = 0;
}

/* ---- shapes and types ---- */

static bool is_convertible(ws_st_dtype type, bool packed) {
    if (packed) return type == WS_ST_U8;
    return type == WS_ST_F32 || type == WS_ST_F16 || type == WS_ST_BF16 || type == WS_ST_F64;
}

static void write_shape(char *out, size_t size, const uint64_t *shape, uint32_t n) {
    size_t len = (size_t)snprintf(out, size, "[");
    for (uint32_t d = 0; d < n && len < size; d++)
        len += (size_t)snprintf(out + len, size - len, "%s%llu", d ? ", " : "", (unsigned long long)shape[d]);
    if (len < size) snprintf(out + len, size - len, "]");
}

/* The descriptor's shape, fastest first; unused dimensions are 1. Returns their number. */
static uint32_t wanted_shape(uint64_t ne[WS_MAX_DIMS], const ws_arch_tensor *row, const ws_hparams *hp) {
    uint32_t n = 0;
    for (uint32_t d = 0; d < WS_MAX_DIMS; d++) ne[d] = 1;
    while (n < sizeof row->shape / sizeof *row->shape && row->shape[n] != WS_DIM_END) {
        ne[n] = ws_hparams_dim(hp, row->shape[n]);
        n++;
    }
    return n;
}

/* Is the source what the row of the table says, and can its numbers be read? */
static void check_source(problems *p, const ws_st_tensor *src, const ws_view_source *want, bool packed) {
    char text[200], have_text[64], want_text[64];
    const bool same =
        src->n_dims == want->n_dims && memcmp(src->shape, want->shape, src->n_dims * sizeof *src->shape) == 0;
    if (same && is_convertible(src->dtype, packed)) return;
    write_shape(have_text, sizeof have_text, src->shape, src->n_dims);
    write_shape(want_text, sizeof want_text, want->shape, want->n_dims);
    if (same)
        snprintf(text, sizeof text, "%s of type %s", src->name, ws_st_dtype_name(src->dtype));
    else
        snprintf(text, sizeof text, "%s %s, not %s", src->name, have_text, want_text);
    note(p, MISSHAPEN, text);
}

/* Norms, biases and other vectors stay F32; what does not divide into blocks becomes F16. */
static ws_dtype choose_type(const ws_plan_item *item, unsigned flags, ws_dtype type) {
    if (flags & WS_SINGLE || item->n_dims <= 1 || ws_ends_with(item->to, "_norm.weight") ||
        !ws_ends_with(item->to, ".weight"))
        return WS_TYPE_F32;
    return item->ne[0] % ws_dtype_get(type)->block_elements == 0 ? type : WS_TYPE_F16;
}

/* The first matrix of a 16-bit type decides. */
static ws_dtype own_type(const ws_safetensors *weights) {
    for (size_t i = 0; i < weights->n_tensors; i++) {
        const ws_st_tensor *t = &weights->tensors[i];
        if (t->n_dims >= 2 && t->dtype == WS_ST_BF16) return WS_TYPE_BF16;
        if (t->n_dims >= 2 && t->dtype == WS_ST_F16) return WS_TYPE_F16;
    }
    return WS_TYPE_F16;
}

/* ---- the plan ---- */

/* What was found: by row of the table and layer. */
typedef struct {
    bool *found;
    const ws_st_tensor ***experts; /* of WS_STACK rows, the sources found so far; NULL: none */
    uint64_t n_layer;
} presence;

typedef struct {
    ws_plan *plan;
    const ws_plan_request *req;
    presence seen;
    problems problems;
} planning;

static size_t position(const planning *p, const ws_arch_tensor *row, uint64_t layer) {
    return (size_t)((uint64_t)(row - p->req->arch->tensors) * p->seen.n_layer + layer);
}

/* As gguf-py counts them: of a stack of experts, one counts. */
static void count_parameters(ws_plan *plan, const ws_plan_item *it) {
    const uint64_t n = it->ne[0] * it->ne[1] * it->ne[2] * it->ne[3];
    plan->n_params += n;
    if (!strstr(it->to, "_exps.") || it->n_dims < 3) {
        plan->n_active += n;
        return;
    }
    plan->n_active += n / it->ne[2];
    plan->n_experts = it->ne[2];
}

/* Append the tensor of a row and layer; *item is valid until the next call. */
static ws_status add_item(planning *p, const ws_arch_tensor *row, uint64_t layer, ws_plan_item **item, ws_error *err) {
    ws_plan *plan = p->plan;
    WS_TRY(ws_grow(&plan->item, &plan->cap, plan->n + 1, sizeof *plan->item, err));
    ws_plan_item *it = *item = &plan->item[plan->n++];
    *it = (ws_plan_item){.transform = row->transform};
    fill_in(it->to, sizeof it->to, row->gguf, (place){.layer = layer});
    it->n_dims = wanted_shape(it->ne, row, p->req->hp);
    it->type = choose_type(it, row->flags, plan->type);
    return WS_OK;
}

/* Gemma 3's embedding may have rows of no token. */
static void cut_vocabulary(const planning *p, const ws_arch_tensor *row, const ws_st_tensor *src, ws_plan_item *it) {
    if (!(p->req->arch->traits & WS_CUT_VOCAB) || strcmp(row->gguf, "token_embd.weight") != 0 || src->n_dims != 2)
        return;
    it->ne[1] = src->shape[0] < p->req->n_tokens ? src->shape[0] : p->req->n_tokens;
}

static ws_status add_plain(planning *p, const ws_arch_tensor *row, uint64_t layer, const ws_st_tensor *src,
                           ws_error *err) {
    ws_plan_item *item;
    WS_TRY(add_item(p, row, layer, &item, err));
    ws_view_source want = ws_view_make(row->transform, item->ne, item->n_dims, p->req->hp);
    cut_vocabulary(p, row, src, item);
    if (src->n_dims == 2 && item->ne[1] < want.shape[0] && item->ne[1] < src->shape[0]) want.shape[0] = src->shape[0];
    check_source(&p->problems, src, &want, false);
    item->from = src->name;
    item->source = src;
    item->view = want.view;
    count_parameters(p->plan, item);
    p->seen.found[position(p, row, layer)] = true;
    return WS_OK;
}

static ws_status add_generated(planning *p, ws_error *err) {
    ws_plan_item *item;
    for (const ws_arch_tensor *t = p->req->arch->tensors; t->gguf; t++) {
        const char *wanted = p->req->generate;
        if (!(t->flags & WS_GENERATED) || !wanted || strncmp(t->gguf, wanted, strlen(wanted)) != 0) continue;
        WS_TRY(add_item(p, t, 0, &item, err));
        count_parameters(p->plan, item);
    }
    return WS_OK;
}

/* ---- packed tensors, which the reference writes before all others ---- */

static const char blocks_tail[] = "_blocks", scales_tail[] = "_scales";

/* The tensor whose name has another tail; both are of the same length. */
static const ws_st_tensor *partner(const planning *p, const char *name, const char *tail, char *other, size_t size) {
    const size_t stem = strlen(name) - strlen(tail);
    snprintf(other, size, "%.*s%s", (int)stem, name, tail);
    return ws_safetensors_tensor(p->req->weights, other);
}

static ws_status add_packed(planning *p, const ws_arch_tensor *row, uint64_t layer, const ws_st_tensor *src,
                            ws_error *err) {
    ws_plan_item *item;
    char name[512];
    WS_TRY(add_item(p, row, layer, &item, err));
    ws_view_source want = ws_view_make(row->transform, item->ne, item->n_dims, p->req->hp);
    check_source(&p->problems, src, &want, true);
    item->from = src->name;
    item->source = src;
    item->view = want.view;
    item->type = WS_TYPE_MXFP4;
    item->scales = partner(p, src->name, scales_tail, name, sizeof name);
    want.n_dims--;
    if (item->scales)
        check_source(&p->problems, item->scales, &want, true);
    else
        note(&p->problems, MISSING, name);
    count_parameters(p->plan, item);
    p->plan->packed = p->seen.found[position(p, row, layer)] = true;
    return WS_OK;
}

static ws_status add_all_packed(planning *p, ws_error *err) {
    place at;
    for (size_t i = 0; i < p->req->weights->n_tensors; i++) {
        const ws_st_tensor *src = &p->req->weights->tensors[i];
        for (const ws_arch_tensor *t = p->req->arch->tensors; t->gguf; t++)
            if (ws_view_is_packed(t->transform) && fits(src->name, t->hf, p->req->hp, &at))
                WS_TRY(add_packed(p, t, at.layer, src, err));
    }
    return WS_OK;
}

/* Scales that have blocks. */
static bool is_scales(const planning *p, const char *name) {
    char other[512];
    return p->plan->packed && ws_ends_with(name, scales_tail) && partner(p, name, blocks_tail, other, sizeof other);
}

/* ---- experts, which come one by one ---- */

static bool is_stack_complete(const planning *p, const ws_arch_tensor *row, uint64_t layer) {
    const ws_st_tensor **experts = p->seen.experts[position(p, row, layer)];
    for (uint64_t e = 0; e < p->req->hp->n_expert; e++)
        if (!experts || !experts[e]) return false;
    return true;
}

static ws_status add_stack(planning *p, const ws_arch_tensor *row, uint64_t layer, ws_error *err) {
    ws_plan_item *item;
    const size_t at = position(p, row, layer);
    WS_TRY(add_item(p, row, layer, &item, err));
    item->experts = p->seen.experts[at]; /* the plan's from here on */
    p->seen.experts[at] = NULL;
    item->from = item->experts[0]->name;
    item->source = item->experts[0];
    item->view = ws_view_make(row->transform, item->ne, item->n_dims, p->req->hp).view;
    count_parameters(p->plan, item);
    p->seen.found[at] = true;
    return WS_OK;
}

/* Note an expert's matrix. With a layer's last one come all of its stacks, in the order of the table. */
static ws_status add_expert(planning *p, const ws_arch_tensor *row, place at, const ws_st_tensor *src, ws_error *err) {
    uint64_t ne[WS_MAX_DIMS];
    const ws_hparams *hp = p->req->hp;
    const uint32_t n_dims = wanted_shape(ne, row, hp);
    const ws_view_source want = ws_view_make(row->transform, ne, n_dims, hp);
    const ws_st_tensor ***experts = &p->seen.experts[position(p, row, at.layer)];
    check_source(&p->problems, src, &want, false);
    if (!*experts) *experts = ws_alloc(hp->n_expert, sizeof **experts, "experts", err);
    if (!*experts) return WS_NOMEM;
    (*experts)[at.expert] = src;
    for (const ws_arch_tensor *t = p->req->arch->tensors; t->gguf; t++)
        if (t->transform == WS_STACK && !is_stack_complete(p, t, at.layer)) return WS_OK;
    for (const ws_arch_tensor *t = p->req->arch->tensors; t->gguf; t++)
        if (t->transform == WS_STACK) WS_TRY(add_stack(p, t, at.layer, err));
    return WS_OK;
}

/* ---- all together ---- */

static bool is_dropped(const planning *p, const ws_arch_tensor *row) {
    const bool head = strcmp(row->gguf, "output.weight") == 0;
    return row->flags & WS_DROPPED || (head && p->req->tied && p->req->arch->traits & WS_TIED_DROPS_HEAD);
}

static ws_status add_source(planning *p, const ws_st_tensor *src, ws_error *err) {
    place at;
    char name[WS_ARCH_NAME];
    ws_arch_plain_name(p->req->arch, src->name, name);
    bool known = ws_arch_ignores(name) || is_scales(p, src->name);
    for (const ws_arch_tensor *t = p->req->arch->tensors; t->gguf && !ws_arch_ignores(name); t++) {
        if (!t->hf || !fits(name, t->hf, p->req->hp, &at) || !ws_arch_row_applies(t, p->req->hp, at.layer)) continue;
        known = true;
        if (is_dropped(p, t) || ws_view_is_packed(t->transform)) continue;
        WS_TRY(t->transform == WS_STACK ? add_expert(p, t, at, src, err) : add_plain(p, t, at.layer, src, err));
    }
    if (!known) note(&p->problems, UNEXPECTED, src->name);
    return WS_OK;
}

/* Was the tensor found under this or another name? */
static bool is_found(const planning *p, const ws_arch_tensor *row, uint64_t layer) {
    for (const ws_arch_tensor *t = p->req->arch->tensors; t->gguf; t++)
        if (strcmp(t->gguf, row->gguf) == 0 && p->seen.found[position(p, t, layer)]) return true;
    return false;
}

static void note_missing_row(planning *p, const ws_arch_tensor *row, uint64_t layer) {
    char name[160];
    const ws_st_tensor **experts = p->seen.experts[position(p, row, layer)];
    const bool stack = row->transform == WS_STACK && experts;
    for (uint64_t e = 0; e < (stack ? p->req->hp->n_expert : 1); e++) {
        if (stack && experts[e]) continue;
        fill_in(name, sizeof name, row->hf, (place){layer, e});
        note(&p->problems, MISSING, name);
    }
}

static void note_missing(planning *p) {
    const ws_hparams *hp = p->req->hp;
    for (const ws_arch_tensor *t = p->req->arch->tensors; t->gguf; t++) {
        if (t->flags & (WS_OPTIONAL | WS_GENERATED | WS_DROPPED | WS_OTHER)) continue;
        for (uint64_t l = 0; l < (t->flags & WS_PER_LAYER ? hp->n_layer : 1); l++)
            if (ws_arch_row_applies(t, hp, l) && !is_found(p, t, l)) note_missing_row(p, t, l);
    }
}

static bool has_output(const ws_plan *plan) {
    for (size_t i = 0; i < plan->n; i++)
        if (strcmp(plan->item[i].to, "output.weight") == 0) return true;
    return false;
}

static ws_status make(planning *p, ws_error *err) {
    const ws_plan_request *req = p->req;
    p->plan->type = req->type ? *req->type : own_type(req->weights);
    WS_TRY(add_all_packed(p, err));
    WS_TRY(add_generated(p, err));
    for (size_t i = 0; i < req->weights->n_tensors; i++) WS_TRY(add_source(p, &req->weights->tensors[i], err));
    note_missing(p);
    WS_TRY(report(&p->problems, err));
    p->plan->tied = !has_output(p->plan);
    return WS_OK;
}

ws_status ws_plan_make(ws_plan *plan, const ws_plan_request *req, ws_error *err) {
    *plan = (ws_plan){0};
    size_t n = 0;
    while (req->arch->tensors[n].gguf) n++;
    n *= req->hp->n_layer;
    planning p = {.plan = plan, .req = req, .seen.n_layer = req->hp->n_layer, .problems.req = req};
    p.seen.found = ws_alloc(n, sizeof *p.seen.found, "a plan", err);
    p.seen.experts = ws_alloc(n, sizeof *p.seen.experts, "a plan", err);
    const ws_status st = p.seen.found && p.seen.experts ? make(&p, err) : WS_NOMEM;
    for (size_t i = 0; p.seen.experts && i < n; i++) free(p.seen.experts[i]);
    free(p.seen.experts);
    free(p.seen.found);
    if (st) ws_plan_free(plan);
    return st;
}

void ws_plan_free(ws_plan *plan) {
    for (size_t i = 0; i < plan->n; i++) free(plan->item[i].experts);
    free(plan->item);
    *plan = (ws_plan){0};
}
