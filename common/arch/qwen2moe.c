/* qwen2moe.c - Qwen 1.5 and 2 with experts, some of which are shared by all tokens behind a sigmoid gate. */
#include "rows.h"

static const char *const hf_classes[] = {"Qwen2MoeForCausalLM", NULL};

#define SHARED(hf, gguf, n_in, n_out)                                                                                  \
    { HF "mlp.shared_expert." hf ".weight", BLK gguf ".weight", {n_in, n_out}, WS_COPY, LAYER | WS_MOE }

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),
    ATTENTION_BIASES(WS_COPY, WS_COPY, WS_OPTIONAL),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    EXPERTS,
    STACKED_EXPERTS,
    ROUTER("mlp.gate"),
    SHARED("down_proj", "ffn_down_shexp", WS_DIM_FF_SHARED, WS_DIM_EMBD),
    SHARED("gate_proj", "ffn_gate_shexp", WS_DIM_EMBD, WS_DIM_FF_SHARED),
    SHARED("up_proj", "ffn_up_shexp", WS_DIM_EMBD, WS_DIM_FF_SHARED),
    {HF "mlp.shared_expert_gate.weight",
     BLK "ffn_gate_inp_shexp.weight",
     {WS_DIM_EMBD, WS_DIM_ONE},
     WS_COPY,
     LAYER | WS_MOE | WS_SINGLE},
    {0},
};

static const ws_arch_key keys[] = {
    {"expert_feed_forward_length", WS_KV_U32, "moe_intermediate_size"},
    {"expert_shared_feed_forward_length", WS_KV_U32, "shared_expert_intermediate_size"},
    {0},
};

const ws_arch ws_arch_qwen2moe = {
    .name = "qwen2moe",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_BPE,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
};
