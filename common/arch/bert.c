/* bert.c - BERT (arXiv 1810.04805), for embeddings: every token sees all others, norms follow the blocks. RoBERTa
 * (arXiv 1907.11692), XLM-RoBERTa (arXiv 1911.02116) and DistilBERT (arXiv 1910.01108) become the same. */
#include "arch.h"

#define BLK "blk.%u."

#define NORM(hf, gguf, flags)                                                                                          \
    {hf ".weight", gguf ".weight", {WS_DIM_EMBD}, WS_COPY, flags}, {                                                   \
        hf ".bias", gguf ".bias", {WS_DIM_EMBD}, WS_COPY, flags                                                        \
    }
#define LINEAR(hf, gguf, n_in, n_out)                                                                                  \
    {"encoder.layer.%u." hf ".weight", BLK gguf ".weight", {n_in, n_out}, WS_COPY, WS_PER_LAYER}, {                    \
        "encoder.layer.%u." hf ".bias", BLK gguf ".bias", {n_out}, WS_COPY, WS_PER_LAYER                               \
    }
/* What only training needs. */
#define DROPPED(hf)                                                                                                    \
    { hf, hf, {WS_DIM_EMBD}, WS_COPY, WS_DROPPED }

static const ws_arch_tensor tensors[] = {
    {"embeddings.word_embeddings.weight", "token_embd.weight", {WS_DIM_EMBD, WS_DIM_VOCAB}, WS_COPY, 0},
    {"embeddings.position_embeddings.weight",
     "position_embd.weight",
     {WS_DIM_EMBD, WS_DIM_CTX},
     WS_BEHIND_PADDING,
     WS_SINGLE},
    {"embeddings.token_type_embeddings.weight",
     "token_types.weight",
     {WS_DIM_EMBD, WS_DIM_TOKEN_TYPES},
     WS_COPY,
     WS_SINGLE | WS_OPTIONAL},
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
    DROPPED("pooler.dense.*"),
    DROPPED("cls.*"),
    DROPPED("vocab_*"),
    {0},
};

/* Of checkpoints with a head, of those that TensorFlow wrote, and of DistilBERT. */
static const ws_arch_rename renames[] = {
    {"^bert.", ""},
    {"^roberta.", ""},
    {"^distilbert.", ""},
    {".gamma", ".weight"},
    {".beta", ".bias"},
    {"^transformer.layer.", "encoder.layer."},
    {".attention.q_lin.", ".attention.self.query."},
    {".attention.k_lin.", ".attention.self.key."},
    {".attention.v_lin.", ".attention.self.value."},
    {".attention.out_lin.", ".attention.output.dense."},
    {".sa_layer_norm.", ".attention.output.LayerNorm."},
    {".ffn.lin1.", ".intermediate.dense."},
    {".ffn.lin2.", ".output.dense."},
    {".output_layer_norm.", ".output.LayerNorm."},
    {0},
};

static const ws_arch_demand demands[] = {{"hidden_act", "\"gelu\""},
                                         {"activation", "\"gelu\""},
                                         {"position_embedding_type", "\"absolute\""},
                                         {"is_decoder", "false"},
                                         {0}};

static const ws_arch_key keys[] = {{"attention.causal", WS_KV_BOOL, "0"}, {0}};

static const ws_arch_key distil_keys[] = {
    {"attention.layer_norm_epsilon", WS_KV_F32, "1e-12"},
    {"block_count", WS_KV_U32, "n_layers"},
    {"context_length", WS_KV_U32, "max_position_embeddings"},
    {"embedding_length", WS_KV_U32, "dim"},
    {"feed_forward_length", WS_KV_U32, "hidden_dim"},
    {"attention.head_count", WS_KV_U32, "n_heads"},
    {"general.file_type", WS_KV_U32, "file_type"},
    {"attention.causal", WS_KV_BOOL, "0"},
    {0},
};

#define BERT(classes, key_table, vocabulary, more_traits)                                                              \
    {                                                                                                                  \
        .name = "bert", .hf_classes = classes, .tensors = tensors, .renames = renames, .keys = key_table,              \
        .demands = demands, .vocab = vocabulary, .traits = WS_ENCODER | WS_POOLS | (more_traits),                      \
        .rope = WS_ROPE_NONE, .activation = WS_ACT_GELU_EXACT, .norm = WS_NORM_LAYER,                                  \
    }

static const char *const bert_classes[] = {"BertModel", "BertForMaskedLM", NULL};
static const char *const distil_classes[] = {"DistilBertModel", "DistilBertForMaskedLM", NULL};
static const char *const roberta_classes[] = {"RobertaModel", NULL};
static const char *const xlmr_classes[] = {"XLMRobertaModel", NULL};

const ws_arch ws_arch_bert = BERT(bert_classes, keys, WS_VOCAB_WORDPIECE, 0);
const ws_arch ws_arch_distilbert = BERT(distil_classes, distil_keys, WS_VOCAB_WORDPIECE, WS_OWN_KEYS);
const ws_arch ws_arch_roberta = BERT(roberta_classes, keys, WS_VOCAB_BPE | WS_VOCAB_TYPES_LAST, WS_PADDED_POSITIONS);
const ws_arch ws_arch_xlmr = BERT(xlmr_classes, keys, WS_VOCAB_UNIGRAM, WS_PADDED_POSITIONS);
