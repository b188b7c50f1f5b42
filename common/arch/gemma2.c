/* gemma2.c - Gemma 2 (arXiv 2408.00118): norms around every block, soft caps, every other layer slides. */
#include "rows.h"

static const char *const hf_classes[] = {"Gemma2ForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_ADD_ONE),
    {"lm_head.weight", "output.weight", {WS_DIM_EMBD, WS_DIM_VOCAB}, WS_COPY, WS_DROPPED}, /* always tied */

    NORM("input_layernorm", "attn_norm", WS_ADD_ONE),
    ATTENTION(WS_COPY, WS_COPY),
    NORM("post_attention_layernorm", "post_attention_norm", WS_ADD_ONE),

    NORM("pre_feedforward_layernorm", "ffn_norm", WS_ADD_ONE),
    FEED_FORWARD(0),
    NORM("post_feedforward_layernorm", "post_ffw_norm", WS_ADD_ONE),
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
    {"attn_logit_softcapping", WS_KV_F32, "attn_logit_softcapping"},
    {"final_logit_softcapping", WS_KV_F32, "final_logit_softcapping"},
    {"attention.sliding_window", WS_KV_U32, "sliding_window"},
    {0},
};

const ws_arch ws_arch_gemma2 = {
    .name = "gemma2",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_NO_PREFIX,
    .traits = WS_OWN_KEYS | WS_EMBD_SQRT,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_GELU,
    .sliding_period = 2,
    .window = 4096,
    .odd_layers = 46, /* 27B */
};
