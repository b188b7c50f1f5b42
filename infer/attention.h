/* attention.h - causal attention of a batch of tokens over the KV cache, span by span with a running softmax: memory
 * depends on neither the context nor the batch. */
#ifndef WS_ATTENTION_H
#define WS_ATTENTION_H

#include "cache.h"
#include "matmul.h"

/* Floats of scratch that one thread needs. */
size_t ws_attention_scratch(const ws_hparams *hp);

typedef struct {
    const ws_engine *e;
    const ws_hparams *hp; /* heads, scale, soft cap */
    uint64_t window;      /* a token sees itself and the window - 1 keys before it; 0: all */
    bool all_keys;        /* a token sees those behind it, too: all of the batch, or half a window to either side */
    const float *sinks;   /* per head, a score that takes weight and gives nothing; NULL: none */
    const ws_cache *cache;
    float *scratch; /* ws_attention_scratch() floats for each thread */
    size_t layer;
    size_t n_tokens;
    size_t position; /* of the first token; its key and those of all tokens are in the cache */
    const float *q;  /* q[t * q_stride + head * head_k + dimension] */
    size_t q_stride;
    float *out; /* out[t * out_stride + head * head_v + dimension] */
    size_t out_stride;
} ws_attention;

void ws_attention_run(const ws_attention *a);

#endif
