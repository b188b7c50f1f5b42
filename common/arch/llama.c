/* llama.c - Llama and what shares its form: Mistral, SmolLM, Yi, ... and, with experts, Mixtral (Llama 2023 paper and
 * its releases; Mixtral: arXiv 2401.04088). */
#include "rows.h"

static const char *const hf_classes[] = {"LlamaForCausalLM",   "LLaMAForCausalLM", "MistralForCausalLM",
                                         "MixtralForCausalLM", "LlamaModel",       NULL};

#define SPARSE HF "block_sparse_moe.experts.%x."

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,
    /* Divisors of the rotary frequencies, for "llama3" scaling. */
    {NULL, "rope_freqs.weight", {WS_DIM_HALF_ROPE}, WS_COPY, WS_OPTIONAL | WS_GENERATED},

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_PERMUTE_HEADS, WS_PERMUTE_KV_HEADS),
    ATTENTION_BIASES(WS_PERMUTE_HEADS, WS_PERMUTE_KV_HEADS, WS_OPTIONAL),
    BIAS("self_attn.o_proj", "attn_output", WS_DIM_EMBD, WS_COPY, WS_OPTIONAL),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    FEED_FORWARD(WS_DENSE),
    BIAS("mlp.gate_proj", "ffn_gate", WS_DIM_FF, WS_COPY, WS_OPTIONAL | WS_DENSE),
    BIAS("mlp.up_proj", "ffn_up", WS_DIM_FF, WS_COPY, WS_OPTIONAL | WS_DENSE),
    BIAS("mlp.down_proj", "ffn_down", WS_DIM_EMBD, WS_COPY, WS_OPTIONAL | WS_DENSE),

    {SPARSE "w1.weight", GATE_EXPS ".weight", EXPERT_UP, WS_STACK, LAYER | WS_MOE},
    {SPARSE "w2.weight", DOWN_EXPS ".weight", EXPERT_DOWN, WS_STACK, LAYER | WS_MOE},
    {SPARSE "w3.weight", UP_EXPS ".weight", EXPERT_UP, WS_STACK, LAYER | WS_MOE},
    ROUTER("block_sparse_moe.gate"),
    {0},
};

static const ws_arch_rename renames[] = {HEADLESS};

static const ws_arch_key keys[] = {
    {"vocab_size", WS_KV_U32, "vocab_size"},
    {"rope.dimension_count", WS_KV_U32, "head_dim|hidden_size/num_attention_heads"},
    {0},
};

const ws_arch ws_arch_llama = {
    .name = "llama",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .renames = renames,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_LLAMA_JSON | WS_VOCAB_BPE | WS_VOCAB_PREFIX_KEY | WS_VOCAB_LLAMA_SIZES,
    .traits = WS_EXPERTS_SUM_1,
    .rope = WS_ROPE_INTERLEAVED,
    .activation = WS_ACT_SILU,
};
