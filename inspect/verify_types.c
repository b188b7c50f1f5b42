/* Does general.file_type tell the truth? The types that llama-quantize would choose for it, beside the real ones. */
#include "recipe.h"
#include "report.h"
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const ws_recipe *recipe_of(uint64_t file_type) {
    for (const ws_recipe *r = ws_recipe_all(); r->name; r++)
        if (r->file_type == file_type && !(r->flags & WS_RECIPE_COPY)) return r;
    return NULL;
}

/* Elements by type of the matrices inside of layers, real (side 0) and chosen (side 1). */
typedef struct {
    uint64_t elements[2][WS_TYPE_COUNT];
    uint64_t n_others;
    const ws_choice *first; /* the first that is of another type */
} tally;

static void count(tally *y, const ws_choices *c) {
    for (size_t i = 0; i < c->n; i++) {
        const ws_tensor *t = c->list[i].tensor;
        if (t->n_dims < 2) continue;
        if (t->type != c->list[i].type && y->n_others++ == 0) y->first = &c->list[i];
        if (strncmp(t->name, "blk.", 4) != 0) continue;
        y->elements[0][t->type] += t->n_elements;
        y->elements[1][c->list[i].type] += t->n_elements;
    }
}

static ws_dtype most(const uint64_t *elements) {
    int best = 0;
    for (int t = 1; t < WS_TYPE_COUNT; t++)
        if (elements[t] > elements[best]) best = t;
    return (ws_dtype)best;
}

static ws_status tell(ws_findings *fs, const tally *y, const ws_recipe *recipe, ws_error *err) {
    const ws_dtype is = most(y->elements[0]), should = most(y->elements[1]);
    ws_finding f = {.kind = WS_FINDING_FILE_TYPE, .key = "general.file_type", .count = y->n_others};
    if (is != should) {
        f.severity = WS_SEVERITY_WARNING;
        return ws_findings_add(fs, f, err, "says %s, but most weights of the layers are %s", recipe->name,
                               ws_dtype_name(is));
    }
    if (!y->n_others) return WS_OK;
    f.severity = WS_SEVERITY_NOTE;
    f.tensor = y->first->tensor->name;
    return ws_findings_add(fs, f, err,
                           "%" PRIu64 " matrices are of other types than llama-quantize gives them for %s; the first "
                           "is %s, not %s",
                           y->n_others, recipe->name, ws_dtype_name(y->first->tensor->type),
                           ws_dtype_name(y->first->type));
}

ws_status ws_verify_types(ws_findings *fs, const ws_report *r, ws_error *err) {
    const ws_kv *kv = ws_gguf_kv(r->gguf, "general.file_type");
    uint64_t number;
    if (!kv || !ws_kv_u64(kv, &number) || r->file_type_guessed) return WS_OK;
    const ws_recipe *recipe = recipe_of(number);
    const ws_finding unknown = {.kind = WS_FINDING_FILE_TYPE, .severity = WS_SEVERITY_NOTE, .key = "general.file_type"};
    if (!recipe) return ws_findings_add(fs, unknown, err, "the file type %" PRIu64 " is not known here", number);
    const ws_recipe_options o = {.has_imatrix = ws_gguf_kv(r->gguf, "quantize.imatrix.file") != NULL};
    ws_model_facts facts;
    ws_choices choices = {0};
    ws_error problem = {0};
    if (ws_model_facts_read(&facts, r->gguf, NULL, 0, &problem) ||
        ws_recipe_choose(&choices, recipe, &o, &facts, r->gguf->tensors, r->gguf->n_tensors, &problem)) {
        ws_choices_free(&choices);
        return ws_findings_add(fs, unknown, err, "types were not checked: %s", problem.msg);
    }
    tally y = {.n_others = 0};
    count(&y, &choices);
    const ws_status status = tell(fs, &y, recipe, err);
    ws_choices_free(&choices);
    return status;
}
