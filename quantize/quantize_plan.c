/* What becomes of each tensor. */
#include "formats.h"
#include "keys.h"
#include "quantize.h"

bool ws_quantize_can_convert(const ws_choice *c, uint32_t cpu_flags) {
    if (c->type == c->tensor->type) return true;
    const ws_format *target = ws_format_get(c->type, cpu_flags);
    return ws_format_get(c->tensor->type, cpu_flags) && target &&
           (target->from_float || (c->weights && target->from_float_weighted));
}

static ws_status check_choice(const ws_choice *c, const ws_gguf *g, const ws_plan_options *o, ws_error *err) {
    const ws_tensor *t = c->tensor;
    const char *from = ws_dtype_name(t->type), *to = ws_dtype_name(c->type);
    if (c->type == t->type) return WS_OK;
    if (!ws_quantize_can_convert(c, o->cpu_flags))
        return ws_fail(err, WS_UNSUPPORTED, "'%s': tensor '%s' cannot be converted from %s to %s", ws_gguf_path(g),
                       t->name, from, to);
    if (ws_dtype_is_quantized(t->type) && !o->allow_requantize)
        return ws_fail(err, WS_UNSUPPORTED,
                       "'%s': tensor '%s' is quantized already (%s); --allow-requantize does it all the same and "
                       "loses more than from the original",
                       ws_gguf_path(g), t->name, from);
    return WS_OK;
}

/* Everything that would be refused once the work has begun. */
static ws_status check_all(ws_quantize_plan *plan, const ws_gguf *g, ws_error *err) {
    WS_TRY(ws_imatrix_bind(plan->options.imatrix, &plan->chosen, err));
    for (size_t i = 0; i < plan->n; i++) WS_TRY(check_choice(&plan->choices[i], g, &plan->options, err));
    return WS_OK;
}

static void add_up(ws_quantize_plan *plan) {
    for (size_t i = 0; i < plan->n; i++) {
        const ws_choice *c = &plan->choices[i];
        plan->bytes_from += c->tensor->bytes;
        plan->bytes_to += ws_bytes_of(c->type, c->tensor->n_elements);
        plan->n_elements += c->tensor->n_elements;
        plan->n_fallback += c->fallback;
    }
}

ws_status ws_quantize_plan_make(ws_quantize_plan *plan, const ws_gguf *g, const ws_plan_options *o, ws_error *err) {
    *plan = (ws_quantize_plan){.options = *o};
    WS_TRY(ws_model_facts_read(&plan->facts, g, o->overrides, o->n_overrides, err));
    WS_TRY(ws_recipe_choose(&plan->chosen, o->recipe, &o->choose, &plan->facts, g->tensors, g->n_tensors, err));
    plan->choices = plan->chosen.list, plan->n = plan->chosen.n;
    add_up(plan);
    const ws_status status = check_all(plan, g, o->dry_run ? &plan->problem : err);
    if (status && !o->dry_run) ws_quantize_plan_free(plan);
    return o->dry_run ? WS_OK : status;
}

void ws_quantize_plan_free(ws_quantize_plan *plan) {
    ws_choices_free(&plan->chosen);
    *plan = (ws_quantize_plan){.n = 0};
}

void ws_quantize_put_metadata(ws_gguf_writer *w, const ws_quantize_plan *plan, const ws_gguf *source) {
    const ws_plan_options *o = &plan->options;
    const ws_keys keys = {.source = source,
                          .recipe = o->recipe,
                          .facts = &plan->facts,
                          .overrides = o->overrides,
                          .n_overrides = o->n_overrides,
                          .imatrix = o->imatrix,
                          .pruned = o->choose.n_prune > 0,
                          .n_layer = plan->chosen.n_layer};
    ws_keys_put(w, &keys);
}

/* Dimensions without trailing ones, as ggml writes them. */
static uint32_t significant_dims(const ws_tensor *t) {
    uint32_t n = t->n_dims;
    while (n > 1 && t->ne[n - 1] == 1) n--;
    return n;
}

void ws_quantize_add_tensor(ws_gguf_writer *w, const ws_choice *c) {
    ws_gguf_add_tensor(w, c->name, c->type, significant_dims(c->tensor), c->tensor->ne);
}

void ws_quantize_add_tensors(ws_gguf_writer *w, const ws_quantize_plan *plan) {
    for (size_t i = 0; i < plan->n; i++) ws_quantize_add_tensor(w, &plan->choices[i]);
}
