/* stablelm.c - StableLM 3B and StableLM 2 (arXiv 2402.17834): layer norms, a quarter of every head is turned. Without a
 * norm of its own the feed-forward block works beside attention. */
#include "rows.h"

static const char *const hf_classes[] = {"StableLmForCausalLM", "StableLMEpochForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    {"model.norm.bias", "output_norm.bias", {WS_DIM_EMBD}, WS_COPY, 0},
    OUTPUT,

    BIASED_NORM("input_layernorm", "attn_norm"),
    ATTENTION(WS_COPY, WS_COPY),
    ATTENTION_BIASES(WS_COPY, WS_COPY, WS_OPTIONAL),

    {HF "post_attention_layernorm.weight", BLK "ffn_norm.weight", {WS_DIM_EMBD}, WS_COPY, LAYER_BIAS},
    {HF "post_attention_layernorm.bias", BLK "ffn_norm.bias", {WS_DIM_EMBD}, WS_COPY, LAYER_BIAS},
    FEED_FORWARD(0),
    {0},
};

static const ws_arch_key keys[] = {
    {"context_length", WS_KV_U32, "max_position_embeddings"},
    {"embedding_length", WS_KV_U32, "hidden_size"},
    {"block_count", WS_KV_U32, "num_hidden_layers"},
    {"feed_forward_length", WS_KV_U32, "intermediate_size"},
    {"rope.dimension_count", WS_KV_U32, "rope_parameters.partial_rotary_factor*hidden_size/num_attention_heads"},
    {"attention.head_count", WS_KV_U32, "num_attention_heads"},
    {"attention.head_count_kv", WS_KV_U32, "num_key_value_heads"},
    {"use_parallel_residual", WS_KV_BOOL, "use_parallel_residual|1"},
    {"attention.layer_norm_epsilon", WS_KV_F32, "layer_norm_eps|norm_eps"},
    {"general.file_type", WS_KV_U32, "file_type"},
    {0},
};

static const ws_arch_demand demands[] = {{"qk_layernorm", "false"}, {0}};

const ws_arch ws_arch_stablelm = {
    .name = "stablelm",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .demands = demands,
    .vocab = WS_VOCAB_BPE,
    .traits = WS_OWN_KEYS | WS_SIDE_BY_SIDE,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
    .norm = WS_NORM_LAYER,
};
