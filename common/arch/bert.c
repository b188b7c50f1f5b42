/* bert.c - BERT (arXiv 1810.04805), for embeddings: every token sees all others, norms follow the blocks. */
#include "arch.h"

static const char *const hf_classes[] = {"BertModel", "BertForMaskedLM", NULL};

#define BLK "blk.%u."

/* Checkpoints name their tensors with and without "bert."; the form with it is in the table a second time. */
#define TENSOR(hf, gguf, shape, flags)                                                                                 \
    {hf, gguf, shape, WS_COPY, flags}, { "bert." hf, gguf, shape, WS_COPY, (flags) | WS_OTHER }
#define DIMS(...)                                                                                                      \
    { __VA_ARGS__ }
#define NORM(hf, gguf, flags)                                                                                          \
    TENSOR(hf ".weight", gguf ".weight", DIMS(WS_DIM_EMBD), flags),                                                    \
        TENSOR(hf ".bias", gguf ".bias", DIMS(WS_DIM_EMBD), flags)
#define LINEAR(hf, gguf, n_in, n_out)                                                                                  \
    TENSOR("encoder.layer.%u." hf ".weight", BLK gguf ".weight", DIMS(n_in, n_out), WS_PER_LAYER),                     \
        TENSOR("encoder.layer.%u." hf ".bias", BLK gguf ".bias", DIMS(n_out), WS_PER_LAYER)
/* What only training needs. */
#define DROPPED(hf)                                                                                                    \
    { hf, hf, {WS_DIM_EMBD}, WS_COPY, WS_DROPPED }

static const ws_arch_tensor tensors[] = {
    TENSOR("embeddings.word_embeddings.weight", "token_embd.weight", DIMS(WS_DIM_EMBD, WS_DIM_VOCAB), 0),
    TENSOR("embeddings.position_embeddings.weight", "position_embd.weight", DIMS(WS_DIM_EMBD, WS_DIM_CTX), WS_SINGLE),
    TENSOR("embeddings.token_type_embeddings.weight", "token_types.weight", DIMS(WS_DIM_EMBD, WS_DIM_TOKEN_TYPES),
           WS_SINGLE),
    NORM("embeddings.LayerNorm", "token_embd_norm", 0),

    LINEAR("attention.self.query", "attn_q", WS_DIM_EMBD, WS_DIM_Q),
    LINEAR("attention.self.key", "attn_k", WS_DIM_EMBD, WS_DIM_K),
    LINEAR("attention.self.value", "attn_v", WS_DIM_EMBD, WS_DIM_V),
    LINEAR("attention.output.dense", "attn_output", WS_DIM_ATTN_OUT, WS_DIM_EMBD),
    NORM("encoder.layer.%u.attention.output.LayerNorm", BLK "attn_output_norm", WS_PER_LAYER),
    LINEAR("intermediate.dense", "ffn_up", WS_DIM_EMBD, WS_DIM_FF),
    LINEAR("output.dense", "ffn_down", WS_DIM_FF, WS_DIM_EMBD),
    NORM("encoder.layer.%u.output.LayerNorm", BLK "layer_output_norm", WS_PER_LAYER),

    DROPPED("embeddings.position_ids"),
    DROPPED("bert.embeddings.position_ids"),
    DROPPED("pooler.dense.weight"),
    DROPPED("pooler.dense.bias"),
    DROPPED("bert.pooler.dense.weight"),
    DROPPED("bert.pooler.dense.bias"),
    DROPPED("cls.predictions.bias"),
    DROPPED("cls.predictions.decoder.weight"),
    DROPPED("cls.predictions.decoder.bias"),
    DROPPED("cls.predictions.transform.dense.weight"),
    DROPPED("cls.predictions.transform.dense.bias"),
    DROPPED("cls.predictions.transform.LayerNorm.weight"),
    DROPPED("cls.predictions.transform.LayerNorm.bias"),
    DROPPED("cls.seq_relationship.weight"),
    DROPPED("cls.seq_relationship.bias"),
    {0},
};

static const ws_arch_key keys[] = {
    {"attention.causal", WS_KV_BOOL, "0"},
    {0},
};

const ws_arch ws_arch_bert = {
    .name = "bert",
    .hf_classes = hf_classes,
    .tensors = tensors,
    .keys = keys,
    .vocab = WS_VOCAB_WORDPIECE,
    .traits = WS_ENCODER | WS_POOLS,
    .rope = WS_ROPE_NONE,
    .activation = WS_ACT_GELU_EXACT,
    .norm = WS_NORM_LAYER,
};
