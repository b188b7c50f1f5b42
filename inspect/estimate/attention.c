/* Attention over a cache, and the state of recurrent layers. Source: llama.cpp's llama-graph.cpp and
 * llama-kv-cache.cpp. */
#include "builder.h"

/* ---- caches ---- */

ws_node *ws_view_k(ws_builder *b, unsigned layer) {
    const ws_bp_layer *l = &b->bp->layers[layer];
    ws_node *k = b->k[l->cache_of];
    const uint64_t row = ws_row_bytes(k->type, k->ne[0]), ne[4] = {l->head_k, l->n_head_kv, k->ne[1], k->ne[2]};
    return ws_op_view(b->g, k, ne, ws_row_bytes(k->type, l->head_k), row, row * k->ne[1], 0);
}

static ws_node *view_v(ws_builder *b, unsigned layer) {
    const ws_bp_layer *l = &b->bp->layers[layer];
    ws_node *v = b->v[l->cache_of];
    const uint64_t cells = v->ne[1];
    if (!b->p->v_transposed) {
        const uint64_t row = ws_row_bytes(v->type, v->ne[0]), ne[4] = {l->head_v, l->n_head_kv, cells, v->ne[2]};
        return ws_op_view(b->g, v, ne, ws_row_bytes(v->type, l->head_v), row, row * cells, 0);
    }
    /* transposed: a row is one element of all cells */
    const uint64_t row = ws_row_bytes(v->type, cells), ne[4] = {cells, l->n_head_kv, l->head_v, v->ne[2]};
    return ws_op_view(b->g, v, ne, row * l->head_v, row, row * v->ne[0], 0);
}

ws_node *ws_store_k(ws_builder *b, ws_node *k, ws_node *ids, unsigned layer) {
    ws_node *cache = b->k[b->bp->layers[layer].cache_of];
    k = ws_op_view_2d(b->g, k, k->ne[0] * k->ne[1], k->ne[2], k->nb[2], 0);
    if (cache->ne[2] > 1) cache = ws_op_reshape(b->g, cache, cache->ne[0], cache->ne[1] * cache->ne[2], 1, 1);
    return ws_op_set_rows(b->g, cache, k, ids);
}

static ws_node *store_v(ws_builder *b, ws_node *v, ws_node *ids, unsigned layer) {
    ws_graph *g = b->g;
    ws_node *cache = b->v[b->bp->layers[layer].cache_of];
    const uint64_t width = v->ne[0] * v->ne[1], n_tokens = v->ne[2];
    if (!b->p->v_transposed) {
        v = ws_op_view_2d(g, v, width, n_tokens, v->nb[2], 0);
        if (cache->ne[2] > 1) cache = ws_op_reshape(g, cache, cache->ne[0], cache->ne[1] * cache->ne[2], 1, 1);
        return ws_op_set_rows(g, cache, v, ids);
    }
    const bool packed = ws_row_bytes(v->type, width) == v->nb[2];
    v = packed ? ws_op_reshape(g, v, width, n_tokens, 1, 1) : ws_op_cont_4d(g, v, width, n_tokens, 1, 1);
    if (width < cache->ne[0]) v = ws_op_pad(g, v, cache->ne[0] - width);
    cache = ws_op_reshape(g, cache, 1, ws_node_elements(cache), 1, 1);
    return ws_op_set_rows(g, cache, ws_op_reshape(g, v, 1, ws_node_elements(v), 1, 1), ids);
}

/* ---- attention ---- */

static ws_node *with_flash(ws_builder *b, ws_node *q, ws_node *k, ws_node *v, ws_node *mask, ws_node *sinks,
                           ws_node *v_up, unsigned layer) {
    ws_graph *g = b->g;
    if (k->type == WS_TYPE_F32) k = ws_op_cast(g, k, WS_TYPE_F16);
    if (v->type == WS_TYPE_F32) v = ws_op_cast(g, v, WS_TYPE_F16);
    ws_node *x = ws_op_flash_attn(g, q, k, v, mask, sinks);
    x->layer = (int16_t)layer;
    if (v_up) {
        x = ws_op_mul_mat(g, v_up, ws_op_permute(g, x, 0, 2, 1, 3));
        x = ws_op_cont(g, ws_op_permute(g, x, 0, 2, 1, 3));
    }
    return ws_op_reshape(g, x, x->ne[0] * x->ne[1], x->ne[2] * x->ne[3], 1, 1);
}

static ws_node *without_flash(ws_builder *b, ws_node *q, ws_node *k, ws_node *v, bool transposed, ws_node *mask,
                              ws_node *sinks, ws_node *v_up) {
    ws_graph *g = b->g;
    ws_node *x = ws_op_mul_mat(g, k, q);
    if (b->bp->style->traits & WS_SOFT_CAP) {
        x = ws_op_same(g, WS_OP_SCALE, x, NULL);
        x = ws_op_unary(g, WS_UNARY_OTHER, x);
        x = ws_op_same(g, WS_OP_SCALE, x, NULL);
    }
    x = ws_op_soft_max(g, x, mask, sinks);
    if (!transposed) v = ws_op_cont(g, ws_op_transpose(g, v));
    x = ws_op_mul_mat(g, v, x);
    if (v_up) x = ws_op_mul_mat(g, v_up, x);
    x = ws_op_permute(g, x, 0, 2, 1, 3);
    return ws_op_cont_4d(g, x, x->ne[0] * x->ne[1], x->ne[2] * x->ne[3], 1, 1);
}

ws_node *ws_build_scores(ws_builder *b, ws_node *q, ws_node *k, ws_node *v, ws_node *mask, ws_node *sinks,
                         ws_node *v_up, unsigned layer) {
    ws_graph *g = b->g;
    const bool transposed = v->nb[1] > v->nb[2];
    const uint64_t streams = k->ne[3] ? k->ne[3] : 1, n = q->ne[2] / streams, ne[4] = {q->ne[0], q->ne[1], n, streams};
    q = ws_op_view(g, q, ne, q->nb[1], q->nb[2], q->nb[2] * n, 0);
    q = ws_op_permute(g, q, 0, 2, 1, 3);
    k = ws_op_permute(g, k, 0, 2, 1, 3);
    v = ws_op_permute(g, v, 0, 2, 1, 3);
    ws_node *x;
    if (b->p->flash_attn)
        x = with_flash(b, q, k, transposed ? ws_op_transpose(g, v) : v, mask, sinks, v_up, layer);
    else
        x = without_flash(b, q, k, v, transposed, mask, sinks, v_up);
    ws_graph_expand(g, x);
    return x;
}

/* Rows are cut into pieces of the rotation's size. */
static ws_node *rotate(ws_builder *b, ws_node *x, ws_node *rotation) {
    ws_graph *g = b->g;
    if (!rotation || !x) return x;
    const uint64_t n = rotation->ne[0], rows = ws_node_elements(x) / n;
    ws_node *y = ws_node_contiguous(x) ? ws_op_reshape(g, x, n, rows, 1, 1) : ws_op_cont_4d(g, x, n, rows, 1, 1);
    return ws_op_reshape(g, ws_op_mul_mat(g, rotation, y), x->ne[0], x->ne[1], x->ne[2], x->ne[3]);
}

static ws_node *project(ws_builder *b, ws_node *x, unsigned layer) {
    return ws_build_bias(b, ws_mul_mat(b, "blk.%u.attn_output.weight", layer, x), "blk.%u.attn_output.bias", layer);
}

static ws_node *without_cache(ws_builder *b, ws_node *q, ws_node *k, ws_node *v, unsigned layer) {
    ws_graph_expand(b->g, q);
    ws_graph_expand(b->g, k);
    ws_graph_expand(b->g, v);
    const ws_cache_inputs *in = b->bp->layers[layer].sliding ? &b->sliding : &b->full;
    return ws_build_scores(b, q, k, v, in->mask, NULL, NULL, layer);
}

ws_node *ws_build_attention(ws_builder *b, ws_node *q, ws_node *k, ws_node *v, unsigned layer, bool bare) {
    ws_graph *g = b->g;
    const ws_bp_layer *l = &b->bp->layers[layer];
    if (b->bp->style->traits & WS_NO_CACHE) {
        ws_node *x = without_cache(b, q, k, v, layer);
        return bare ? x : project(b, x, layer);
    }
    if (l->cache_of < 0 || !b->k[l->cache_of] || !b->v[l->cache_of]) {
        ws_graph_fail(g, WS_FORMAT, "layer %u attends, but has no cache", layer);
        return &g->dummy;
    }
    const ws_cache_inputs *in = l->sliding ? &b->sliding : &b->full;
    q = rotate(b, q, in->k_rotation);
    k = rotate(b, k, in->k_rotation);
    v = rotate(b, v, in->v_rotation);
    ws_graph_expand(g, q);
    if (k && b->p->any_sliding) ws_graph_expand(g, k);
    if (v) ws_graph_expand(g, v);
    if (k) ws_graph_expand(g, k);
    if (k) ws_graph_expand(g, ws_store_k(b, k, in->k_ids, layer));
    if (v) ws_graph_expand(g, store_v(b, v, in->v_ids, layer));
    ws_node *sinks = b->bp->style->traits & WS_SINKS ? ws_weight(b, "blk.%u.attn_sinks.weight", layer) : NULL;
    ws_node *view_of_k = ws_view_k(b, layer);
    ws_node *x = ws_build_scores(b, q, view_of_k, view_v(b, layer), in->mask, sinks, NULL, layer);
    x = rotate(b, x, in->v_rotation);
    return bare ? x : project(b, x, layer);
}

/* ---- states ---- */

ws_node *ws_build_state_begin(ws_builder *b, ws_node *all, uint64_t width) {
    ws_node *states = ws_op_reshape(b->g, all, width, all->ne[1], 1, 1);
    ws_graph_expand(b->g, ws_op_scale_inplace(b->g, ws_op_view_1d(b->g, states, width, 0)));
    return states;
}

void ws_build_state_end(ws_builder *b, ws_node *all, ws_node *states, uint64_t width) {
    ws_node *extra = ws_op_get_rows(b->g, states, b->state_ids_extra);
    const uint64_t n = b->state_ids_extra->ne[0];
    ws_node *to = ws_op_view_2d(b->g, all, width, n, all->nb[1], b->p->n_seqs * all->nb[1]);
    ws_graph_expand(b->g, ws_op_cpy(b->g, extra, to));
}

ws_node *ws_build_state(ws_builder *b, ws_node *all, uint64_t width) {
    ws_node *states = ws_build_state_begin(b, all, width);
    ws_node *mine = ws_op_get_rows(b->g, states, b->state_ids_main);
    ws_graph_expand(b->g, mine);
    ws_build_state_end(b, all, states, width);
    return mine;
}
