/* A checkpoint's names and shapes against the architecture that its config.json tells: names that convert would not
 * know, names that every model of it has, shapes that contradict those of the other tensors. Which rows a mixed model
 * has in which layer only its metadata would tell: those are not missed. */
#include "alloc.h"
#include "arch.h"
#include "match.h"
#include "report.h"
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LISTED = 20, MAX_LAYERS = 4096, N_DIMS = WS_DIM_HEAD_VALUE + 1 };

/* The size that most tensors give a symbolic dimension (majority vote: a candidate, and its lead over all others). */
typedef struct {
    uint64_t size;
    int64_t lead;
} vote;

typedef struct {
    ws_findings *fs;
    const ws_report *r;
    const ws_arch *arch;
    uint64_t n_layers, n_extra;
    bool has_experts;
    vote votes[N_DIMS];
    ws_error *err;
} check;

static const ws_arch_tensor *row_of(const ws_arch *arch, const char *full_name, uint64_t *layer) {
    char name[WS_ARCH_NAME];
    ws_arch_plain_name(arch, full_name, name);
    for (const ws_arch_tensor *t = arch->tensors; t->gguf; t++)
        if (t->hf && ws_match_follows(t->hf, name, layer)) return t;
    return NULL;
}

static ws_status check_names(check *c) {
    for (size_t i = 0; i < c->r->n_tensors; i++) {
        const char *name = c->r->tensors[i].name;
        uint64_t layer = 0;
        const ws_arch_tensor *row = row_of(c->arch, name, &layer);
        if (row && (row->flags & WS_PER_LAYER) && layer >= c->n_layers && layer < MAX_LAYERS) c->n_layers = layer + 1;
        if (row && (row->flags & WS_MOE)) c->has_experts = true;
        if (row || ws_arch_ignores(name) || c->n_extra++ >= MAX_LISTED) continue;
        const ws_finding f = {.kind = WS_FINDING_EXTRA, .severity = WS_SEVERITY_WARNING, .tensor = name};
        WS_TRY(ws_findings_add(c->fs, f, c->err, "the architecture '%s' has no such tensor", c->arch->name));
    }
    if (c->n_extra <= MAX_LISTED) return WS_OK;
    const ws_finding rest = {.kind = WS_FINDING_EXTRA, .severity = WS_SEVERITY_NOTE, .count = c->n_extra};
    return ws_findings_add(c->fs, rest, c->err, "%" PRIu64 " such tensors; the first %d are listed", c->n_extra,
                           MAX_LISTED);
}

/* In any of the forms that the table has for it. */
static bool is_there(const check *c, const ws_arch_tensor *row, uint64_t layer) {
    for (const ws_arch_tensor *t = c->arch->tensors; t->gguf; t++) {
        if (t->hf && strcmp(t->gguf, row->gguf) == 0 && ws_match_find(c->r, c->arch, t->hf, layer, 0)) return true;
    }
    return false;
}

static ws_status check_missing(check *c) {
    const unsigned always = WS_PER_LAYER | WS_SINGLE | (c->has_experts ? 0 : WS_DENSE);
    for (const ws_arch_tensor *row = c->arch->tensors; row->gguf; row++) {
        if (!row->hf || row->flags & ~always) continue;
        for (uint64_t layer = 0; layer < (row->flags & WS_PER_LAYER ? c->n_layers : 1); layer++) {
            char name[256];
            if (is_there(c, row, layer) || !ws_match_fill(name, sizeof name, row->hf, layer, 0)) continue;
            const ws_finding f = {.kind = WS_FINDING_MISSING, .severity = WS_SEVERITY_ERROR};
            WS_TRY(ws_findings_add(c->fs, f, c->err, "the architecture '%s' wants the tensor '%s', which is missing",
                                   c->arch->name, name));
        }
    }
    return WS_OK;
}

/* ---- shapes ---- */

/* Does convert leave the shape alone, so that the row of the table says what the checkpoint's is? */
static bool keeps_shape(const ws_arch_tensor *row) {
    return row->transform == WS_COPY || row->transform == WS_ADD_ONE || row->transform == WS_PERMUTE_HEADS ||
           row->transform == WS_PERMUTE_KV_HEADS || row->transform == WS_STACK;
}

/* Dimension d, counted from the fastest. */
static uint64_t dimension(const ws_report_tensor *t, uint32_t d) {
    return d < t->n_dims ? t->shape[t->n_dims - 1 - d] : 1;
}

/* Of a stack, one matrix is a tensor here. */
static uint32_t n_dims_of(const ws_arch_tensor *row) {
    const uint32_t most = row->transform == WS_STACK ? 2 : 3;
    uint32_t n = 0;
    while (n < most && row->shape[n] != WS_DIM_END) n++;
    return n;
}

static void cast(vote *v, uint64_t size) {
    if (!v->lead) v->size = size;
    v->lead += v->size == size ? 1 : -1;
}

static void cast_votes(check *c, const ws_report_tensor *t, const ws_arch_tensor *row) {
    for (uint32_t d = 0; d < n_dims_of(row); d++) cast(&c->votes[row->shape[d]], dimension(t, d));
}

static ws_status check_shape(check *c, const ws_report_tensor *t, const ws_arch_tensor *row) {
    for (uint32_t d = 0; d < (t->n_dims > n_dims_of(row) ? t->n_dims : n_dims_of(row)); d++) {
        const uint64_t want = d < n_dims_of(row) && row->shape[d] != WS_DIM_ONE ? c->votes[row->shape[d]].size : 1;
        if (dimension(t, d) == want) continue;
        const ws_finding f = {.kind = WS_FINDING_SHAPE, .severity = WS_SEVERITY_ERROR, .tensor = t->name};
        return ws_findings_add(c->fs, f, c->err,
                               "shape[-%" PRIu32 "] is %" PRIu64 "; by the other tensors it would be %" PRIu64, d + 1,
                               dimension(t, d), want);
    }
    return WS_OK;
}

static ws_status check_shapes(check *c) {
    for (int second = 0; second < 2; second++)
        for (size_t i = 0; i < c->r->n_tensors; i++) {
            const ws_report_tensor *t = &c->r->tensors[i];
            uint64_t layer = 0;
            const ws_arch_tensor *row = row_of(c->arch, t->name, &layer);
            if (!row || row->flags & WS_DROPPED || !keeps_shape(row)) continue;
            if (second)
                WS_TRY(check_shape(c, t, row));
            else
                cast_votes(c, t, row);
        }
    return WS_OK;
}

ws_status ws_verify_checkpoint(ws_findings *fs, const ws_report *r, ws_error *err) {
    check c = {.fs = fs, .r = r, .arch = r->config_class ? ws_arch_by_hf_class(r->config_class) : NULL, .err = err};
    if (!c.arch) return WS_OK;
    WS_TRY(check_names(&c));
    WS_TRY(check_missing(&c));
    return check_shapes(&c);
}
