/* A checkpoint's names against the architecture that its config.json tells: names that convert would not know, and
 * names that every model of it has. Which rows a mixed model has in which layer only its metadata would tell: those are
 * not missed. */
#include "alloc.h"
#include "arch.h"
#include "match.h"
#include "report.h"
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LISTED = 20, MAX_LAYERS = 4096 };

typedef struct {
    ws_findings *fs;
    const ws_report *r;
    const ws_arch *arch;
    uint64_t n_layers, n_extra;
    bool has_experts;
    ws_error *err;
} check;

static const ws_arch_tensor *row_of(const ws_arch *arch, const char *name, uint64_t *layer) {
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
        if (row || c->n_extra++ >= MAX_LISTED) continue;
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
        char name[256];
        if (t->hf && strcmp(t->gguf, row->gguf) == 0 && ws_match_fill(name, sizeof name, t->hf, layer, 0) &&
            ws_report_find(c->r, name))
            return true;
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

ws_status ws_verify_checkpoint(ws_findings *fs, const ws_report *r, ws_error *err) {
    check c = {.fs = fs, .r = r, .arch = r->config_class ? ws_arch_by_hf_class(r->config_class) : NULL, .err = err};
    if (!c.arch) return WS_OK;
    WS_TRY(check_names(&c));
    return check_missing(&c);
}
