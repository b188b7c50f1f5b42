/* cohere2.c - Command R7B and Command A (arXiv 2504.00698): Command R in which three of four layers see a window, and
 * only those turn queries and keys. */
#include "rows.h"

static const char *const hf_classes[] = {"Cohere2ForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),

    FEED_FORWARD(0),
    {0},
};

static const ws_arch_key keys[] = {
    {"logit_scale", WS_KV_F32, "logit_scale"},
    {"attention.sliding_window", WS_KV_U32, "sliding_window"},
    {"vocab_size", WS_KV_U32, "vocab_size"},
    {"rope.dimension_count", WS_KV_U32, "rotary_pct*hidden_size/num_attention_heads"},
    {"rope.scaling.type", WS_KV_STRING, "none"},
    {0},
};

static const ws_arch_demand demands[] = {{"sliding_window_pattern", "4"}, {"use_qk_norm", "false"}, {0}};

const ws_arch ws_arch_cohere2 = {
    .name = "cohere2",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .demands = demands,
    .vocab = WS_VOCAB_BPE,
    .traits = WS_SIDE_BY_SIDE | WS_LOGITS_TIMES,
    .rope = WS_ROPE_INTERLEAVED,
    .activation = WS_ACT_SILU,
    .norm = WS_NORM_LAYER,
    .sliding_period = 4,
    .unturned_period = 4,
};
