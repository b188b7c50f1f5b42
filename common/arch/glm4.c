/* glm4.c - GLM-4 of April 2025 (9B and 32B): norms before and behind the blocks, half of every head is turned. */
#include "rows.h"

static const char *const hf_classes[] = {"Glm4ForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),
    ATTENTION_BIASES(WS_COPY, WS_COPY, WS_OPTIONAL),
    NORM("post_self_attn_layernorm", "post_attention_norm", WS_COPY),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    MATRIX("mlp.gate_up_proj", "ffn_up", WS_DIM_EMBD, WS_DIM_FF_TWICE, WS_COPY),
    MATRIX("mlp.down_proj", "ffn_down", WS_DIM_FF, WS_DIM_EMBD, WS_COPY),
    NORM("post_mlp_layernorm", "post_ffw_norm", WS_COPY),
    {0},
};

static const ws_arch_key keys[] = {
    {"rope.dimension_count", WS_KV_U32, "rope_parameters.partial_rotary_factor*head_dim"},
    {0},
};

const ws_arch ws_arch_glm4 = {
    .name = "glm4",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_BPE | WS_VOCAB_GLM,
    .rope = WS_ROPE_INTERLEAVED,
    .activation = WS_ACT_SILU,
};
