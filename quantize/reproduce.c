#include "reproduce.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>

const char *ws_repro_kind_name(ws_repro_kind kind) {
    static const char *const names[] = {"equal", "different", "missing", "other shape", "other type"};
    return names[kind];
}

static bool same_shape(const ws_tensor *a, const ws_tensor *b) { return memcmp(a->ne, b->ne, sizeof a->ne) == 0; }

static void look_up(ws_repro_verdict *v, ws_choice *c, const ws_gguf *quantized, uint32_t cpu_flags) {
    const ws_dtype chosen = c->type;
    v->there = ws_gguf_tensor(quantized, c->name);
    v->by_recipe = v->there && v->there->type == chosen;
    v->kind = !v->there ? WS_REPRO_MISSING : !same_shape(v->there, c->tensor) ? WS_REPRO_SHAPE : WS_REPRO_EQUAL;
    if (v->kind != WS_REPRO_EQUAL) return;
    c->type = v->there->type;
    if (!ws_quantize_can_convert(c, cpu_flags)) {
        c->type = chosen;
        v->kind = WS_REPRO_TYPE;
        return;
    }
    v->n_blocks = c->tensor->n_elements / ws_dtype_get(c->type)->block_elements;
}

static ws_status compare_headers(ws_reproduction *r, const ws_quantize_plan *plan, const ws_gguf *source,
                                 const ws_gguf *quantized, ws_error *err) {
    ws_gguf_writer *w;
    void *header = NULL;
    size_t n = 0;
    WS_TRY(ws_gguf_writer_new(&w, err));
    ws_quantize_put_metadata(w, plan, source);
    ws_quantize_add_tensors(w, plan);
    const ws_status status = ws_gguf_writer_header(w, &header, &n, err);
    r->same_header = !status && quantized->n_parts == 1 && n <= quantized->parts[0].size &&
                     memcmp(header, quantized->parts[0].data, n) == 0;
    free(header);
    ws_gguf_writer_discard(w);
    return status;
}

ws_status ws_reproduction_make(ws_reproduction *r, ws_quantize_plan *plan, const ws_gguf *source,
                               const ws_gguf *quantized, ws_error *err) {
    *r = (ws_reproduction){.n = plan->n};
    if (!(r->verdicts = ws_alloc(plan->n, sizeof *r->verdicts, "the comparison", err))) return WS_NOMEM;
    size_t n_there = 0;
    for (size_t i = 0; i < plan->n; i++) {
        look_up(&r->verdicts[i], &plan->choices[i], quantized, plan->options.cpu_flags);
        n_there += r->verdicts[i].there != NULL;
    }
    r->n_extra = quantized->n_tensors - n_there;
    const ws_status status = compare_headers(r, plan, source, quantized, err);
    if (status) ws_reproduction_free(r);
    return status;
}

void ws_reproduction_free(ws_reproduction *r) {
    free(r->verdicts);
    *r = (ws_reproduction){0};
}

static ws_status compare(void *ctx, size_t tensor, uint64_t offset, const void *data, size_t bytes, ws_error *err) {
    ws_repro_verdict *v = &((ws_reproduction *)ctx)->verdicts[tensor];
    (void)err;
    if (v->kind != WS_REPRO_EQUAL) return WS_OK;
    const uint8_t *a = data, *b = v->there->data + offset;
    if (memcmp(a, b, bytes) == 0) return WS_OK;
    const size_t block = ws_dtype_get(v->there->type)->block_bytes;
    for (size_t at = 0; at < bytes; at += block)
        if (memcmp(a + at, b + at, block) != 0) atomic_fetch_add(&v->n_different, 1);
    return WS_OK;
}

static ws_status tensor_done(void *ctx, size_t tensor, ws_error *err) {
    ws_repro_verdict *v = &((ws_reproduction *)ctx)->verdicts[tensor];
    (void)err;
    if (v->n_different) v->kind = WS_REPRO_DIFFERENT;
    return WS_OK;
}

static ws_status finish(void *ctx, ws_error *err) {
    ws_reproduction *r = ctx;
    (void)err;
    for (size_t i = 0; i < r->n; i++) {
        r->n_equal += r->verdicts[i].kind == WS_REPRO_EQUAL;
        r->n_by_recipe += r->verdicts[i].by_recipe;
    }
    return WS_OK;
}

static void close_nothing(void *ctx) { (void)ctx; }

void ws_reproduction_sink(ws_sink *sink, ws_reproduction *r) {
    *sink = (ws_sink){.put = compare, .tensor_done = tensor_done, .finish = finish, .close = close_nothing, .ctx = r};
}

bool ws_reproduction_holds(const ws_reproduction *r) { return r->n_equal == r->n && r->n_extra == 0; }
