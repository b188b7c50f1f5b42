#include "model_sizes.h"

#include "alloc.h"
#include "recipe.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* How an architecture's cache departs from the plain one (every layer keeps K and V of all cells). */
enum {
    FUSED_QKV = 1,
    LATENT = 2,    /* DeepSeek's MLA: one latent vector per token, when the file has the split projections */
    RECURRENT = 4, /* every layer keeps a state instead */
    HYBRID = 8,    /* most layers keep a state; every n-th attends */
    SHARED_KV = 16 /* later layers read the cache of earlier ones */
};

typedef struct {
    const char *name;
    unsigned traits;
    uint32_t sliding_period; /* of n layers all but the last slide; 0: none. A pattern in the file overrides it */
    uint64_t window;         /* when the file has none */
} architecture;

/* Sliding windows that llama.cpp ignores (llama, phi3) are ignored here. */
static const architecture architectures[] = {
    {"llama", 0, 0, 0},        {"qwen2", 0, 0, 0},          {"qwen3", 0, 0, 0},         {"qwen3moe", 0, 0, 0},
    {"phi3", FUSED_QKV, 0, 0}, {"gemma2", 0, 2, 4096},      {"gemma3", 0, 6, 0},        {"gemma3n", SHARED_KV, 5, 0},
    {"gpt-oss", 0, 2, 0},      {"deepseek2", LATENT, 0, 0}, {"mamba", RECURRENT, 0, 0}, {"qwen3next", HYBRID, 0, 0},
};

enum { KEY_BYTES = 128, GEMMA3N_OWN_CACHES = 20, DEFAULT_ATTENTION_INTERVAL = 4 };

/* Far above any model; products of three stay far below 2^64. */
static const uint64_t MAX_SIZE = UINT64_C(1) << 28, MAX_HEADS = 1 << 16, MAX_LAYERS = 1 << 16;

typedef struct {
    ws_model_sizes *s;
    const ws_gguf *g;
    const architecture *arch;
    ws_error *err;
} reader;

/* ---- metadata ---- */

static const ws_kv *find(const reader *r, const char *suffix, char *key) {
    snprintf(key, KEY_BYTES, "%s.%s", r->arch->name, suffix);
    return ws_gguf_kv(r->g, key);
}

static ws_status too_large(const reader *r, const char *key, uint64_t v, uint64_t most) {
    return ws_fail(r->err, WS_FORMAT, "'%s': '%s' is %" PRIu64 ", expected at most %" PRIu64, ws_gguf_path(r->g), key,
                   v, most);
}

/* *out keeps its value when the key is missing. */
static ws_status optional(const reader *r, const char *suffix, uint64_t *out, uint64_t most) {
    char key[KEY_BYTES];
    find(r, suffix, key);
    WS_TRY(ws_gguf_opt_u64(r->g, key, out, r->err));
    return *out > most ? too_large(r, key, *out, most) : WS_OK;
}

static ws_status needed(const reader *r, const char *suffix, uint64_t *out, uint64_t most) {
    char key[KEY_BYTES];
    find(r, suffix, key);
    WS_TRY(ws_gguf_need_u64(r->g, key, out, r->err));
    return *out > most ? too_large(r, key, *out, most) : WS_OK;
}

/* A number that may be one for all layers or an array with one per layer. */
static ws_status of_layer(const reader *r, const char *suffix, size_t layer, uint64_t *out, uint64_t most) {
    char key[KEY_BYTES];
    const ws_kv *kv = find(r, suffix, key);
    if (!kv || kv->type != WS_KV_ARRAY) return optional(r, suffix, out, most);
    int64_t v;
    if (!ws_kv_elem_i64(kv, layer, &v) || v < 0)
        return ws_fail(r->err, WS_FORMAT, "'%s': '%s' has no whole number for layer %zu", ws_gguf_path(r->g), key,
                       layer);
    *out = (uint64_t)v;
    return *out > most ? too_large(r, key, *out, most) : WS_OK;
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* ---- layers ---- */

static ws_status read_attention(const reader *r, size_t i) {
    ws_est_model *m = &r->s->model;
    ws_est_layer *layer = &r->s->layers[i];
    uint64_t n_head = 0, n_ff = 0, n_ff_expert = 0;
    WS_TRY(of_layer(r, "attention.head_count", i, &n_head, MAX_HEADS));
    uint64_t n_head_kv = n_head;
    WS_TRY(of_layer(r, "attention.head_count_kv", i, &n_head_kv, MAX_HEADS));
    uint64_t head_k = n_head ? m->n_embd / n_head : 0, head_v = head_k;
    WS_TRY(optional(r, "attention.key_length", &head_k, MAX_SIZE));
    WS_TRY(optional(r, "attention.value_length", &head_v, MAX_SIZE));
    WS_TRY(of_layer(r, "feed_forward_length", i, &n_ff, MAX_SIZE));
    n_ff_expert = n_ff;
    WS_TRY(of_layer(r, "expert_feed_forward_length", i, &n_ff_expert, MAX_SIZE));
    layer->k_width = n_head_kv * head_k;
    layer->v_width = m->mla ? 0 : n_head_kv * head_v;
    m->n_head = larger(m->n_head, n_head), m->n_head_kv = larger(m->n_head_kv, n_head_kv);
    m->head_k = larger(m->head_k, head_k), m->head_v = larger(m->head_v, head_v);
    m->n_ff = larger(m->n_ff, n_ff), m->n_ff_expert = larger(m->n_ff_expert, n_ff_expert);
    return WS_OK;
}

/* States of linear layers: the inputs that the convolution still sees, and the state proper. */
static ws_status read_states(const reader *r) {
    uint64_t groups = 0, interval = DEFAULT_ATTENTION_INTERVAL;
    ws_est_model *m = &r->s->model;
    WS_TRY(needed(r, "ssm.conv_kernel", &m->d_conv, MAX_HEADS));
    WS_TRY(needed(r, "ssm.inner_size", &m->d_inner, MAX_SIZE));
    WS_TRY(needed(r, "ssm.state_size", &m->d_state, MAX_HEADS));
    WS_TRY(optional(r, "ssm.group_count", &groups, MAX_HEADS));
    WS_TRY(optional(r, "full_attention_interval", &interval, MAX_LAYERS));
    if (!m->d_conv || !interval)
        return ws_fail(r->err, WS_FORMAT, "'%s': zero convolution or attention interval", ws_gguf_path(r->g));
    const ws_est_layer linear = {
        .conv_state = (m->d_conv - 1) * (m->d_inner + 2 * groups * m->d_state),
        .ssm_state = m->d_state * m->d_inner,
    };
    for (size_t i = 0; i < m->n_layers; i++)
        if (r->arch->traits & RECURRENT || (i + 1) % interval != 0) r->s->layers[i] = linear;
    return WS_OK;
}

/* Which layers slide? A period, or an array of flags, in the file goes before the architecture's period. */
static ws_status read_sliding(const reader *r) {
    char key[KEY_BYTES];
    ws_est_model *m = &r->s->model;
    m->window = r->arch->window;
    WS_TRY(optional(r, "attention.sliding_window", &m->window, MAX_SIZE));
    if (!m->window) return WS_OK;
    const ws_kv *pattern = find(r, "attention.sliding_window_pattern", key);
    uint64_t period = r->arch->sliding_period;
    const bool flags = pattern && pattern->type == WS_KV_ARRAY;
    if (!flags) WS_TRY(optional(r, "attention.sliding_window_pattern", &period, MAX_LAYERS));
    for (size_t i = 0; i < m->n_layers; i++) {
        uint64_t slides = period == 0 || i % period < period - 1;
        if (flags) WS_TRY(of_layer(r, "attention.sliding_window_pattern", i, &slides, 1));
        r->s->layers[i].sliding = slides;
    }
    return WS_OK;
}

static ws_status read_layers(const reader *r) {
    ws_model_sizes *s = r->s;
    s->layers = ws_alloc(s->model.n_layers, sizeof *s->layers, "layers", r->err);
    if (!s->layers) return WS_NOMEM;
    s->model.layers = s->layers;
    if (!(r->arch->traits & RECURRENT))
        for (size_t i = 0; i < s->model.n_layers; i++) WS_TRY(read_attention(r, i));
    if (r->arch->traits & (RECURRENT | HYBRID)) WS_TRY(read_states(r));
    if (r->arch->sliding_period) WS_TRY(read_sliding(r));
    if (r->arch->traits & SHARED_KV)
        for (size_t i = GEMMA3N_OWN_CACHES; i < s->model.n_layers; i++) s->layers[i].k_width = s->layers[i].v_width = 0;
    return WS_OK;
}

/* ---- tensors ---- */

static ws_status read_tensors(const reader *r) {
    ws_model_sizes *s = r->s;
    const ws_tensor *embedding = ws_gguf_tensor(r->g, "token_embd.weight");
    const bool tied = !ws_gguf_tensor(r->g, "output.weight");
    if (!embedding) return ws_fail(r->err, WS_FORMAT, "'%s' has no tensor 'token_embd.weight'", ws_gguf_path(r->g));
    s->tensors = ws_alloc(r->g->n_tensors, sizeof *s->tensors, "tensors", r->err);
    if (!s->tensors) return WS_NOMEM;
    for (size_t i = 0; i < r->g->n_tensors; i++) {
        const ws_tensor *t = &r->g->tensors[i];
        ws_place place = strcmp(t->name, "per_layer_token_embd.weight") == 0 ? WS_PLACE_INPUT : WS_PLACE_LAYERS;
        if (t == embedding) place = tied ? WS_PLACE_INPUT_OUTPUT : WS_PLACE_INPUT;
        s->tensors[i] = (ws_est_tensor){t->type, t->ne[0], t->bytes, place};
        s->n_params += t->n_elements;
    }
    s->model.tensors = s->tensors;
    s->model.n_tensors = r->g->n_tensors;
    s->model.n_vocab = embedding->ne[1];
    return WS_OK;
}

/* ---- the whole ---- */

static ws_status find_architecture(reader *r) {
    ws_str name;
    WS_TRY(ws_gguf_need_str(r->g, "general.architecture", &name, r->err));
    r->s->architecture = name;
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        if (strlen(architectures[i].name) == name.len && memcmp(architectures[i].name, name.data, name.len) == 0)
            r->arch = &architectures[i];
    if (r->arch) return WS_OK;
    return ws_fail(r->err, WS_UNSUPPORTED, "'%s': architecture '%s' is not known to vram-estimate yet",
                   ws_gguf_path(r->g), ws_show(name.data, name.len).text);
}

static void read_labels(ws_model_sizes *s) {
    const ws_kv *name = ws_gguf_kv(s->gguf, "general.name"), *type = ws_gguf_kv(s->gguf, "general.file_type");
    uint64_t number;
    if (name) ws_kv_str(name, &s->name);
    if (type && ws_kv_u64(type, &number)) s->file_type = ws_file_type_name(number);
}

static ws_status read_main_sizes(const reader *r) {
    ws_est_model *m = &r->s->model;
    uint64_t n_layers = 0, n_experts = 0, predicting = 0, key_mla = 0;
    WS_TRY(needed(r, "block_count", &n_layers, MAX_LAYERS));
    WS_TRY(needed(r, "embedding_length", &m->n_embd, MAX_SIZE));
    WS_TRY(optional(r, "context_length", &m->n_ctx_train, UINT32_MAX));
    WS_TRY(optional(r, "expert_count", &n_experts, MAX_SIZE));
    if (n_experts) WS_TRY(needed(r, "expert_used_count", &m->n_expert_used, n_experts));
    WS_TRY(optional(r, "nextn_predict_layers", &predicting, MAX_LAYERS));
    if (predicting)
        return ws_fail(r->err, WS_UNSUPPORTED,
                       "'%s' has layers for multi-token prediction, which vram-estimate does not know yet",
                       ws_gguf_path(r->g));
    WS_TRY(optional(r, "attention.key_length_mla", &key_mla, MAX_SIZE));
    m->n_layers = (size_t)n_layers;
    m->mla = r->arch->traits & LATENT && key_mla;
    m->flow = r->arch->traits & FUSED_QKV   ? WS_FLOW_FUSED_QKV
              : r->arch->traits & RECURRENT ? WS_FLOW_MAMBA
                                            : WS_FLOW_ATTENTION;
    return WS_OK;
}

static ws_status read_model(ws_model_sizes *s, ws_error *err) {
    reader r = {.s = s, .g = s->gguf, .err = err};
    WS_TRY(find_architecture(&r));
    read_labels(s);
    WS_TRY(read_main_sizes(&r));
    WS_TRY(read_layers(&r));
    return read_tensors(&r);
}

static ws_status open_model(ws_model_sizes *s, ws_error *err) {
    if (ws_is_dir(s->path))
        return ws_fail(err, WS_UNSUPPORTED, "'%s' is a folder; vram-estimate reads GGUF files (convert makes one)",
                       s->path);
    WS_TRY(ws_gguf_open(&s->gguf, s->path, err));
    return read_model(s, err);
}

ws_status ws_model_sizes_open(ws_model_sizes **out, const char *path, ws_error *err) {
    *out = NULL;
    ws_model_sizes *s = ws_alloc(1, sizeof *s, "sizes", err);
    if (!s) return WS_NOMEM;
    s->path = path;
    const ws_status status = open_model(s, err);
    if (status)
        ws_model_sizes_close(s);
    else
        *out = s;
    return status;
}

void ws_model_sizes_close(ws_model_sizes *s) {
    if (!s) return;
    ws_gguf_close(s->gguf);
    free(s->tensors);
    free(s->layers);
    free(s);
}
