/* olmoe.c - OLMoE (arXiv 2409.02060): experts, and norms over all heads together. */
#include "rows.h"

static const char *const hf_classes[] = {"OlmoeForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),
    {HF "self_attn.q_norm.weight", BLK "attn_q_norm.weight", {WS_DIM_Q}, WS_COPY, LAYER},
    {HF "self_attn.k_norm.weight", BLK "attn_k_norm.weight", {WS_DIM_K}, WS_COPY, LAYER},

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    EXPERTS,
    STACKED_EXPERTS,
    ROUTER("mlp.gate"),
    {0},
};

static const ws_arch_key keys[] = {{"attention.layer_norm_rms_epsilon", WS_KV_F32, "1e-5"}, {0}};

static const ws_arch_demand demands[] = {{"norm_topk_prob", "false"}, {"clip_qkv", "null"}, {0}};

const ws_arch ws_arch_olmoe = {
    .name = "olmoe",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .demands = demands,
    .vocab = WS_VOCAB_BPE,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
};
