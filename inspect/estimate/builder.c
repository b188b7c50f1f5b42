/* Source: llama.cpp's llama-graph.cpp, llama-kv-cache.cpp, llama-memory-recurrent.cpp; the order of sources and of
 * expansion is theirs, since the allocator's result depends on it. */
#include "builder.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_ROTATION = 64, NAME_BYTES = 96 };

/* ---- weights and caches ---- */

static ws_node *weight_node(ws_builder *b, const ws_tensor *t, int backend) {
    ws_node **slot = &b->weights[t - b->bp->tensors];
    for (ws_node *n = *slot; n; n = n->next_copy)
        if (n->home == backend) return n;
    ws_node *n = ws_op_tensor(b->g, t->type, t->ne[0], t->ne[1], t->ne[2], t->ne[3]);
    if (n == &b->g->dummy) return n;
    n->weight = true;
    n->home = (int8_t)backend;
    n->next_copy = *slot;
    return *slot = n;
}

ws_node *ws_weight(ws_builder *b, const char *format, unsigned layer) {
    const ws_tensor *t =
        strchr(format, '%') ? ws_blueprint_layer_tensor(b->bp, format, layer) : ws_blueprint_tensor(b->bp, format);
    return t ? weight_node(b, t, b->p->tensor_backend[t - b->bp->tensors]) : NULL;
}

ws_node *ws_weight_on(ws_builder *b, const char *name, int backend) {
    const ws_tensor *t = ws_blueprint_tensor(b->bp, name);
    return t ? weight_node(b, t, backend) : NULL;
}

ws_node *ws_need_weight(ws_builder *b, const char *format, unsigned layer) {
    ws_node *n = ws_weight(b, format, layer);
    if (n) return n;
    char name[NAME_BYTES];
    const char *number = strchr(format, '%');
    if (number)
        snprintf(name, sizeof name, "%.*s%u%s", (int)(number - format), format, layer, number + 2);
    else
        snprintf(name, sizeof name, "%s", format);
    ws_graph_fail(b->g, WS_FORMAT, "the model has no tensor '%s', which its architecture '%s' needs", name,
                  b->bp->architecture);
    return &b->g->dummy;
}

static ws_node *cache_node(ws_builder *b, ws_dtype type, uint64_t width, uint64_t cells, uint64_t streams,
                           unsigned il) {
    ws_node *n = ws_op_tensor(b->g, type, width, cells, streams, 1);
    n->home = b->p->layer_backend[il];
    return n;
}

static uint64_t cells_of(const ws_builder *b, unsigned il) {
    return b->bp->layers[il].sliding ? b->p->sliding_cells : b->p->full_cells;
}

void ws_make_caches(ws_builder *b) {
    const ws_blueprint *bp = b->bp;
    for (unsigned i = 0; i < bp->n_layer && !b->g->failed; i++) {
        const ws_bp_layer *l = &bp->layers[i];
        if (l->recurrent) {
            b->conv[i] = cache_node(b, WS_TYPE_F32, bp->conv_width, b->p->n_states, 1, i);
            b->state[i] = cache_node(b, WS_TYPE_F32, bp->state_width, b->p->n_states, 1, i);
        }
        if (ws_layer_attends(bp, i) && l->cache_of == (int32_t)i) {
            const uint64_t v = b->p->v_transposed ? b->p->widest_v : l->n_head_kv * l->head_v;
            b->k[i] = cache_node(b, b->p->type_k, l->n_head_kv * l->head_k, cells_of(b, i), b->p->n_streams, i);
            if (!bp->key_mla || bp->style->family != WS_FAMILY_LATENT)
                b->v[i] = cache_node(b, b->p->type_v, v, cells_of(b, i), b->p->n_streams, i);
        }
    }
}

/* ---- inputs ---- */

ws_node *ws_build_embedding(ws_builder *b) {
    const ws_blueprint *bp = b->bp;
    ws_node *tokens = ws_op_input(b->g, WS_TYPE_I32, b->p->n_tokens, 1, 1, 1);
    const uint64_t deep = bp->n_embd * bp->n_deepstack;
    ws_node *vectors = ws_op_input(b->g, WS_TYPE_F32, bp->n_embd + deep, b->p->n_tokens, 1, 1);
    ws_node *x = ws_op_get_rows(b->g, ws_need_weight(b, "token_embd.weight", 0), tokens);
    if (deep) x = ws_op_pad(b->g, x, deep);
    ws_graph_expand(b->g, x);
    ws_graph_expand(b->g, vectors);
    if (deep) x = ws_op_view_2d(b->g, x, bp->n_embd, b->p->n_tokens, x->nb[1], 0);
    if (bp->embd_scale) x = ws_op_same(b->g, WS_OP_SCALE, x, NULL);
    ws_graph_expand(b->g, x);
    if (bp->style->traits & WS_SCALED_EMBD) x = ws_op_same(b->g, WS_OP_SCALE, x, NULL);
    return x;
}

ws_node *ws_build_positions(ws_builder *b) {
    const uint64_t per_token = b->bp->four_positions ? 4 : 1;
    return b->positions = ws_op_input(b->g, WS_TYPE_I32, b->p->n_tokens * per_token, 1, 1, 1);
}

ws_node *ws_build_out_ids(ws_builder *b) {
    return b->out_ids = ws_op_input(b->g, WS_TYPE_I32, b->p->n_outputs, 1, 1, 1);
}

/* One head size in all layers of a kind of cache; 0: they differ. */
static uint64_t common_head(const ws_builder *b, bool sliding, bool v) {
    uint64_t head = 0;
    for (size_t i = 0; i < b->bp->n_layer; i++) {
        const ws_bp_layer *l = &b->bp->layers[i];
        if (!ws_layer_attends(b->bp, i) || l->sliding != sliding || l->cache_of != (int32_t)i) continue;
        const uint64_t h = v ? l->head_v : l->head_k;
        if (head && head != h) return 0;
        head = h;
    }
    return head;
}

/* A quantized cache is rotated: K by the largest power of two that divides its head, V by the smallest. */
static ws_node *rotation(ws_builder *b, ws_dtype type, bool sliding, bool v) {
    const uint64_t head = common_head(b, sliding, v);
    const uint64_t first = v ? b->bp->layers[0].head_v : b->bp->layers[0].head_k;
    if (!ws_dtype_is_quantized(type) || !head || first % MIN_ROTATION) return NULL;
    if (b->bp->style->family == WS_FAMILY_HYBRID && b->p->any_sliding) return NULL; /* forgotten by llama.cpp */
    const uint64_t n = v ? MIN_ROTATION : head & (~head + 1);
    return ws_op_input(b->g, WS_TYPE_F32, n < MIN_ROTATION ? MIN_ROTATION : n, n < MIN_ROTATION ? MIN_ROTATION : n, 1,
                       1);
}

ws_cache_inputs ws_build_cache_inputs(ws_builder *b, bool sliding, bool k_only) {
    const ws_pass *p = b->p;
    const uint64_t cells = sliding ? p->sliding_cells : p->full_cells;
    ws_cache_inputs in = {.k_ids = ws_op_input(b->g, WS_TYPE_I64, p->n_tokens, 1, 1, 1)};
    if (!k_only)
        in.v_ids = ws_op_input(b->g, WS_TYPE_I64, p->v_transposed ? p->n_tokens * p->widest_v : p->n_tokens, 1, 1, 1);
    in.mask = ws_op_input(b->g, p->flash_attn ? WS_TYPE_F16 : WS_TYPE_F32, cells, p->n_tokens / p->n_streams, 1,
                          p->n_streams);
    if (k_only) return in;
    in.k_rotation = rotation(b, p->type_k, sliding, false);
    in.v_rotation = rotation(b, p->type_v, sliding, true);
    return in;
}

void ws_build_inputs(ws_builder *b) {
    ws_build_positions(b);
    if (b->bp->style->traits & WS_NO_CACHE) {
        const ws_dtype type = b->p->flash_attn ? WS_TYPE_F16 : WS_TYPE_F32;
        b->full.mask = ws_op_input(b->g, type, b->p->n_tokens, b->p->n_tokens, 1, 1);
        b->sliding.mask = ws_op_input(b->g, type, b->p->n_tokens, b->p->n_tokens, 1, 1);
        return;
    }
    b->full = ws_build_cache_inputs(b, false, false);
    if (b->p->any_sliding) b->sliding = ws_build_cache_inputs(b, true, false);
}

void ws_build_state_inputs(ws_builder *b) {
    const uint64_t n = b->p->n_states, used = b->p->n_seqs;
    b->state_ids = ws_op_input(b->g, WS_TYPE_I32, n, 1, 1, 1);
    b->state_ids_main = ws_op_view_1d(b->g, b->state_ids, used, 0);
    b->state_ids_extra = ws_op_view_1d(b->g, b->state_ids, n > used ? n - used : 0, used * 4);
}

/* ---- small pieces ---- */

ws_node *ws_build_plain_norm(ws_builder *b, ws_node *x) {
    return ws_op_same(b->g, b->bp->style->traits & WS_LAYER_NORM ? WS_OP_NORM : WS_OP_RMS_NORM, x, NULL);
}

ws_node *ws_norm_weight(ws_builder *b, const char *stem, unsigned layer) {
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.weight", stem);
    ws_node *w = ws_weight(b, name, layer);
    return w ? w : ws_weight(b, stem, layer);
}

/* When it runs on several GPUs, llama.cpp pins norms to their layer's; when it only measures (--fit, and the table that
 * check_vram.py replays) it forgets that, and so do we: 4 copies of one hidden state more on the second GPU. */
ws_node *ws_build_norm(ws_builder *b, ws_node *x, const char *stem, int layer) {
    char name[NAME_BYTES];
    ws_node *w = ws_norm_weight(b, stem, layer < 0 ? 0 : (unsigned)layer);
    snprintf(name, sizeof name, "%s.bias", stem);
    ws_node *bias = ws_weight(b, name, layer < 0 ? 0 : (unsigned)layer);
    x = ws_build_plain_norm(b, x);
    if (w) x = ws_op_same(b->g, WS_OP_MUL, x, w);
    if (bias) x = ws_op_same(b->g, WS_OP_ADD, x, bias);
    return x;
}

ws_node *ws_mul_mat(ws_builder *b, const char *format, unsigned layer, ws_node *x) {
    return ws_op_mul_mat(b->g, ws_need_weight(b, format, layer), x);
}

ws_node *ws_build_bias(ws_builder *b, ws_node *x, const char *format, unsigned layer) {
    ws_node *bias = ws_weight(b, format, layer);
    return bias ? ws_op_same(b->g, WS_OP_ADD, x, bias) : x;
}

/* Rotation factors exist once per backend. */
ws_node *ws_build_rope(ws_builder *b, ws_node *x, unsigned layer) {
    const int backend = b->p->layer_backend[layer];
    ws_node *n = ws_op_same(b->g, WS_OP_ROPE, x, b->positions);
    /* Gemma 4: for layers without a window */
    if (b->bp->style->family == WS_FAMILY_GEMMA4 && b->bp->layers[layer].sliding) return n;
    n->src[2] = ws_weight_on(b, "rope_freqs.weight", backend);
    if (!n->src[2]) n->src[2] = ws_weight_on(b, "rope_factors_short.weight", backend);
    return n;
}

/* ---- feed-forward ---- */

static const char *ffn_name(char buf[NAME_BYTES], const char *what, const char *infix, const char *suffix) {
    snprintf(buf, NAME_BYTES, "blk.%%u.ffn_%s%s.%s", what, infix, suffix);
    return buf;
}

static ws_node *ffn_half(ws_builder *b, ws_node *x, const char *what, const char *infix, unsigned layer) {
    char name[NAME_BYTES];
    x = ws_mul_mat(b, ffn_name(name, what, infix, "weight"), layer, x);
    return ws_build_bias(b, x, ffn_name(name, what, infix, "bias"), layer);
}

ws_node *ws_build_ffn(ws_builder *b, ws_node *x, const char *infix, unsigned layer) {
    char name[NAME_BYTES];
    ws_node *up = ffn_half(b, x, "up", infix, layer);
    if (ws_weight(b, ffn_name(name, "gate", infix, "weight"), layer))
        x = ws_op_glu(b->g, ffn_half(b, x, "gate", infix, layer), up);
    else if (b->bp->style->traits & WS_MERGED_GATE && up->ne[0] != b->bp->layers[layer].n_ff)
        x = ws_op_glu(b->g, up, NULL);
    else
        x = ws_op_unary(b->g, WS_UNARY_OTHER, up);
    ws_node *factors = ws_weight(b, "blk.%u.ffn.act.scales", layer);
    if (factors) x = ws_op_same(b->g, WS_OP_DIV, x, factors);
    if (ws_weight(b, "blk.%u.ffn_sub_norm.weight", layer)) x = ws_build_norm(b, x, "blk.%u.ffn_sub_norm", (int)layer);
    return ffn_half(b, x, "down", infix, layer);
}

/* ---- experts ---- */

static ws_node *gate_probabilities(ws_builder *b, ws_node *logits) {
    switch (b->bp->gate) {
    case WS_GATE_SIGMOID: return ws_op_unary(b->g, WS_UNARY_SIGMOID, logits);
    case WS_GATE_SOFTMAX_WEIGHT: return logits;
    case WS_GATE_SQRT_SOFTPLUS: return ws_op_same(b->g, WS_OP_SQRT, ws_op_unary(b->g, WS_UNARY_SOFTPLUS, logits), NULL);
    default: return ws_op_soft_max(b->g, logits, NULL, NULL);
    }
}

/* DeepSeek V3: only experts of the best groups can be chosen. */
static ws_node *mask_groups(ws_builder *b, ws_node *probs, uint64_t n_tokens) {
    ws_graph *g = b->g;
    const uint64_t groups = b->bp->n_expert_groups, per_group = b->bp->n_expert / groups;
    ws_node *grouped = ws_op_reshape(g, probs, per_group, groups, n_tokens, 1);
    ws_node *best = ws_op_argsort_top_k(g, grouped, 2);
    ws_node *scores = ws_op_get_rows(g, ws_op_reshape(g, grouped, 1, per_group, groups, n_tokens), best);
    scores = ws_op_sum_rows(g, ws_op_reshape(g, scores, scores->ne[1], scores->ne[2], scores->ne[3], 1));
    scores = ws_op_reshape(g, scores, scores->ne[1], scores->ne[2], 1, 1);
    ws_node *chosen = ws_op_argsort_top_k(g, scores, b->bp->n_group_used);
    ws_node *kept = ws_op_get_rows(g, grouped, chosen);
    kept = ws_op_set_rows(g, ws_op_same(g, WS_OP_FILL, grouped, NULL), kept, chosen);
    return ws_op_reshape(g, kept, b->bp->n_expert, n_tokens, 1, 1);
}

static ws_node *choose_experts(ws_builder *b, ws_node *logits, uint64_t used, unsigned layer, ws_node **ids) {
    ws_graph *g = b->g;
    const uint64_t n_tokens = logits->ne[1];
    ws_node *probs = gate_probabilities(b, logits), *selection = probs;
    ws_node *bias = ws_weight(b, "blk.%u.exp_probs_b.bias", layer);
    if (!bias) bias = ws_weight(b, "blk.%u.exp_probs_b", layer);
    if (bias) selection = ws_op_same(g, WS_OP_ADD, probs, bias);
    if (b->bp->style->traits & WS_WEIGHT_BEFORE) selection = logits;
    if (b->bp->n_expert_groups > 1) selection = mask_groups(b, selection, n_tokens);
    *ids = ws_op_argsort_top_k(g, selection, used);
    ws_node *w = ws_op_get_rows(g, ws_op_reshape(g, probs, 1, b->bp->n_expert, n_tokens, 1), *ids);
    if (b->bp->gate == WS_GATE_SOFTMAX_WEIGHT) {
        w = ws_op_soft_max(g, ws_op_reshape(g, w, used, n_tokens, 1, 1), NULL, NULL);
        w = ws_op_reshape(g, w, 1, used, n_tokens, 1);
    }
    if (b->bp->expert_norm) {
        w = ws_op_reshape(g, w, used, n_tokens, 1, 1);
        w = ws_op_same(g, WS_OP_DIV, w, ws_op_same(g, WS_OP_CLAMP, ws_op_sum_rows(g, w), NULL));
        w = ws_op_reshape(g, w, 1, used, n_tokens, 1);
    }
    if (b->bp->expert_scale) w = ws_op_same(g, WS_OP_SCALE, w, NULL);
    ws_graph_expand(g, w);
    return w;
}

/* One factor per expert. */
static ws_node *scale_experts(ws_builder *b, ws_node *x, ws_node *ids, ws_node *factors) {
    const uint64_t n = factors->ne[0];
    ws_node *s = ws_op_repeat_4d(b->g, ws_op_reshape(b->g, factors, 1, n, 1, 1), 1, n, x->ne[2], 1);
    return ws_op_same(b->g, WS_OP_MUL, x, ws_op_get_rows(b->g, s, ids));
}

static ws_node *expert_half(ws_builder *b, ws_node *x, ws_node *ids, const char *what, unsigned layer) {
    char name[NAME_BYTES];
    x = ws_op_mul_mat_id(b->g, ws_need_weight(b, ffn_name(name, what, "_exps", "weight"), layer), x, ids);
    ws_node *factors = ws_weight(b, ffn_name(name, what, "_exps", "scale"), layer);
    if (factors) x = scale_experts(b, x, ids, factors);
    ws_node *bias = ws_weight(b, ffn_name(name, what, "_exps", "bias"), layer);
    if (!bias) return x;
    x = ws_op_same(b->g, WS_OP_ADD_ID, x, bias);
    x->src[2] = ids;
    return x;
}

static ws_node *expert_inner(ws_builder *b, ws_node *x, ws_node *ids, unsigned layer) {
    ws_graph *g = b->g;
    if (ws_weight(b, "blk.%u.ffn_gate_up_exps.weight", layer)) {
        ws_node *both = expert_half(b, x, ids, "gate_up", layer);
        const uint64_t n = both->ne[0] / 2;
        ws_node *gate = ws_op_view_3d(g, both, n, both->ne[1], both->ne[2], both->nb[1], both->nb[2], 0);
        ws_node *up = ws_op_view_3d(g, both, n, both->ne[1], both->ne[2], both->nb[1], both->nb[2], n * both->nb[0]);
        return ws_op_glu(g, gate, up);
    }
    ws_node *up = expert_half(b, x, ids, "up", layer);
    if (!ws_weight(b, "blk.%u.ffn_gate_exps.weight", layer)) return ws_op_unary(g, WS_UNARY_OTHER, up);
    return ws_op_glu(g, expert_half(b, x, ids, "gate", layer), up);
}

/* Add the experts' results up, one after the other. */
static ws_node *sum_experts(ws_builder *b, ws_node *experts, uint64_t used) {
    ws_graph *g = b->g;
    ws_node *first = NULL, **views = ws_alloc(used, sizeof(ws_node *), "experts", &g->err);
    if (!views) {
        g->failed = WS_NOMEM;
        return &g->dummy;
    }
    for (uint64_t i = 0; i < used; i++) {
        views[i] = ws_op_view_2d(g, experts, experts->ne[0], experts->ne[2], experts->nb[2], i * experts->nb[1]);
        ws_graph_expand(g, views[i]);
    }
    first = views[0];
    for (uint64_t i = 1; i < used; i++) {
        first = ws_op_same(g, WS_OP_ADD, first, views[i]);
        ws_graph_expand(g, first);
    }
    free(views);
    return used == 1 ? ws_op_cont(g, first) : first;
}

ws_node *ws_build_experts(ws_builder *b, ws_node *x, ws_node *logits, unsigned layer) {
    ws_graph *g = b->g;
    const uint64_t used = b->bp->layers[layer].n_expert_used;
    const bool before = b->bp->style->traits & WS_WEIGHT_BEFORE;
    if (!used || !b->bp->n_expert) {
        ws_graph_fail(g, WS_FORMAT, "layer %u has experts, but the header says that none is used", layer);
        return &g->dummy;
    }
    if (!logits) logits = ws_mul_mat(b, "blk.%u.ffn_gate_inp.weight", layer, x);
    logits = ws_build_bias(b, logits, "blk.%u.ffn_gate_inp.bias", layer);
    ws_node *ids = NULL, *w = choose_experts(b, logits, used, layer, &ids);
    x = ws_op_reshape(g, x, x->ne[0], 1, x->ne[1], 1);
    if (before) x = ws_op_same(g, WS_OP_MUL, ws_op_repeat_4d(g, x, x->ne[0], used, x->ne[2], 1), w);
    x = expert_half(b, expert_inner(b, x, ids, layer), ids, "down", layer);
    if (b->bp->style->traits & WS_WIDE_EXPERTS) x->flags |= WS_NODE_CPU_ONLY;
    if (!before) x = ws_op_same(g, WS_OP_MUL, x, w);
    ws_graph_expand(g, x);
    return sum_experts(b, x, used);
}
