#include "main_vram_own_engine.h"

#include "cache.h"
#include "forward.h"

#include <string.h>

/* infer's sizes. Layers that differ from each other are not among what it runs. */
static ws_status sizes(ws_hparams *hp, const ws_blueprint *bp, ws_error *err) {
    const ws_bp_layer *l = &bp->layers[0];
    const ws_arch *arch = ws_arch_by_name(bp->architecture, strlen(bp->architecture));
    if (!arch || arch->activation != WS_ACT_SILU || bp->n_expert)
        return ws_fail(err, WS_UNSUPPORTED, "infer does not run architecture '%s'%s", bp->architecture,
                       bp->n_expert ? " with experts" : "");
    if (bp->gguf) return ws_hparams_read(hp, arch, bp->gguf, err);
    *hp = (ws_hparams){.n_layer = bp->n_layer,
                       .n_ctx_train = bp->n_ctx_train,
                       .n_embd = bp->n_embd,
                       .n_ff = l->n_ff,
                       .n_head = l->n_head,
                       .n_head_kv = l->n_head_kv,
                       .n_vocab = bp->n_vocab,
                       .head_k = l->head_k,
                       .head_v = l->head_v,
                       .n_rot = l->head_k};
    return WS_OK;
}

/* The mapped file's tensors, and vectors, which are copied as floats. */
static uint64_t weights(const ws_blueprint *bp) {
    uint64_t sum = 0;
    for (size_t i = 0; i < bp->n_tensors; i++) {
        const ws_tensor *t = &bp->tensors[i];
        sum += t->bytes + (t->ne[1] == 1 ? t->ne[0] * sizeof(float) : 0);
    }
    return sum;
}

ws_status ws_own_engine_run(ws_estimate *out, const ws_blueprint *bp, const ws_est_options *o, uint64_t n_batch,
                            int n_threads, ws_error *err) {
    ws_hparams hp;
    if (o->type_k != o->type_v || !ws_cache_can_hold(o->type_k))
        return ws_fail(err, WS_UNSUPPORTED, "infer keeps its cache as f16 or f32");
    if (o->n_seq != 1)
        return ws_fail(err, WS_UNSUPPORTED, "infer runs one sequence at a time, not %u", (unsigned)o->n_seq);
    WS_TRY(sizes(&hp, bp, err));
    const ws_session_options s = {
        .n_ctx = o->n_ctx, .n_batch = n_batch, .n_threads = n_threads < 1 ? 1 : n_threads, .kv_type = o->type_k};
    const uint64_t both = ws_session_bytes(&hp, &s), cache = ws_cache_bytes(&hp, o->type_k, o->n_ctx);
    const uint64_t w = weights(bp);
    if (both == UINT64_MAX || both > UINT64_MAX / 2 || w > UINT64_MAX / 2)
        return ws_fail(err, WS_FORMAT, "the sizes of '%s' do not fit 64 bits", bp->architecture);
    const ws_est_memory m = {
        .weights = w, .kv_cache = cache, .compute = both - cache, .total = w + both, .n_layers = bp->n_layer};
    *out = (ws_estimate){.n_ctx = o->n_ctx,
                         .n_ctx_seq = o->n_ctx,
                         .n_streams = 1,
                         .host = m,
                         .sum = m,
                         .full = {.n_layers = bp->n_layer, .cells = o->n_ctx, .bytes = cache}};
    return WS_OK;
}
