/* olmo2.c - OLMo 2 (arXiv 2501.00656): no norms before the blocks but after them, and over all heads together. OLMo 3
 * (arXiv 2512.13961) is the same with windows: three layers to each without, whose rotation is not stretched. */
#include "rows.h"

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    ATTENTION(WS_COPY, WS_COPY),
    {HF "self_attn.q_norm.weight", BLK "attn_q_norm.weight", {WS_DIM_Q}, WS_COPY, LAYER},
    {HF "self_attn.k_norm.weight", BLK "attn_k_norm.weight", {WS_DIM_K}, WS_COPY, LAYER},
    NORM("post_attention_layernorm", "post_attention_norm", WS_COPY),

    FEED_FORWARD(0),
    NORM("post_feedforward_layernorm", "post_ffw_norm", WS_COPY),
    {0},
};

static const char *const hf_classes[] = {"Olmo2ForCausalLM", "Olmo3ForCausalLM", NULL};

static const ws_arch_key keys[] = {
    {"attention.sliding_window", WS_KV_U32, "sliding_window"},
    {"attention.sliding_window_pattern", WS_KV_ARRAY, "sliding_window"},
    {0},
};

const ws_arch ws_arch_olmo2 = {
    .name = "olmo2",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_BPE,
    .traits = WS_SLIDING_UNSCALED,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
    .sliding_period = 4,
};
