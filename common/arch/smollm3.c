/* smollm3.c - SmolLM 3 (2025): Llama in which every fourth layer does not turn queries and keys. */
#include "rows.h"

static const char *const hf_classes[] = {"SmolLM3ForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_PERMUTE_HEADS, WS_PERMUTE_KV_HEADS),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    FEED_FORWARD(0),
    {0},
};

static const ws_arch_key keys[] = {
    {"vocab_size", WS_KV_U32, "vocab_size"},
    {"rope.dimension_count", WS_KV_U32, "head_dim|hidden_size/num_attention_heads"},
    {0},
};

static const ws_arch_demand demands[] = {{"no_rope_layer_interval", "4"}, {"use_sliding_window", "false"}, {0}};

const ws_arch ws_arch_smollm3 = {
    .name = "smollm3",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .demands = demands,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_LLAMA_JSON | WS_VOCAB_BPE | WS_VOCAB_PREFIX_KEY | WS_VOCAB_LLAMA_SIZES,
    .rope = WS_ROPE_INTERLEAVED,
    .activation = WS_ACT_SILU,
    .unturned_period = 4,
};
