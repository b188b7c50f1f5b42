/* nomicbert.c - nomic-embed-text (arXiv 2402.01613): BERT with rotary positions, a gated feed-forward block and no
 * biases but those of its norms. */
#include "rows.h"

static const char *const hf_classes[] = {"NomicBertModel", NULL};

#define LINEAR(hf, gguf, n_in, n_out)                                                                                  \
    { "encoder.layers.%u." hf ".weight", BLK gguf ".weight", {n_in, n_out}, WS_COPY, LAYER }
#define LAYER_NORM(hf, gguf, flags)                                                                                    \
    {hf ".weight", gguf ".weight", {WS_DIM_EMBD}, WS_COPY, flags}, {                                                   \
        hf ".bias", gguf ".bias", {WS_DIM_EMBD}, WS_COPY, flags                                                        \
    }

static const ws_arch_tensor tensors[] = {
    {"embeddings.word_embeddings.weight", "token_embd.weight", {WS_DIM_EMBD, WS_DIM_VOCAB}, WS_COPY, 0},
    {"embeddings.token_type_embeddings.weight",
     "token_types.weight",
     {WS_DIM_EMBD, WS_DIM_TOKEN_TYPES},
     WS_COPY,
     WS_SINGLE | WS_OPTIONAL},
    LAYER_NORM("emb_ln", "token_embd_norm", 0),

    LINEAR("attn.Wqkv", "attn_qkv", WS_DIM_EMBD, WS_DIM_QKV),
    LINEAR("attn.out_proj", "attn_output", WS_DIM_ATTN_OUT, WS_DIM_EMBD),
    LAYER_NORM("encoder.layers.%u.norm1", BLK "attn_output_norm", LAYER),
    LINEAR("mlp.fc11", "ffn_up", WS_DIM_EMBD, WS_DIM_FF),
    LINEAR("mlp.fc12", "ffn_gate", WS_DIM_EMBD, WS_DIM_FF),
    LINEAR("mlp.fc2", "ffn_down", WS_DIM_FF, WS_DIM_EMBD),
    LAYER_NORM("encoder.layers.%u.norm2", BLK "layer_output_norm", LAYER),
    {0},
};

static const ws_arch_key keys[] = {
    {"attention.causal", WS_KV_BOOL, "0"},
    {0},
};

/* What would be another model. */
static const ws_arch_demand demands[] = {
    {"activation_function", "\"swiglu\""},
    {"prenorm", "false"},
    {"rotary_emb_fraction", "1"},
    {"rotary_emb_interleaved", "false"},
    {"rotary_emb_scale_base", "null"},
    {"causal", "false"},
    {0},
};

const ws_arch ws_arch_nomicbert = {
    .name = "nomic-bert",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .demands = demands,
    .vocab = WS_VOCAB_WORDPIECE,
    .traits = WS_ENCODER | WS_POOLS,
    .rope = WS_ROPE_NEOX,
    .activation = WS_ACT_SILU,
    .norm = WS_NORM_LAYER,
};
