/* mistral3.c - Mistral Small 3.1 and 3.2 and Ministral 3, the part that reads text: Llama; Ministral 3 has YaRN, and
 * makes attention sharper the longer the text is. */
#include "rows.h"

static const char *const hf_classes[] = {"Mistral3ForConditionalGeneration", "Ministral3ForCausalLM", NULL};

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
    {"rope.scaling.yarn_log_multiplier", WS_KV_F32, "rope_parameters.mscale_all_dim"},
    {"attention.temperature_scale", WS_KV_F32, "rope_parameters.llama_4_scaling_beta"},
    {0},
};

const ws_arch ws_arch_mistral3 = {
    .name = "mistral3",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_LLAMA_JSON | WS_VOCAB_BPE | WS_VOCAB_PREFIX_KEY | WS_VOCAB_LLAMA_SIZES,
    .rope = WS_ROPE_INTERLEAVED,
    .activation = WS_ACT_SILU,
};
