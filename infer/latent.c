/* latent.c - multi-head latent attention (DeepSeek-V2 paper, arXiv 2405.04434). The cache holds one short vector per
 * token, from which all heads' keys and values would unfold, and one rotated part of the key. Instead, a head's query
 * is folded into the space of the short vectors, where attention runs as if there were one KV head, and what it gives
 * is unfolded to the head's values. */
#include "fault.h"
#include "session.h"

#include <string.h>

/* What a step over the rows of one head copies. */
typedef struct {
    ws_session *s;
    size_t head;
} head_step;

static void each_row(const head_step *st, ws_parallel_fn *fn) {
    ws_team_for(st->s->e.team, st->s->n_rows, 4, fn, (void *)st);
}

/* in[n] x matrix -> out[n], of one head. */
static void multiply_head(ws_session *s, const ws_matrix *stack, size_t head) {
    const ws_matrix w = ws_matrix_in_stack(stack, head);
    const ws_product p = {&w, s->latent.out, s->latent.out_stride};
    ws_rows in = s->latent.in;
    in.n_cols = in.q.n_cols = w.n_in;
    ws_project(s, &in, s->n_rows, &p, 1);
}

/* ---- queries, and the short vector of keys and values ---- */

static void norm_queries(void *ctx, size_t begin, size_t end, int thread) {
    const ws_step *st = ctx;
    const ws_session *s = st->s;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        float *q = s->latent.q.x + t * s->latent.q.stride;
        ws_add_bias(s, q, st->layer->q_latent.bias, st->norm->n);
        ws_apply_norm(s, st->norm, q, q);
    }
}

/* The plain part of a head's query. Heads: [plain | rotated]. */
static void take_query(void *ctx, size_t begin, size_t end, int thread) {
    const head_step *st = ctx;
    const ws_session *s = st->s;
    const ws_hparams *hp = &s->m->hp;
    (void)thread;
    for (size_t t = begin; t < end; t++)
        memcpy(s->latent.in.x + t * s->latent.in.stride,
               s->latent.heads + t * s->latent.stride + st->head * hp->head_k_mla,
               (hp->head_k_mla - hp->n_rot) * sizeof(float));
}

/* The folded query: [short vector | rotated]. */
static void put_query(void *ctx, size_t begin, size_t end, int thread) {
    const head_step *st = ctx;
    const ws_session *s = st->s;
    const ws_hparams *hp = &s->m->hp;
    const size_t plain = hp->head_k_mla - hp->n_rot, pairs = hp->n_rot / 2;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        const float *from = s->latent.heads + t * s->latent.stride + st->head * hp->head_k_mla + plain;
        float *to = s->q + t * s->stride.q + st->head * hp->head_k;
        memcpy(to, s->latent.out + t * s->latent.out_stride, hp->kv_latent * sizeof *to);
        memcpy(to + hp->kv_latent, from, hp->n_rot * sizeof *to);
        s->rope(to + hp->kv_latent, s->full.cos + t * pairs, s->full.sin + t * pairs, hp->n_rot);
    }
}

static void place_tokens(void *ctx, size_t begin, size_t end, int thread) {
    const ws_step *st = ctx;
    const ws_session *s = st->s;
    const ws_hparams *hp = &s->m->hp;
    const size_t pairs = hp->n_rot / 2;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        float *kv = s->latent.kv + t * s->latent.kv_stride;
        ws_add_bias(s, kv, st->layer->kv_latent.bias, hp->head_k);
        ws_apply_norm(s, &st->layer->kv_latent_norm, kv, kv);
        s->rope(kv + hp->kv_latent, s->full.cos + t * pairs, s->full.sin + t * pairs, hp->n_rot);
        ws_cache_store(&s->cache, st->index, s->position + t, kv, kv);
    }
}

void ws_latent_project(ws_session *s, const ws_layer *l, size_t layer) {
    const ws_product kv = {&l->kv_latent.w, s->latent.kv, s->latent.kv_stride};
    const ws_product heads = {&l->q.w, s->latent.heads, s->latent.stride};
    const ws_product short_q = {&l->q_latent.w, s->latent.q.x, s->latent.q.stride};
    const bool is_short = l->q_latent.w.data;
    ws_project(s, &s->h, s->n_rows, (ws_product[]){kv, is_short ? short_q : heads}, 2);
    if (is_short) {
        ws_each_row(&(ws_step){.s = s, .layer = l, .norm = &l->q_latent_norm}, s->n_rows, norm_queries);
        ws_watch(s, s->latent.q.x, s->latent.q.stride, l->q_latent_norm.n, s->n_rows, SIZE_MAX, l->q_latent_norm.name);
        ws_project(s, &s->latent.q, s->n_rows, &heads, 1);
    }
    ws_each_row(&(ws_step){.s = s, .layer = l, .index = layer}, s->n_rows, place_tokens);
    ws_watch(s, s->latent.kv, s->latent.kv_stride, s->m->hp.head_k, s->n_rows, SIZE_MAX, l->kv_latent_norm.name);
    for (size_t head = 0; head < s->m->hp.n_head; head++) {
        const head_step st = {s, head};
        each_row(&st, take_query);
        multiply_head(s, &l->fold_keys, head);
        each_row(&st, put_query);
    }
}

/* ---- values ---- */

static void take_value(void *ctx, size_t begin, size_t end, int thread) {
    const head_step *st = ctx;
    const ws_session *s = st->s;
    const size_t n = s->m->hp.kv_latent;
    (void)thread;
    for (size_t t = begin; t < end; t++)
        memcpy(s->latent.in.x + t * s->latent.in.stride, s->att.x + t * s->att.stride + st->head * n,
               n * sizeof(float));
}

static void put_value(void *ctx, size_t begin, size_t end, int thread) {
    const head_step *st = ctx;
    const ws_session *s = st->s;
    const size_t n = s->m->hp.head_v_mla;
    (void)thread;
    for (size_t t = begin; t < end; t++)
        memcpy(s->latent.heads + t * s->latent.stride + st->head * n, s->latent.out + t * s->latent.out_stride,
               n * sizeof(float));
}

static void take_all_values(void *ctx, size_t begin, size_t end, int thread) {
    const ws_session *s = ((const ws_step *)ctx)->s;
    (void)thread;
    for (size_t t = begin; t < end; t++)
        memcpy(s->latent.in.x + t * s->latent.in.stride, s->latent.heads + t * s->latent.stride,
               s->latent.in.n_cols * sizeof(float));
}

const ws_rows *ws_latent_unfold(ws_session *s, const ws_layer *l) {
    for (size_t head = 0; head < s->m->hp.n_head; head++) {
        const head_step st = {s, head};
        each_row(&st, take_value);
        multiply_head(s, &l->unfold_values, head);
        each_row(&st, put_value);
    }
    s->latent.in.n_cols = s->latent.in.q.n_cols = s->m->hp.n_head * s->m->hp.head_v_mla;
    ws_each_row(&(ws_step){.s = s}, s->n_rows, take_all_values);
    return &s->latent.in;
}
