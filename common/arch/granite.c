/* granite.c - IBM's Granite 3: Llama with factors on embedding, attention, residual stream and logits. */
#include "rows.h"

static const char *const hf_classes[] = {"GraniteForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,
    {NULL, "rope_freqs.weight", {WS_DIM_HALF_ROPE}, WS_COPY, WS_OPTIONAL | WS_GENERATED},

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_PERMUTE_HEADS, WS_PERMUTE_KV_HEADS),
    ATTENTION_BIASES(WS_PERMUTE_HEADS, WS_PERMUTE_KV_HEADS, WS_OPTIONAL),
    BIAS("self_attn.o_proj", "attn_output", WS_DIM_EMBD, WS_COPY, WS_OPTIONAL),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    FEED_FORWARD(0),
    BIAS("mlp.gate_proj", "ffn_gate", WS_DIM_FF, WS_COPY, WS_OPTIONAL),
    BIAS("mlp.up_proj", "ffn_up", WS_DIM_FF, WS_COPY, WS_OPTIONAL),
    BIAS("mlp.down_proj", "ffn_down", WS_DIM_EMBD, WS_COPY, WS_OPTIONAL),
    {0},
};

static const ws_arch_key keys[] = {
    {"vocab_size", WS_KV_U32, "vocab_size"},
    {"rope.dimension_count", WS_KV_U32, "hidden_size/num_attention_heads"},
    {"attention.scale", WS_KV_F32, "?attention_multiplier"},
    {"embedding_scale", WS_KV_F32, "?embedding_multiplier"},
    {"residual_scale", WS_KV_F32, "?residual_multiplier"},
    {"logit_scale", WS_KV_F32, "?logits_scaling"},
    {0},
};

const ws_arch ws_arch_granite = {
    .name = "granite",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_LLAMA_JSON | WS_VOCAB_BPE | WS_VOCAB_PREFIX_KEY | WS_VOCAB_LLAMA_SIZES,
    .traits = WS_NO_HEAD_DIM,
    .rope = WS_ROPE_INTERLEAVED,
    .activation = WS_ACT_SILU,
};
