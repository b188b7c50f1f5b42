/* modernbert.c - ModernBERT (arXiv 2412.13663), for embeddings: norms before the blocks (the first is that of the
 * embedding), gated feed-forward blocks, no biases. Every third layer, from the first on, sees the whole text, the
 * others half a window to either side. */
#include "rows.h"

static const char *const hf_classes[] = {"ModernBertModel", NULL};

#define ROW(hf, gguf, flags, ...)                                                                                      \
    { "layers.%u." hf ".weight", BLK gguf ".weight", {__VA_ARGS__}, WS_COPY, flags }

static const ws_arch_tensor tensors[] = {
    {"embeddings.tok_embeddings.weight", "token_embd.weight", {WS_DIM_EMBD, WS_DIM_VOCAB}, WS_COPY, 0},
    {"embeddings.norm.weight", "token_embd_norm.weight", {WS_DIM_EMBD}, WS_COPY, 0},
    {"final_norm.weight", "output_norm.weight", {WS_DIM_EMBD}, WS_COPY, 0},

    ROW("attn_norm", "attn_norm", LAYER_BIAS, WS_DIM_EMBD),
    ROW("attn.Wqkv", "attn_qkv", LAYER, WS_DIM_EMBD, WS_DIM_QKV),
    ROW("attn.Wo", "attn_output", LAYER, WS_DIM_ATTN_OUT, WS_DIM_EMBD),
    ROW("mlp_norm", "ffn_norm", LAYER, WS_DIM_EMBD),
    ROW("mlp.Wi", "ffn_up", LAYER, WS_DIM_EMBD, WS_DIM_FF_TWICE),
    ROW("mlp.Wo", "ffn_down", LAYER, WS_DIM_FF, WS_DIM_EMBD),
    {0},
};

static const ws_arch_rename renames[] = {{"^model.", ""}, {0}};

static const ws_arch_demand demands[] = {
    {"hidden_activation", "\"gelu\""}, {"attention_bias", "false"}, {"mlp_bias", "false"}, {"norm_bias", "false"}, {0}};

static const ws_arch_key keys[] = {{"attention.causal", WS_KV_BOOL, "0"}, {0}};

static const ws_arch_key late_keys[] = {
    {"attention.sliding_window", WS_KV_U32, "local_attention"},
    {"attention.sliding_window_pattern", WS_KV_U32, "global_attn_every_n_layers"},
    {"rope.scaling.type", WS_KV_STRING, "none"},
    {"vocab_size", WS_KV_U32, "vocab_size"},
    {"hidden_activation", WS_KV_STRING, "gelu"},
    {0},
};

const ws_arch ws_arch_modernbert = {
    .name = "modern-bert",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .renames = renames,
    .keys = keys,
    .late_keys = late_keys,
    .demands = demands,
    .vocab = WS_VOCAB_BPE | WS_VOCAB_ADDS_ALL,
    .traits = WS_ENCODER | WS_POOLS | WS_SLIDING_ROPE | WS_FULL_FIRST,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_GELU_EXACT,
    .norm = WS_NORM_LAYER,
    .sliding_period = 3,
};
