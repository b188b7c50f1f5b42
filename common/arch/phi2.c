/* phi2.c - Phi 1, 1.5 and 2 (2023): attention and feed-forward block side by side behind one layer norm; biases
 * everywhere, also on the logits. */
#include "rows.h"

static const char *const hf_classes[] = {"PhiForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    {"model.final_layernorm.weight", "output_norm.weight", {WS_DIM_EMBD}, WS_COPY, 0},
    {"model.final_layernorm.bias", "output_norm.bias", {WS_DIM_EMBD}, WS_COPY, 0},
    {"lm_head.weight", "output.weight", {WS_DIM_EMBD, WS_DIM_VOCAB}, WS_COPY, 0},
    {"lm_head.bias", "output.bias", {WS_DIM_VOCAB}, WS_COPY, 0},

    BIASED_NORM("input_layernorm", "attn_norm"),
    MATRIX("self_attn.q_proj", "attn_q", WS_DIM_EMBD, WS_DIM_Q, WS_COPY),
    MATRIX("self_attn.k_proj", "attn_k", WS_DIM_EMBD, WS_DIM_K, WS_COPY),
    MATRIX("self_attn.v_proj", "attn_v", WS_DIM_EMBD, WS_DIM_V, WS_COPY),
    ATTENTION_BIASES(WS_COPY, WS_COPY, 0),
    MATRIX("self_attn.dense", "attn_output", WS_DIM_ATTN_OUT, WS_DIM_EMBD, WS_COPY),
    BIAS("self_attn.dense", "attn_output", WS_DIM_EMBD, WS_COPY, 0),

    MATRIX("mlp.fc1", "ffn_up", WS_DIM_EMBD, WS_DIM_FF, WS_COPY),
    BIAS("mlp.fc1", "ffn_up", WS_DIM_FF, WS_COPY, 0),
    MATRIX("mlp.fc2", "ffn_down", WS_DIM_FF, WS_DIM_EMBD, WS_COPY),
    BIAS("mlp.fc2", "ffn_down", WS_DIM_EMBD, WS_COPY, 0),
    {0},
};

static const ws_arch_key keys[] = {
    {"context_length", WS_KV_U32, "n_positions|max_position_embeddings"},
    {"embedding_length", WS_KV_U32, "hidden_size|n_embd"},
    {"feed_forward_length", WS_KV_U32, "hidden_size*4"},
    {"block_count", WS_KV_U32, "num_hidden_layers|n_layer"},
    {"attention.head_count", WS_KV_U32, "num_attention_heads|n_head"},
    {"attention.head_count_kv", WS_KV_U32, "num_attention_heads|n_head"},
    {"attention.layer_norm_epsilon", WS_KV_F32, "layer_norm_epsilon|layer_norm_eps"},
    {"rope.dimension_count", WS_KV_U32, "rope_parameters.partial_rotary_factor*hidden_size/num_attention_heads"},
    {"general.file_type", WS_KV_U32, "file_type"},
    {"tokenizer.ggml.add_bos_token", WS_KV_BOOL, "0"},
    {0},
};

static const ws_arch_demand demands[] = {{"qk_layernorm", "false"}, {0}};

const ws_arch ws_arch_phi2 = {
    .name = "phi2",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .demands = demands,
    .vocab = WS_VOCAB_BPE,
    .traits = WS_OWN_KEYS | WS_SIDE_BY_SIDE,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_GELU,
    .norm = WS_NORM_LAYER,
};
