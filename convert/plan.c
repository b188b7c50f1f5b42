#include "plan.h"

#include "alloc.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t ws_plan_file_type(ws_dtype type) {
    switch (type) {
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
    size_t n[N_PROBLEMS];
    char list[N_PROBLEMS][180];
} problems;

static void note(problems *p, problem kind, const char *text) {
    enum { SHOWN = 3 };
    char *list = p->list[kind];
    const size_t len = strlen(list);
    if (p->n[kind]++ < SHOWN)
        snprintf(list + len, sizeof p->list[kind] - len, "%s%s", len ? ", " : "", ws_show(text, strlen(text)).text);
    else if (p->n[kind] == SHOWN + 1)
        snprintf(list + len, sizeof p->list[kind] - len, ", ...");
}

static ws_status report(const problems *p, const ws_plan_request *req, ws_error *err) {
    static const char *const words[] = {[MISSING] = "missing", [UNEXPECTED] = "unexpected", [MISSHAPEN] = "misshapen"};
    char text[sizeof p->list + 100] = "";
    for (int k = 0; k < N_PROBLEMS; k++) {
        const size_t len = strlen(text);
        if (p->n[k])
            snprintf(text + len, sizeof text - len, "%s%zu %s (%s)", len ? "; " : "", p->n[k], words[k], p->list[k]);
    }
    return *text ? ws_fail(err, WS_FORMAT, "'%s': tensors do not fit architecture '%s': %s", req->dir, req->arch->name,
                           text)
                 : WS_OK;
}

/* ---- names ---- */

/* Does the name fit the pattern, in which "%u" stands for a layer below n_layer? */
static bool fits(const char *name, const char *pattern, uint64_t n_layer, uint64_t *layer) {
    const char *number = strstr(pattern, "%u");
    *layer = 0;
    if (!number) return strcmp(name, pattern) == 0;
    const size_t head = (size_t)(number - pattern);
    if (strncmp(name, pattern, head) != 0 || name[head] < '0' || name[head] > '9') return false;
    char *rest;
    *layer = strtoull(name + head, &rest, 10);
    const bool canonical = name[head] != '0' || rest == name + head + 1;
    return canonical && *layer < n_layer && strcmp(rest, number + 2) == 0;
}

/* The pattern with the layer in place of "%u". */
static void fill_in(char *out, size_t size, const char *pattern, uint64_t layer) {
    const char *number = strstr(pattern, "%u");
    if (number)
        snprintf(out, size, "%.*s%llu%s", (int)(number - pattern), pattern, (unsigned long long)layer, number + 2);
    else
        snprintf(out, size, "%s", pattern);
}

static bool ends_with(const char *s, const char *tail) {
    const size_t n = strlen(s), n_tail = strlen(tail);
    return n >= n_tail && strcmp(s + n - n_tail, tail) == 0;
}

/* Tables that older checkpoints carry and everyone computes. */
static bool is_ignored(const char *name) {
    return ends_with(name, ".rotary_emb.inv_freq") || ends_with(name, ".attention.bias") ||
           ends_with(name, ".attention.masked_bias");
}

static const ws_arch_tensor *find_row(const ws_plan_request *req, const char *name, uint64_t *layer) {
    for (const ws_arch_tensor *t = req->arch->tensors; t->gguf; t++)
        if (t->hf && fits(name, t->hf, req->hp->n_layer, layer)) return t;
    return NULL;
}

/* ---- shapes and types ---- */

static bool is_convertible(ws_st_dtype type) {
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

static bool check_source(problems *p, const ws_st_tensor *src, const ws_plan_item *item) {
    char text[200], have[64], want[64];
    bool same = src->n_dims == item->n_dims;
    uint64_t slowest_first[WS_MAX_DIMS];
    for (uint32_t d = 0; d < item->n_dims; d++) {
        slowest_first[d] = item->ne[item->n_dims - 1 - d];
        same = same && src->shape[d] == slowest_first[d];
    }
    if (!same) {
        write_shape(have, sizeof have, src->shape, src->n_dims);
        write_shape(want, sizeof want, slowest_first, item->n_dims);
        snprintf(text, sizeof text, "%s %s, not %s", src->name, have, want);
    } else if (!is_convertible(src->dtype)) {
        snprintf(text, sizeof text, "%s of type %s", src->name, ws_st_dtype_name(src->dtype));
    } else {
        return true;
    }
    note(p, MISSHAPEN, text);
    return false;
}

/* Norms, biases and other vectors stay F32; what does not divide into blocks becomes F16. */
static ws_dtype choose_type(const ws_plan_item *item, ws_dtype type) {
    if (item->n_dims <= 1 || ends_with(item->to, "_norm.weight") || !ends_with(item->to, ".weight")) return WS_TYPE_F32;
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

/* Append the tensor of a row and layer; *item is valid until the next call. */
static ws_status add_item(ws_plan *plan, const ws_plan_request *req, const ws_arch_tensor *row, uint64_t layer,
                          ws_plan_item **item, ws_error *err) {
    WS_TRY(ws_grow(&plan->item, &plan->cap, plan->n + 1, sizeof *plan->item, err));
    ws_plan_item *it = *item = &plan->item[plan->n++];
    *it = (ws_plan_item){.transform = row->transform};
    fill_in(it->to, sizeof it->to, row->gguf, layer);
    it->n_dims = wanted_shape(it->ne, row, req->hp);
    it->n_heads = row->transform == WS_PERMUTE_HEADS      ? req->hp->n_head
                  : row->transform == WS_PERMUTE_KV_HEADS ? req->hp->n_head_kv
                                                          : 0;
    it->type = choose_type(it, plan->type);
    plan->n_params += it->ne[0] * it->ne[1] * it->ne[2] * it->ne[3];
    return WS_OK;
}

/* Which tensors were found: one bit per row and layer. */
typedef struct {
    bool *found;
    uint64_t n_layer;
} presence;

static size_t position(const presence *p, const ws_plan_request *req, const ws_arch_tensor *row, uint64_t layer) {
    return (size_t)((uint64_t)(row - req->arch->tensors) * p->n_layer + layer);
}

static ws_status add_generated(ws_plan *plan, const ws_plan_request *req, ws_error *err) {
    ws_plan_item *item;
    for (const ws_arch_tensor *t = req->arch->tensors; t->gguf; t++)
        if (t->flags & WS_GENERATED && req->rope_freqs) WS_TRY(add_item(plan, req, t, 0, &item, err));
    return WS_OK;
}

static ws_status add_all(ws_plan *plan, const ws_plan_request *req, presence *seen, problems *p, ws_error *err) {
    WS_TRY(add_generated(plan, req, err));
    for (size_t i = 0; i < req->weights->n_tensors; i++) {
        const ws_st_tensor *src = &req->weights->tensors[i];
        uint64_t layer;
        if (is_ignored(src->name)) continue;
        const ws_arch_tensor *row = find_row(req, src->name, &layer);
        if (!row) {
            note(p, UNEXPECTED, src->name);
            continue;
        }
        ws_plan_item *item;
        WS_TRY(add_item(plan, req, row, layer, &item, err));
        item->from = src->name;
        item->source = src;
        check_source(p, src, item);
        seen->found[position(seen, req, row, layer)] = true;
    }
    return WS_OK;
}

static void note_missing(const ws_plan_request *req, const presence *seen, problems *p) {
    char name[160];
    for (const ws_arch_tensor *t = req->arch->tensors; t->gguf; t++) {
        if (t->flags & (WS_OPTIONAL | WS_GENERATED)) continue;
        for (uint64_t l = 0; l < (t->flags & WS_PER_LAYER ? req->hp->n_layer : 1); l++) {
            if (seen->found[position(seen, req, t, l)]) continue;
            fill_in(name, sizeof name, t->hf, l);
            note(p, MISSING, name);
        }
    }
}

static bool has_output(const ws_plan *plan) {
    for (size_t i = 0; i < plan->n; i++)
        if (strcmp(plan->item[i].to, "output.weight") == 0) return true;
    return false;
}

static ws_status make(ws_plan *plan, const ws_plan_request *req, presence *seen, ws_error *err) {
    problems p = {0};
    plan->type = req->type ? *req->type : own_type(req->weights);
    WS_TRY(add_all(plan, req, seen, &p, err));
    note_missing(req, seen, &p);
    WS_TRY(report(&p, req, err));
    plan->tied = !has_output(plan);
    return WS_OK;
}

ws_status ws_plan_make(ws_plan *plan, const ws_plan_request *req, ws_error *err) {
    *plan = (ws_plan){0};
    size_t n_rows = 0;
    while (req->arch->tensors[n_rows].gguf) n_rows++;
    presence seen = {ws_alloc(n_rows * req->hp->n_layer, sizeof *seen.found, "a plan", err), req->hp->n_layer};
    const ws_status st = seen.found ? make(plan, req, &seen, err) : WS_NOMEM;
    free(seen.found);
    if (st) ws_plan_free(plan);
    return st;
}

void ws_plan_free(ws_plan *plan) {
    free(plan->item);
    *plan = (ws_plan){0};
}
