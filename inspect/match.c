#include "match.h"

#include "alloc.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static ws_status add(ws_match *m, ws_pair p, ws_error *err) {
    WS_TRY(ws_grow(&m->pairs, &m->cap, m->n + 1, sizeof *m->pairs, err));
    m->pairs[m->n++] = p;
    return WS_OK;
}

/* ---- names of one kind ---- */

static ws_status match_names(ws_match *m, const ws_report *a, const ws_report *b, ws_error *err) {
    for (size_t i = 0; i < a->n_tensors; i++)
        WS_TRY(add(m, (ws_pair){.a = &a->tensors[i], .b = ws_report_find(b, a->tensors[i].name)}, err));
    for (size_t i = 0; i < b->n_tensors; i++)
        if (!ws_report_find(a, b->tensors[i].name)) WS_TRY(add(m, (ws_pair){.b = &b->tensors[i]}, err));
    return WS_OK;
}

/* ---- a GGUF file and a checkpoint ---- */

bool ws_match_follows(const char *pattern, const char *name, uint64_t *layer) {
    for (; *pattern; pattern++) {
        if (*pattern == '*') return true;
        const bool slot = *pattern == '%' && (pattern[1] == 'u' || pattern[1] == 'x');
        if (!slot) {
            if (*pattern != *name++) return false;
            continue;
        }
        if (*name < '0' || *name > '9') return false;
        char *end;
        const unsigned long n = strtoul(name, &end, 10);
        if (*++pattern == 'u') *layer = n;
        name = end;
    }
    return !*name;
}

bool ws_match_fill(char *name, size_t size, const char *pattern, uint64_t layer, uint64_t expert) {
    size_t n = 0;
    for (const char *p = pattern; *p && n + 24 < size; p++) {
        const bool slot = *p == '%' && (p[1] == 'u' || p[1] == 'x');
        if (slot)
            n += (size_t)snprintf(name + n, size - n, "%" PRIu64, *++p == 'u' ? layer : expert);
        else
            name[n++] = *p;
    }
    name[n] = 0;
    return n + 24 < size;
}

const ws_report_tensor *ws_match_find(const ws_report *st, const ws_arch *arch, const char *pattern, uint64_t layer,
                                      uint64_t expert) {
    char name[256], plain[WS_ARCH_NAME];
    if (!ws_match_fill(name, sizeof name, pattern, layer, expert)) return NULL;
    const ws_report_tensor *t = ws_report_find(st, name);
    for (size_t i = 0; !t && i < st->n_tensors; i++) {
        ws_arch_plain_name(arch, st->tensors[i].name, plain);
        if (strcmp(plain, name) == 0) t = &st->tensors[i];
    }
    return t;
}

/* The row of a tensor of the file that has a counterpart in the checkpoint, *other (of a stack: the first). */
static const ws_arch_tensor *row_of(const ws_arch *arch, const char *name, const ws_report *st, uint64_t *layer,
                                    const ws_report_tensor **other) {
    for (const ws_arch_tensor *t = arch->tensors; t->gguf; t++) {
        *layer = 0;
        if (t->hf && ws_match_follows(t->gguf, name, layer) && (*other = ws_match_find(st, arch, t->hf, *layer, 0)))
            return t;
    }
    return NULL;
}

/* ---- stacks of matrices ---- */

struct ws_match_slices {
    struct ws_match_slices *next;
    ws_report_tensor tensors[];
};

/* Both sides of matching a file with a checkpoint. */
typedef struct {
    ws_match *m;
    const ws_report *gguf, *st;
    const ws_arch *arch;
    ws_hparams hp;
    bool sizes_known; /* hp is that of the file */
    bool gguf_is_a;
    bool *used; /* by tensor of the checkpoint */
    ws_error *err;
} kinds;

static ws_status add_kinds(kinds *k, ws_pair p, const ws_report_tensor *gguf, const ws_report_tensor *st) {
    p.a = k->gguf_is_a ? gguf : st;
    p.b = k->gguf_is_a ? st : gguf;
    if (st) k->used[st - k->st->tensors] = true;
    return add(k->m, p, k->err);
}

/* What convert did to the tensor on its way. */
static ws_pair pair_of(const kinds *k, const ws_report_tensor *t, ws_transform transform) {
    const bool of_heads = transform == WS_PERMUTE_HEADS || transform == WS_PERMUTE_KV_HEADS ||
                          transform == WS_LATENT_KEYS || transform == WS_LATENT_VALUES;
    uint64_t ne[WS_MAX_DIMS] = {1, 1, 1, 1};
    if (ws_view_is_packed(transform)) return (ws_pair){.moved = true, .problem = "the checkpoint packs it otherwise"};
    if (of_heads && !k->sizes_known) return (ws_pair){.moved = true, .problem = "the sizes of its heads are not known"};
    for (uint32_t d = 0; d < t->n_dims; d++) ne[d] = t->shape[d];
    ws_pair p = {.converted = true, .source = ws_view_make(transform, ne, t->n_dims, &k->hp)};
    p.moved = !ws_view_is_copy(&p.source.view, ne);
    return p;
}

/* Matrix e of n as a tensor of its own. */
static ws_status cut_slice(kinds *k, ws_report_tensor *slice, const ws_report_tensor *stack, uint64_t e, uint64_t n) {
    char name[512];
    *slice = *stack;
    snprintf(name, sizeof name, "%s[%" PRIu64 "]", stack->name, e);
    if (!(slice->name = ws_arena_strndup(&k->m->names, name, strlen(name), k->err))) return WS_NOMEM;
    slice->n_dims = 2;
    slice->n_elements /= n, slice->bytes /= n;
    slice->offset += e * slice->bytes;
    if (slice->data) slice->data += e * slice->bytes;
    return WS_OK;
}

/* Experts one by one; a stack whose checkpoint lacks one of them stays alone. */
static ws_status match_stack(kinds *k, const ws_report_tensor *stack, const ws_arch_tensor *row, uint64_t layer) {
    const uint64_t n = stack->n_dims == 3 ? stack->shape[2] : 0;
    bool complete = n > 0 && n <= k->st->n_tensors;
    for (uint64_t e = 0; e < n && complete; e++) complete = ws_match_find(k->st, k->arch, row->hf, layer, e) != NULL;
    if (!complete) return add_kinds(k, (ws_pair){0}, stack, NULL);
    struct ws_match_slices *s = ws_alloc(1, sizeof *s + n * sizeof *s->tensors, "slices of a stack", k->err);
    if (!s) return WS_NOMEM;
    s->next = k->m->slices;
    k->m->slices = s;
    for (uint64_t e = 0; e < n; e++) {
        WS_TRY(cut_slice(k, &s->tensors[e], stack, e, n));
        WS_TRY(add_kinds(k, pair_of(k, &s->tensors[e], WS_STACK), &s->tensors[e],
                         ws_match_find(k->st, k->arch, row->hf, layer, e)));
    }
    return WS_OK;
}

static ws_status match_tensor(kinds *k, const ws_report_tensor *t) {
    uint64_t layer;
    const ws_report_tensor *other = NULL;
    const ws_arch_tensor *row = row_of(k->arch, t->name, k->st, &layer, &other);
    if (!row) return add_kinds(k, (ws_pair){0}, t, NULL);
    if (row->transform == WS_STACK) return match_stack(k, t, row, layer);
    if (row->transform == WS_BEHIND_PADDING && t->n_dims == 2 && other->n_dims == 2 && other->shape[0] > t->shape[1])
        k->hp.n_padding = other->shape[0] - t->shape[1];
    return add_kinds(k, pair_of(k, t, row->transform), t, other);
}

static ws_status match_all(kinds *k) {
    for (size_t i = 0; i < k->gguf->n_tensors; i++) WS_TRY(match_tensor(k, &k->gguf->tensors[i]));
    for (size_t i = 0; i < k->st->n_tensors; i++)
        if (!k->used[i]) WS_TRY(add_kinds(k, (ws_pair){0}, NULL, &k->st->tensors[i]));
    return WS_OK;
}

static ws_status match_kinds(ws_match *m, const ws_report *gguf, const ws_report *st, bool gguf_is_a, ws_error *err) {
    kinds k = {.m = m, .gguf = gguf, .st = st, .gguf_is_a = gguf_is_a, .err = err};
    k.arch = ws_arch_by_name(gguf->architecture.data, gguf->architecture.len);
    if (!k.arch)
        return ws_fail(err, WS_UNSUPPORTED,
                       "'%s' has the architecture '%s', whose names in checkpoints are not known here", gguf->path,
                       ws_show(gguf->architecture.data, gguf->architecture.len).text);
    k.sizes_known = !ws_hparams_read(&k.hp, k.arch, gguf->gguf, &(ws_error){0});
    if (!(k.used = ws_alloc(st->n_tensors, sizeof *k.used, "marks", err))) return WS_NOMEM;
    const ws_status status = match_all(&k);
    free(k.used);
    return status;
}

ws_status ws_match_make(ws_match *m, const ws_report *a, const ws_report *b, ws_error *err) {
    *m = (ws_match){0};
    if (!a->gguf == !b->gguf) return match_names(m, a, b, err);
    return a->gguf ? match_kinds(m, a, b, true, err) : match_kinds(m, b, a, false, err);
}

void ws_match_free(ws_match *m) {
    free(m->pairs);
    for (struct ws_match_slices *s = m->slices; s;) {
        struct ws_match_slices *next = s->next;
        free(s);
        s = next;
    }
    ws_arena_free(&m->names);
    *m = (ws_match){0};
}
