#include "model.h"

#include "alloc.h"
#include "formats.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the decoder keeps a tensor of that name. One that holds several (query, key and value in one) is cut into
 * parts of so many rows. */
typedef enum { MATRIX, VECTOR, NORM } kind;

enum { MAX_PARTS = 3 };

typedef struct {
    const char *gguf; /* as in the architecture's table */
    ws_dim only;      /* if not 0: only where this is the tensor's last dimension */
    kind kind;
    struct {
        size_t at;
        ws_dim rows; /* 0: all */
    } part[MAX_PARTS];
} slot;

#define MODEL(member)                                                                                                  \
    {                                                                                                                  \
        { offsetof(ws_model, member), WS_DIM_END }                                                                     \
    }
#define LAYER(member)                                                                                                  \
    {                                                                                                                  \
        { offsetof(ws_layer, member), WS_DIM_END }                                                                     \
    }
#define PART(member, rows)                                                                                             \
    { offsetof(ws_layer, member), rows }
#define BLK "blk.%u."

static const slot model_slots[] = {
    {"token_embd.weight", 0, MATRIX, MODEL(embd)},
    {"output.weight", 0, MATRIX, MODEL(output)},
    {"output.bias", 0, VECTOR, MODEL(output_bias)},
    {"position_embd.weight", 0, MATRIX, MODEL(positions)},
    {"token_types.weight", 0, MATRIX, MODEL(types)},
    {"token_embd_norm.weight", 0, NORM, MODEL(embd_norm)},
    {"token_embd_norm.bias", 0, VECTOR, MODEL(embd_norm.bias)},
    {"output_norm.weight", 0, NORM, MODEL(output_norm)},
    {"output_norm.bias", 0, VECTOR, MODEL(output_norm.bias)},
    {"rope_freqs.weight", 0, VECTOR, MODEL(rope_freqs)},
    {"rope_factors_long.weight", 0, VECTOR, MODEL(rope_long)},
    {"rope_factors_short.weight", 0, VECTOR, MODEL(rope_short)},
    {0},
};

static const slot layer_slots[] = {
    {BLK "attn_norm.weight", 0, NORM, LAYER(attn_norm)},
    {BLK "attn_norm.bias", 0, VECTOR, LAYER(attn_norm.bias)},
    {BLK "attn_q.weight", 0, MATRIX, LAYER(q.w)},
    {BLK "attn_q.bias", 0, VECTOR, LAYER(q.bias)},
    {BLK "attn_k.weight", 0, MATRIX, LAYER(k.w)},
    {BLK "attn_k.bias", 0, VECTOR, LAYER(k.bias)},
    {BLK "attn_v.weight", 0, MATRIX, LAYER(v.w)},
    {BLK "attn_v.bias", 0, VECTOR, LAYER(v.bias)},
    {BLK "attn_qkv.weight", 0, MATRIX, {PART(q.w, WS_DIM_Q), PART(k.w, WS_DIM_K), PART(v.w, WS_DIM_V)}},
    {BLK "attn_qkv.bias", 0, VECTOR, {PART(q.bias, WS_DIM_Q), PART(k.bias, WS_DIM_K), PART(v.bias, WS_DIM_V)}},
    {BLK "attn_q_norm.weight", 0, NORM, LAYER(q_norm)},
    {BLK "attn_k_norm.weight", 0, NORM, LAYER(k_norm)},
    {BLK "attn_sinks.weight", 0, VECTOR, LAYER(sinks)},
    {BLK "attn_q_a.weight", 0, MATRIX, LAYER(q_latent.w)},
    {BLK "attn_q_a_norm.weight", 0, NORM, LAYER(q_latent_norm)},
    {BLK "attn_q_b.weight", 0, MATRIX, LAYER(q.w)},
    {BLK "attn_kv_a_mqa.weight", 0, MATRIX, LAYER(kv_latent.w)},
    {BLK "attn_kv_a_norm.weight", 0, NORM, LAYER(kv_latent_norm)},
    {BLK "attn_k_b.weight", 0, MATRIX, LAYER(fold_keys)},
    {BLK "attn_v_b.weight", 0, MATRIX, LAYER(unfold_values)},
    {BLK "attn_output.weight", 0, MATRIX, LAYER(o.w)},
    {BLK "attn_output.bias", 0, VECTOR, LAYER(o.bias)},
    {BLK "attn_output_norm.weight", 0, NORM, LAYER(attn_out_norm)},
    {BLK "attn_output_norm.bias", 0, VECTOR, LAYER(attn_out_norm.bias)},
    {BLK "layer_output_norm.weight", 0, NORM, LAYER(ffn_out_norm)},
    {BLK "layer_output_norm.bias", 0, VECTOR, LAYER(ffn_out_norm.bias)},
    {BLK "post_attention_norm.weight", 0, NORM, LAYER(attn_post_norm)},
    {BLK "ffn_norm.weight", 0, NORM, LAYER(ffn_norm)},
    {BLK "ffn_norm.bias", 0, VECTOR, LAYER(ffn_norm.bias)},
    {BLK "ffn_gate.weight", 0, MATRIX, LAYER(ff.gate.w)},
    {BLK "ffn_gate.bias", 0, VECTOR, LAYER(ff.gate.bias)},
    {BLK "ffn_up.weight", WS_DIM_FF_TWICE, MATRIX, {PART(ff.gate.w, WS_DIM_FF), PART(ff.up.w, WS_DIM_FF)}},
    {BLK "ffn_up.weight", 0, MATRIX, LAYER(ff.up.w)},
    {BLK "ffn_up.bias", 0, VECTOR, LAYER(ff.up.bias)},
    {BLK "ffn_down.weight", 0, MATRIX, LAYER(ff.down.w)},
    {BLK "ffn_down.bias", 0, VECTOR, LAYER(ff.down.bias)},
    {BLK "post_ffw_norm.weight", 0, NORM, LAYER(ffn_post_norm)},
    {BLK "ffn_gate_inp.weight", 0, MATRIX, LAYER(router.w)},
    {BLK "ffn_gate_inp.bias", 0, VECTOR, LAYER(router.bias)},
    {BLK "exp_probs_b.bias", 0, VECTOR, LAYER(router_offset)},
    {BLK "ffn_gate_exps.weight", 0, MATRIX, LAYER(experts.gate.w)},
    {BLK "ffn_gate_exps.bias", 0, VECTOR, LAYER(experts.gate.bias)},
    {BLK "ffn_up_exps.weight", 0, MATRIX, LAYER(experts.up.w)},
    {BLK "ffn_up_exps.bias", 0, VECTOR, LAYER(experts.up.bias)},
    {BLK "ffn_down_exps.weight", 0, MATRIX, LAYER(experts.down.w)},
    {BLK "ffn_down_exps.bias", 0, VECTOR, LAYER(experts.down.bias)},
    {BLK "ffn_gate_shexp.weight", 0, MATRIX, LAYER(shared.gate.w)},
    {BLK "ffn_up_shexp.weight", 0, MATRIX, LAYER(shared.up.w)},
    {BLK "ffn_down_shexp.weight", 0, MATRIX, LAYER(shared.down.w)},
    {BLK "ffn_gate_inp_shexp.weight", 0, MATRIX, LAYER(shared_router.w)},
    {0},
};

/* A pass over the file: which tensors have found a place, and what is wrong. */
typedef struct {
    ws_model *m;
    bool *bound; /* by index in gguf->tensors */
    size_t n_problems;
    char first[256]; /* the first problem */
    float *vectors;  /* next free place */
    ws_problem_fn *problem;
    void *arg;
} binding;

static void complain(binding *b, const char *fmt, ...) WS_PRINTF(2, 3);

static void complain(binding *b, const char *fmt, ...) {
    char line[sizeof b->first];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (b->n_problems++ == 0) memcpy(b->first, line, sizeof line);
    if (b->problem) b->problem(b->arg, line);
}

static ws_dim last_dim(const ws_arch_tensor *row) {
    size_t n = 1;
    while (n < sizeof row->shape / sizeof *row->shape && row->shape[n] != WS_DIM_END) n++;
    return row->shape[n - 1];
}

static const slot *find_slot(const slot *slots, const ws_arch_tensor *row) {
    for (; slots->gguf; slots++)
        if (strcmp(slots->gguf, row->gguf) == 0 && (!slots->only || slots->only == last_dim(row))) return slots;
    return NULL;
}

/* "[576, 1536]" */
static const char *shape_text(char *buf, size_t size, const uint64_t *ne, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < n && at < size; i++)
        at += (size_t)snprintf(buf + at, size - at, "%s%" PRIu64, i ? ", " : "[", ne[i]);
    if (at < size) snprintf(buf + at, size - at, "]");
    return buf;
}

/* Expected shape of a row of the architecture's table; ones beyond its end. */
static size_t expected_shape(const ws_hparams *hp, const ws_arch_tensor *row, uint64_t ne[WS_MAX_DIMS]) {
    const size_t room = sizeof row->shape / sizeof *row->shape;
    size_t n = 0;
    for (size_t i = 0; i < WS_MAX_DIMS; i++) ne[i] = 1;
    while (n < room && row->shape[n] != WS_DIM_END) ne[n] = ws_hparams_dim(hp, row->shape[n]), n++;
    return n;
}

static bool fits(binding *b, const ws_tensor *t, const ws_arch_tensor *row, kind of) {
    uint64_t want[WS_MAX_DIMS];
    char have_text[96], want_text[96];
    const size_t n = expected_shape(&b->m->hp, row, want);
    const size_t shown = t->n_dims > n ? t->n_dims : n;
    if (memcmp(t->ne, want, sizeof want) != 0) {
        complain(b, "tensor '%s' has shape %s, expected %s", t->name,
                 shape_text(have_text, sizeof have_text, t->ne, shown),
                 shape_text(want_text, sizeof want_text, want, n));
        return false;
    }
    if (of == MATRIX ? !ws_can_multiply(t->type) : !ws_format_get(t->type, 0)) {
        complain(b, "tensor '%s' has type %s, which infer cannot compute with", t->name, ws_dtype_name(t->type));
        return false;
    }
    return true;
}

ws_matrix ws_matrix_in_stack(const ws_matrix *stack, size_t i) {
    ws_matrix m = *stack;
    m.data += i * m.n_out * m.row_bytes;
    return m;
}

/* The tensor as floats. */
static const float *copy_vector(binding *b, const ws_tensor *t) {
    float *x = b->vectors;
    ws_format_get(t->type, 0)->to_float(t->data, x, t->n_elements / ws_dtype_get(t->type)->block_elements);
    b->vectors += t->n_elements;
    return x;
}

static void bind_matrix(const binding *b, const ws_tensor *t, const slot *s, uint8_t *base) {
    ws_matrix whole = {.data = t->data, .type = t->type, .n_in = t->ne[0], .n_out = t->ne[1], .name = t->name};
    whole.row_bytes = t->bytes / (t->ne[1] * t->ne[2] * t->ne[3]);
    for (int p = 0; p < MAX_PARTS && (p == 0 || s->part[p].rows); p++) {
        ws_matrix *to = (ws_matrix *)(void *)(base + s->part[p].at);
        *to = whole;
        if (s->part[p].rows) to->n_out = ws_hparams_dim(&b->m->hp, s->part[p].rows);
        whole.data += to->n_out * whole.row_bytes;
    }
}

static void bind_vector(binding *b, const ws_tensor *t, const slot *s, uint8_t *base) {
    const float *x = copy_vector(b, t);
    for (int p = 0; p < MAX_PARTS && (p == 0 || s->part[p].rows); p++) {
        *(const float **)(void *)(base + s->part[p].at) = x;
        x += ws_hparams_dim(&b->m->hp, s->part[p].rows);
    }
}

static void bind_norm(binding *b, const ws_tensor *t, const slot *s, uint8_t *base) {
    ws_norm *to = (ws_norm *)(void *)(base + s->part[0].at);
    to->weight = copy_vector(b, t), to->n = t->ne[0], to->n_heads = t->ne[1], to->name = t->name;
}

static void bind_one(binding *b, const ws_tensor *t, const slot *s, uint8_t *base) {
    if (s->kind == MATRIX)
        bind_matrix(b, t, s, base);
    else if (s->kind == VECTOR)
        bind_vector(b, t, s, base);
    else
        bind_norm(b, t, s, base);
}

/* Bind one row of the architecture's table, for one layer if it is per layer. */
static void bind_row(binding *b, const ws_arch_tensor *row, uint32_t layer) {
    const bool per_layer = row->flags & WS_PER_LAYER;
    const slot *s = find_slot(per_layer ? layer_slots : model_slots, row);
    uint8_t *base = per_layer ? (uint8_t *)&b->m->layers[layer] : (uint8_t *)b->m;
    char name[64];
    if (per_layer) /* the formats are the table's own */
        snprintf(name, sizeof name, BLK "%s", layer, row->gguf + strlen(BLK));
    else
        snprintf(name, sizeof name, "%s", row->gguf);

    const ws_tensor *t = ws_gguf_tensor(b->m->gguf, name);
    if (!t) {
        if (!(row->flags & WS_OPTIONAL)) complain(b, "tensor '%s' is missing", name);
        return;
    }
    b->bound[t - b->m->gguf->tensors] = true;
    if (!s)
        complain(b, "tensor '%s' has no place in infer's decoder", name);
    else if (fits(b, t, row, s->kind))
        bind_one(b, t, s, base);
}

static void bind_all(binding *b) {
    const ws_model *m = b->m;
    for (const ws_arch_tensor *row = m->arch->tensors; row->gguf; row++) {
        const uint64_t n = row->flags & WS_PER_LAYER ? m->hp.n_layer : 1;
        for (uint64_t layer = 0; layer < n; layer++)
            if (ws_arch_row_in_file(row, &m->hp, layer)) bind_row(b, row, (uint32_t)layer);
    }
    for (size_t i = 0; i < m->gguf->n_tensors; i++)
        if (!b->bound[i])
            complain(b, "tensor '%s' is not part of architecture '%s'", m->gguf->tensors[i].name, m->arch->name);
}

/* Room for every tensor that may become a vector: those of one dimension, biases of experts, norms of heads. */
static size_t vector_elements(const ws_gguf *g) {
    size_t n = 0;
    for (size_t i = 0; i < g->n_tensors; i++)
        if (g->tensors[i].n_dims <= 1 || g->tensors[i].ne[1] == 1 || ws_ends_with(g->tensors[i].name, ".bias") ||
            ws_ends_with(g->tensors[i].name, "_norm.weight"))
            n += g->tensors[i].n_elements;
    return n;
}

static ws_status bind_tensors(ws_model *m, ws_problem_fn *problem, void *arg, ws_error *err) {
    binding b = {.m = m, .problem = problem, .arg = arg};
    b.bound = ws_alloc(m->gguf->n_tensors, sizeof *b.bound, "the list of tensors", err);
    m->layers = ws_alloc(m->hp.n_layer, sizeof *m->layers, "the list of layers", err);
    m->vectors = b.vectors = ws_alloc(vector_elements(m->gguf), sizeof *m->vectors, "norms and biases", err);
    if (!b.bound || !m->layers || !m->vectors) {
        free(b.bound);
        return WS_NOMEM;
    }
    bind_all(&b);
    free(b.bound);
    if (b.n_problems == 1) return ws_fail(err, WS_FORMAT, "'%s': %s", ws_gguf_path(m->gguf), b.first);
    if (b.n_problems)
        return ws_fail(err, WS_FORMAT, "'%s': %zu tensors do not fit architecture '%s', the first: %s",
                       ws_gguf_path(m->gguf), b.n_problems, m->arch->name, b.first);
    if (!m->output.data) m->output = m->embd;
    for (uint64_t i = 0; m->arch->traits & WS_LATE_NORM && i < m->hp.n_layer; i++) {
        m->layers[i].ffn_norm = m->layers[i].attn_post_norm;
        m->layers[i].attn_post_norm = (ws_norm){0};
    }
    return WS_OK;
}

static ws_status find_arch(ws_model *m, ws_error *err) {
    ws_str name;
    char known[512] = "";
    WS_TRY(ws_gguf_need_str(m->gguf, "general.architecture", &name, err));
    m->arch = ws_arch_by_name(name.data, name.len);
    if (m->arch) return WS_OK;
    size_t at = 0;
    for (const ws_arch *const *a = ws_arch_all(); *a && at < sizeof known; a++)
        if (ws_arch_by_name((*a)->name, strlen((*a)->name)) == *a)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "", (*a)->name);
    return ws_fail(err, WS_UNSUPPORTED, "'%s': architecture '%.*s' is unknown; known: %s", ws_gguf_path(m->gguf),
                   (int)(name.len < 64 ? name.len : 64), name.data, known);
}

static ws_status check_vocabulary(const ws_model *m, ws_error *err) {
    const ws_kv *tokens = ws_gguf_kv(m->gguf, "tokenizer.ggml.tokens");
    if (!tokens || tokens->type != WS_KV_ARRAY || tokens->n == m->embd.n_out) return WS_OK;
    return ws_fail(err, WS_FORMAT, "'%s': the vocabulary has %" PRIu64 " tokens, but the embedding %zu rows",
                   ws_gguf_path(m->gguf), tokens->n, m->embd.n_out);
}

ws_status ws_model_open_gguf(ws_model **out, ws_gguf *g, ws_problem_fn *problem, void *arg, ws_error *err) {
    *out = NULL;
    ws_model *m = ws_alloc(1, sizeof *m, "the model", err);
    if (!m) {
        ws_gguf_close(g);
        return WS_NOMEM;
    }
    m->gguf = g;
    ws_status st = find_arch(m, err);
    if (!st) st = ws_hparams_read(&m->hp, m->arch, g, err);
    if (!st) st = bind_tensors(m, problem, arg, err);
    if (!st) st = check_vocabulary(m, err);
    if (st) {
        ws_model_close(m);
        return st;
    }
    for (size_t i = 0; i < g->n_parts; i++) ws_map_in_huge_pages(&g->parts[i]);
    *out = m;
    return WS_OK;
}

ws_status ws_model_open(ws_model **out, const char *path, ws_problem_fn *problem, void *arg, ws_error *err) {
    ws_gguf *g;
    *out = NULL;
    WS_TRY(ws_gguf_open(&g, path, err));
    return ws_model_open_gguf(out, g, problem, arg, err);
}

void ws_model_close(ws_model *m) {
    if (!m) return;
    ws_gguf_close(m->gguf);
    free(m->layers);
    free(m->vectors);
    free(m);
}
