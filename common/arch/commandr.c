/* commandr.c - Cohere's Command R and Aya: one layer norm per layer, read by attention and feed-forward block alike,
 * which work side by side. */
#include "rows.h"

static const char *const hf_classes[] = {"CohereForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),
    /* Command R+: a norm of its own for every head. */
    {HF "self_attn.q_norm.weight", BLK "attn_q_norm.weight", {WS_DIM_HEAD, WS_DIM_HEADS}, WS_COPY, LAYER_BIAS},
    {HF "self_attn.k_norm.weight", BLK "attn_k_norm.weight", {WS_DIM_HEAD, WS_DIM_KV_HEADS}, WS_COPY, LAYER_BIAS},

    FEED_FORWARD(0),
    {0},
};

static const ws_arch_key keys[] = {
    {"context_length", WS_KV_U32, "model_max_length|max_position_embeddings"},
    {"logit_scale", WS_KV_F32, "logit_scale"},
    {"rope.scaling.type", WS_KV_STRING, "none"},
    {0},
};

const ws_arch ws_arch_commandr = {
    .name = "command-r",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_BPE,
    .traits = WS_SIDE_BY_SIDE | WS_LOGITS_TIMES,
    .rope = WS_ROPE_INTERLEAVED,
    .activation = WS_ACT_SILU,
    .norm = WS_NORM_LAYER,
};
