/* What becomes of each tensor. */
#include "alloc.h"
#include "formats.h"
#include "quantize.h"

#include <stdlib.h>

enum { QUANTIZATION_VERSION = 2 };

static bool can_convert(ws_dtype from, ws_dtype to, uint32_t cpu_flags) {
    const ws_format *target = ws_format_get(to, cpu_flags);
    return from == to || (ws_format_get(from, cpu_flags) && target && target->from_float);
}

static ws_status check_choice(const ws_choice *c, const ws_gguf *g, const ws_plan_options *o, ws_error *err) {
    const ws_tensor *t = c->tensor;
    const char *from = ws_dtype_name(t->type), *to = ws_dtype_name(c->type);
    if (c->type == t->type) return WS_OK;
    if (!can_convert(t->type, c->type, o->cpu_flags))
        return ws_fail(err, WS_UNSUPPORTED, "'%s': tensor '%s' cannot be converted from %s to %s", ws_gguf_path(g),
                       t->name, from, to);
    if (ws_dtype_is_quantized(t->type) && !o->allow_requantize)
        return ws_fail(err, WS_UNSUPPORTED,
                       "'%s': tensor '%s' is quantized already (%s); --allow-requantize does it all the same and "
                       "loses more than from the original",
                       ws_gguf_path(g), t->name, from);
    return WS_OK;
}

ws_status ws_quantize_plan_make(ws_quantize_plan *plan, const ws_gguf *g, const ws_plan_options *o, ws_error *err) {
    *plan = (ws_quantize_plan){.recipe = o->recipe, .n = g->n_tensors};
    plan->choices = ws_alloc(g->n_tensors, sizeof *plan->choices, "the plan", err);
    if (!plan->choices) return WS_NOMEM;
    ws_status status = ws_recipe_choose(o->recipe, &o->choose, g, plan->choices, err);
    for (size_t i = 0; i < plan->n && !status; i++) {
        const ws_choice *c = &plan->choices[i];
        status = check_choice(c, g, o, err);
        plan->bytes_from += c->tensor->bytes;
        plan->bytes_to += ws_bytes_of(c->type, c->tensor->n_elements);
        plan->n_elements += c->tensor->n_elements;
        plan->n_fallback += c->fallback;
    }
    if (status) ws_quantize_plan_free(plan);
    return status;
}

void ws_quantize_plan_free(ws_quantize_plan *plan) {
    free(plan->choices);
    *plan = (ws_quantize_plan){0};
}

void ws_quantize_put_metadata(ws_gguf_writer *w, const ws_quantize_plan *plan, const ws_gguf *source) {
    for (size_t i = 0; i < source->n_kv; i++) ws_gguf_put_kv(w, &source->kv[i]);
    ws_gguf_put_u32(w, "general.quantization_version", QUANTIZATION_VERSION);
    ws_gguf_put_u32(w, "general.file_type", plan->recipe->file_type);
    ws_gguf_remove(w, "split.no");
    ws_gguf_remove(w, "split.count");
    ws_gguf_remove(w, "split.tensors.count");
}
