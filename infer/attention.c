#include "attention.h"

#include <math.h>
#include <string.h>

/* Query rows handled together: the heads that share a KV head, of neighbouring tokens. A row's result does not depend
 * on which rows are with it. */
enum { MAX_ROWS = 32 };

static size_t padded(size_t n) { return (n + WS_LANES - 1) / WS_LANES * WS_LANES; }

/* Elements of a row in a cache of blocks. */
static size_t in_blocks(size_t n) { return (n + WS_GROUP - 1) / WS_GROUP * WS_GROUP; }

size_t ws_attention_scratch(const ws_hparams *hp) {
    const size_t span = WS_SPAN * (in_blocks(hp->head_k) + in_blocks(hp->head_v)); /* where the cache is quantized */
    return MAX_ROWS * (padded(hp->head_k) + WS_SPAN + padded(hp->head_v)) + span;
}

typedef struct {
    const ws_attention *a;
    size_t group;              /* query heads per KV head */
    size_t tile_rows, n_tiles; /* per KV head */
} work;

/* Rows [first, first + n) of one KV head; row i is head i % group of the group, of token i / group. */
typedef struct {
    const work *w;
    size_t head_kv, first, n;
    float *q, *p, *acc;
    float *span_k, *span_v; /* keys and values of a span as floats, where the cache is quantized */
    ws_softmax softmax[MAX_ROWS];
} tile;

/* Is the cache quantized? */
static bool is_expanded(const ws_attention *a) { return a->e->k.expand_keys[a->cache->type] != NULL; }

static size_t row_token(const tile *t, size_t i) { return (t->first + i) / t->w->group; }
static size_t row_head(const tile *t, size_t i) { return t->head_kv * t->w->group + (t->first + i) % t->w->group; }

/* Keys that row i may look at: from the first of the window to that of its token. */
static size_t end_of_keys(const tile *t, size_t i) {
    const ws_attention *a = t->w->a;
    const size_t token = row_token(t, i), last = a->n_tokens - 1, half = a->window / 2;
    const size_t seen = !a->all_keys ? token : !a->window || half > last - token ? last : token + half;
    return a->position + seen + 1;
}
static size_t first_key(const tile *t, size_t i) {
    const ws_attention *a = t->w->a;
    const size_t behind = a->position + row_token(t, i) + 1; /* the token's own key */
    const uint64_t back = a->all_keys ? a->window / 2 + 1 : a->window;
    return a->window && behind > back ? behind - back : 0;
}

static void start(tile *t, float *scratch) {
    const ws_attention *a = t->w->a;
    const size_t head_k = a->hp->head_k, v_stride = padded(a->hp->head_v);
    t->q = scratch;
    t->p = t->q + MAX_ROWS * padded(head_k);
    t->acc = t->p + MAX_ROWS * WS_SPAN;
    t->span_k = t->acc + MAX_ROWS * v_stride;
    t->span_v = t->span_k + WS_SPAN * in_blocks(head_k);
    memset(t->acc, 0, t->n * v_stride * sizeof *t->acc);
    for (size_t i = 0; i < t->n; i++) {
        t->softmax[i] = (ws_softmax){.max = -INFINITY};
        if (a->sinks) t->softmax[i] = (ws_softmax){.max = a->sinks[row_head(t, i)], .sum = {1}};
        memcpy(t->q + i * head_k, a->q + row_token(t, i) * a->q_stride + row_head(t, i) * head_k,
               head_k * sizeof *t->q);
        if (is_expanded(a)) ws_cache_turn(t->q + i * head_k, head_k);
    }
}

static size_t within(size_t key, size_t span, size_t n_keys) {
    return key < span ? 0 : key - span < n_keys ? key - span : n_keys;
}

/* Scores of the span -> weights; keys that a row does not see get weight 0. */
static void weigh(tile *t, size_t span, size_t n_keys) {
    const ws_attention *a = t->w->a;
    const size_t v_stride = padded(a->hp->head_v);
    const float cap = a->hp->attn_softcap, scale = cap > 0 ? 1 : a->hp->attn_scale;
    for (size_t i = 0; i < t->n; i++) {
        const size_t first = within(first_key(t, i), span, n_keys), end = within(end_of_keys(t, i), span, n_keys);
        float *p = t->p + i * WS_SPAN;
        if (cap > 0) a->e->k.soft_cap(p + first, a->hp->attn_scale, cap, end - first);
        if (end > first)
            a->e->k.softmax(p + first, end - first, scale, &t->softmax[i], t->acc + i * v_stride, v_stride);
        memset(p, 0, first * sizeof *p);
        memset(p + end, 0, (n_keys - end) * sizeof *p);
    }
}

/* Keys and values of a span as floats, in the layout of a cache of floats. */
static void expand_span(const tile *t, size_t span, size_t n_keys) {
    const ws_attention *a = t->w->a;
    const ws_cache *c = a->cache;
    const uint8_t *k = ws_cache_keys(c, a->layer, t->head_kv, span),
                  *v = ws_cache_values(c, a->layer, t->head_kv, span);
    for (size_t key = 0; key < n_keys; key += WS_LANES)
        a->e->k.expand_keys[c->type](k + key * c->k_bytes, c->k_stride / WS_GROUP, t->span_k + key * c->k_stride);
    for (size_t key = 0; key < n_keys; key++)
        c->format->to_float(v + key * c->v_bytes, t->span_v + key * c->v_stride, c->v_stride / WS_GROUP);
}

static void attend_span(tile *t, size_t span, size_t n_keys) {
    const ws_attention *a = t->w->a;
    const ws_cache *c = a->cache;
    const bool expanded = is_expanded(a);
    const ws_attn_kernel *kernel = &a->e->k.attn[expanded ? WS_TYPE_F32 : c->type];
    if (expanded) expand_span(t, span, n_keys);
    const ws_attn_job job = {
        .q = t->q,
        .n_rows = t->n,
        .head_k = a->hp->head_k,
        .head_v = a->hp->head_v,
        .k = expanded ? t->span_k : ws_cache_keys(c, a->layer, t->head_kv, span),
        .v = expanded ? t->span_v : ws_cache_values(c, a->layer, t->head_kv, span),
        .n_keys = n_keys,
        .k_stride = c->k_stride,
        .v_stride = c->v_stride,
        .p = t->p,
        .acc = t->acc,
        .acc_stride = padded(a->hp->head_v),
    };
    kernel->scores(&job);
    weigh(t, span, n_keys);
    kernel->values(&job);
}

static void finish(const tile *t) {
    const ws_attention *a = t->w->a;
    const size_t head_v = a->hp->head_v;
    for (size_t i = 0; i < t->n; i++) {
        const float *lane = t->softmax[i].sum, *acc = t->acc + i * padded(head_v);
        float sum = 0;
        for (int l = 0; l < WS_LANES; l++) sum += lane[l];
        float *out = a->out + row_token(t, i) * a->out_stride + row_head(t, i) * head_v;
        for (size_t c = 0; c < head_v; c++) out[c] = acc[c] / sum;
        if (is_expanded(a)) ws_cache_turn(out, head_v);
    }
}

static void attend_tiles(void *ctx, size_t begin, size_t end, int thread) {
    const work *w = ctx;
    const size_t n_rows = w->a->n_tokens * w->group;
    for (size_t i = begin; i < end; i++) {
        tile t = {.w = w, .head_kv = i / w->n_tiles, .first = i % w->n_tiles * w->tile_rows};
        t.n = n_rows - t.first < w->tile_rows ? n_rows - t.first : w->tile_rows;
        start(&t, w->a->scratch + (size_t)thread * ws_attention_scratch(w->a->hp));
        const size_t n_keys = end_of_keys(&t, t.n - 1);
        for (size_t span = first_key(&t, 0) / WS_SPAN * WS_SPAN; span < n_keys; span += WS_SPAN)
            attend_span(&t, span, n_keys - span < WS_SPAN ? n_keys - span : WS_SPAN);
        finish(&t);
    }
}

void ws_attention_run(const ws_attention *a) {
    enum { TILES_PER_THREAD = 4 }; /* at least, so that a single token's heads are shared out too */
    work w = {.a = a, .group = a->hp->n_head / a->hp->n_head_kv};
    const size_t n_rows = a->n_tokens * w.group, share = (size_t)ws_team_threads(a->e->team) * TILES_PER_THREAD;
    const size_t even = n_rows * a->hp->n_head_kv / share;
    w.tile_rows = even < 1 ? 1 : even > MAX_ROWS ? MAX_ROWS : even;
    w.n_tiles = (n_rows + w.tile_rows - 1) / w.tile_rows;
    ws_team_for(a->e->team, w.n_tiles * a->hp->n_head_kv, 1, attend_tiles, &w);
}
