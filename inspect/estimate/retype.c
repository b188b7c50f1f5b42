#include "retype.h"

#include "alloc.h"
#include "recipe.h"

#include <stdlib.h>
#include <string.h>

static ws_model_facts facts_of(const ws_blueprint *bp) {
    ws_model_facts m = {.n_layer = bp->n_layer_all,
                        .n_expert = bp->n_expert,
                        .n_head = bp->layers[0].n_head,
                        .n_head_kv = bp->layers[0].n_head_kv};
    snprintf(m.arch, sizeof m.arch, "%s", bp->architecture);
    return m;
}

/* Tensors of the blueprint's own, so that types can change, and a copy to go back to. */
static ws_status own_tensors(ws_blueprint *bp, ws_error *err) {
    if (bp->file_tensors) return WS_OK;
    const size_t n = bp->n_tensors;
    bp->file_tensors = ws_alloc(n, sizeof *bp->file_tensors, "tensors", err);
    if (!bp->own_tensors) bp->own_tensors = ws_alloc(n, sizeof *bp->own_tensors, "tensors", err);
    if (!bp->file_tensors || !bp->own_tensors) return WS_NOMEM;
    memcpy(bp->file_tensors, bp->tensors, n * sizeof *bp->tensors);
    if (bp->tensors != bp->own_tensors) memcpy(bp->own_tensors, bp->tensors, n * sizeof *bp->tensors);
    for (size_t i = 0; i < n; i++) bp->sorted[i] = bp->own_tensors + (bp->sorted[i] - bp->tensors);
    bp->tensors = bp->own_tensors;
    bp->original_type = bp->file_type;
    return WS_OK;
}

static ws_status restore(ws_blueprint *bp) {
    if (!bp->file_tensors) return WS_OK;
    memcpy(bp->own_tensors, bp->file_tensors, bp->n_tensors * sizeof *bp->own_tensors);
    bp->file_type = bp->original_type;
    return WS_OK;
}

static ws_status apply(ws_blueprint *bp, const ws_choices *c, ws_error *err) {
    for (size_t i = 0; i < c->n; i++) {
        ws_tensor *t = bp->own_tensors + (c->list[i].tensor - bp->tensors);
        t->type = c->list[i].type;
        if (!ws_dtype_bytes(t->type, t->n_elements, &t->bytes))
            return ws_fail(err, WS_FORMAT, "tensor '%s' does not fill whole blocks of %s", t->name,
                           ws_dtype_name(t->type));
    }
    return WS_OK;
}

ws_status ws_blueprint_retype(ws_blueprint *bp, const char *name, ws_error *err) {
    if (!name) return restore(bp);
    const ws_recipe *r = ws_recipe_by_name(name);
    if (!r) return ws_fail(err, WS_USAGE, "--as: '%.40s' is no quantization ('quantize --help' lists them)", name);
    const ws_recipe_options options = {.has_imatrix = true}; /* sizes are the same with and without one */
    const ws_model_facts facts = facts_of(bp);
    ws_choices choices = {0};
    WS_TRY(own_tensors(bp, err));
    WS_TRY(restore(bp));
    WS_TRY(ws_recipe_choose(&choices, r, &options, &facts, bp->tensors, bp->n_tensors, err));
    const ws_status status = apply(bp, &choices, err);
    ws_choices_free(&choices);
    bp->file_type = r->name;
    return status;
}
