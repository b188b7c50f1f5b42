#include "forward.h"

#include "alloc.h"
#include "attention.h"
#include "cache.h"
#include "formats.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

typedef void rope_fn(float *x, const float *cos, const float *sin, size_t n);
typedef void gate_fn(float *gate, const float *up, size_t n);

struct ws_session {
    const ws_model *m;
    ws_session_options o;
    ws_engine e;
    ws_cache cache;
    void *work, *kv; /* the two allocations that everything below lies in */
    size_t position, n_rows;
    const int32_t *tokens; /* of the batch being fed */
    rope_fn *rope;
    gate_fn *gate;

    /* Activations, one row per token of the batch. */
    float *x;         /* the residual stream */
    float *y;         /* what a block adds to it */
    ws_rows h;        /* x, normed */
    float *q, *k, *v; /* queries, keys, values */
    ws_rows att;      /* what attention gives */
    ws_rows ff;       /* gate of the feed-forward block, then gate * up */
    float *up;
    float *cos, *sin; /* of the rotary angles */
    float *scratch;   /* of attention, per thread */
    struct {
        size_t embd, q, k, v, ff;
    } stride;
};

/* ---- memory: one function lays it out, once to learn the size, once to set the pointers ---- */

typedef struct {
    uint8_t *base; /* NULL: only count */
    uint64_t used;
    bool overflow;
} carving;

static void *carve(carving *c, uint64_t n, uint64_t size) {
    uint64_t bytes;
    void *p = c->base ? c->base + c->used : NULL;
    if (ws_mul_overflows(n, size, &bytes) || bytes > UINT64_MAX / 4 - c->used) {
        c->overflow = true;
        return NULL;
    }
    c->used += ws_align_up(bytes, 64);
    return p;
}

/* Floats from row to row: room for whole panels, and an odd number of cache lines so that the rows of a column do
 * not all compete for the same places of the cache. */
static size_t row_stride(uint64_t n) { return (n + WS_LANES - 1) / WS_LANES * WS_LANES | WS_LANES; }

static ws_rows carve_rows(carving *c, uint64_t n_rows, uint64_t n_cols) {
    ws_rows r = {.stride = row_stride(n_cols), .n_cols = n_cols};
    r.x = carve(c, n_rows * r.stride, sizeof *r.x);
    r.q = (ws_q8){.n_cols = n_cols, .cells = carve(c, ws_q8_cells(n_rows, n_cols), sizeof *r.q.cells)};
    return r;
}

static uint64_t lay_out(ws_session *s, const ws_hparams *hp, uint8_t *base) {
    carving c = {.base = base};
    const uint64_t n = s->o.n_batch, threads = (uint64_t)s->o.n_threads;
    s->stride.embd = row_stride(hp->n_embd);
    s->stride.q = row_stride(hp->n_head * hp->head_k);
    s->stride.k = row_stride(hp->n_head_kv * hp->head_k);
    s->stride.v = row_stride(hp->n_head_kv * hp->head_v);
    s->stride.ff = row_stride(hp->n_ff);
    s->x = carve(&c, n * s->stride.embd, sizeof *s->x);
    s->y = carve(&c, n * s->stride.embd, sizeof *s->y);
    s->h = carve_rows(&c, n, hp->n_embd);
    s->q = carve(&c, n * s->stride.q, sizeof *s->q);
    s->k = carve(&c, n * s->stride.k, sizeof *s->k);
    s->v = carve(&c, n * s->stride.v, sizeof *s->v);
    s->att = carve_rows(&c, n, hp->n_head * hp->head_v);
    s->ff = carve_rows(&c, n, hp->n_ff);
    s->up = carve(&c, n * s->stride.ff, sizeof *s->up);
    s->cos = carve(&c, n * (hp->n_rot / 2), sizeof *s->cos);
    s->sin = carve(&c, n * (hp->n_rot / 2), sizeof *s->sin);
    s->scratch = carve(&c, threads * ws_attention_scratch(hp), sizeof *s->scratch);
    s->e.panels = carve(&c, threads * WS_CHUNK, sizeof *s->e.panels);
    return c.overflow ? UINT64_MAX : c.used;
}

uint64_t ws_session_bytes(const ws_hparams *hp, const ws_session_options *o) {
    ws_session s = {.o = *o};
    const uint64_t work = lay_out(&s, hp, NULL), kv = ws_cache_bytes(hp, o->kv_type, o->n_ctx);
    uint64_t sum;
    return work == UINT64_MAX || kv == UINT64_MAX || ws_add_overflows(work, kv, &sum) ? UINT64_MAX : sum;
}

/* ---- opening ---- */

static ws_status check_options(const ws_model *m, const ws_session_options *o, ws_error *err) {
    enum { MAX_BATCH = 1 << 20 };
    if (o->n_ctx < 1 || o->n_batch < 1 || o->n_batch > MAX_BATCH || o->n_threads < 1)
        return ws_fail(err, WS_USAGE, "context %" PRIu64 ", batch %" PRIu64 " and %d threads make no session", o->n_ctx,
                       o->n_batch, o->n_threads);
    if (!ws_cache_can_hold(o->kv_type))
        return ws_fail(err, WS_UNSUPPORTED, "the KV cache cannot be of type %s", ws_dtype_name(o->kv_type));
    if (m->arch->activation != WS_ACT_SILU)
        return ws_fail(err, WS_UNSUPPORTED, "the activation of architecture '%s' is not known to infer", m->arch->name);
    if (ws_session_bytes(&m->hp, o) == UINT64_MAX)
        return ws_fail(err, WS_NOMEM, "a context of %" PRIu64 " tokens needs more memory than there is", o->n_ctx);
    return WS_OK;
}

static void choose_functions(ws_session *s) {
    ws_kernels_init(&s->e.k, s->o.cpu_flags);
    rope_fn *const ropes[] = {
        [WS_ROPE_NONE] = NULL,
        [WS_ROPE_INTERLEAVED] = s->e.k.rope_interleaved,
        [WS_ROPE_NEOX] = s->e.k.rope_neox,
    };
    s->rope = ropes[s->m->arch->rope];
    s->gate = s->e.k.silu_mul;
}

ws_status ws_session_open(ws_session **out, const ws_model *m, const ws_session_options *o, ws_error *err) {
    *out = NULL;
    WS_TRY(check_options(m, o, err));
    ws_session *s = ws_alloc(1, sizeof *s, "the session", err);
    if (!s) return WS_NOMEM;
    s->m = m;
    s->o = *o;
    s->work = ws_alloc_aligned(lay_out(s, &m->hp, NULL), 1, "activations", err);
    s->kv = ws_alloc(ws_cache_bytes(&m->hp, o->kv_type, o->n_ctx), 1, "the KV cache", err);
    const ws_status st = s->work && s->kv ? ws_team_open(&s->e.team, o->n_threads, err) : WS_NOMEM;
    if (st) {
        ws_session_close(s);
        return st;
    }
    lay_out(s, &m->hp, s->work);
    choose_functions(s);
    ws_cache_init(&s->cache, &m->hp, o->kv_type, o->n_ctx, s->kv, o->cpu_flags);
    *out = s;
    return WS_OK;
}

void ws_session_close(ws_session *s) {
    if (!s) return;
    ws_team_close(s->e.team);
    free(s->work);
    free(s->kv);
    free(s);
}

ws_team *ws_session_team(const ws_session *s) { return s->e.team; }

size_t ws_session_position(const ws_session *s) { return s->position; }

void ws_session_rewind(ws_session *s, size_t position) {
    if (position < s->position) s->position = position;
    s->n_rows = 0;
}

/* ---- one step over all tokens of the batch, shared out over the threads ---- */

typedef struct {
    ws_session *s;
    const ws_layer *layer;
    size_t index; /* of the layer */
    const float *vector;
} step;

static void each_token(const step *st, ws_parallel_fn *fn) {
    enum { GRAIN = 4 };
    ws_team_for(st->s->e.team, st->s->n_rows, GRAIN, fn, (void *)st);
}

static void embed_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const ws_session *s = ((const step *)ctx)->s;
    const ws_matrix *w = &s->m->embd;
    const ws_format *format = ws_format_get(w->type, s->o.cpu_flags);
    (void)thread;
    for (size_t t = begin; t < end; t++)
        format->to_float(w->data + (size_t)s->tokens[t] * w->row_bytes, s->x + t * s->stride.embd,
                         w->n_in / ws_dtype_get(w->type)->block_elements);
}

/* Angle i of a position: position / scale * base^(-2i / n_rot), divided by rope_freqs[i] if the model has them. */
static void turn_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const ws_session *s = ((const step *)ctx)->s;
    const ws_hparams *hp = &s->m->hp;
    const size_t n = hp->n_rot / 2;
    (void)thread;
    for (size_t i = 0; i < n; i++) {
        double freq = pow(hp->rope_base, -2.0 * (double)i / (double)hp->n_rot) / hp->rope_scale;
        if (s->m->rope_freqs) freq /= s->m->rope_freqs[i];
        for (size_t t = begin; t < end; t++) {
            const double angle = (double)(s->position + t) * freq;
            s->cos[t * n + i] = (float)cos(angle);
            s->sin[t * n + i] = (float)sin(angle);
        }
    }
}

static void norm_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const step *st = ctx;
    const ws_session *s = st->s;
    (void)thread;
    for (size_t t = begin; t < end; t++)
        s->e.k.rms_norm(s->x + t * s->stride.embd, st->vector, s->m->hp.rms_eps, s->h.x + t * s->h.stride,
                        s->m->hp.n_embd);
}

static void add_bias(const ws_session *s, float *y, const float *bias, size_t n) {
    if (bias) s->e.k.add(y, bias, n);
}

/* x += y + bias (`vector`) */
static void add_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const step *st = ctx;
    const ws_session *s = st->s;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        add_bias(s, s->y + t * s->stride.embd, st->vector, s->m->hp.n_embd);
        s->e.k.add(s->x + t * s->stride.embd, s->y + t * s->stride.embd, s->m->hp.n_embd);
    }
}

static void turn_heads(const ws_session *s, float *x, size_t n_heads, size_t t) {
    const ws_hparams *hp = &s->m->hp;
    const size_t at = t * (hp->n_rot / 2);
    for (size_t head = 0; s->rope && head < n_heads; head++)
        s->rope(x + head * hp->head_k, s->cos + at, s->sin + at, hp->n_rot);
}

/* Queries and keys are turned to their position; keys and values go into the cache. */
static void place_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const step *st = ctx;
    const ws_session *s = st->s;
    const ws_hparams *hp = &s->m->hp;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        float *q = s->q + t * s->stride.q, *k = s->k + t * s->stride.k, *v = s->v + t * s->stride.v;
        add_bias(s, q, st->layer->q_bias, hp->n_head * hp->head_k);
        add_bias(s, k, st->layer->k_bias, hp->n_head_kv * hp->head_k);
        add_bias(s, v, st->layer->v_bias, hp->n_head_kv * hp->head_v);
        turn_heads(s, q, hp->n_head, t);
        turn_heads(s, k, hp->n_head_kv, t);
        ws_cache_store(&s->cache, st->index, s->position + t, k, v);
    }
}

/* gate = activation(gate + bias) * (up + bias) */
static void gate_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const step *st = ctx;
    const ws_session *s = st->s;
    const size_t n = s->m->hp.n_ff;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        float *gate = s->ff.x + t * s->ff.stride, *up = s->up + t * s->stride.ff;
        add_bias(s, gate, st->layer->gate_bias, n);
        add_bias(s, up, st->layer->up_bias, n);
        s->gate(gate, up, n);
    }
}

/* ---- the decoder ---- */

static void norm(ws_session *s, const float *weight) { each_token(&(step){.s = s, .vector = weight}, norm_tokens); }

static void add_to_stream(ws_session *s, const float *bias) { each_token(&(step){.s = s, .vector = bias}, add_tokens); }

/* Products of the rows `in` with up to WS_MAX_PRODUCTS matrices. */
static void project(ws_session *s, const ws_rows *in, const ws_product *p, size_t n) {
    ws_matmul(&s->e, p, n, in, s->n_rows);
}

static void attend(ws_session *s, size_t layer) {
    ws_attention_run(&(ws_attention){
        .e = &s->e,
        .hp = &s->m->hp,
        .cache = &s->cache,
        .scratch = s->scratch,
        .layer = layer,
        .n_tokens = s->n_rows,
        .position = s->position,
        .q = s->q,
        .q_stride = s->stride.q,
        .out = s->att.x,
        .out_stride = s->att.stride,
    });
}

static void attention_block(ws_session *s, const ws_layer *l, size_t layer) {
    const ws_product qkv[] = {{&l->q, s->q, s->stride.q}, {&l->k, s->k, s->stride.k}, {&l->v, s->v, s->stride.v}};
    const ws_product out = {&l->o, s->y, s->stride.embd};
    norm(s, l->attn_norm);
    project(s, &s->h, qkv, 3);
    each_token(&(step){.s = s, .layer = l, .index = layer}, place_tokens);
    attend(s, layer);
    project(s, &s->att, &out, 1);
    add_to_stream(s, l->o_bias);
}

static void feed_forward_block(ws_session *s, const ws_layer *l) {
    const ws_product in[] = {{&l->gate, s->ff.x, s->ff.stride}, {&l->up, s->up, s->stride.ff}};
    const ws_product out = {&l->down, s->y, s->stride.embd};
    norm(s, l->ffn_norm);
    project(s, &s->h, in, 2);
    each_token(&(step){.s = s, .layer = l}, gate_tokens);
    project(s, &s->ff, &out, 1);
    add_to_stream(s, l->down_bias);
}

static void decode(ws_session *s) {
    each_token(&(step){.s = s}, embed_tokens);
    each_token(&(step){.s = s}, turn_tokens);
    for (size_t i = 0; i < s->m->hp.n_layer; i++) {
        attention_block(s, &s->m->layers[i], i);
        feed_forward_block(s, &s->m->layers[i]);
    }
    norm(s, s->m->output_norm);
}

ws_status ws_session_feed(ws_session *s, const int32_t *tokens, size_t n, ws_error *err) {
    if (n < 1 || n > s->o.n_batch)
        return ws_fail(err, WS_USAGE, "a batch of %zu tokens, expected 1 to %" PRIu64, n, s->o.n_batch);
    if (n > s->o.n_ctx - s->position)
        return ws_fail(err, WS_LIMIT, "%zu tokens do not fit the context of %" PRIu64, s->position + n, s->o.n_ctx);
    for (size_t t = 0; t < n; t++)
        if (tokens[t] < 0 || (size_t)tokens[t] >= s->m->embd.n_out)
            return ws_fail(err, WS_FORMAT, "token %d is outside of the vocabulary of %zu", tokens[t], s->m->embd.n_out);
    s->tokens = tokens;
    s->n_rows = n;
    decode(s);
    s->position += n;
    return WS_OK;
}

/* ---- logits ---- */

size_t ws_logits_stride(const ws_model *m) { return row_stride(m->hp.n_vocab); }

static ws_status check_finite(const ws_session *s, size_t row, const float *logits, ws_error *err) {
    const size_t n = s->m->hp.n_vocab;
    size_t i = 0;
    while (i < n && isfinite(logits[i])) i++;
    if (i == n) return WS_OK;
    return ws_fail(err, WS_FORMAT, "'%s': the logit of token %zu after position %zu is %s", ws_gguf_path(s->m->gguf), i,
                   s->position - s->n_rows + row, isnan(logits[i]) ? "NaN" : "infinite");
}

ws_status ws_session_logits(ws_session *s, size_t first, size_t n, float *out, ws_error *err) {
    const size_t stride = ws_logits_stride(s->m), fed = s->n_rows;
    const ws_product p = {&s->m->output, out, stride};
    ws_rows in = s->h;
    if (n < 1 || first >= fed || n > fed - first)
        return ws_fail(err, WS_USAGE, "logits of tokens %zu to %zu, but %zu were fed", first, first + n, fed);
    in.x += first * in.stride;
    s->n_rows = n;
    project(s, &in, &p, 1);
    s->n_rows = fed;
    for (size_t i = 0; i < n; i++) WS_TRY(check_finite(s, first + i, out + i * stride, err));
    return WS_OK;
}
