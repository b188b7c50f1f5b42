#include "match.h"

#include "alloc.h"
#include "arch.h"
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

/* Does `name` follow the pattern, in which "%u" stands for the layer? */
static bool follows(const char *pattern, const char *name, unsigned long *layer) {
    const char *percent = strstr(pattern, "%u");
    if (!percent) return strcmp(pattern, name) == 0;
    const size_t head = (size_t)(percent - pattern);
    if (strncmp(pattern, name, head) != 0 || name[head] < '0' || name[head] > '9') return false;
    char *end;
    *layer = strtoul(name + head, &end, 10);
    return strcmp(percent + 2, end) == 0;
}

static const ws_report_tensor *find_hf(const ws_report *st, const ws_arch_tensor *row, unsigned long layer) {
    char name[256];
    const char *percent = strstr(row->hf, "%u");
    if (percent)
        snprintf(name, sizeof name, "%.*s%lu%s", (int)(percent - row->hf), row->hf, layer, percent + 2);
    else
        snprintf(name, sizeof name, "%s", row->hf);
    return ws_report_find(st, name);
}

/* The row of a tensor of the file that has a counterpart in the checkpoint, *other. */
static const ws_arch_tensor *row_of(const ws_arch *arch, const char *name, const ws_report *st,
                                    const ws_report_tensor **other) {
    for (const ws_arch_tensor *t = arch->tensors; t->gguf; t++) {
        unsigned long layer = 0;
        if (t->hf && follows(t->gguf, name, &layer) && (*other = find_hf(st, t, layer))) return t;
    }
    return NULL;
}

static uint64_t head_count(const ws_gguf *g, const ws_arch *arch, const char *suffix) {
    char key[128];
    uint64_t n = 0;
    snprintf(key, sizeof key, "%s.attention.%s", arch->name, suffix);
    const ws_kv *kv = ws_gguf_kv(g, key);
    return kv && ws_kv_u64(kv, &n) ? n : 0;
}

/* What convert did to the tensor on its way, as far as it can be undone here. */
static ws_pair pair_of(const ws_gguf *g, const ws_arch *arch, const ws_arch_tensor *row) {
    ws_pair p = {0};
    if (row->transform == WS_COPY) return p;
    if (row->transform == WS_PERMUTE_HEADS) p.heads = head_count(g, arch, "head_count");
    if (row->transform == WS_PERMUTE_KV_HEADS) p.heads = head_count(g, arch, "head_count_kv");
    p.rearranged = p.heads == 0;
    return p;
}

static ws_status match_kinds(ws_match *m, const ws_report *gguf, const ws_report *st, bool gguf_is_a, ws_error *err) {
    const ws_arch *arch = ws_arch_by_name(gguf->architecture.data, gguf->architecture.len);
    if (!arch)
        return ws_fail(err, WS_UNSUPPORTED,
                       "'%s' has the architecture '%s', whose names in checkpoints are not known here", gguf->path,
                       ws_show(gguf->architecture.data, gguf->architecture.len).text);
    bool *used = ws_alloc(st->n_tensors, sizeof *used, "marks", err);
    if (!used) return WS_NOMEM;
    ws_status status = WS_OK;
    for (size_t i = 0; i < gguf->n_tensors && !status; i++) {
        const ws_report_tensor *other = NULL;
        const ws_arch_tensor *row = row_of(arch, gguf->tensors[i].name, st, &other);
        ws_pair p = other ? pair_of(gguf->gguf, arch, row) : (ws_pair){0};
        if (other) used[other - st->tensors] = true;
        p.a = gguf_is_a ? &gguf->tensors[i] : other;
        p.b = gguf_is_a ? other : &gguf->tensors[i];
        status = add(m, p, err);
    }
    for (size_t i = 0; i < st->n_tensors && !status; i++)
        if (!used[i])
            status = add(m, gguf_is_a ? (ws_pair){.b = &st->tensors[i]} : (ws_pair){.a = &st->tensors[i]}, err);
    free(used);
    return status;
}

ws_status ws_match_make(ws_match *m, const ws_report *a, const ws_report *b, ws_error *err) {
    *m = (ws_match){0};
    if (!a->gguf == !b->gguf) return match_names(m, a, b, err);
    return a->gguf ? match_kinds(m, a, b, true, err) : match_kinds(m, b, a, false, err);
}

void ws_match_free(ws_match *m) {
    free(m->pairs);
    *m = (ws_match){0};
}

/* Rotation of pairs (2i, 2i + 1) in the file, of (i, i + half) in the checkpoint. */
uint64_t ws_match_row(const ws_pair *p, uint64_t rows, uint64_t r) {
    if (!p->heads) return r;
    const uint64_t head_rows = rows / p->heads, head = r / head_rows, in_head = r % head_rows;
    return head * head_rows + in_head % 2 * (head_rows / 2) + in_head / 2;
}
