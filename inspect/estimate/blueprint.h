/* blueprint.h - a model as far as its memory is concerned: its numbers, its tensors, and how its architecture
 * computes. Read from a GGUF header, or worked out from a Hugging Face config.json (hf_blueprint.h). */
#ifndef WS_BLUEPRINT_H
#define WS_BLUEPRINT_H

#include "arena.h"
#include "gguf.h"

/* The shape of the forward pass. */
typedef enum {
    WS_FAMILY_DECODER, /* attention, then feed-forward or experts; the traits say in what variation */
    WS_FAMILY_LATENT,  /* DeepSeek's multi-head latent attention */
    WS_FAMILY_GEMMA3N,
    WS_FAMILY_GEMMA4,
    WS_FAMILY_MAMBA,
    WS_FAMILY_HYBRID,    /* Mamba 2 or short convolutions, and attention between them */
    WS_FAMILY_BERT,      /* norms behind attention and feed-forward; no cache, no logits */
    WS_FAMILY_DELTA_NET, /* Qwen3-Next and Qwen3.5: gated delta net, every n-th layer attends */
} ws_family;

enum {
    WS_LAYER_NORM = 1 << 0,     /* not RMS norm */
    WS_SCALED_EMBD = 1 << 1,    /* token embeddings are scaled */
    WS_SCALED_Q = 1 << 2,       /* queries are scaled before attention, not in it */
    WS_GELU = 1 << 3,           /* a feed-forward without gate: an activation of its own */
    WS_MERGED_GATE = 1 << 4,    /* gate and up are one matrix */
    WS_RESIDUAL_FIRST = 1 << 5, /* residual + x, not x + residual */
    WS_LATE_ROWS = 1 << 6,      /* rows that nobody asked for are dropped after the last layer, not within it */
    WS_PARALLEL = 1 << 7,       /* feed-forward beside attention: x + attention(n(x)) + ffn(n(x)) */
    WS_PARALLEL_ATTN_FIRST = 1 << 8,
    WS_NO_ROPE = 1 << 9,          /* learned or no positions */
    WS_ROPE_IF_SLIDING = 1 << 10, /* only sliding layers rotate */
    WS_ROPE_3_OF_4 = 1 << 11,     /* every fourth layer does not rotate */
    WS_SINKS = 1 << 12,
    WS_NORM_EXPERTS = 1 << 13,     /* weights of the chosen experts sum to one */
    WS_WEIGHTS_SOFTMAX = 1 << 14,  /* softmax over the chosen, not over all */
    WS_SIGMOID_EXPERTS = 1 << 15,  /* sigmoid unless the file says otherwise */
    WS_EXPERTS_BY_KEY = 1 << 16,   /* normalization and gate are said in the file */
    WS_SHARED_GATE = 1 << 17,      /* the shared expert has a gate (sigmoid) */
    WS_SHARED_GATE_SILU = 1 << 18, /* the same, computed as silu(x) / x */
    WS_DENSE_FIRST = 1 << 19,      /* of a period of sliding layers the first attends to everything, not the last */
    WS_WEIGHT_BEFORE = 1 << 20,    /* Llama 4: experts get weighted inputs; no softmax */
    WS_SOFT_CAP = 1 << 21,         /* attention scores are capped */
    WS_IF_64_LAYERS = 1 << 22,     /* layers slide in the model of 64 layers only */
    WS_QK_RMS = 1 << 23,           /* Q and K are normalized after rotation, without weights */
    WS_ATTN_SCALE = 1 << 24,       /* queries are scaled by position */
    WS_FOUR_POSITIONS = 1 << 25,   /* per token */
    WS_NORM_OUTPUT_KEPT = 1 << 26, /* the normalized last hidden state of all tokens is an output as well */
    WS_HIDDEN_KEPT = 1 << 27,      /* the last hidden state of all tokens is an output as well */
    WS_PRE_NORM_SPLIT = 1 << 28,   /* norm of Q and K over whole rows, before they are cut into heads */
    WS_SECTIONS = 1 << 29,         /* four positions if the file cuts rotations into sections */
    WS_FIXED_WINDOW = 1 << 30,     /* the file says only whether there is one */
    WS_BARE_NORMS = 1LL << 31,     /* of every layer and of the output, without weights */
    WS_EMBD_NORM = 1LL << 32,      /* embeddings are normalized, with weights or without */
    WS_EMBD_SKIP = 1LL << 33,      /* ... and added to every layer's result */
    WS_ROPE_IF_32_LAYERS = 1LL << 34,
    WS_GATE_FROM_INPUT = 1LL << 35,    /* experts are chosen by what enters the layer */
    WS_EXPERTS_BESIDE = 1LL << 36,     /* experts beside a dense feed-forward, from the layer's input */
    WS_PARALLEL_SUM_FIRST = 1LL << 37, /* (ffn + attention) + x */
    WS_SOFTPLUS_GATE = 1LL << 38,      /* the gate of attention, else sigmoid */
    WS_HALF_SHARED = 1LL << 39,        /* experts and shared experts are averaged */
    WS_ROPE_DENSE_LEAD = 1LL << 40,    /* the first layers, without experts, rotate as well */
    WS_EXPERTS_AND_DENSE = 1LL << 42,  /* experts and a dense feed-forward, averaged */
    WS_MID_RESIDUAL_FIRST = 1LL << 43, /* residual + attention, but feed-forward + residual */
    WS_NO_FLASH = 1LL << 44,           /* llama.cpp refuses flash attention */
    WS_MAY_BE_PARALLEL = 1LL << 41,    /* the file says if feed-forward and attention stand side by side */
    WS_NO_CACHE = 1LL << 45,           /* attention within the batch; nothing is remembered */
    WS_ALL_SCALED = 1LL << 47,         /* MiniCPM 3: what is added to the residual, and the last hidden state */
    WS_NO_LOGITS = 1LL << 46,          /* the result is the last hidden state */
    WS_ALWAYS_SCALED = 1LL << 50,      /* embeddings, residuals and logits, if the file says how much or not */
    WS_ROPE_FIRST = 1LL << 51,         /* Q and K are rotated before they are normalized */
    WS_ROWS_BEHIND_NORM = 1LL << 52,   /* the norm behind the last attention is of all rows */
    WS_SEES_ALL = 1LL << 53,           /* tokens see those behind them, although the file does not say so */
    WS_IDLE_CACHE = 1LL << 54,         /* a cache is allocated all the same */
    WS_ONE_EMBEDDING = 1LL << 48,      /* the token embedding is never copied to a GPU as an output matrix */
    WS_WIDE_EXPERTS = 1LL << 49,       /* inside of experts exceeds f16: no GPU has a kernel for their last product */
    /* of hybrids; these bits mean nothing to others */
    WS_SHORT_CONV = WS_PARALLEL,                  /* convolutions of a few tokens, no other state */
    WS_ONE_THING = WS_PARALLEL_ATTN_FIRST,        /* a layer is a state, attention or feed-forward, with one norm */
    WS_ONLY_STATES = WS_ROPE_IF_SLIDING,          /* no layer attends */
    WS_STATES_AND_ATTENTION = WS_GATE_FROM_INPUT, /* every layer has both */
    WS_MAMBA1 = WS_ROPE_3_OF_4,
};

typedef struct {
    const char *name; /* general.architecture */
    ws_family family;
    uint64_t traits;
    uint8_t sliding_period; /* of n layers all but the last slide; 0: none slide (a window in the file is ignored) */
    uint16_t window;        /* when the file has none */
} ws_style;

/* NULL: not described. */
const ws_style *ws_style_find(const char *name, size_t len);

typedef struct {
    uint64_t n_head, n_head_kv, head_k, head_v, n_ff, n_ff_expert, n_expert_used;
    bool sliding, recurrent;
    int32_t cache_of; /* the layer whose cache it reads; -1: it has none */
} ws_bp_layer;

typedef enum { WS_GATE_NONE, WS_GATE_SOFTMAX, WS_GATE_SIGMOID, WS_GATE_SOFTMAX_WEIGHT, WS_GATE_SQRT_SOFTPLUS } ws_gate;

typedef struct {
    const ws_style *style;
    bool guessed; /* the architecture is not described: computed as a plain decoder */
    char architecture[64], name[128];
    const char *file_type;         /* "Q4_K_M", or NULL */
    uint64_t n_layer, n_layer_all; /* that run; with those for multi-token prediction, which stay on disk */
    uint64_t n_ctx_train, n_embd, n_vocab, n_params;
    ws_bp_layer *layers; /* n_layer_all */
    uint64_t n_expert, n_expert_groups, n_group_used, n_dense_lead;
    bool expert_norm, expert_scale;
    ws_gate gate;
    uint64_t window;
    uint64_t n_deepstack; /* first layers to which images add something of their own (Qwen3-VL) */
    uint64_t key_mla, value_mla, lora_q, lora_kv, n_rot;       /* MLA: heads as they are computed, ranks */
    uint64_t conv_kernel, d_inner, d_state, dt_rank, n_groups; /* recurrent layers */
    uint64_t conv_width, state_width; /* what one of them remembers of a sequence: last inputs, state; floats */
    bool dt_norm;
    bool causal;                                               /* tokens see those before them only */
    bool four_positions;                                       /* per token: images have places, too */
    uint64_t n_altup, n_embd_altup, laurel_rank, altup_active; /* Gemma 3n */
    bool no_rope, final_cap, logit_scale, embd_scale, residual_scale, clamp_qkv, attn_scale, value_scale, clamp_glu;
    bool parallel; /* feed-forward beside attention, each with a norm of its own */
    /* Tensors: borrowed names and types, data unused. `sorted` is in the order of names. */
    const ws_tensor *tensors;
    const ws_tensor **sorted;
    size_t n_tensors;
    /* what the above points into */
    ws_gguf *gguf;
    ws_tensor *own_tensors;
    ws_tensor *file_tensors; /* before retype.h changed types; or NULL */
    const char *original_type;
    ws_arena names; /* that no file holds */
} ws_blueprint;

enum { WS_MAX_MODEL_LAYERS = 1024 };

/* From an open file, which the blueprint takes over (in failure as well). */
WS_MUST_CHECK ws_status ws_blueprint_from_gguf(ws_blueprint **out, ws_gguf *g, ws_error *err);
void ws_blueprint_close(ws_blueprint *bp); /* NULL is fine */

/* Does the layer read a cache, its own or another layer's? */
static inline bool ws_layer_attends(const ws_blueprint *bp, size_t layer) {
    const ws_bp_layer *l = &bp->layers[layer];
    const bool both = bp->style->family == WS_FAMILY_HYBRID && bp->style->traits & WS_STATES_AND_ATTENTION;
    return l->n_head_kv && (!l->recurrent || both) && !(bp->style->traits & WS_NO_CACHE);
}

/* By name; NULL when there is none. The second form puts the layer into a name with one %u. */
const ws_tensor *ws_blueprint_tensor(const ws_blueprint *bp, const char *name);
const ws_tensor *ws_blueprint_layer_tensor(const ws_blueprint *bp, const char *format, unsigned layer);

/* ---- for those who make blueprints ---- */

/* Sort the tensors, count parameters, find the vocabulary. `source` names the file in messages. */
WS_MUST_CHECK ws_status ws_blueprint_index(ws_blueprint *bp, const char *source, ws_error *err);
/* Which layers slide, by period; and which read whose cache. */
void ws_blueprint_slide(ws_blueprint *bp, uint64_t period);
/* Gemma 3n's constants, and which layers share caches. */
void ws_blueprint_alternate(ws_blueprint *bp);
/* What recurrent layers remember, from their sizes. */
void ws_blueprint_remember(ws_blueprint *bp);

/* The layer of "blk.7.attn_q.weight", or -1. */
int64_t ws_tensor_layer(const char *name);

#endif
