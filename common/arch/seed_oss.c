/* seed_oss.c - ByteDance's Seed-OSS: Qwen 2 with heads of a length of their own. */
#include "rows.h"

static const char *const hf_classes[] = {"SeedOssForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),
    ATTENTION_BIASES(WS_COPY, WS_COPY, WS_OPTIONAL),

    NORM("post_attention_layernorm", "post_attention_norm", WS_COPY),
    FEED_FORWARD(0),
    {0},
};

static const ws_arch_key keys[] = {{0}};

const ws_arch ws_arch_seed_oss = {
    .name = "seed_oss",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_BPE,
    .traits = WS_LATE_NORM,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
};
