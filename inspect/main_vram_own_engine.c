#include "main_vram_own_engine.h"

#include "cache.h"
#include "forward.h"

#include <string.h>

static uint64_t rows_of(const ws_blueprint *bp, const char *format, uint64_t layer) {
    const ws_tensor *t = ws_blueprint_layer_tensor(bp, format, (unsigned)layer);
    return t ? t->ne[1] : 0;
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* The sizes of a model that has no GGUF file yet. */
static ws_hparams sizes_of_config(const ws_blueprint *bp, const ws_arch *arch) {
    const ws_bp_layer *l = &bp->layers[0];
    ws_hparams hp = {.n_layer = bp->n_layer,
                     .n_ctx_train = bp->n_ctx_train,
                     .n_embd = bp->n_embd,
                     .n_head = l->n_head,
                     .n_head_kv = l->n_head_kv,
                     .n_vocab = bp->n_vocab,
                     .head_k = l->head_k,
                     .head_v = l->head_v,
                     .n_rot = bp->n_rot ? bp->n_rot : l->head_k,
                     .n_expert = bp->n_expert,
                     .q_latent = bp->lora_q,
                     .kv_latent = bp->lora_kv,
                     .head_k_mla = bp->key_mla,
                     .head_v_mla = bp->value_mla,
                     .window = arch->sliding_period ? bp->window : 0};
    for (uint64_t i = 0; i < bp->n_layer; i++) {
        hp.n_ff = larger(hp.n_ff, bp->layers[i].n_ff);
        hp.n_ff_expert = larger(hp.n_ff_expert, bp->layers[i].n_ff_expert);
        hp.n_expert_used = larger(hp.n_expert_used, bp->layers[i].n_expert_used);
        hp.n_ff_shared = larger(hp.n_ff_shared, rows_of(bp, "blk.%u.ffn_up_shexp.weight", i));
    }
    return hp;
}

static ws_status sizes(ws_hparams *hp, const ws_blueprint *bp, ws_error *err) {
    const ws_arch *arch = ws_arch_by_name(bp->architecture, strlen(bp->architecture));
    if (!arch) return ws_fail(err, WS_UNSUPPORTED, "infer does not run architecture '%s'", bp->architecture);
    if (bp->gguf) return ws_hparams_read(hp, arch, bp->gguf, err);
    *hp = sizes_of_config(bp, arch);
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
        return ws_fail(err, WS_UNSUPPORTED, "infer keeps keys and values in one type, f16, f32, q8_0 or q4_0");
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
