/* hf_maker.h - what hf_blueprint.c and hf_layers.c share: a config.json being turned into a blueprint. */
#ifndef WS_HF_MAKER_H
#define WS_HF_MAKER_H

#include "blueprint.h"
#include "json.h"

/* How the tensors of a class differ from Llama's. */
enum {
    QK_NORM = 1, /* per head */
    QKV_BIAS = 2,
    OUT_BIAS = 4,
    FUSED_QKV = 8,
    MERGED_GATE = 16,
    POST_NORMS = 32,        /* after attention and after the feed-forward, beside those before */
    ONLY_POST = 64,         /* none before */
    FFN_NORM_IS_POST = 128, /* the norm before the feed-forward is called post_attention_norm */
    SINKS = 256,
    EXPERT_BIAS = 512,
    LATENT = 1024,
    ROW_QK_NORM = 2048,      /* over whole rows */
    TIED = 4096,             /* unless the config says otherwise */
    NO_FFN_NORM = 8192,      /* feed-forward beside attention */
    PROBS_BIAS = 16384,      /* DeepSeek V3 corrects its choice of experts */
    QKV_BIAS_BY_KEY = 32768, /* attention_bias */
    NORM_BIAS = 1 << 16,
    NO_GATE = 1 << 17, /* of the feed-forward */
    FFN_BIAS = 1 << 18,
    ATTN_GATE = 1 << 19,
    DELTA_NET = 1 << 20,  /* most layers keep a state */
    ONE_BA = 1 << 21,     /* ... whose gates come from one product */
    SHORT_CONV = 1 << 22, /* most layers are convolutions */
    GEMMA4 = 1 << 23,
    STATE_NORMS = 1 << 24, /* Jamba's */
    DT_NORM = 1 << 25,     /* without weights */
    GRANITE4 = 1 << 26,
    EXPERTS_ALTERNATE = 1 << 27, /* Llama 4 */
    PLACES = 1 << 28,            /* learned positions */
    OUTPUT_BIAS = 1 << 29,
    NO_NORMS = 1 << 30,            /* none has weights */
    TWO_NORMS = 1LL << 31,         /* one for attention, one for the feed-forward beside it */
    NORM_BY_KEY = 1LL << 32,       /* Falcon: TWO_NORMS if new_decoder_architecture */
    NARROW_HEADS = 1LL << 33,      /* head_dim is ignored */
    MULTIPLIERS = 1LL << 34,       /* Granite's, of embeddings, residuals and logits */
    WHOLE_KV = 1LL << 36,          /* MiniCPM 3: keys and values are decompressed before they are stored */
    CTX_IS_SEQ_LENGTH = 1LL << 35, /* or the width; whatever else the config says */
};

static const uint64_t MAX_SIZE = UINT64_C(1) << 26;

typedef struct {
    ws_blueprint *bp;
    const cJSON *root, *text; /* the language model's part, for models that see */
    uint64_t features;
    ws_dtype type, expert_type;
    uint64_t expert_offset, expert_period; /* layers with experts */
    size_t cap;
    const char *source;
    ws_error *err;
} maker;

/* A row of a layer's tensors: present when all features of `with` and none of `without` are. */
typedef struct {
    const char *name;
    bool matrix; /* else F32 */
    uint64_t with, without;
    uint64_t ne[3];
} row;

/* ---- numbers of the config ---- */

/* The first of several keys, separated by '|', that is there and not null; or NULL. */
const cJSON *hf_find(const maker *m, const char *keys);
/* *out keeps its value when there is no such key. */
WS_MUST_CHECK ws_status hf_number(const maker *m, const char *keys, uint64_t *out, uint64_t most);
WS_MUST_CHECK ws_status hf_needed(const maker *m, const char *keys, uint64_t *out, uint64_t most);
bool hf_is_true(const maker *m, const char *key, bool otherwise);

/* ---- tensors ---- */

WS_MUST_CHECK ws_status hf_add(maker *m, const char *name, ws_dtype type, uint64_t ne0, uint64_t ne1, uint64_t ne2);
WS_MUST_CHECK ws_status hf_add_layer(maker *m, const char *what, size_t layer, ws_dtype type, uint64_t ne0,
                                     uint64_t ne1, uint64_t ne2);
WS_MUST_CHECK ws_status hf_add_rows(maker *m, size_t layer, const row *rows, size_t n, ws_dtype type);
WS_MUST_CHECK ws_status hf_add_dense(maker *m, size_t layer, const char *infix, uint64_t ff);

/* ---- layers with a Mamba state (hf_states.c) ---- */

bool hf_is_mamba(const maker *m);
/* Is any layer of this kind, by its letter in a pattern or its name in a list? */
bool hf_has_kind(const maker *m, char letter, const char *name);
WS_MUST_CHECK ws_status hf_read_states(maker *m);
/* A mixer, with its norm; where attention stands beside it, without. */
WS_MUST_CHECK ws_status hf_add_mamba(maker *m, size_t layer);
WS_MUST_CHECK ws_status hf_find_expert_layers(maker *m);
bool hf_has_experts(const maker *m, size_t layer);

/* ---- layers of other kinds (hf_layers.c) ---- */

/* Which layers keep states, and their sizes; heads that differ by layer. */
WS_MUST_CHECK ws_status hf_read_kinds(maker *m);
/* What stands in for attention in a layer that keeps a state. */
WS_MUST_CHECK ws_status hf_add_state(maker *m, size_t layer);
/* Gemma 4: attention and norms of a layer, its experts and its own input; tensors of the model. */
WS_MUST_CHECK ws_status hf_add_gemma4_layer(maker *m, size_t layer);
WS_MUST_CHECK ws_status hf_add_gemma4_model(maker *m);
/* Gemma 3n: what a layer has beside attention and feed-forward; tensors of the model. */
WS_MUST_CHECK ws_status hf_add_gemma3n_layer(maker *m, size_t layer);
WS_MUST_CHECK ws_status hf_add_gemma3n_model(maker *m);

#endif
