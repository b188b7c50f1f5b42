/* vllm.h - vLLM's own sizing, which is another question: it takes a share of every card whatever the model, and what
 * weights and activations leave of that becomes blocks of KV cache. */
#ifndef WS_VLLM_H
#define WS_VLLM_H

#include "target.h"

typedef struct {
    double utilization;   /* of each card's memory, 0.9 by default */
    uint64_t n_batched;   /* tokens of the profiling run (max_num_batched_tokens) */
    uint64_t cache_bytes; /* per element: 2 (auto), 1 (fp8) */
} ws_vllm_options;

typedef struct {
    uint64_t weights, activations, graphs; /* per GPU */
    uint64_t pool;                         /* per GPU, for KV blocks; 0 when nothing is left */
    uint64_t bytes_per_token;              /* per GPU */
    uint64_t block_size, n_blocks;
    uint64_t max_tokens;
    double max_concurrency; /* sequences of n_ctx tokens at a time */
    bool fits;              /* one sequence of n_ctx does */
} ws_vllm_estimate;

/* Tensor parallel over all of t's devices, whose smallest decides. Without a capacity the pool is what one sequence
 * needs. */
WS_MUST_CHECK ws_status ws_vllm_run(ws_vllm_estimate *out, const ws_blueprint *bp, uint64_t n_ctx, const ws_target *t,
                                    const ws_vllm_options *o, ws_error *err);

#endif
