/* qwen3vl.c - Qwen 3-VL (2025), the part that reads text: Qwen 3; about its positions see qwen2vl.c. */
#include "rows.h"

static const char *const hf_classes[] = {"Qwen3VLForConditionalGeneration", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),
    HEAD_NORMS(WS_COPY),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    FEED_FORWARD(0),
    {0},
};

static const ws_arch_key keys[] = {{"n_deepstack_layers", WS_KV_U32, "#vision_config.deepstack_visual_indexes"}, {0}};

const ws_arch ws_arch_qwen3vl = {
    .name = "qwen3vl",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_BPE,
    .traits = WS_POOLS,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
};
