/* machine.h - the processors a model is spread over, and what ggml's back end for each can do, as far as that decides
 * where something runs and how much memory it takes. The last backend is the CPU. */
#ifndef WS_MACHINE_H
#define WS_MACHINE_H

#include "graph.h"

enum { WS_MAX_BACKENDS = 17, WS_OFFLOAD_TOKENS = 32 };

typedef struct {
    int n_backends;    /* GPUs and the CPU behind them */
    unsigned n_copies; /* of inputs: 4 when batches are pipelined over several GPUs, else 1 */
} ws_machine;

static inline int ws_machine_cpu(const ws_machine *m) { return m->n_backends - 1; }

/* Bytes a tensor takes in the memory of backend b, before alignment. */
uint64_t ws_machine_bytes(const ws_machine *m, int b, const ws_node *n);
/* The same for a tensor of the model or a cache, given by its type, row and size. */
uint64_t ws_machine_stored_bytes(const ws_machine *m, int b, ws_dtype type, uint64_t row_elements, uint64_t bytes);
uint64_t ws_machine_alignment(const ws_machine *m, int b);

/* Can backend b compute n? (That its sources lie on another GPU is a reason not to.) */
bool ws_machine_supports(const ws_machine *m, int b, const ws_node *n);

/* Have GPUs a kernel for matrices of this type; for a convolution of so many channels; for Mamba's scan of these sizes
 * (the second kind has one decay per head)? Weights for which they have none stay in the CPU's memory. */
bool ws_gpu_multiplies(ws_dtype type);
bool ws_gpu_convolves(uint64_t channels);
bool ws_gpu_scans(bool mamba2, uint64_t state, uint64_t head, uint64_t n_heads, uint64_t n_groups);

/* Does a GPU take over n although the weights lie in the CPU's memory? */
bool ws_machine_offloads(const ws_node *n);

#endif
