#include "model.h"

#include "alloc.h"
#include "formats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the decoder keeps a tensor of that name: a ws_matrix or a vector of floats at an offset. */
typedef struct {
    const char *gguf; /* as in the architecture's table */
    bool vector;
    size_t at;
} slot;

#define MODEL(member) offsetof(ws_model, member)
#define LAYER(member) offsetof(ws_layer, member)
#define BLK           "blk.%u."

static const slot model_slots[] = {
    {"token_embd.weight", false, MODEL(embd)},
    {"output.weight", false, MODEL(output)},
    {"output_norm.weight", true, MODEL(output_norm)},
    {"rope_freqs.weight", true, MODEL(rope_freqs)},
    {0},
};

static const slot layer_slots[] = {
    {BLK "attn_norm.weight", true, LAYER(attn_norm)},
    {BLK "attn_q.weight", false, LAYER(q)},
    {BLK "attn_q.bias", true, LAYER(q_bias)},
    {BLK "attn_k.weight", false, LAYER(k)},
    {BLK "attn_k.bias", true, LAYER(k_bias)},
    {BLK "attn_v.weight", false, LAYER(v)},
    {BLK "attn_v.bias", true, LAYER(v_bias)},
    {BLK "attn_output.weight", false, LAYER(o)},
    {BLK "attn_output.bias", true, LAYER(o_bias)},
    {BLK "ffn_norm.weight", true, LAYER(ffn_norm)},
    {BLK "ffn_gate.weight", false, LAYER(gate)},
    {BLK "ffn_gate.bias", true, LAYER(gate_bias)},
    {BLK "ffn_up.weight", false, LAYER(up)},
    {BLK "ffn_up.bias", true, LAYER(up_bias)},
    {BLK "ffn_down.weight", false, LAYER(down)},
    {BLK "ffn_down.bias", true, LAYER(down_bias)},
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

static const slot *find_slot(const slot *slots, const char *gguf) {
    while (slots->gguf && strcmp(slots->gguf, gguf) != 0) slots++;
    return slots->gguf ? slots : NULL;
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

static bool fits(binding *b, const ws_tensor *t, const ws_arch_tensor *row, bool vector) {
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
    if (vector ? !ws_format_get(t->type, 0) : !ws_can_multiply(t->type)) {
        complain(b, "tensor '%s' has type %s, which infer cannot compute with", t->name, ws_dtype_name(t->type));
        return false;
    }
    return true;
}

static void bind_one(binding *b, const ws_tensor *t, const slot *s, uint8_t *base) {
    if (!s->vector) {
        *(ws_matrix *)(void *)(base + s->at) = (ws_matrix){
            .data = t->data,
            .type = t->type,
            .n_in = t->ne[0],
            .n_out = t->ne[1],
            .row_bytes = t->bytes / t->ne[1],
        };
        return;
    }
    const ws_dtype_info *info = ws_dtype_get(t->type);
    ws_format_get(t->type, 0)->to_float(t->data, b->vectors, t->n_elements / info->block_elements);
    *(const float **)(void *)(base + s->at) = b->vectors;
    b->vectors += t->n_elements;
}

/* Bind one row of the architecture's table, for one layer if it is per layer. */
static void bind_row(binding *b, const ws_arch_tensor *row, uint32_t layer) {
    const bool per_layer = row->flags & WS_PER_LAYER;
    const slot *s = find_slot(per_layer ? layer_slots : model_slots, row->gguf);
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
    else if (fits(b, t, row, s->vector))
        bind_one(b, t, s, base);
}

static void bind_all(binding *b) {
    const ws_model *m = b->m;
    for (const ws_arch_tensor *row = m->arch->tensors; row->gguf; row++) {
        const uint64_t n = row->flags & WS_PER_LAYER ? m->hp.n_layer : 1;
        for (uint64_t layer = 0; layer < n; layer++) bind_row(b, row, (uint32_t)layer);
    }
    for (size_t i = 0; i < m->gguf->n_tensors; i++)
        if (!b->bound[i])
            complain(b, "tensor '%s' is not part of architecture '%s'", m->gguf->tensors[i].name, m->arch->name);
}

/* Room for every tensor that may become a vector: those of one dimension. */
static size_t vector_elements(const ws_gguf *g) {
    size_t n = 0;
    for (size_t i = 0; i < g->n_tensors; i++)
        if (g->tensors[i].n_dims <= 1 || g->tensors[i].ne[1] == 1) n += g->tensors[i].n_elements;
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
    return WS_OK;
}

static ws_status find_arch(ws_model *m, ws_error *err) {
    ws_str name;
    char known[256] = "";
    WS_TRY(ws_gguf_need_str(m->gguf, "general.architecture", &name, err));
    m->arch = ws_arch_by_name(name.data, name.len);
    if (m->arch) return WS_OK;
    size_t at = 0;
    for (const ws_arch *const *a = ws_arch_all(); *a && at < sizeof known; a++)
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
