/* arch.c - the registry of architectures, and the numbers of a model read from its metadata. */
#include "arch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

extern const ws_arch ws_arch_llama;

static const ws_arch *const registry[] = {&ws_arch_llama, NULL};

/* Far above any model, far below what could overflow a product of two in 64 bits. */
static const uint64_t MAX_SIZE = UINT64_C(1) << 28;
static const uint64_t MAX_LAYERS = 1 << 16;

const ws_arch *const *ws_arch_all(void) { return registry; }

const ws_arch *ws_arch_by_name(const char *name, size_t len) {
    for (const ws_arch *const *a = registry; *a; a++)
        if (strlen((*a)->name) == len && memcmp((*a)->name, name, len) == 0) return *a;
    return NULL;
}

const ws_arch *ws_arch_by_hf_class(const char *cls) {
    for (const ws_arch *const *a = registry; *a; a++)
        for (const char *const *c = (*a)->hf_classes; *c; c++)
            if (strcmp(*c, cls) == 0) return *a;
    return NULL;
}

/* The pair behind "ARCH.suffix"; `key` (KEY_BYTES) receives the full name for messages. */
enum { KEY_BYTES = 96 };

static const ws_kv *find(const ws_gguf *g, const ws_arch *arch, const char *suffix, char *key) {
    snprintf(key, KEY_BYTES, "%s.%s", arch->name, suffix);
    return ws_gguf_kv(g, key);
}

typedef struct {
    const char *suffix;
    uint64_t *out;
    uint64_t fallback; /* value of a missing key; 0: the key must be there */
    uint64_t max;
} size_key;

static ws_status read_size(const ws_gguf *g, const ws_arch *arch, const size_key *want, ws_error *err) {
    char key[KEY_BYTES];
    const ws_kv *kv = find(g, arch, want->suffix, key);
    *want->out = want->fallback;
    if (kv && kv->type == WS_KV_ARRAY)
        return ws_fail(err, WS_UNSUPPORTED, "'%s': '%s' differs from layer to layer, which is not supported",
                       ws_gguf_path(g), key);
    WS_TRY(want->fallback ? ws_gguf_opt_u64(g, key, want->out, err) : ws_gguf_need_u64(g, key, want->out, err));
    if (*want->out == 0 || *want->out > want->max)
        return ws_fail(err, WS_FORMAT, "'%s': '%s' is %llu, expected 1 to %llu", ws_gguf_path(g), key,
                       (unsigned long long)*want->out, (unsigned long long)want->max);
    return WS_OK;
}

static ws_status read_sizes(const ws_gguf *g, const ws_arch *arch, const size_key *keys, size_t n, ws_error *err) {
    for (size_t i = 0; i < n; i++) WS_TRY(read_size(g, arch, &keys[i], err));
    return WS_OK;
}

static ws_status read_positive(float *out, const ws_gguf *g, const ws_arch *arch, const char *suffix, ws_error *err) {
    char key[KEY_BYTES];
    find(g, arch, suffix, key);
    WS_TRY(ws_gguf_opt_f32(g, key, out, err));
    if (!isfinite(*out) || *out <= 0)
        return ws_fail(err, WS_FORMAT, "'%s': '%s' is %g, expected a positive number", ws_gguf_path(g), key, *out);
    return WS_OK;
}

/* The vocabulary's size: its own key in newer files, else the number of tokens, else the rows of the embedding. */
static ws_status read_vocab(uint64_t *n_vocab, const ws_gguf *g, const ws_arch *arch, ws_error *err) {
    const ws_kv *tokens = ws_gguf_kv(g, "tokenizer.ggml.tokens");
    const ws_tensor *embd = ws_gguf_tensor(g, "token_embd.weight");
    uint64_t fallback = 0;
    if (tokens && tokens->type == WS_KV_ARRAY)
        fallback = tokens->n;
    else if (embd)
        fallback = embd->ne[1];
    const size_key key = {"vocab_size", n_vocab, fallback, MAX_SIZE};
    return read_size(g, arch, &key, err);
}

static bool str_is(ws_str s, const char *text) { return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0; }

/* Only linear scaling changes positions; "llama3" scaling arrives as the tensor rope_freqs instead. */
static ws_status read_rope_scaling(float *scale, const ws_gguf *g, const ws_arch *arch, ws_error *err) {
    char key[KEY_BYTES];
    ws_str type = {"linear", 6};
    const ws_kv *kv = find(g, arch, "rope.scaling.type", key);
    if (kv && !ws_kv_str(kv, &type)) return ws_fail(err, WS_FORMAT, "'%s': '%s' is not a string", ws_gguf_path(g), key);
    *scale = 1;
    if (str_is(type, "none")) return WS_OK;
    if (!str_is(type, "linear"))
        return ws_fail(err, WS_UNSUPPORTED, "'%s': rope scaling '%.*s' is not supported (none, linear and llama3 are)",
                       ws_gguf_path(g), (int)(type.len < 40 ? type.len : 40), type.data);
    WS_TRY(read_positive(scale, g, arch, "rope.scale_linear", err)); /* the name in files of 2023 */
    return read_positive(scale, g, arch, "rope.scaling.factor", err);
}

static ws_status check_heads(const ws_hparams *hp, const ws_gguf *g, ws_error *err) {
    if (hp->n_head % hp->n_head_kv != 0)
        return ws_fail(err, WS_FORMAT, "'%s': %llu heads cannot share %llu key/value heads", ws_gguf_path(g),
                       (unsigned long long)hp->n_head, (unsigned long long)hp->n_head_kv);
    if (hp->n_rot % 2 != 0 || hp->n_rot > hp->head_k)
        return ws_fail(err, WS_FORMAT, "'%s': %llu rope dimensions do not fit heads of %llu", ws_gguf_path(g),
                       (unsigned long long)hp->n_rot, (unsigned long long)hp->head_k);
    return WS_OK;
}

ws_status ws_hparams_read(ws_hparams *hp, const ws_arch *arch, const ws_gguf *g, ws_error *err) {
    *hp = (ws_hparams){.rope_base = 10000.0f, .rope_scale = 1};
    const size_key main_sizes[] = {
        {"block_count", &hp->n_layer, 0, MAX_LAYERS},      {"context_length", &hp->n_ctx_train, 0, UINT32_MAX},
        {"embedding_length", &hp->n_embd, 0, MAX_SIZE},    {"feed_forward_length", &hp->n_ff, 0, MAX_SIZE},
        {"attention.head_count", &hp->n_head, 0, 1 << 16},
    };
    WS_TRY(read_sizes(g, arch, main_sizes, sizeof main_sizes / sizeof *main_sizes, err));

    const uint64_t even_share = hp->n_embd % hp->n_head == 0 ? hp->n_embd / hp->n_head : 0;
    const size_key head_sizes[] = {
        {"attention.head_count_kv", &hp->n_head_kv, hp->n_head, hp->n_head},
        {"attention.key_length", &hp->head_k, even_share, 1 << 16},
        {"attention.value_length", &hp->head_v, even_share, 1 << 16},
    };
    WS_TRY(read_sizes(g, arch, head_sizes, sizeof head_sizes / sizeof *head_sizes, err));
    const size_key rot = {"rope.dimension_count", &hp->n_rot, hp->head_k, 1 << 16};
    WS_TRY(read_size(g, arch, &rot, err));
    WS_TRY(check_heads(hp, g, err));

    WS_TRY(read_vocab(&hp->n_vocab, g, arch, err));
    WS_TRY(read_positive(&hp->rms_eps, g, arch, "attention.layer_norm_rms_epsilon", err));
    WS_TRY(read_positive(&hp->rope_base, g, arch, "rope.freq_base", err));
    return read_rope_scaling(&hp->rope_scale, g, arch, err);
}

uint64_t ws_hparams_dim(const ws_hparams *hp, ws_dim dim) {
    switch (dim) {
    case WS_DIM_END: return 0;
    case WS_DIM_VOCAB: return hp->n_vocab;
    case WS_DIM_EMBD: return hp->n_embd;
    case WS_DIM_FF: return hp->n_ff;
    case WS_DIM_Q: return hp->n_head * hp->head_k;
    case WS_DIM_K: return hp->n_head_kv * hp->head_k;
    case WS_DIM_V: return hp->n_head_kv * hp->head_v;
    case WS_DIM_ATTN_OUT: return hp->n_head * hp->head_v;
    case WS_DIM_HALF_ROPE: return hp->n_rot / 2;
    }
    return 0;
}
