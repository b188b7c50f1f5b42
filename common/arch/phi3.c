/* phi3.c - Phi 3 and 4 (arXiv 2404.14219): queries, keys and values in one matrix, gate and up in another. */
#include "rows.h"

static const char *const hf_classes[] = {"Phi3ForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,
    {NULL, "rope_factors_long.weight", {WS_DIM_HALF_ROPE}, WS_COPY, WS_OPTIONAL | WS_GENERATED},
    {NULL, "rope_factors_short.weight", {WS_DIM_HALF_ROPE}, WS_COPY, WS_OPTIONAL | WS_GENERATED},

    NORM("input_layernorm", "attn_norm", WS_COPY),
    MATRIX("self_attn.qkv_proj", "attn_qkv", WS_DIM_EMBD, WS_DIM_QKV, WS_COPY),
    MATRIX("self_attn.o_proj", "attn_output", WS_DIM_ATTN_OUT, WS_DIM_EMBD, WS_COPY),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    MATRIX("mlp.gate_up_proj", "ffn_up", WS_DIM_EMBD, WS_DIM_FF_TWICE, WS_COPY),
    MATRIX("mlp.down_proj", "ffn_down", WS_DIM_FF, WS_DIM_EMBD, WS_COPY),
    {0},
};

#define ROTATED "rope_parameters.partial_rotary_factor*hidden_size/num_attention_heads"

static const ws_arch_key keys[] = {
    {"context_length", WS_KV_U32, "n_positions|max_position_embeddings"},
    {"rope.scaling.original_context_length", WS_KV_U32, "rope_parameters.original_max_position_embeddings"},
    {"embedding_length", WS_KV_U32, "hidden_size"},
    {"feed_forward_length", WS_KV_U32, "intermediate_size"},
    {"block_count", WS_KV_U32, "num_hidden_layers"},
    {"attention.head_count", WS_KV_U32, "num_attention_heads"},
    {"attention.head_count_kv", WS_KV_U32, "num_key_value_heads"},
    {"attention.layer_norm_rms_epsilon", WS_KV_F32, "rms_norm_eps"},
    {"rope.dimension_count", WS_KV_U32, ROTATED "|hidden_size/num_attention_heads"},
    {"rope.freq_base", WS_KV_F32, "rope_parameters.rope_theta"},
    {"general.file_type", WS_KV_U32, "file_type"},
    {"attention.sliding_window", WS_KV_U32, "sliding_window|0"},
    {0},
};

const ws_arch ws_arch_phi3 = {
    .name = "phi3",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_PHI,
    .traits = WS_OWN_KEYS,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
};
