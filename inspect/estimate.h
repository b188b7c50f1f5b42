/* estimate.h - how much memory a model takes when llama.cpp runs it: weights, KV cache and compute buffers on one
 * device that holds all layers, and what stays on the host. Pure arithmetic on sizes: no files, no device is asked.
 * Weights and KV cache follow llama.cpp's allocation to the byte; compute buffers come from a closed form. */
#ifndef WS_ESTIMATE_H
#define WS_ESTIMATE_H

#include "dtype.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where llama.cpp puts a tensor: input (the token embedding) always on the host, the others with their layer. */
typedef enum {
    WS_PLACE_INPUT,
    WS_PLACE_INPUT_OUTPUT, /* tied: the token embedding that is also the output matrix, so there is a second copy */
    WS_PLACE_LAYERS,
} ws_place;

typedef struct {
    ws_dtype type;
    uint64_t row_elements; /* of the fastest dimension */
    uint64_t bytes;
    ws_place place;
} ws_est_tensor;

/* What one layer remembers: elements per cell of the cache (0: none), and floats per sequence. */
typedef struct {
    uint64_t k_width, v_width;
    bool sliding;                   /* attends to a window only */
    uint64_t conv_state, ssm_state; /* recurrent layers */
} ws_est_layer;

/* How a layer computes, as far as its temporary results differ. */
typedef enum {
    WS_FLOW_ATTENTION, /* separate Q, K, V; dense or mixture-of-experts feed-forward */
    WS_FLOW_FUSED_QKV, /* Q, K and V are views of one product */
    WS_FLOW_MAMBA,
} ws_flow;

/* The sizes of a model. Widths are the largest of all layers. */
typedef struct {
    size_t n_tensors, n_layers;
    const ws_est_tensor *tensors;
    const ws_est_layer *layers;
    ws_flow flow;
    bool mla; /* one latent vector per token in place of K and V: their types must agree */
    uint64_t n_vocab, n_embd, n_ff, n_ctx_train;
    uint64_t n_head, n_head_kv, head_k, head_v;
    uint64_t n_expert_used, n_ff_expert; /* 0: dense */
    uint64_t window;                     /* tokens that sliding layers see */
    uint64_t d_inner, d_conv, d_state;   /* Mamba */
} ws_est_model;

typedef struct {
    uint64_t n_ctx, n_batch, n_ubatch;
    uint64_t n_seq;     /* sequences at a time (llama.cpp's -np) */
    uint64_t n_outputs; /* tokens of a batch whose logits are wanted; 0: all */
    bool unified;       /* sequences share one cache of n_ctx cells; else each gets its part */
    bool flash_attn;
    bool swa_full; /* sliding layers keep the whole context */
    ws_dtype type_k, type_v;
} ws_est_options;

/* A kind of cache and its share. */
typedef struct {
    uint64_t n_layers, cells, bytes; /* cells: per stream */
} ws_est_cache;

typedef struct {
    uint64_t weights, kv_cache, compute, output, total; /* bytes; `output` only on the host */
} ws_est_memory;

typedef struct {
    uint64_t n_ctx, n_ctx_seq, n_streams; /* after llama.cpp's rounding */
    ws_est_memory device, host;
    ws_est_cache full, sliding, recurrent;
} ws_estimate;

/* Refuses what llama.cpp refuses (a quantized V without flash attention, ...) with WS_UNSUPPORTED, and sizes whose
 * sum does not fit 64 bits with WS_FORMAT. */
WS_MUST_CHECK ws_status ws_estimate_run(ws_estimate *out, const ws_est_model *m, const ws_est_options *o,
                                        ws_error *err);

#endif
