/* rows.h - rows of tensors that many architectures share, to be put into their tables. */
#ifndef WS_ARCH_ROWS_H
#define WS_ARCH_ROWS_H

#include "arch.h"

#define HF  "model.layers.%u."
#define BLK "blk.%u."

enum { LAYER = WS_PER_LAYER, LAYER_BIAS = WS_PER_LAYER | WS_OPTIONAL };

#define EMBEDDING {"model.embed_tokens.weight", "token_embd.weight", {WS_DIM_EMBD, WS_DIM_VOCAB}, WS_COPY, 0}

/* Without it the embedding is used (tied). */
#define OUTPUT {"lm_head.weight", "output.weight", {WS_DIM_EMBD, WS_DIM_VOCAB}, WS_COPY, WS_OPTIONAL}

#define OUTPUT_NORM(transform) {"model.norm.weight", "output_norm.weight", {WS_DIM_EMBD}, transform, 0}

/* A norm over the hidden size. */
#define NORM(hf, gguf, transform) {HF hf ".weight", BLK gguf ".weight", {WS_DIM_EMBD}, transform, LAYER}

/* The same with a bias: layer norms. */
#define BIASED_NORM(hf, gguf)                                                                                          \
    NORM(hf, gguf, WS_COPY), {HF hf ".bias", BLK gguf ".bias", {WS_DIM_EMBD}, WS_COPY, LAYER}

#define MATRIX(hf, gguf, n_in, n_out, transform) {HF hf ".weight", BLK gguf ".weight", {n_in, n_out}, transform, LAYER}
#define BIAS(hf, gguf, n, transform, flags)      {HF hf ".bias", BLK gguf ".bias", {n}, transform, WS_PER_LAYER | (flags)}

#define ATTENTION(q, k)                                                                                                \
    MATRIX("self_attn.q_proj", "attn_q", WS_DIM_EMBD, WS_DIM_Q, q),                                                    \
        MATRIX("self_attn.k_proj", "attn_k", WS_DIM_EMBD, WS_DIM_K, k),                                                \
        MATRIX("self_attn.v_proj", "attn_v", WS_DIM_EMBD, WS_DIM_V, WS_COPY),                                          \
        MATRIX("self_attn.o_proj", "attn_output", WS_DIM_ATTN_OUT, WS_DIM_EMBD, WS_COPY)

#define ATTENTION_BIASES(q, k, flags)                                                                                  \
    BIAS("self_attn.q_proj", "attn_q", WS_DIM_Q, q, flags), BIAS("self_attn.k_proj", "attn_k", WS_DIM_K, k, flags),    \
        BIAS("self_attn.v_proj", "attn_v", WS_DIM_V, WS_COPY, flags)

/* Norms of every head of queries and keys. */
#define HEAD_NORMS(transform)                                                                                          \
    {HF "self_attn.q_norm.weight", BLK "attn_q_norm.weight", {WS_DIM_HEAD}, transform, LAYER},                         \
        {HF "self_attn.k_norm.weight", BLK "attn_k_norm.weight", {WS_DIM_HEAD}, transform, LAYER}

#define FEED_FORWARD(flags)                                                                                            \
    {HF "mlp.gate_proj.weight", BLK "ffn_gate.weight", {WS_DIM_EMBD, WS_DIM_FF}, WS_COPY, LAYER | (flags)},            \
        {HF "mlp.up_proj.weight", BLK "ffn_up.weight", {WS_DIM_EMBD, WS_DIM_FF}, WS_COPY, LAYER | (flags)},            \
        {HF "mlp.down_proj.weight", BLK "ffn_down.weight", {WS_DIM_FF, WS_DIM_EMBD}, WS_COPY, LAYER | (flags)}

/* Names of a model without a head, as embedding models have them. */
#define HEADLESS                                                                                                       \
    {"^embed_tokens.", "model.embed_tokens."}, {"^layers.", "model.layers."}, {"^norm.", "model.norm."}, {0}

/* The matrices of experts, in the order in which the reference writes them; `hf` has "%x" for the expert. */
#define EXPERT_UP   {WS_DIM_EMBD, WS_DIM_FF_EXPERT, WS_DIM_EXPERTS}
#define EXPERT_DOWN {WS_DIM_FF_EXPERT, WS_DIM_EMBD, WS_DIM_EXPERTS}
#define GATE_EXPS   BLK "ffn_gate_exps"
#define UP_EXPS     BLK "ffn_up_exps"
#define DOWN_EXPS   BLK "ffn_down_exps"
#define EXPERT      HF "mlp.experts.%x."

#define EXPERTS                                                                                                        \
    {EXPERT "down_proj.weight", DOWN_EXPS ".weight", EXPERT_DOWN, WS_STACK, LAYER | WS_MOE},                           \
        {EXPERT "gate_proj.weight", GATE_EXPS ".weight", EXPERT_UP, WS_STACK, LAYER | WS_MOE},                         \
        {EXPERT "up_proj.weight", UP_EXPS ".weight", EXPERT_UP, WS_STACK, LAYER | WS_MOE}

#define ROUTER(hf)                                                                                                     \
    {HF hf ".weight", BLK "ffn_gate_inp.weight", {WS_DIM_EMBD, WS_DIM_EXPERTS}, WS_COPY, LAYER | WS_MOE | WS_SINGLE}

/* The form of newer checkpoints: experts are stacked already, gate above up. */
#define STACKED_EXPERTS                                                                                                \
    {HF "mlp.experts.down_proj", DOWN_EXPS ".weight", EXPERT_DOWN, WS_COPY, LAYER | WS_MOE | WS_OTHER},                \
        {HF "mlp.experts.gate_up_proj", GATE_EXPS ".weight", EXPERT_UP, WS_FIRST_HALF, LAYER | WS_MOE | WS_OTHER},     \
        {HF "mlp.experts.gate_up_proj", UP_EXPS ".weight", EXPERT_UP, WS_SECOND_HALF, LAYER | WS_MOE | WS_OTHER}

#endif
