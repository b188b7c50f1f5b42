/* granitemoe.c - Granite 3 with experts, of which one may be shared by all tokens. */
#include "rows.h"

static const char *const hf_classes[] = {"GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM", NULL};

#define MOE        HF "block_sparse_moe."
#define SHARED_MLP HF "shared_mlp."

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,
    {NULL, "rope_freqs.weight", {WS_DIM_HALF_ROPE}, WS_COPY, WS_OPTIONAL | WS_GENERATED},

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_PERMUTE_HEADS, WS_PERMUTE_KV_HEADS),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    {MOE "input_linear.weight", GATE_EXPS ".weight", EXPERT_UP, WS_FIRST_HALF, LAYER | WS_MOE},
    {MOE "input_linear.weight", UP_EXPS ".weight", EXPERT_UP, WS_SECOND_HALF, LAYER | WS_MOE},
    {MOE "output_linear.weight", DOWN_EXPS ".weight", EXPERT_DOWN, WS_COPY, LAYER | WS_MOE},
    ROUTER("block_sparse_moe.router.layer"),
    {SHARED_MLP "input_linear.weight",
     BLK "ffn_gate_shexp.weight",
     {WS_DIM_EMBD, WS_DIM_FF_SHARED},
     WS_FIRST_HALF,
     LAYER | WS_MOE | WS_SHARED},
    {SHARED_MLP "input_linear.weight",
     BLK "ffn_up_shexp.weight",
     {WS_DIM_EMBD, WS_DIM_FF_SHARED},
     WS_SECOND_HALF,
     LAYER | WS_MOE | WS_SHARED},
    {SHARED_MLP "output_linear.weight",
     BLK "ffn_down_shexp.weight",
     {WS_DIM_FF_SHARED, WS_DIM_EMBD},
     WS_COPY,
     LAYER | WS_MOE | WS_SHARED},
    {0},
};

static const ws_arch_key keys[] = {
    {"vocab_size", WS_KV_U32, "vocab_size"},
    {"rope.dimension_count", WS_KV_U32, "hidden_size/num_attention_heads"},
    {"attention.scale", WS_KV_F32, "?attention_multiplier"},
    {"embedding_scale", WS_KV_F32, "?embedding_multiplier"},
    {"residual_scale", WS_KV_F32, "?residual_multiplier"},
    {"logit_scale", WS_KV_F32, "?logits_scaling"},
    {"expert_shared_feed_forward_length", WS_KV_U32, "?shared_intermediate_size"},
    {0},
};

const ws_arch ws_arch_granitemoe = {
    .name = "granitemoe",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_LLAMA_JSON | WS_VOCAB_BPE | WS_VOCAB_PREFIX_KEY | WS_VOCAB_LLAMA_SIZES,
    .traits = WS_NO_HEAD_DIM | WS_EXPERTS_SUM_1,
    .rope = WS_ROPE_INTERLEAVED,
    .activation = WS_ACT_SILU,
};
