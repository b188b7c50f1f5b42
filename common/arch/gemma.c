/* gemma.c - Gemma 1 (arXiv 2403.08295): scaled embeddings, GELU, norms stored as distances from one. */
#include "rows.h"

static const char *const hf_classes[] = {"GemmaForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_ADD_ONE),
    {"lm_head.weight", "output.weight", {WS_DIM_EMBD, WS_DIM_VOCAB}, WS_COPY, WS_DROPPED}, /* always tied */

    NORM("input_layernorm", "attn_norm", WS_ADD_ONE),
    ATTENTION(WS_COPY, WS_COPY),

    NORM("post_attention_layernorm", "ffn_norm", WS_ADD_ONE),
    FEED_FORWARD(0),
    {0},
};

static const ws_arch_key keys[] = {
    {"context_length", WS_KV_U32, "max_position_embeddings"},
    {"embedding_length", WS_KV_U32, "hidden_size"},
    {"block_count", WS_KV_U32, "num_hidden_layers"},
    {"feed_forward_length", WS_KV_U32, "intermediate_size"},
    {"attention.head_count", WS_KV_U32, "num_attention_heads"},
    {"attention.head_count_kv", WS_KV_U32, "num_key_value_heads|num_attention_heads"},
    {"attention.layer_norm_rms_epsilon", WS_KV_F32, "rms_norm_eps"},
    {"attention.key_length", WS_KV_U32, "head_dim"},
    {"attention.value_length", WS_KV_U32, "head_dim"},
    {"general.file_type", WS_KV_U32, "file_type"},
    {0},
};

const ws_arch ws_arch_gemma = {
    .name = "gemma",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_NO_PREFIX | WS_VOCAB_GEMMA_CODE,
    .traits = WS_OWN_KEYS | WS_EMBD_SQRT,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_GELU,
};
