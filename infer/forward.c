/* forward.c - the decoder, read from bottom to top: ws_decode() at the end is the whole of it. What a model does not
 * have (a bias, a norm) is absent from its layers and skipped here; numbers come from its metadata. */
#include "fault.h"
#include "formats.h"
#include "session.h"

#include <math.h>
#include <string.h>

/* ---- steps over rows ---- */

void ws_each_row(const ws_step *st, size_t n_rows, ws_parallel_fn *fn) {
    enum { GRAIN = 4 };
    ws_team_for(st->s->e.team, n_rows, GRAIN, fn, (void *)st);
}

static void each_token(const ws_step *st, ws_parallel_fn *fn) { ws_each_row(st, st->s->n_rows, fn); }

void ws_add_bias(const ws_session *s, float *y, const float *bias, size_t n) {
    if (bias) s->e.k.add(y, bias, n);
}

void ws_apply_norm(const ws_session *s, const ws_norm *norm, const float *x, float *y) {
    const float eps = s->m->hp.norm_eps;
    if (s->m->arch->norm == WS_NORM_LAYER)
        s->e.k.layer_norm(x, norm->weight, norm->bias, eps, y, norm->n);
    else
        s->e.k.rms_norm(x, norm->weight, eps, y, norm->n);
}

/* x += row of an embedding that not all models have */
static void add_embedding(const ws_session *s, const ws_matrix *w, size_t row, size_t t) {
    float *x = s->x + t * s->stride.embd, *y = s->y + t * s->stride.embd;
    if (!w->data) return;
    ws_format_get(w->type, s->o.cpu_flags)
        ->to_float(w->data + row * w->row_bytes, y, w->n_in / ws_dtype_get(w->type)->block_elements);
    s->e.k.add(x, y, s->m->hp.n_embd);
}

static void embed_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const ws_session *s = ((const ws_step *)ctx)->s;
    const ws_matrix *w = &s->m->embd;
    const ws_hparams *hp = &s->m->hp;
    const ws_format *format = ws_format_get(w->type, s->o.cpu_flags);
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        float *x = s->x + t * s->stride.embd;
        format->to_float(w->data + (size_t)s->tokens[t] * w->row_bytes, x,
                         w->n_in / ws_dtype_get(w->type)->block_elements);
        if (hp->embd_scale != 1) s->e.k.scale(x, hp->embd_scale, hp->n_embd);
        add_embedding(s, &s->m->types, 0, t);
        add_embedding(s, &s->m->positions, s->position + t, t);
        if (s->m->embd_norm.weight) ws_apply_norm(s, &s->m->embd_norm, x, x);
    }
}

static void turn(const ws_session *s, const ws_angles *a, size_t begin, size_t end) {
    const size_t n = s->m->hp.n_rot / 2;
    const bool stretched = a == &s->full || !(s->m->arch->traits & WS_SLIDING_UNSCALED);
    const double magnitude = stretched ? (double)s->m->hp.rope_magnitude : 1;
    for (size_t i = 0; i < n; i++)
        for (size_t t = begin; t < end; t++) {
            const double angle = (double)(s->position + t) * a->freq[i];
            a->cos[t * n + i] = (float)(magnitude * cos(angle));
            a->sin[t * n + i] = (float)(magnitude * sin(angle));
        }
}

static void turn_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const ws_session *s = ((const ws_step *)ctx)->s;
    (void)thread;
    turn(s, &s->full, begin, end);
    if (s->sliding.freq) turn(s, &s->sliding, begin, end);
}

static void norm_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const ws_step *st = ctx;
    const ws_session *s = st->s;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        const float *x = s->x + t * s->stride.embd;
        float *h = s->h.x + t * s->h.stride;
        if (st->norm->weight)
            ws_apply_norm(s, st->norm, x, h);
        else
            memcpy(h, x, s->m->hp.n_embd * sizeof *h);
    }
}

/* x = out_norm(x + scale * norm(y + bias)) */
static void add_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const ws_step *st = ctx;
    const ws_session *s = st->s;
    const ws_hparams *hp = &s->m->hp;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        float *x = s->x + t * s->stride.embd, *y = s->y + t * s->stride.embd;
        ws_add_bias(s, y, st->vector, hp->n_embd);
        if (st->norm->weight) ws_apply_norm(s, st->norm, y, y);
        s->e.k.add_scaled(x, y, hp->residual_scale, hp->n_embd);
        if (st->out_norm->weight) ws_apply_norm(s, st->out_norm, x, x);
    }
}

/* Over a whole row of heads or over each of them, as the norm's length says. */
static void norm_heads(const ws_session *s, const ws_norm *norm, float *x, size_t n) {
    ws_norm one = *norm;
    for (size_t i = 0; norm->weight && i < n / norm->n; i++) {
        one.weight = norm->weight + i % norm->n_heads * norm->n;
        ws_apply_norm(s, &one, x + i * norm->n, x + i * norm->n);
    }
}

static void norm_queries_and_keys(const ws_session *s, const ws_layer *l, float *q, float *k) {
    norm_heads(s, &l->q_norm, q, s->m->hp.n_head * s->m->hp.head_k);
    norm_heads(s, &l->k_norm, k, s->m->hp.n_head_kv * s->m->hp.head_k);
}

static void turn_heads(const ws_session *s, const ws_angles *a, float *x, size_t n_heads, size_t t) {
    const ws_hparams *hp = &s->m->hp;
    const size_t at = t * (hp->n_rot / 2);
    for (size_t head = 0; s->rope && head < n_heads; head++)
        s->rope(x + head * hp->head_k, a->cos + at, a->sin + at, hp->n_rot);
}

/* Ministral 3: queries grow with the logarithm of the position. */
static void sharpen(const ws_session *s, float *q, size_t n, size_t t) {
    const ws_hparams *hp = &s->m->hp;
    const uint64_t passed = (s->position + t) / hp->n_ctx_original;
    if (hp->attn_temperature > 0 && passed > 0) s->e.k.scale(q, 1 + hp->attn_temperature * logf(1 + (float)passed), n);
}

/* Queries and keys are normed and turned to their position; keys and values go into the cache. */
static void place_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const ws_step *st = ctx;
    const ws_session *s = st->s;
    const ws_layer *l = st->layer;
    const ws_hparams *hp = &s->m->hp;
    const ws_angles *a = ws_layer_slides(hp, st->index) ? &s->sliding : &s->full;
    const bool turns = ws_layer_turns(hp, st->index), late = s->m->arch->traits & WS_HEAD_NORM_LATE;
    const size_t n_q = hp->n_head * hp->head_k, n_k = hp->n_head_kv * hp->head_k, n_v = hp->n_head_kv * hp->head_v;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        float *q = s->q + t * s->stride.q, *k = s->k + t * s->stride.k, *v = s->v + t * s->stride.v;
        ws_add_bias(s, q, l->q.bias, n_q);
        ws_add_bias(s, k, l->k.bias, n_k);
        ws_add_bias(s, v, l->v.bias, n_v);
        if (!late) norm_queries_and_keys(s, l, q, k);
        if (turns) {
            turn_heads(s, a, q, hp->n_head, t);
            turn_heads(s, a, k, hp->n_head_kv, t);
        }
        if (late) norm_queries_and_keys(s, l, q, k);
        sharpen(s, q, n_q, t);
        ws_cache_store(&s->cache, st->index, s->position + t, k, v);
    }
}

/* ---- feed-forward ---- */

typedef struct {
    ws_step step;
    const ws_feed_forward *ff;
    size_t n;
    float *y;
} ff_step;

/* gate = activation(gate + bias) * (up + bias) */
static void gate_rows(void *ctx, size_t begin, size_t end, int thread) {
    const ff_step *st = ctx;
    const ws_session *s = st->step.s;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        float *gate = s->ff.x + t * s->ff.stride, *up = s->up + t * s->stride.ff;
        if (st->ff->gate.w.data) {
            ws_add_bias(s, gate, st->ff->gate.bias, st->n);
            ws_add_bias(s, up, st->ff->up.bias, st->n);
            s->activate(gate, up, st->n);
        } else {
            ws_add_bias(s, gate, st->ff->up.bias, st->n);
            s->activate(gate, NULL, st->n);
        }
    }
}

static void bias_rows(void *ctx, size_t begin, size_t end, int thread) {
    const ff_step *st = ctx;
    const ws_session *s = st->step.s;
    (void)thread;
    for (size_t t = begin; t < end; t++)
        ws_add_bias(s, st->y + t * s->stride.embd, st->ff->down.bias, st->ff->down.w.n_out);
}

void ws_feed_forward_run(ws_session *s, const ws_feed_forward *ff, const ws_rows *in, size_t n_rows, float *y) {
    const bool gated = ff->gate.w.data;
    const ws_product gate = {&ff->gate.w, s->ff.x, s->ff.stride}, up = {&ff->up.w, s->up, s->stride.ff};
    const ws_product alone = {&ff->up.w, s->ff.x, s->ff.stride}, down = {&ff->down.w, y, s->stride.embd};
    const ff_step st = {.step = {.s = s}, .ff = ff, .n = ff->up.w.n_out, .y = y};
    ws_rows inner = s->ff;
    inner.n_cols = inner.q.n_cols = st.n;
    ws_project(s, in, n_rows, gated ? (ws_product[]){gate, up} : &alone, gated ? 2 : 1);
    ws_team_for(s->e.team, n_rows, 4, gate_rows, (void *)&st);
    ws_watch(s, s->ff.x, s->ff.stride, st.n, n_rows, SIZE_MAX, "the activation of the feed-forward block");
    ws_project(s, &inner, n_rows, &down, 1);
    if (ff->down.bias) ws_team_for(s->e.team, n_rows, 4, bias_rows, (void *)&st);
}

/* ---- the decoder ---- */

void ws_project(ws_session *s, const ws_rows *in, size_t n_rows, const ws_product *p, size_t n) {
    for (size_t i = 0; s->collector && i < n; i++) ws_collect_rows(s->collector, s->e.team, p[i].w, in, n_rows);
    ws_matmul(&s->e, p, n, in, n_rows);
    for (size_t i = 0; i < n; i++) ws_watch(s, p[i].y, p[i].y_stride, p[i].w->n_out, n_rows, SIZE_MAX, p[i].w->name);
}

static void norm(ws_session *s, const ws_norm *norm) {
    each_token(&(ws_step){.s = s, .norm = norm}, norm_tokens);
    ws_watch(s, s->h.x, s->h.stride, s->m->hp.n_embd, s->n_rows, SIZE_MAX, norm->name ? norm->name : "the stream");
}

/* The stream takes up what a block has computed. */
static void add_to_stream(ws_session *s, const ws_norm *post, const ws_norm *out, const float *bias, size_t layer,
                          const char *what) {
    each_token(&(ws_step){.s = s, .norm = post, .out_norm = out, .vector = bias}, add_tokens);
    const char *name = out->name ? out->name : post->name;
    ws_watch(s, s->x, s->stride.embd, s->m->hp.n_embd, s->n_rows, name ? SIZE_MAX : layer, name ? name : what);
}

static void attend(ws_session *s, const ws_layer *l, size_t layer) {
    ws_attention_run(&(ws_attention){
        .e = &s->e,
        .hp = &s->m->hp,
        .window = ws_layer_slides(&s->m->hp, layer) ? s->m->hp.window : 0,
        .all_keys = s->m->arch->traits & WS_ENCODER,
        .sinks = l->sinks,
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
    ws_watch(s, s->att.x, s->att.stride, s->att.n_cols, s->n_rows, layer, "attention");
}

static void project_heads(ws_session *s, const ws_layer *l, size_t layer) {
    const ws_product qkv[] = {{&l->q.w, s->q, s->stride.q}, {&l->k.w, s->k, s->stride.k}, {&l->v.w, s->v, s->stride.v}};
    ws_project(s, &s->h, s->n_rows, qkv, 3);
    each_token(&(ws_step){.s = s, .layer = l, .index = layer}, place_tokens);
    ws_watch(s, s->q, s->stride.q, l->q.w.n_out, s->n_rows, layer, "attn_q, its bias and norm");
    ws_watch(s, s->k, s->stride.k, l->k.w.n_out, s->n_rows, layer, "attn_k, its bias and norm");
    ws_watch(s, s->v, s->stride.v, l->v.w.n_out, s->n_rows, layer, "attn_v.bias");
}

static void attention_block(ws_session *s, const ws_layer *l, size_t layer) {
    const bool latent = l->kv_latent.w.data;
    const ws_product out = {&l->o.w, s->y, s->stride.embd};
    norm(s, &l->attn_norm);
    if (latent)
        ws_latent_project(s, l, layer);
    else
        project_heads(s, l, layer);
    attend(s, l, layer);
    ws_project(s, latent ? ws_latent_unfold(s, l) : &s->att, s->n_rows, &out, 1);
    add_to_stream(s, &l->attn_post_norm, &l->attn_out_norm, l->o.bias, layer, "attn_output.bias");
}

static void feed_forward_block(ws_session *s, const ws_layer *l, size_t layer) {
    if (l->ffn_norm.weight || !(s->m->arch->traits & WS_SIDE_BY_SIDE)) norm(s, &l->ffn_norm);
    if (l->router.w.data)
        ws_experts_run(s, l);
    else
        ws_feed_forward_run(s, &l->ff, &s->h, s->n_rows, s->y);
    add_to_stream(s, &l->ffn_post_norm, &l->ffn_out_norm, NULL, layer, "ffn_down.bias");
}

void ws_decode(ws_session *s) {
    each_token(&(ws_step){.s = s}, embed_tokens);
    each_token(&(ws_step){.s = s}, turn_tokens);
    ws_watch(s, s->x, s->stride.embd, s->m->hp.n_embd, s->n_rows, SIZE_MAX, s->m->embd.name);
    for (size_t i = 0; i < s->m->hp.n_layer; i++) {
        attention_block(s, &s->m->layers[i], i);
        feed_forward_block(s, &s->m->layers[i], i);
    }
    norm(s, &s->m->output_norm);
}
