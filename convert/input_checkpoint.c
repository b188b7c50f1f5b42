#include "input_checkpoint.h"

#include "alloc.h"
#include "rope_factors.h"
#include "transform.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    ws_conversion *c;
    ws_gguf *g; /* of `header` */
    void *header;
    uint32_t cpu_flags;
} checkpoint;

/* The header lists the tensors of the plan in its order. */
static const ws_plan_item *item_of(const checkpoint *p, const ws_span *s) {
    return &p->c->plan.item[s->tensor - p->g->tensors];
}

static ws_status read_generated(const checkpoint *p, const ws_span *s, void *to, ws_error *err) {
    const ws_plan_item *item = item_of(p, s);
    float *all = ws_alloc(item->ne[0], sizeof *all, item->to, err);
    if (!all) return WS_NOMEM;
    ws_rope_factors(all, item->ne[0], ws_conversion_rope(p->c), item->to);
    memcpy(to, all + s->first, s->n * sizeof *all);
    free(all);
    return WS_OK;
}

static ws_status read_span(void *ctx, const ws_span *s, void *to, ws_error *err) {
    const checkpoint *p = ctx;
    const ws_plan_item *item = item_of(p, s);
    if (!item->source) return read_generated(p, s, to, err);
    ws_transform_part(item, p->cpu_flags, s->first, s->n, to);
    return WS_OK;
}

static void will_need(void *ctx, const ws_span *s) {
    const checkpoint *p = ctx;
    ws_transform_advise(item_of(p, s), p->c->source->weights, s->first, s->n, ws_map_will_need);
}

static void done_with(void *ctx, const ws_span *s) {
    const checkpoint *p = ctx;
    ws_transform_advise(item_of(p, s), p->c->source->weights, s->first, s->n, ws_map_release);
}

ws_status ws_input_open_checkpoint(ws_input *in, ws_conversion *c, uint32_t cpu_flags, ws_error *err) {
    size_t n;
    *in = (ws_input){0};
    checkpoint *p = ws_alloc(1, sizeof *p, "the input", err);
    if (!p) return WS_NOMEM;
    *p = (checkpoint){.c = c, .cpu_flags = cpu_flags};
    ws_status status = ws_gguf_writer_header(c->writer, &p->header, &n, err);
    if (!status) status = ws_gguf_open_header(&p->g, p->header, n, c->source->dir, err);
    *in = (ws_input){p->g, read_span, will_need, done_with, p};
    if (status) ws_input_close_checkpoint(in);
    return status;
}

void ws_input_close_checkpoint(ws_input *in) {
    checkpoint *p = in->ctx;
    if (p) {
        ws_gguf_close(p->g);
        free(p->header);
    }
    free(p);
    *in = (ws_input){0};
}
