/* deepseek2.c - DeepSeek V2 and V3 (arXiv 2405.04434, 2412.19437): latent attention, many small experts and some that
 * all tokens share; the first layers have none. */
#include "rows.h"

static const char *const hf_classes[] = {"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", NULL};

#define SHARED(hf, gguf, n_in, n_out)                                                                                  \
    { HF "mlp.shared_experts." hf ".weight", BLK gguf ".weight", {n_in, n_out}, WS_COPY, LAYER | WS_MOE | WS_SHARED }

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    {HF "self_attn.q_proj.weight", BLK "attn_q.weight", {WS_DIM_EMBD, WS_DIM_Q}, WS_COPY, LAYER | WS_IF_FULL_Q},
    {HF "self_attn.q_a_proj.weight",
     BLK "attn_q_a.weight",
     {WS_DIM_EMBD, WS_DIM_LATENT_Q},
     WS_COPY,
     LAYER | WS_IF_LOW_Q},
    {HF "self_attn.q_a_layernorm.weight", BLK "attn_q_a_norm.weight", {WS_DIM_LATENT_Q}, WS_COPY, LAYER | WS_IF_LOW_Q},
    {HF "self_attn.q_b_proj.weight", BLK "attn_q_b.weight", {WS_DIM_LATENT_Q, WS_DIM_Q}, WS_COPY, LAYER | WS_IF_LOW_Q},
    {HF "self_attn.kv_a_proj_with_mqa.weight",
     BLK "attn_kv_a_mqa.weight",
     {WS_DIM_EMBD, WS_DIM_LATENT_ROPE},
     WS_COPY,
     LAYER},
    {HF "self_attn.kv_a_layernorm.weight", BLK "attn_kv_a_norm.weight", {WS_DIM_LATENT}, WS_COPY, LAYER},
    {HF "self_attn.kv_b_proj.weight",
     BLK "attn_k_b.weight",
     {WS_DIM_HEAD_PLAIN, WS_DIM_LATENT, WS_DIM_HEADS},
     WS_LATENT_KEYS,
     LAYER},
    {HF "self_attn.kv_b_proj.weight",
     BLK "attn_v_b.weight",
     {WS_DIM_LATENT, WS_DIM_HEAD_VALUE, WS_DIM_HEADS},
     WS_LATENT_VALUES,
     LAYER},
    MATRIX("self_attn.o_proj", "attn_output", WS_DIM_ATTN_OUT, WS_DIM_EMBD, WS_COPY),

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    FEED_FORWARD(WS_DENSE),
    EXPERTS,
    ROUTER("mlp.gate"),
    {HF "mlp.gate.e_score_correction_bias",
     BLK "exp_probs_b.bias",
     {WS_DIM_EXPERTS},
     WS_COPY,
     LAYER | WS_MOE | WS_OPTIONAL},
    SHARED("down_proj", "ffn_down_shexp", WS_DIM_FF_SHARED, WS_DIM_EMBD),
    SHARED("gate_proj", "ffn_gate_shexp", WS_DIM_EMBD, WS_DIM_FF_SHARED),
    SHARED("up_proj", "ffn_up_shexp", WS_DIM_EMBD, WS_DIM_FF_SHARED),
    {0},
};

static const ws_arch_key keys[] = {
    {"attention.head_count_kv", WS_KV_U32, "1"}, /* what attention runs on: see infer/latent.c */
    {"leading_dense_block_count", WS_KV_U32, "first_k_dense_replace|0"},
    {"vocab_size", WS_KV_U32, "vocab_size"},
    {"attention.q_lora_rank", WS_KV_U32, "q_lora_rank"},
    {"attention.kv_lora_rank", WS_KV_U32, "kv_lora_rank|512"},
    {"attention.key_length", WS_KV_U32, "kv_lora_rank+qk_rope_head_dim"},
    {"attention.value_length", WS_KV_U32, "kv_lora_rank|512"},
    {"attention.key_length_mla", WS_KV_U32, "qk_nope_head_dim+qk_rope_head_dim"},
    {"attention.value_length_mla", WS_KV_U32, "v_head_dim"},
    {"expert_feed_forward_length", WS_KV_U32, "moe_intermediate_size|intermediate_size"},
    {"expert_count", WS_KV_U32, "n_routed_experts"},
    {"expert_shared_count", WS_KV_U32, "n_shared_experts|0"},
    {"expert_weights_scale", WS_KV_F32, "routed_scaling_factor"},
    {"expert_weights_norm", WS_KV_BOOL, "?norm_topk_prob"},
    {"rope.dimension_count", WS_KV_U32, "qk_rope_head_dim"},
    {"rope.scaling.yarn_log_multiplier", WS_KV_F32, "rope_parameters.mscale_all_dim*0.1"},
    {0},
};

const ws_arch ws_arch_deepseek2 = {
    .name = "deepseek2",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_BPE,
    .traits = WS_TIED_DROPS_HEAD,
    .rope = WS_ROPE_INTERLEAVED,
    .activation = WS_ACT_SILU,
};
