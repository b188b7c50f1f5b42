/* model.h - the weights of a model, bound to their places in the decoder by the architecture's description. Matrices
 * stay in the mapped file; vectors (norms, biases) are copied as floats. */
#ifndef WS_MODEL_H
#define WS_MODEL_H

#include "arch.h"
#include "error.h"
#include "gguf.h"
#include "matmul.h"

/* Optional members are zero (data == NULL, pointer NULL) when the model lacks them. */
typedef struct {
    const float *attn_norm, *q_bias, *k_bias, *v_bias, *o_bias;
    ws_matrix q, k, v, o;
    const float *ffn_norm, *gate_bias, *up_bias, *down_bias;
    ws_matrix gate, up, down;
} ws_layer;

typedef struct {
    ws_gguf *gguf;
    const ws_arch *arch;
    ws_hparams hp;
    ws_matrix embd, output; /* output: embd again where they are tied */
    const float *output_norm;
    const float *rope_freqs; /* divisors of the rotary frequencies */
    ws_layer *layers;
    float *vectors; /* storage of all vectors */
} ws_model;

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
