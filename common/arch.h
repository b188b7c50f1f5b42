/* arch.h - architectures as data. One descriptor per architecture, in arch/NAME.c, is read by convert (names of
 * tensors and metadata), infer (the forward pass) and vram-estimate (shapes, KV cache). */
#ifndef WS_ARCH_H
#define WS_ARCH_H

#include "error.h"
#include "gguf.h"

#include <stdbool.h>
#include <stdint.h>

/* What convert does to a tensor on its way from the checkpoint. "Rows" and "columns" are those of the result. */
typedef enum {
    WS_COPY,
    WS_PERMUTE_HEADS,    /* rows regrouped per query head: rotary halves -> interleaved pairs */
    WS_PERMUTE_KV_HEADS, /* the same per key/value head */
    WS_ADD_ONE,          /* norms that the checkpoint keeps as distances from one */
    WS_TRANSPOSE,        /* rows and columns are exchanged, in every matrix of a stack */
    WS_STACK,            /* "%x" in the checkpoint's name is an expert: one matrix each becomes one tensor of all */
    WS_FIRST_HALF,       /* of the rows of every expert: gate and up are one tensor there */
    WS_SECOND_HALF,
    WS_EVEN_COLUMNS, /* of a vector per expert */
    WS_ODD_COLUMNS,
    WS_TRANSPOSE_EVEN, /* rows of the transposed matrix of every expert: gate and up, interleaved */
    WS_TRANSPOSE_ODD,
    WS_BEHIND_PADDING, /* rows behind those of positions that are padding */
    WS_LATENT_KEYS,    /* of every head of MLA's kv_b: the rows that make keys, transposed */
    WS_LATENT_VALUES,  /* ... and those that make values */
    /* MXFP4 already, as "..._blocks" (the name in the table) and "..._scales": bits move to where GGUF has them. */
    WS_MXFP4,
    WS_MXFP4_EVEN, /* the even rows: gate and up, interleaved */
    WS_MXFP4_ODD,
} ws_transform;

/* Symbolic sizes; an architecture's shapes are written in them (0 ends a shape). */
typedef enum {
    WS_DIM_END,
    WS_DIM_VOCAB,
    WS_DIM_EMBD,      /* hidden size */
    WS_DIM_FF,        /* feed-forward size */
    WS_DIM_FF_TWICE,  /* gate and up in one */
    WS_DIM_Q,         /* heads * query length */
    WS_DIM_K,         /* KV heads * key length */
    WS_DIM_V,         /* KV heads * value length */
    WS_DIM_QKV,       /* all three in one */
    WS_DIM_ATTN_OUT,  /* heads * value length */
    WS_DIM_HALF_ROPE, /* rope dimensions / 2 */
    WS_DIM_HEAD,      /* key length of one head */
    WS_DIM_HEADS,
    WS_DIM_KV_HEADS,
    WS_DIM_ONE,
    WS_DIM_TOKEN_TYPES, /* first or second text */
    WS_DIM_CTX,         /* positions that have an embedding */
    WS_DIM_EXPERTS,
    WS_DIM_FF_EXPERT, /* feed-forward size of an expert */
    WS_DIM_FF_SHARED, /* ... of the shared ones together */
    /* Multi-head latent attention: keys and values are projections of one short vector per token. */
    WS_DIM_LATENT,      /* its length */
    WS_DIM_LATENT_ROPE, /* with the rotated part of the key */
    WS_DIM_LATENT_Q,    /* the same for queries */
    WS_DIM_HEAD_PLAIN,  /* dimensions of a head's key that are not rotated */
    WS_DIM_HEAD_VALUE,  /* a head's value when it is unfolded */
} ws_dim;

enum {
    WS_OPTIONAL = 1,  /* the model may lack it (biases, untied output) */
    WS_PER_LAYER = 2, /* "%u" in both names stands for the layer */
    WS_GENERATED = 4, /* not in the checkpoint: computed by convert (rope_freqs) */
    WS_DENSE = 8,     /* only in layers without experts */
    WS_MOE = 16,      /* only in layers with experts */
    WS_SHARED = 32,   /* ... if some of them are used for every token */
    WS_IF_LOW_Q = 64, /* only if queries come from a short vector, too (q_lora_rank) */
    WS_IF_FULL_Q = 128,
    WS_DROPPED = 256, /* in the checkpoint, but not wanted */
    WS_SINGLE = 512,  /* stays F32: position embeddings, routers */
    WS_OTHER = 1024,  /* the form that other checkpoints have of a tensor that has a row already */
};

typedef struct {
    const char *hf;   /* "model.layers.%u.self_attn.q_proj.weight", "cls.*" (if dropped); NULL: not in the checkpoint */
    const char *gguf; /* "blk.%u.attn_q.weight"; NULL ends the table */
    ws_dim shape[3];  /* as in GGUF: fastest first */
    ws_transform transform;
    unsigned flags;
} ws_arch_tensor;

/* A metadata key that convert writes from config.json: "ARCH.suffix"; a suffix "general...." is a key as it is.
 * `config` is a list of alternatives, "a|b|...", of which the first that is there counts. An alternative is a field
 * ("head_dim", "rope_parameters.rope_theta"), a number, or several of them joined from left to right by * / +
 * (quotients are rounded down). Behind a leading "?" the key is not written when its value is 0 or false,
 * and behind "#" stands a list whose length counts. A key of type STRING has the text itself; one of type ARRAY says
 * which layers have a window, if the field is there. */
typedef struct {
    const char *suffix; /* "attention.head_count"; NULL ends a table */
    ws_kv_type type;    /* U32, F32, BOOL, STRING or ARRAY */
    const char *config;
} ws_arch_key;

/* A field of config.json that must have this value (as JSON) if it is there. */
typedef struct {
    const char *field, *value; /* field == NULL ends a list */
} ws_arch_demand;

/* Checkpoints of other names: where `from` (behind "^": only at the beginning) stands in a tensor's name, `to` is put.
 * All are applied in their order. */
typedef struct {
    const char *from, *to; /* from == NULL ends a list */
} ws_arch_rename;

typedef enum { WS_ROPE_NONE, WS_ROPE_INTERLEAVED, WS_ROPE_NEOX } ws_rope_kind;
typedef enum {
    WS_ACT_SILU,
    WS_ACT_GELU,
    WS_ACT_GELU_EXACT,
    WS_ACT_SWIGLU_CLAMPED
} ws_activation; /* kernels.h has the formulas */
typedef enum { WS_NORM_RMS, WS_NORM_LAYER } ws_norm_kind;

/* How convert finds the vocabulary: the first of the first three that the folder has. */
enum {
    WS_VOCAB_SENTENCEPIECE = 1,  /* tokenizer.model */
    WS_VOCAB_LLAMA_JSON = 2,     /* SentencePiece's BPE in a tokenizer.json */
    WS_VOCAB_BPE = 4,            /* byte-level BPE in a tokenizer.json */
    WS_VOCAB_PREFIX_KEY = 8,     /* tokenizer_config.json's add_prefix_space comes first */
    WS_VOCAB_NO_PREFIX = 16,     /* SentencePiece never adds a space */
    WS_VOCAB_LLAMA_SIZES = 32,   /* families are told by the size of their vocabulary */
    WS_VOCAB_GEMMA_CODE = 64,    /* ids of CodeGemma's tokens */
    WS_VOCAB_WORDPIECE = 256,    /* WordPiece in a tokenizer.json */
    WS_VOCAB_PHI = 128,          /* tokenizer.json's added tokens count, and names do not make a token special */
    WS_VOCAB_UNIGRAM = 2048,     /* SentencePiece's unigram model, in sentencepiece.bpe.model */
    WS_VOCAB_TYPES_LAST = 4096,  /* the number of kinds of texts comes last */
    WS_VOCAB_EOD = 8192,         /* eod_token_id is EOS, the first of generation_config.json's several EOS ends turns */
    WS_VOCAB_ADDS_ALL = 16384,   /* BOS, EOS and SEP are added unless the tokenizer's files say otherwise */
    WS_VOCAB_GLM = 512,          /* <|endoftext|> and <|user|> end texts and turns, if nothing else does */
    WS_VOCAB_PREFIX_LAST = 1024, /* add_prefix_space comes last */
};

enum {
    WS_OWN_KEYS = 1,             /* `keys` are all keys, in order; none of those that most architectures share */
    WS_EMBD_SQRT = 2,            /* embeddings are multiplied by sqrt(hidden size) */
    WS_EXPERTS_SUM_1 = 4,        /* the weights of the chosen experts are scaled to a sum of 1 */
    WS_YARN_EXACT = 8,           /* YaRN's ramp begins and ends between dimensions */
    WS_TIED_DROPS_HEAD = 16,     /* a tied checkpoint's lm_head is not written */
    WS_ENCODER = 512,            /* every token sees all others; there are no logits */
    WS_FULL_FIRST = 131072,      /* the first of every sliding_period layers sees all, not the last */
    WS_SLIDING_UNSCALED = 16384, /* rotation is not stretched in sliding layers */
    WS_HEAD_NORM_LATE = 32768,   /* norms of heads come behind the rotation */
    WS_NTK_ALPHA = 65536,        /* "dynamic" scaling of rotation is a larger base */
    WS_PADDED_POSITIONS = 8192,  /* the first positions belong to padding, up to its id */
    WS_SIDE_BY_SIDE = 2048,      /* without a norm of its own the feed-forward block reads what attention reads */
    WS_LOGITS_TIMES = 4096,      /* "logit_scale" multiplies logits instead of dividing them */
    WS_POOLS = 1024,             /* may be used for embeddings, pooled as its folder says */
    WS_NO_HEAD_DIM = 64,         /* config.json's head_dim does not count */
    WS_CUT_VOCAB = 128,          /* embeddings of no token are not written */
    WS_LATE_NORM = 256,          /* what is named a norm behind attention comes before the feed-forward block */
    WS_SLIDING_ROPE = 32,        /* sliding layers have a rope base of their own and no scaling */
};

typedef struct {
    const char *name;              /* general.architecture; several kinds of checkpoints may become the same */
    const char *const *hf_classes; /* of config.json's "architectures"; NULL-terminated */
    const ws_arch_tensor *tensors; /* ended by a row with gguf == NULL */
    const ws_arch_rename *renames; /* or NULL */
    const ws_arch_key *keys;       /* beside those that all architectures have (convert/config.c) */
    const ws_arch_key *late_keys;  /* behind that of the pooling; or NULL */
    const ws_arch_demand *demands; /* or NULL */
    unsigned vocab, traits;
    ws_rope_kind rope;
    ws_activation activation;
    ws_norm_kind norm;
    uint32_t sliding_period;  /* all but the last of so many layers see only a window of keys; 0: none */
    uint32_t unturned_period; /* the last of so many layers does not turn queries and keys; 0: all do */
    uint32_t window;          /* when the file does not say */
    uint32_t odd_layers;      /* a model of so many layers scales attention by hidden size / heads */
} ws_arch;

const ws_arch *ws_arch_by_name(const char *name, size_t len); /* the first of that name; NULL: unknown */
const ws_arch *ws_arch_by_hf_class(const char *cls);          /* NULL: unknown */
const ws_arch *const *ws_arch_all(void);                      /* NULL-terminated, for messages and tests */

typedef enum { WS_SCALING_NONE, WS_SCALING_LINEAR, WS_SCALING_YARN } ws_rope_scaling;

/* The numbers that shape a model, from a GGUF's metadata (scalars; per-layer arrays are refused here). What a model
 * does not have is 0. */
typedef struct {
    uint64_t n_layer, n_ctx_train, n_embd, n_ff, n_head, n_head_kv, n_vocab;
    uint64_t head_k, head_v; /* key and value length of one head */
    uint64_t n_rot;          /* rope dimensions */
    uint64_t n_expert, n_expert_used, n_ff_expert, n_ff_shared, n_expert_shared;
    uint64_t n_expert_group, n_group_used; /* experts of so many of the groups may be chosen; at most 1: all may */
    uint64_t n_token_types;
    uint64_t n_padding;              /* of a checkpoint: the first positions, which no token has */
    uint64_t n_dense_lead;           /* the first layers, which have no experts */
    uint64_t q_latent, kv_latent;    /* MLA: lengths of the short vectors; kv_latent != 0 makes it MLA */
    uint64_t head_k_mla, head_v_mla; /* MLA: of the unfolded heads */
    uint64_t window, sliding_period, full_layer,
        unturned_period; /* full_layer: of a period, the one without a window */

    float norm_eps;
    float attn_scale;                 /* of the products of queries and keys */
    float embd_scale, residual_scale; /* factors, 1 without */
    float logit_scale;                /* logits are divided by it */
    float attn_softcap, logit_softcap;
    float attn_temperature; /* queries grow by it times ln(1 + how often the original context has passed) */
    float expert_scale;     /* of the chosen experts' weights */
    bool experts_sum_1, experts_sigmoid;

    ws_rope_scaling scaling;
    float rope_base, rope_base_sliding;
    float rope_scale;     /* positions are divided by it; 1 without */
    float rope_magnitude; /* of cosines and sines */
    float yarn_beta_fast, yarn_beta_slow;
    uint64_t n_ctx_original; /* YaRN, long rope: the context before it was stretched */
} ws_hparams;

/* Read and check (no zero, no remainder, no absurd size). */
WS_MUST_CHECK ws_status ws_hparams_read(ws_hparams *hp, const ws_arch *arch, const ws_gguf *g, ws_error *err);

/* Value of a symbolic dimension. */
uint64_t ws_hparams_dim(const ws_hparams *hp, ws_dim dim);

/* Does this layer have experts? Does it turn queries and keys? Does it see only the last `window` keys? */
bool ws_layer_has_experts(const ws_hparams *hp, uint64_t layer);
bool ws_layer_turns(const ws_hparams *hp, uint64_t layer);
bool ws_layer_slides(const ws_hparams *hp, uint64_t layer);

/* Does a model of these sizes have the tensor of this row (in this layer), optional or not? */
bool ws_arch_row_applies(const ws_arch_tensor *row, const ws_hparams *hp, uint64_t layer);

/* The name of a checkpoint's tensor as the table has it. Longer ones are cut: no table has them. */
enum { WS_ARCH_NAME = 256 };
void ws_arch_plain_name(const ws_arch *arch, const char *name, char plain[WS_ARCH_NAME]);

/* Is it a table that everyone computes, or part of what sees or hears? */
bool ws_arch_ignores(const char *name);

/* ... and does its GGUF file (where a tensor has one form, and dropped ones are not)? */
bool ws_arch_row_in_file(const ws_arch_tensor *row, const ws_hparams *hp, uint64_t layer);

#endif
