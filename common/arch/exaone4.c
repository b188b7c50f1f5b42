/* exaone4.c - LG's EXAONE 4 (arXiv 2507.11407): norms behind the blocks and on heads. The large one has three layers
 * with a window to each without, which does not turn queries and keys. */
#include "rows.h"

static const char *const hf_classes[] = {"Exaone4ForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,
    {NULL, "rope_freqs.weight", {WS_DIM_HALF_ROPE}, WS_COPY, WS_OPTIONAL | WS_GENERATED},

    ATTENTION(WS_COPY, WS_COPY),
    HEAD_NORMS(WS_COPY),
    NORM("post_attention_layernorm", "post_attention_norm", WS_COPY),

    FEED_FORWARD(0),
    NORM("post_feedforward_layernorm", "post_ffw_norm", WS_COPY),
    {0},
};

static const ws_arch_key keys[] = {
    {"vocab_size", WS_KV_U32, "vocab_size"},
    {"attention.sliding_window", WS_KV_U32, "?sliding_window"},
    {"attention.sliding_window_pattern", WS_KV_ARRAY, "sliding_window"},
    {0},
};

const ws_arch ws_arch_exaone4 = {
    .name = "exaone4",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_BPE,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
    .sliding_period = 4,
    .unturned_period = 4,
};
