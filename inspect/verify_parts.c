/* Files that are no models: adapters and importance matrices hold pairs of tensors. */
#include "report.h"
#include "text.h"
#include "verify.h"

#include <inttypes.h>
#include <string.h>

/* A tensor NAME.first has a NAME.second; of adapters the inner dimensions agree: A is {in, rank}, B {rank, out}. */
typedef struct {
    const char *type; /* general.type */
    const char *first, *second;
    bool same_rank;
} pairing;

static const pairing pairings[] = {
    {"adapter", ".lora_a", ".lora_b", true},
    {"imatrix", ".in_sum2", ".counts", false},
};

/* The tensor that belongs to `name`, which ends in `from`. */
static const ws_tensor *partner(const ws_gguf *g, const char *name, const char *from, const char *to) {
    char other[512];
    const int n = snprintf(other, sizeof other, "%.*s%s", (int)(strlen(name) - strlen(from)), name, to);
    return n < (int)sizeof other ? ws_gguf_tensor(g, other) : NULL;
}

static ws_status check_tensor(ws_findings *fs, const ws_gguf *g, const ws_tensor *t, const pairing *p, ws_error *err) {
    const bool is_first = ws_ends_with(t->name, p->first), is_second = ws_ends_with(t->name, p->second);
    const ws_finding f = {.kind = WS_FINDING_EXTRA, .severity = WS_SEVERITY_WARNING, .tensor = t->name};
    if (!is_first && !is_second) return ws_findings_add(fs, f, err, "no %s has such a tensor", p->type);
    const char *own = is_first ? p->first : p->second, *others = is_first ? p->second : p->first;
    const ws_tensor *other = partner(g, t->name, own, others);
    if (!other) {
        const ws_finding missing = {.kind = WS_FINDING_MISSING, .severity = WS_SEVERITY_ERROR, .tensor = t->name};
        return ws_findings_add(fs, missing, err, "its other half '*%s' is missing", others);
    }
    if (!is_first || !p->same_rank || t->ne[1] == other->ne[0]) return WS_OK;
    const ws_finding shape = {.kind = WS_FINDING_SHAPE, .severity = WS_SEVERITY_ERROR, .tensor = t->name};
    return ws_findings_add(fs, shape, err, "has rank %" PRIu64 ", its other half %" PRIu64, t->ne[1], other->ne[0]);
}

ws_status ws_verify_parts(ws_findings *fs, const ws_report *r, ws_error *err) {
    const ws_kv *kv = ws_gguf_kv(r->gguf, "general.type");
    ws_str type = {"", 0};
    if (kv) ws_kv_str(kv, &type);
    for (size_t i = 0; i < sizeof pairings / sizeof *pairings; i++) {
        if (type.len != strlen(pairings[i].type) || memcmp(type.data, pairings[i].type, type.len) != 0) continue;
        for (size_t t = 0; t < r->n_tensors; t++)
            WS_TRY(check_tensor(fs, r->gguf, &r->gguf->tensors[t], &pairings[i], err));
    }
    return WS_OK;
}
