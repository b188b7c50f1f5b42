/* gptoss.c - OpenAI's gpt-oss (2025): experts in MXFP4, attention sinks, every other layer slides. */
#include "rows.h"

static const char *const hf_classes[] = {"GptOssForCausalLM", NULL};

enum { MOE = LAYER | WS_MOE };

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),
    ATTENTION_BIASES(WS_COPY, WS_COPY, 0),
    BIAS("self_attn.o_proj", "attn_output", WS_DIM_EMBD, WS_COPY, 0),
    {HF "self_attn.sinks", BLK "attn_sinks.weight", {WS_DIM_HEADS}, WS_COPY, LAYER},

    NORM("post_attention_layernorm", "post_attention_norm", WS_COPY),
    {HF "mlp.experts.down_proj", DOWN_EXPS ".weight", EXPERT_DOWN, WS_TRANSPOSE, MOE},
    {HF "mlp.experts.gate_up_proj", GATE_EXPS ".weight", EXPERT_UP, WS_TRANSPOSE_EVEN, MOE},
    {HF "mlp.experts.gate_up_proj", UP_EXPS ".weight", EXPERT_UP, WS_TRANSPOSE_ODD, MOE},
    {HF "mlp.experts.down_proj_blocks", DOWN_EXPS ".weight", EXPERT_DOWN, WS_MXFP4, MOE | WS_OTHER},
    {HF "mlp.experts.gate_up_proj_blocks", GATE_EXPS ".weight", EXPERT_UP, WS_MXFP4_EVEN, MOE | WS_OTHER},
    {HF "mlp.experts.gate_up_proj_blocks", UP_EXPS ".weight", EXPERT_UP, WS_MXFP4_ODD, MOE | WS_OTHER},
    {HF "mlp.experts.down_proj_bias", DOWN_EXPS ".bias", {WS_DIM_EMBD, WS_DIM_EXPERTS}, WS_COPY, MOE},
    {HF "mlp.experts.gate_up_proj_bias", GATE_EXPS ".bias", {WS_DIM_FF_EXPERT, WS_DIM_EXPERTS}, WS_EVEN_COLUMNS, MOE},
    {HF "mlp.experts.gate_up_proj_bias", UP_EXPS ".bias", {WS_DIM_FF_EXPERT, WS_DIM_EXPERTS}, WS_ODD_COLUMNS, MOE},
    ROUTER("mlp.router"),
    {HF "mlp.router.bias", BLK "ffn_gate_inp.bias", {WS_DIM_EXPERTS}, WS_COPY, MOE},
    {0},
};

static const ws_arch_key keys[] = {
    {"attention.sliding_window", WS_KV_U32, "sliding_window"},
    {"expert_feed_forward_length", WS_KV_U32, "intermediate_size"},
    {0},
};

const ws_arch ws_arch_gptoss = {
    .name = "gpt-oss",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_BPE,
    .traits = WS_EXPERTS_SUM_1 | WS_YARN_EXACT | WS_LATE_NORM,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SWIGLU_CLAMPED,
    .sliding_period = 2,
};
