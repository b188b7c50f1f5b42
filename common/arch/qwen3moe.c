/* qwen3moe.c - Qwen 3 with experts. */
#include "rows.h"

static const char *const hf_classes[] = {"Qwen3MoeForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),
    HEAD_NORMS(WS_COPY),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    EXPERTS,
    STACKED_EXPERTS,
    ROUTER("mlp.gate"),
    {0},
};

static const ws_arch_key keys[] = {
    {"expert_feed_forward_length", WS_KV_U32, "moe_intermediate_size"},
    {"expert_shared_feed_forward_length", WS_KV_U32, "shared_expert_intermediate_size"},
    {0},
};

const ws_arch ws_arch_qwen3moe = {
    .name = "qwen3moe",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_BPE,
    .traits = WS_EXPERTS_SUM_1,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
};
