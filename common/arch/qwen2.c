/* qwen2.c - Qwen 1.5, 2 and 2.5 (arXiv 2407.10671): biases on queries, keys and values. */
#include "rows.h"

static const char *const hf_classes[] = {"Qwen2ForCausalLM", "Qwen2Model", NULL};

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

static const ws_arch_rename renames[] = {HEADLESS};

static const ws_arch_key keys[] = {{0}};

const ws_arch ws_arch_qwen2 = {
    .name = "qwen2",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .renames = renames,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_BPE,
    .traits = WS_POOLS,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
};
