/* hunyuan.c - Tencent's Hunyuan and Hunyuan-MT, dense (2025): norms of heads behind the rotation. */
#include "rows.h"

static const char *const hf_classes[] = {"HunYuanDenseV1ForCausalLM", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_COPY),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_COPY),
    ATTENTION(WS_COPY, WS_COPY),
    {HF "self_attn.query_layernorm.weight", BLK "attn_q_norm.weight", {WS_DIM_HEAD}, WS_COPY, LAYER},
    {HF "self_attn.key_layernorm.weight", BLK "attn_k_norm.weight", {WS_DIM_HEAD}, WS_COPY, LAYER},

    NORM("post_attention_layernorm", "ffn_norm", WS_COPY),
    FEED_FORWARD(0),
    {0},
};

static const ws_arch_key keys[] = {{0}};

static const ws_arch_demand demands[] = {{"num_experts", "1"}, {"use_qk_norm", "true"}, {"use_cla", "false"}, {0}};

const ws_arch ws_arch_hunyuan = {
    .name = "hunyuan-dense",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .demands = demands,
    .vocab = WS_VOCAB_BPE | WS_VOCAB_EOD,
    .traits = WS_TIED_DROPS_HEAD | WS_HEAD_NORM_LATE | WS_NTK_ALPHA,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
};
