/* qwen3.c - Qwen 3 (arXiv 2505.09388): norms on every head of queries and keys, no biases. */
#include "rows.h"

static const char *const hf_classes[] = {"Qwen3ForCausalLM", "Qwen3Model", NULL};

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

static const ws_arch_rename renames[] = {HEADLESS};

static const ws_arch_key keys[] = {{0}};

const ws_arch ws_arch_qwen3 = {
    .name = "qwen3",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .renames = renames,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_BPE,
    .traits = WS_POOLS,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
};
