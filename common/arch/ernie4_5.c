/* ernie4_5.c - Baidu's ERNIE 4.5, dense: Llama whose checkpoints have the pairs of a head side by side already. */
#include "rows.h"

static const char *const hf_classes[] = {"Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    FEED_FORWARD(0),
    {0},
};

static const ws_arch_key keys[] = {{0}};

static const ws_arch_demand demands[] = {{"use_bias", "false"}, {0}};

const ws_arch ws_arch_ernie4_5 = {
    .name = "ernie4_5",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .demands = demands,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_PREFIX_LAST,
    .rope = WS_ROPE_INTERLEAVED,
    .activation = WS_ACT_SILU,
};
