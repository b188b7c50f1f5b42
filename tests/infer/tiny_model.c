#include "tiny_model.h"

#include "formats.h"
#include "guarded.h"

#include <math.h>
#include <stdio.h>

tiny_options tiny_defaults(void) {
    return (tiny_options){
        .n_layer = 2, .n_embd = 256, .n_ff = 512, .n_head = 4, .n_head_kv = 2, .head_k = 64, .head_v = 64, .n_rot = 64};
}

/* ---- writing ---- */

typedef struct {
    char name[64];
    ws_dtype type;
    uint64_t ne[2];
    float scale, offset; /* values are offset + scale * uniform */
} tensor;

typedef struct {
    const tiny_options *o;
    tensor t[64];
    size_t n;
} tensor_list;

static void add(tensor_list *l, const char *name, uint64_t n_in, uint64_t n_out, float offset) {
    const tiny_options *o = l->o;
    tensor *t = &l->t[l->n];
    if (o->leave_out && strcmp(name, o->leave_out) == 0) return;
    snprintf(t->name, sizeof t->name, "%s", name);
    t->ne[0] = n_in + (o->reshape && strcmp(name, o->reshape) == 0);
    t->ne[1] = n_out;
    t->offset = offset;
    t->scale = n_out > 1 ? 2 / sqrtf((float)n_in) : 0.2f;
    t->type = n_out > 1 ? o->type : WS_TYPE_F32;
    if (o->odd_type && strcmp(name, "blk.0.attn_q.weight") == 0) t->type = o->odd_type;
    l->n++;
}

static void add_layer(tensor_list *l, uint32_t layer) {
    const tiny_options *o = l->o;
    const uint32_t q = o->n_head * o->head_k, k = o->n_head_kv * o->head_k, v = o->n_head_kv * o->head_v;
    const struct {
        const char *name;
        uint32_t n_in, n_out;
        float offset;
        bool bias;
    } rows[] = {
        {"attn_norm.weight", o->n_embd, 1, 1, false},
        {"attn_q.weight", o->n_embd, q, 0, false},
        {"attn_k.weight", o->n_embd, k, 0, false},
        {"attn_v.weight", o->n_embd, v, 0, false},
        {"attn_q.bias", q, 1, 0, true},
        {"attn_k.bias", k, 1, 0, true},
        {"attn_v.bias", v, 1, 0, true},
        {"attn_output.weight", o->n_head * o->head_v, o->n_embd, 0, false},
        {"attn_output.bias", o->n_embd, 1, 0, true},
        {"ffn_norm.weight", o->n_embd, 1, 1, false},
        {"ffn_gate.weight", o->n_embd, o->n_ff, 0, false},
        {"ffn_up.weight", o->n_embd, o->n_ff, 0, false},
        {"ffn_down.weight", o->n_ff, o->n_embd, 0, false},
        {"ffn_gate.bias", o->n_ff, 1, 0, true},
        {"ffn_up.bias", o->n_ff, 1, 0, true},
        {"ffn_down.bias", o->n_embd, 1, 0, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%u.%s", layer, rows[i].name);
        if (!rows[i].bias || o->biases) add(l, name, rows[i].n_in, rows[i].n_out, rows[i].offset);
    }
}

static void list_tensors(tensor_list *l) {
    const tiny_options *o = l->o;
    add(l, "token_embd.weight", o->n_embd, TINY_VOCAB, 0);
    add(l, "output_norm.weight", o->n_embd, 1, 1);
    if (o->untied) add(l, "output.weight", o->n_embd, TINY_VOCAB, 0);
    if (o->rope_freqs) add(l, "rope_freqs.weight", o->n_rot / 2, 1, 2);
    for (uint32_t i = 0; i < o->n_layer; i++) add_layer(l, i);
    if (o->extra) add(l, o->extra, 32, 1, 0);
}

static void put_numbers(ws_gguf_writer *w, const tiny_options *o, const char *arch) {
    const struct {
        const char *suffix;
        uint32_t value;
    } rows[] = {
        {"block_count", o->n_layer},         {"context_length", 512},
        {"embedding_length", o->n_embd},     {"feed_forward_length", o->n_ff},
        {"attention.head_count", o->n_head}, {"attention.head_count_kv", o->n_head_kv},
        {"attention.key_length", o->head_k}, {"attention.value_length", o->head_v},
        {"rope.dimension_count", o->n_rot},
    };
    char key[96];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(key, sizeof key, "%s.%s", arch, rows[i].suffix);
        ws_gguf_put_u32(w, key, rows[i].value);
    }
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", arch);
    ws_gguf_put_f32(w, key, 1e-5f);
    snprintf(key, sizeof key, "%s.rope.scaling.factor", arch);
    if (o->rope_scale > 0) ws_gguf_put_f32(w, key, o->rope_scale);
}

static void put_tokenizer(ws_gguf_writer *w, const tiny_options *o) {
    const uint32_t n = o->n_tokens ? o->n_tokens : TINY_VOCAB;
    char text[TINY_VOCAB][16];
    ws_str strings[TINY_VOCAB];
    float scores[TINY_VOCAB] = {0};
    int32_t types[TINY_VOCAB];
    static const char *const named[] = {"<unk>", "<s>", "</s>"};
    for (uint32_t i = 0; i < n; i++) {
        if (i < 3)
            snprintf(text[i], sizeof *text, "%s", named[i]);
        else if (i < 259)
            snprintf(text[i], sizeof *text, "<0x%02X>", i - 3);
        else
            snprintf(text[i], sizeof *text, "\xe2\x96\x81w%u", i);
        types[i] = i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1;
        strings[i] = (ws_str){text[i], strlen(text[i])};
    }
    ws_gguf_put_str(w, "tokenizer.ggml.model", "llama");
    ws_gguf_put_str(w, "tokenizer.ggml.pre", "default");
    ws_gguf_put_str_array(w, "tokenizer.ggml.tokens", strings, n);
    ws_gguf_put_array(w, "tokenizer.ggml.scores", WS_KV_F32, scores, n);
    ws_gguf_put_array(w, "tokenizer.ggml.token_type", WS_KV_I32, types, n);
    ws_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", TINY_BOS);
    ws_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", TINY_EOS);
    ws_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    ws_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", !o->no_bos);
    ws_gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", false);
}

static void write_tensor(ws_gguf_writer *w, const tiny_options *o, const tensor *t, test_random *r) {
    const size_t n = t->ne[0] * t->ne[1], block = ws_dtype_get(t->type)->block_elements;
    uint64_t bytes;
    ws_error err = {0};
    const bool zero = o->zero_output && strcmp(t->name, "output.weight") == 0;
    float *x = calloc(n, sizeof *x);
    cr_assert(ws_dtype_bytes(t->type, n, &bytes));
    void *data = calloc(1, bytes);
    for (size_t i = 0; i < n; i++) x[i] = zero ? 0 : t->offset + t->scale * random_float(r);
    if (o->poison && strcmp(o->poison, t->name) == 0) x[0] = NAN;
    const ws_format *format = ws_format_get(t->type, 0);
    if (format) format->from_float(x, data, n / block);
    cr_assert_eq(ws_gguf_write(w, data, bytes, &err), WS_OK, "%s", err.msg);
    free(x), free(data);
}

void tiny_write(const tiny_options *o, char path[64]) {
    static int number;
    tensor_list l = {.o = o};
    ws_gguf_writer *w;
    ws_error err = {0};
    test_random r = {77};
    const char *arch = o->arch ? o->arch : "llama";
    list_tensors(&l);
    snprintf(path, 64, "/tmp/ws-tiny-%ld-%d.gguf", (long)getpid(), number++);
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_str(w, "general.architecture", arch);
    put_numbers(w, o, arch);
    put_tokenizer(w, o);
    for (size_t i = 0; i < l.n; i++)
        ws_gguf_add_tensor(w, l.t[i].name, l.t[i].type, l.t[i].ne[1] > 1 ? 2 : 1, l.t[i].ne);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    for (size_t i = 0; i < l.n; i++) write_tensor(w, o, &l.t[i], &r);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

/* ---- the naive decoder ---- */

typedef struct {
    const tiny_options *o;
    ws_gguf *g;
    double *k, *v; /* [layer][token][...] */
    size_t n;
} naive;

enum { GLOBAL = -1 }; /* a tensor of no layer */

/* A tensor as doubles; NULL when the model lacks it. Freed by the caller. */
static double *tensor_of(const naive *m, int layer, const char *name) {
    char full[64];
    if (layer == GLOBAL)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    const ws_tensor *t = ws_gguf_tensor(m->g, full);
    if (!t) return NULL;
    float *x = calloc(t->n_elements, sizeof *x);
    double *d = calloc(t->n_elements, sizeof *d);
    ws_format_get(t->type, 0)->to_float(t->data, x, t->n_elements / ws_dtype_get(t->type)->block_elements);
    for (size_t i = 0; i < t->n_elements; i++) d[i] = x[i];
    free(x);
    return d;
}

/* y = w x + bias */
static void linear(const naive *m, int layer, const char *name, const double *x, size_t n_in, double *y, size_t n_out) {
    char full[32];
    snprintf(full, sizeof full, "%s.weight", name);
    double *w = tensor_of(m, layer, full);
    snprintf(full, sizeof full, "%s.bias", name);
    double *bias = tensor_of(m, layer, full);
    for (size_t i = 0; i < n_out; i++) {
        y[i] = bias ? bias[i] : 0;
        for (size_t j = 0; j < n_in; j++) y[i] += w[i * n_in + j] * x[j];
    }
    free(w), free(bias);
}

static void normed(const naive *m, int layer, const char *name, const double *x, double *y) {
    const size_t n = m->o->n_embd;
    double *w = tensor_of(m, layer, name), squares = 0;
    for (size_t i = 0; i < n; i++) squares += x[i] * x[i];
    for (size_t i = 0; i < n; i++) y[i] = x[i] / sqrt(squares / (double)n + (double)1e-5f) * w[i];
    free(w);
}

static void rotate(const naive *m, double *x, size_t heads, size_t position) {
    const tiny_options *o = m->o;
    double *freqs = tensor_of(m, GLOBAL, "rope_freqs.weight");
    for (size_t h = 0; h < heads; h++)
        for (size_t i = 0; i < o->n_rot / 2; i++) {
            double *p = x + h * o->head_k + 2 * i;
            const double angle = (double)position / (o->rope_scale > 0 ? o->rope_scale : 1) *
                                 pow(10000, -2.0 * (double)i / o->n_rot) / (freqs ? freqs[i] : 1);
            const double a = p[0], b = p[1];
            p[0] = a * cos(angle) - b * sin(angle);
            p[1] = a * sin(angle) + b * cos(angle);
        }
    free(freqs);
}

static void attend(const naive *m, const double *q, const double *k, const double *v, size_t n_keys, double *out) {
    const tiny_options *o = m->o;
    double *p = calloc(n_keys, sizeof *p);
    for (size_t h = 0; h < o->n_head; h++) {
        const size_t hk = h / (o->n_head / o->n_head_kv);
        double sum = 0;
        for (size_t j = 0; j < n_keys; j++) {
            for (size_t c = 0; c < o->head_k; c++)
                p[j] = (c ? p[j] : 0) + q[h * o->head_k + c] * k[(j * o->n_head_kv + hk) * o->head_k + c];
            p[j] = exp(p[j] / sqrt(o->head_k));
            sum += p[j];
        }
        for (size_t c = 0; c < o->head_v; c++) {
            out[h * o->head_v + c] = 0;
            for (size_t j = 0; j < n_keys; j++)
                out[h * o->head_v + c] += p[j] / sum * v[(j * o->n_head_kv + hk) * o->head_v + c];
        }
    }
    free(p);
}

static void attention(const naive *m, int layer, size_t position, double *x) {
    const tiny_options *o = m->o;
    const size_t nk = o->n_head_kv * o->head_k, nv = o->n_head_kv * o->head_v;
    double *keys = m->k + (size_t)layer * m->n * nk, *values = m->v + (size_t)layer * m->n * nv;
    double h[512], q[512], att[512], y[512];
    normed(m, layer, "attn_norm.weight", x, h);
    linear(m, layer, "attn_q", h, o->n_embd, q, o->n_head * o->head_k);
    linear(m, layer, "attn_k", h, o->n_embd, keys + position * nk, nk);
    linear(m, layer, "attn_v", h, o->n_embd, values + position * nv, nv);
    rotate(m, q, o->n_head, position);
    rotate(m, keys + position * nk, o->n_head_kv, position);
    attend(m, q, keys, values, position + 1, att);
    linear(m, layer, "attn_output", att, o->n_head * o->head_v, y, o->n_embd);
    for (size_t i = 0; i < o->n_embd; i++) x[i] += y[i];
}

static void feed_forward(const naive *m, int layer, double *x) {
    const tiny_options *o = m->o;
    double h[512], gate[512], up[512], y[512];
    normed(m, layer, "ffn_norm.weight", x, h);
    linear(m, layer, "ffn_gate", h, o->n_embd, gate, o->n_ff);
    linear(m, layer, "ffn_up", h, o->n_embd, up, o->n_ff);
    for (size_t i = 0; i < o->n_ff; i++) gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    linear(m, layer, "ffn_down", gate, o->n_ff, y, o->n_embd);
    for (size_t i = 0; i < o->n_embd; i++) x[i] += y[i];
}

void tiny_reference(const tiny_options *o, const char *path, const int32_t *ids, size_t n, double *out) {
    ws_error err = {0};
    naive m = {.o = o, .n = n};
    cr_assert_eq(ws_gguf_open(&m.g, path, &err), WS_OK, "%s", err.msg);
    m.k = calloc(o->n_layer * n * o->n_head_kv * o->head_k, sizeof *m.k);
    m.v = calloc(o->n_layer * n * o->n_head_kv * o->head_v, sizeof *m.v);
    double *embd = tensor_of(&m, GLOBAL, "token_embd.weight"), *output = tensor_of(&m, GLOBAL, "output.weight");
    for (size_t t = 0; t < n; t++) {
        double x[512], h[512];
        memcpy(x, embd + (size_t)ids[t] * o->n_embd, o->n_embd * sizeof *x);
        for (int layer = 0; layer < (int)o->n_layer; layer++) attention(&m, layer, t, x), feed_forward(&m, layer, x);
        normed(&m, GLOBAL, "output_norm.weight", x, h);
        for (size_t i = 0; i < TINY_VOCAB; i++) {
            out[t * TINY_VOCAB + i] = 0;
            for (size_t c = 0; c < o->n_embd; c++)
                out[t * TINY_VOCAB + i] += (output ? output : embd)[i * o->n_embd + c] * h[c];
        }
    }
    free(embd), free(output), free(m.k), free(m.v);
    ws_gguf_close(m.g);
}
