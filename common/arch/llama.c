/* llama.c - Llama and what shares its form: Mistral, SmolLM, Yi, ... (Llama 2023 paper and its releases). */
#include "arch.h"

static const char *const hf_classes[] = {"LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM", NULL};

#define HF  "model.layers.%u."
#define BLK "blk.%u."

enum { LAYER = WS_PER_LAYER, LAYER_BIAS = WS_PER_LAYER | WS_OPTIONAL };

static const ws_arch_tensor tensors[] = {
    {"model.embed_tokens.weight", "token_embd.weight", {WS_DIM_EMBD, WS_DIM_VOCAB}, WS_COPY, 0},
    {"model.norm.weight", "output_norm.weight", {WS_DIM_EMBD}, WS_COPY, 0},
    /* Without it the embedding is used (tied). */
    {"lm_head.weight", "output.weight", {WS_DIM_EMBD, WS_DIM_VOCAB}, WS_COPY, WS_OPTIONAL},
    /* Divisors of the rotary frequencies, for "llama3" scaling. */
    {NULL, "rope_freqs.weight", {WS_DIM_HALF_ROPE}, WS_COPY, WS_OPTIONAL | WS_GENERATED},

    {HF "input_layernorm.weight", BLK "attn_norm.weight", {WS_DIM_EMBD}, WS_COPY, LAYER},
    {HF "self_attn.q_proj.weight", BLK "attn_q.weight", {WS_DIM_EMBD, WS_DIM_Q}, WS_PERMUTE_HEADS, LAYER},
    {HF "self_attn.k_proj.weight", BLK "attn_k.weight", {WS_DIM_EMBD, WS_DIM_K}, WS_PERMUTE_KV_HEADS, LAYER},
    {HF "self_attn.v_proj.weight", BLK "attn_v.weight", {WS_DIM_EMBD, WS_DIM_V}, WS_COPY, LAYER},
    {HF "self_attn.o_proj.weight", BLK "attn_output.weight", {WS_DIM_ATTN_OUT, WS_DIM_EMBD}, WS_COPY, LAYER},
    {HF "self_attn.q_proj.bias", BLK "attn_q.bias", {WS_DIM_Q}, WS_PERMUTE_HEADS, LAYER_BIAS},
    {HF "self_attn.k_proj.bias", BLK "attn_k.bias", {WS_DIM_K}, WS_PERMUTE_KV_HEADS, LAYER_BIAS},
    {HF "self_attn.v_proj.bias", BLK "attn_v.bias", {WS_DIM_V}, WS_COPY, LAYER_BIAS},
    {HF "self_attn.o_proj.bias", BLK "attn_output.bias", {WS_DIM_EMBD}, WS_COPY, LAYER_BIAS},

    {HF "post_attention_layernorm.weight", BLK "ffn_norm.weight", {WS_DIM_EMBD}, WS_COPY, LAYER},
    {HF "mlp.gate_proj.weight", BLK "ffn_gate.weight", {WS_DIM_EMBD, WS_DIM_FF}, WS_COPY, LAYER},
    {HF "mlp.up_proj.weight", BLK "ffn_up.weight", {WS_DIM_EMBD, WS_DIM_FF}, WS_COPY, LAYER},
    {HF "mlp.down_proj.weight", BLK "ffn_down.weight", {WS_DIM_FF, WS_DIM_EMBD}, WS_COPY, LAYER},
    {HF "mlp.gate_proj.bias", BLK "ffn_gate.bias", {WS_DIM_FF}, WS_COPY, LAYER_BIAS},
    {HF "mlp.up_proj.bias", BLK "ffn_up.bias", {WS_DIM_FF}, WS_COPY, LAYER_BIAS},
    {HF "mlp.down_proj.bias", BLK "ffn_down.bias", {WS_DIM_EMBD}, WS_COPY, LAYER_BIAS},
    {0},
};

static const ws_arch_key keys[] = {
    {"vocab_size", WS_KV_U32, "vocab_size"},
    {"rope.dimension_count", WS_KV_U32, "head_dim|hidden_size/num_attention_heads"},
    {0},
};

const ws_arch ws_arch_llama = {
    .name = "llama",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .rope = WS_ROPE_INTERLEAVED,
    .activation = WS_ACT_SILU,
};
