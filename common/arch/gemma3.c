/* gemma3.c - Gemma 3, text (arXiv 2503.19786): norms on heads, five sliding layers to each full one. EmbeddingGemma
 * (arXiv 2509.20354) is the same as an encoder: every token sees all others, or half a window to either side. */
#include "rows.h"

static const char *const hf_classes[] = {"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration", NULL};

static const ws_arch_tensor tensors[] = {
    EMBEDDING,
    OUTPUT_NORM(WS_ADD_ONE),
    OUTPUT,

    NORM("input_layernorm", "attn_norm", WS_ADD_ONE),
    ATTENTION(WS_COPY, WS_COPY),
    HEAD_NORMS(WS_ADD_ONE),
    NORM("post_attention_layernorm", "post_attention_norm", WS_ADD_ONE),

    NORM("pre_feedforward_layernorm", "ffn_norm", WS_ADD_ONE),
    FEED_FORWARD(0),
    NORM("post_feedforward_layernorm", "post_ffw_norm", WS_ADD_ONE),
    {0},
};

/* Most of them are set by all architectures: these rows fill in what config.json may leave out. */
static const ws_arch_key keys[] = {
    {"context_length", WS_KV_U32, "max_position_embeddings|131072"},
    {"attention.head_count", WS_KV_U32, "num_attention_heads|8"},
    {"attention.layer_norm_rms_epsilon", WS_KV_F32, "rms_norm_eps|1e-6"},
    {"attention.key_length", WS_KV_U32, "head_dim|256"},
    {"attention.value_length", WS_KV_U32, "head_dim|256"},
    {"rope.freq_base", WS_KV_F32, "rope_parameters.full_attention.rope_theta|rope_parameters.rope_theta|1000000"},
    {"final_logit_softcapping", WS_KV_F32, "?final_logit_softcapping"},
    {"attention.sliding_window", WS_KV_U32, "sliding_window"},
    {"attention.head_count_kv", WS_KV_U32, "num_key_value_heads|4"},
    {0},
};

static const ws_arch_rename renames[] = {HEADLESS};

static const char *const encoder_classes[] = {"Gemma3TextModel", NULL};

static const ws_arch_demand encoder_demands[] = {{"use_bidirectional_attention", "true"}, {0}};

const ws_arch ws_arch_gemma3 = {
    .name = "gemma3",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_BPE | WS_VOCAB_NO_PREFIX,
    .traits = WS_EMBD_SQRT | WS_SLIDING_ROPE | WS_CUT_VOCAB,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_GELU,
    .sliding_period = 6,
    .odd_layers = 62, /* 27B */
};

const ws_arch ws_arch_gemmaembedding = {
    .name = "gemma-embedding",
    .hf_classes = encoder_classes,
    .tensors = tensors,
    .renames = renames,
    .keys = keys,
    .demands = encoder_demands,
    .vocab = WS_VOCAB_SENTENCEPIECE | WS_VOCAB_BPE | WS_VOCAB_NO_PREFIX,
    .traits = WS_EMBD_SQRT | WS_SLIDING_ROPE | WS_CUT_VOCAB | WS_ENCODER | WS_POOLS,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_GELU,
    .sliding_period = 6,
};
