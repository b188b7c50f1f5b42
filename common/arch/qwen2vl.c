/* qwen2vl.c - Qwen 2-VL and 2.5-VL, the part that reads text: Qwen 2. A picture's tokens have positions of three
 * numbers; those of a text are equal, which leaves the usual rotation. */
#include "rows.h"

static const char *const hf_classes[] = {"Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),
    ATTENTION_BIASES(WS_COPY, WS_COPY, WS_OPTIONAL),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    FEED_FORWARD(0),
    {0},
};

static const ws_arch_key keys[] = {{0}};

const ws_arch ws_arch_qwen2vl = {
    .name = "qwen2vl",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_BPE,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
};
