/* Tensors against the architecture's description: missing, extra, misshapen. */
#include "alloc.h"
#include "arch.h"
#include "report.h"
#include "text.h"
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LISTED = 20 }; /* findings of one kind; a wrong description would list everything */

typedef struct {
    ws_findings *fs;
    const ws_report *r;
    ws_hparams hp;
    bool *known; /* by tensor */
    uint64_t counts[WS_FINDING_KINDS];
    ws_error *err;
} check;

static ws_status tell(check *c, ws_finding f, const char *text) {
    if (++c->counts[f.kind] > MAX_LISTED) return WS_OK;
    return ws_findings_add(c->fs, f, c->err, "%s", text);
}

static void shape_text(char *buf, size_t size, const uint64_t *ne, uint32_t n) {
    *buf = 0;
    for (uint32_t d = 0; d < n; d++) {
        const size_t used = strlen(buf);
        snprintf(buf + used, size - used, "%s%" PRIu64, d ? " x " : "", ne[d]);
    }
}

static ws_status check_shape(check *c, const ws_arch_tensor *row, const ws_tensor *t, const char *name) {
    uint64_t want[WS_MAX_DIMS] = {1, 1, 1, 1};
    uint32_t n = 0;
    for (; n < sizeof row->shape / sizeof *row->shape && row->shape[n] != WS_DIM_END; n++)
        want[n] = ws_hparams_dim(&c->hp, row->shape[n]);
    if (memcmp(want, t->ne, sizeof want) == 0) return WS_OK;
    char is[128], should[128], text[320];
    shape_text(is, sizeof is, t->ne, t->n_dims);
    shape_text(should, sizeof should, want, n);
    snprintf(text, sizeof text, "has the shape %s; the architecture wants %s", is, should);
    return tell(c, (ws_finding){.kind = WS_FINDING_SHAPE, .severity = WS_SEVERITY_ERROR, .tensor = name}, text);
}

static ws_status check_tensor(check *c, const ws_arch_tensor *row, const char *name) {
    const ws_tensor *t = ws_gguf_tensor(c->r->gguf, name);
    if (!t && (row->flags & WS_OPTIONAL)) return WS_OK;
    if (!t) {
        char text[320];
        snprintf(text, sizeof text, "the architecture wants the tensor '%s', which is missing", name);
        return tell(c, (ws_finding){.kind = WS_FINDING_MISSING, .severity = WS_SEVERITY_ERROR}, text);
    }
    c->known[t - c->r->gguf->tensors] = true;
    return check_shape(c, row, t, t->name);
}

static ws_status check_rows(check *c, const ws_arch *arch) {
    for (const ws_arch_tensor *row = arch->tensors; row->gguf; row++) {
        const char *percent = row->flags & WS_PER_LAYER ? strstr(row->gguf, "%u") : NULL;
        for (uint64_t layer = 0; layer < (percent ? c->hp.n_layer : 1); layer++) {
            char name[256];
            if (!ws_arch_row_in_file(row, &c->hp, layer)) continue;
            if (percent)
                snprintf(name, sizeof name, "%.*s%" PRIu64 "%s", (int)(percent - row->gguf), row->gguf, layer,
                         percent + 2);
            else
                snprintf(name, sizeof name, "%s", row->gguf);
            WS_TRY(check_tensor(c, row, name));
        }
    }
    return WS_OK;
}

static ws_status check_extra(check *c) {
    for (size_t i = 0; i < c->r->n_tensors; i++)
        if (!c->known[i])
            WS_TRY(tell(c,
                        (ws_finding){
                            .kind = WS_FINDING_EXTRA, .severity = WS_SEVERITY_WARNING, .tensor = c->r->tensors[i].name},
                        "the architecture has no such tensor"));
    return WS_OK;
}

static ws_status tell_the_rest(check *c) {
    for (int k = 0; k < WS_FINDING_KINDS; k++)
        if (c->counts[k] > MAX_LISTED) {
            const ws_finding f = {.kind = (ws_finding_kind)k, .severity = WS_SEVERITY_NOTE, .count = c->counts[k]};
            WS_TRY(ws_findings_add(c->fs, f, c->err, "%" PRIu64 " findings of this kind; the first %d are listed",
                                   c->counts[k], MAX_LISTED));
        }
    return WS_OK;
}

ws_status ws_verify_architecture(ws_findings *fs, const ws_report *r, ws_error *err) {
    const ws_finding note = {.kind = WS_FINDING_METADATA, .severity = WS_SEVERITY_NOTE, .key = "general.architecture"};
    if (!r->architecture.len) return WS_OK;
    const ws_arch *arch = ws_arch_by_name(r->architecture.data, r->architecture.len);
    if (!arch)
        return ws_findings_add(fs, note, err, "the architecture '%s' is not described here: no shapes were checked",
                               ws_show(r->architecture.data, r->architecture.len).text);
    check c = {.fs = fs, .r = r, .err = err};
    ws_error problem = {0};
    if (ws_hparams_read(&c.hp, arch, r->gguf, &problem)) {
        const ws_finding f = {.kind = WS_FINDING_METADATA, .severity = WS_SEVERITY_ERROR};
        return ws_findings_add(fs, f, err, "no shapes were checked: %s", problem.msg);
    }
    if (!(c.known = ws_alloc(r->n_tensors, sizeof *c.known, "marks", err))) return WS_NOMEM;
    ws_status status = check_rows(&c, arch);
    if (!status) status = check_extra(&c);
    if (!status) status = tell_the_rest(&c);
    free(c.known);
    return status;
}
