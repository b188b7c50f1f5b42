/* model.h - the weights of a model, bound to their places in the decoder by the architecture's description. Matrices
 * stay in the mapped file; vectors (norms, biases) are copied as floats. */
#ifndef WS_MODEL_H
#define WS_MODEL_H

#include "arch.h"
#include "error.h"
#include "gguf.h"
#include "matmul.h"

/* Members that the model lacks are zero (data, weight or bias == NULL). */
typedef struct {
    ws_matrix w; /* of a stack, the first expert's; the others follow it */
    const float *bias;
} ws_linear;

typedef struct {
    const float *weight, *bias;
    size_t n, n_heads; /* elements, and heads that have weights of their own: 1 where all share them */
    const char *name;
} ws_norm;

typedef struct {
    ws_linear gate, up, down; /* without `gate` the activation is applied to `up` */
} ws_feed_forward;

typedef struct {
    ws_norm attn_norm, q_norm, k_norm, attn_post_norm; /* post norms: of what the block adds, */
    ws_norm attn_out_norm, ffn_out_norm;               /* out norms: of the stream with it */
    ws_linear q, k, v, o;
    const float *sinks;
    /* Multi-head latent attention (latent.c). */
    ws_linear q_latent, kv_latent;
    ws_norm q_latent_norm, kv_latent_norm;
    ws_matrix fold_keys, unfold_values; /* a matrix per head */

    ws_norm ffn_norm, ffn_post_norm;
    ws_feed_forward ff;
    /* Experts (experts.c). */
    ws_linear router;
    const float *router_offset; /* added to the scores that choose, but not to the weights */
    ws_feed_forward experts, shared;
    ws_linear shared_router; /* one row: what a sigmoid makes of it weighs the shared experts */
} ws_layer;

typedef struct {
    ws_gguf *gguf;
    const ws_arch *arch;
    ws_hparams hp;
    ws_matrix embd, output; /* output: embd again where they are tied */
    const float *output_bias;
    ws_matrix types;     /* an embedding per kind of text, of which the first is used */
    ws_matrix positions; /* an embedding per position */
    ws_norm embd_norm, output_norm;
    const float *rope_freqs, *rope_long, *rope_short; /* divisors of the rotary frequencies */
    ws_layer *layers;
    float *vectors; /* storage of all vectors */
} ws_model;

/* Matrix i of a stack. */
ws_matrix ws_matrix_in_stack(const ws_matrix *stack, size_t i);

/* Receives one line for every tensor that does not fit. */
typedef void ws_problem_fn(void *arg, const char *line);

/* Open the GGUF file at `path` and bind its tensors. Tensors that are missing, unknown, of another shape or of a type
 * that cannot be multiplied are all found before this fails; `problem` (may be NULL) gets a line for each. On success
 * *out is the caller's, to release with ws_model_close(). */
WS_MUST_CHECK ws_status ws_model_open(ws_model **out, const char *path, ws_problem_fn *problem, void *arg,
                                      ws_error *err);

/* The same for a file that is already open; `g` is closed with the model (and closed if this fails). */
WS_MUST_CHECK ws_status ws_model_open_gguf(ws_model **out, ws_gguf *g, ws_problem_fn *problem, void *arg,
                                           ws_error *err);

void ws_model_close(ws_model *m); /* NULL is fine */

#endif
