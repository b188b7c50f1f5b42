/* estimate.h - how much memory a model takes when llama.cpp runs it: weights, KV cache and compute buffers, for every
 * GPU and the host. No device is asked and no weight is read.
 *
 * Weights and caches are sums; the compute buffers come from building the graph of the largest batch, spreading it
 * over the devices and placing its results, as llama.cpp does before it runs anything. */
#ifndef WS_ESTIMATE_H
#define WS_ESTIMATE_H

#include "blueprint.h"

enum { WS_MAX_DEVICES = 16 };

typedef struct {
    uint64_t n_ctx, n_batch, n_ubatch;
    uint64_t n_seq;     /* sequences at a time (llama.cpp's -np) */
    uint64_t n_outputs; /* tokens of a batch whose logits are wanted; 0: all */
    bool unified;       /* sequences share one cache of n_ctx cells; else each gets its part */
    bool flash_attn;
    bool flash_auto; /* flash_attn is on, but is given up where a GPU cannot do it */
    bool swa_full;   /* sliding layers keep the whole context */
    ws_dtype type_k, type_v;
    unsigned n_devices;           /* GPUs; 0: the CPU alone */
    uint64_t n_gpu_layers;        /* the last so many, of which the first to count is the output; large: all */
    double share[WS_MAX_DEVICES]; /* of the layers, in any unit; all 0: equal */
    uint64_t n_cpu_moe;           /* layers whose experts stay on the CPU */
} ws_est_options;

/* A kind of cache and its share. */
typedef struct {
    uint64_t n_layers, cells, bytes; /* cells: per stream */
} ws_est_cache;

typedef struct {
    uint64_t weights, kv_cache, compute, output, total; /* bytes; `output` only on the host */
    uint64_t n_layers;
} ws_est_memory;

typedef struct {
    uint64_t n_ctx, n_ctx_seq, n_streams; /* after llama.cpp's rounding */
    bool flash_attn;                      /* used */
    bool v_transposed;                    /* the V cache; not where flash attention was wanted and given up */
    unsigned n_devices;
    ws_est_memory device[WS_MAX_DEVICES], host;
    ws_est_memory sum; /* over the devices; without one, the host */
    ws_est_cache full, sliding, recurrent;
} ws_estimate;

/* Refuses what llama.cpp refuses (a quantized V without flash attention, ...) with WS_UNSUPPORTED, and sizes whose
 * sum does not fit 64 bits with WS_FORMAT. */
WS_MUST_CHECK ws_status ws_estimate_run(ws_estimate *out, const ws_blueprint *bp, const ws_est_options *o,
                                        ws_error *err);

#endif
