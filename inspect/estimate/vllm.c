/* Source: vLLM's documentation and logs of its memory profiling (gpu_worker: non-KV memory = weights + peak of the
 * profiling run + CUDA graphs; kv_cache_interface: pages of block_size tokens). */
#include "vllm.h"

enum { BLOCK = 16, HALF = 2, FLOAT = 4, MAX_SEQUENCES = 256 };

static const uint64_t GRAPHS = UINT64_C(512) << 20; /* captured for up to 512 sequences; 0.3 to 1 GiB seen */

static uint64_t max(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* KV heads that are fewer than the GPUs are repeated on them. MLA's latent vector is on every GPU. */
static uint64_t bytes_per_token(const ws_blueprint *bp, unsigned gpus, uint64_t element) {
    uint64_t elements = 0;
    for (size_t i = 0; i < bp->n_layer; i++) {
        const ws_bp_layer *l = &bp->layers[i];
        if (!ws_layer_attends(bp, i) || l->cache_of != (int32_t)i) continue;
        if (bp->key_mla)
            elements += l->head_k;
        else
            elements += max(1, (l->n_head_kv + gpus - 1) / gpus) * (l->head_k + l->head_v);
    }
    return elements * element;
}

/* The profiling run: hidden states, feed-forward and logits of the sequences in half precision, logits in full. */
static uint64_t activations(const ws_blueprint *bp, unsigned gpus, uint64_t n_tokens) {
    uint64_t ff = 0;
    for (size_t i = 0; i < bp->n_layer; i++)
        ff = max(ff, max(bp->layers[i].n_ff, bp->layers[i].n_ff_expert * bp->layers[i].n_expert_used));
    return n_tokens * (4 * bp->n_embd + 3 * ff / gpus) * HALF + MAX_SEQUENCES * bp->n_vocab * (HALF + FLOAT);
}

ws_status ws_vllm_run(ws_vllm_estimate *out, const ws_blueprint *bp, uint64_t n_ctx, const ws_target *t,
                      const ws_vllm_options *o, ws_error *err) {
    if (!t->n_devices || t->unified)
        return ws_fail(err, WS_UNSUPPORTED, "vLLM's sizing is for GPUs with memory of their own");
    const unsigned gpus = t->n_devices;
    uint64_t bytes = 0, capacity = t->device[0].capacity;
    for (size_t i = 0; i < bp->n_tensors; i++) bytes += bp->tensors[i].bytes;
    for (unsigned i = 1; i < gpus; i++)
        if (t->device[i].capacity < capacity) capacity = t->device[i].capacity;
    *out = (ws_vllm_estimate){
        .weights = bytes / gpus,
        .activations = activations(bp, gpus, o->n_batched),
        .graphs = GRAPHS,
        .bytes_per_token = max(1, bytes_per_token(bp, gpus, o->cache_bytes)),
        .block_size = BLOCK,
    };
    const uint64_t used = out->weights + out->activations + out->graphs;
    const uint64_t share = (uint64_t)((double)capacity * o->utilization);
    const uint64_t one = (n_ctx + BLOCK - 1) / BLOCK * BLOCK * out->bytes_per_token;
    out->pool = !capacity ? one : share > used ? share - used : 0;
    out->n_blocks = out->pool / (out->bytes_per_token * BLOCK);
    out->max_tokens = out->n_blocks * BLOCK;
    out->max_concurrency = n_ctx ? (double)out->max_tokens / (double)n_ctx : 0;
    out->fits = out->max_tokens >= n_ctx;
    return WS_OK;
}
