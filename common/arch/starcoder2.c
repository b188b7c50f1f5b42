/* starcoder2.c - StarCoder 2 (arXiv 2402.19173): layer norms, biases everywhere, no gate. Files do not say that its
 * attention ends after 4,096 tokens, and the reference does not know it either. */
#include "rows.h"

static const char *const hf_classes[] = {"Starcoder2ForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    {"model.norm.bias", "output_norm.bias", {WS_DIM_EMBD}, WS_COPY, 0},
    OUTPUT,

    BIASED_NORM("input_layernorm", "attn_norm"),
    ATTENTION(WS_COPY, WS_COPY),
    ATTENTION_BIASES(WS_COPY, WS_COPY, WS_OPTIONAL),
    BIAS("self_attn.o_proj", "attn_output", WS_DIM_EMBD, WS_COPY, WS_OPTIONAL),

    BIASED_NORM("post_attention_layernorm", "ffn_norm"),
    MATRIX("mlp.c_fc", "ffn_up", WS_DIM_EMBD, WS_DIM_FF, WS_COPY),
    BIAS("mlp.c_fc", "ffn_up", WS_DIM_FF, WS_COPY, WS_OPTIONAL),
    MATRIX("mlp.c_proj", "ffn_down", WS_DIM_FF, WS_DIM_EMBD, WS_COPY),
    BIAS("mlp.c_proj", "ffn_down", WS_DIM_EMBD, WS_COPY, WS_OPTIONAL),
    {0},
};

static const ws_arch_key keys[] = {{0}};

const ws_arch ws_arch_starcoder2 = {
    .name = "starcoder2",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_BPE,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_GELU,
    .norm = WS_NORM_LAYER,
};
