/* arch.h - architectures as data. One descriptor per architecture, in arch/NAME.c, is read by convert (names of
 * tensors and metadata), infer (the forward pass) and vram-estimate (shapes, KV cache). */
#ifndef WS_ARCH_H
#define WS_ARCH_H

#include "error.h"
#include "gguf.h"

#include <stdbool.h>
#include <stdint.h>

/* What convert does to a tensor on its way from the checkpoint. */
typedef enum {
    WS_COPY,
    WS_PERMUTE_HEADS,    /* rows regrouped per query head: rotary halves -> interleaved pairs */
    WS_PERMUTE_KV_HEADS, /* the same per key/value head */
} ws_transform;

/* Symbolic sizes; an architecture's shapes are written in them (0 ends a shape). */
typedef enum {
    WS_DIM_END,
    WS_DIM_VOCAB,
    WS_DIM_EMBD,      /* hidden size */
    WS_DIM_FF,        /* feed-forward size */
    WS_DIM_Q,         /* heads * key length */
    WS_DIM_K,         /* KV heads * key length */
    WS_DIM_V,         /* KV heads * value length */
    WS_DIM_ATTN_OUT,  /* heads * value length */
    WS_DIM_HALF_ROPE, /* rope dimensions / 2 */
} ws_dim;

enum {
    WS_OPTIONAL = 1,  /* the model may lack it (biases, untied output) */
    WS_PER_LAYER = 2, /* "%u" in both names stands for the layer */
    WS_GENERATED = 4, /* not in the checkpoint: computed by convert (rope_freqs) */
};

typedef struct {
    const char *hf;   /* "model.layers.%u.self_attn.q_proj.weight"; NULL: not in the checkpoint */
    const char *gguf; /* "blk.%u.attn_q.weight"; NULL ends the table */
    ws_dim shape[3];  /* as in GGUF: fastest first */
    ws_transform transform;
    unsigned flags;
} ws_arch_tensor;

/* A metadata key that convert writes from config.json: "ARCH.suffix". */
typedef struct {
    const char *suffix; /* "attention.head_count"; NULL ends a table */
    ws_kv_type type;    /* U32 or F32 */
    const char *config; /* names in config.json, first found wins: "num_attention_heads|n_head"; "a/b": quotient */
} ws_arch_key;

typedef enum { WS_ROPE_NONE, WS_ROPE_INTERLEAVED, WS_ROPE_NEOX } ws_rope_kind;
typedef enum { WS_ACT_SILU, WS_ACT_GELU } ws_activation;

typedef struct {
    const char *name;              /* general.architecture */
    const char *const *hf_classes; /* of config.json's "architectures"; NULL-terminated */
    const ws_arch_tensor *tensors; /* ended by a row with gguf == NULL */
    const ws_arch_key *keys;       /* beside those that all architectures have (convert/config.c) */
    ws_rope_kind rope;
    ws_activation activation;
} ws_arch;

const ws_arch *ws_arch_by_name(const char *name, size_t len); /* NULL: unknown */
const ws_arch *ws_arch_by_hf_class(const char *cls);          /* NULL: unknown */
const ws_arch *const *ws_arch_all(void);                      /* NULL-terminated, for messages and tests */

/* The numbers that shape a model, from a GGUF's metadata (scalars; per-layer arrays are refused here). */
typedef struct {
    uint64_t n_layer, n_ctx_train, n_embd, n_ff, n_head, n_head_kv, n_vocab;
    uint64_t head_k, head_v; /* key and value length of one head */
    uint64_t n_rot;          /* rope dimensions */
    float rms_eps, rope_base;
    float rope_scale; /* linear position scaling: positions are divided by it; 1 without */
} ws_hparams;

/* Read and check (no zero, no remainder, no absurd size). */
WS_MUST_CHECK ws_status ws_hparams_read(ws_hparams *hp, const ws_arch *arch, const ws_gguf *g, ws_error *err);

/* Value of a symbolic dimension. */
uint64_t ws_hparams_dim(const ws_hparams *hp, ws_dim dim);

#endif
