/* gpt2.c - GPT-2 (2019): learned positions, layer norms, one matrix for queries, keys and values, stored transposed. */
#include "arch.h"

static const char *const hf_classes[] = {"GPT2LMHeadModel", NULL};

#define BLK "blk.%u."

/* Checkpoints name their tensors with and without "transformer."; the form without is in the table twice. */
#define TENSOR(hf, gguf, shape, transform, flags)                                                                      \
    {"transformer." hf, gguf, shape, transform, flags}, { hf, gguf, shape, transform, (flags) | WS_OTHER }
#define DIMS(...)                                                                                                      \
    { __VA_ARGS__ }
#define VECTOR(hf, gguf, n)           TENSOR("h.%u." hf, BLK gguf, DIMS(n), WS_COPY, WS_PER_LAYER)
#define MATRIX(hf, gguf, n_in, n_out) TENSOR("h.%u." hf, BLK gguf, DIMS(n_in, n_out), WS_TRANSPOSE, WS_PER_LAYER)

static const ws_arch_tensor tensors[] = {
    TENSOR("wte.weight", "token_embd.weight", DIMS(WS_DIM_EMBD, WS_DIM_VOCAB), WS_COPY, 0),
    TENSOR("wpe.weight", "position_embd.weight", DIMS(WS_DIM_EMBD, WS_DIM_CTX), WS_COPY, WS_SINGLE),
    TENSOR("ln_f.weight", "output_norm.weight", DIMS(WS_DIM_EMBD), WS_COPY, 0),
    TENSOR("ln_f.bias", "output_norm.bias", DIMS(WS_DIM_EMBD), WS_COPY, 0),
    {"lm_head.weight", "output.weight", {WS_DIM_EMBD, WS_DIM_VOCAB}, WS_COPY, WS_OPTIONAL},

    VECTOR("ln_1.weight", "attn_norm.weight", WS_DIM_EMBD),
    VECTOR("ln_1.bias", "attn_norm.bias", WS_DIM_EMBD),
    MATRIX("attn.c_attn.weight", "attn_qkv.weight", WS_DIM_EMBD, WS_DIM_QKV),
    VECTOR("attn.c_attn.bias", "attn_qkv.bias", WS_DIM_QKV),
    MATRIX("attn.c_proj.weight", "attn_output.weight", WS_DIM_ATTN_OUT, WS_DIM_EMBD),
    VECTOR("attn.c_proj.bias", "attn_output.bias", WS_DIM_EMBD),

    VECTOR("ln_2.weight", "ffn_norm.weight", WS_DIM_EMBD),
    VECTOR("ln_2.bias", "ffn_norm.bias", WS_DIM_EMBD),
    MATRIX("mlp.c_fc.weight", "ffn_up.weight", WS_DIM_EMBD, WS_DIM_FF),
    VECTOR("mlp.c_fc.bias", "ffn_up.bias", WS_DIM_FF),
    MATRIX("mlp.c_proj.weight", "ffn_down.weight", WS_DIM_FF, WS_DIM_EMBD),
    VECTOR("mlp.c_proj.bias", "ffn_down.bias", WS_DIM_EMBD),
    {0},
};

static const ws_arch_key keys[] = {
    {"block_count", WS_KV_U32, "n_layer"},         {"context_length", WS_KV_U32, "n_ctx"},
    {"embedding_length", WS_KV_U32, "n_embd"},     {"feed_forward_length", WS_KV_U32, "n_embd*4"},
    {"attention.head_count", WS_KV_U32, "n_head"}, {"attention.layer_norm_epsilon", WS_KV_F32, "layer_norm_epsilon"},
    {"general.file_type", WS_KV_U32, "file_type"}, {0},
};

const ws_arch ws_arch_gpt2 = {
    .name = "gpt2",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_BPE,
    .traits = WS_OWN_KEYS,
    .rope = WS_ROPE_NONE,
    .activation = WS_ACT_GELU,
    .norm = WS_NORM_LAYER,
};
