/* Gemma 3n: four parallel streams (AltUp), a low-rank side path (Laurel), inputs of its own for every layer. Source:
 * src/models/gemma3n.cpp of llama.cpp 0c1e570. */
#include "builder.h"

enum { SPARSE_LAYERS = 10 /* whose gate keeps its largest values only */ };

static ws_node *same(ws_builder *b, ws_gop op, ws_node *x, ws_node *y) { return ws_op_same(b->g, op, x, y); }
static ws_node *scale(ws_builder *b, ws_node *x) { return same(b, WS_OP_SCALE, x, NULL); }
static ws_node *activate(ws_builder *b, ws_node *x) { return ws_op_unary(b->g, WS_UNARY_OTHER, x); }

/* x[:, :, i] */
static ws_node *slice(ws_builder *b, ws_node *x, uint64_t i) {
    return ws_op_view_2d(b->g, x, x->ne[0], x->ne[1], x->ne[0] * 4, i * x->ne[0] * x->ne[1] * 4);
}

/* x[:, :, 1:] */
static ws_node *rest(ws_builder *b, ws_node *x) {
    const uint64_t row = x->ne[0] * 4, plane = row * x->ne[1];
    return ws_op_view_3d(b->g, x, x->ne[0], x->ne[1], b->bp->n_altup - 1, row, plane, plane);
}

static ws_node *magnitude(ws_builder *b, ws_node *x) {
    return same(b, WS_OP_SQRT, ws_op_sum_rows(b->g, same(b, WS_OP_SQR, x, NULL)), NULL);
}

static ws_node *rescale(ws_builder *b, ws_node *x, ws_node *target) {
    ws_node *now = magnitude(b, x);
    return same(b, WS_OP_DIV, same(b, WS_OP_MUL, x, target), now);
}

/* ---- inputs of the layers ---- */

ws_node *ws_build_layer_inputs(ws_builder *b, ws_node *x) {
    ws_graph *g = b->g;
    const uint64_t n = b->p->n_tokens, width = b->bp->n_embd_altup, layers = b->bp->n_layer;
    ws_node *tokens = ws_op_input(g, WS_TYPE_I32, n, 1, 1, 1);
    ws_node *own = ws_op_get_rows(g, ws_need_weight(b, "per_layer_token_embd.weight", 0), tokens);
    own = scale(b, ws_op_reshape(g, own, width, layers, n, 1));
    ws_graph_expand(g, own);
    ws_node *p = scale(b, ws_op_mul_mat(g, ws_need_weight(b, "per_layer_model_proj.weight", 0), x));
    p = ws_build_norm(b, ws_op_reshape(g, p, width, layers, n, 1), "per_layer_proj_norm", -1);
    p = scale(b, same(b, WS_OP_ADD, p, own));
    return ws_op_cont(g, ws_op_permute(g, p, 0, 2, 1, 3));
}

/* ---- AltUp ---- */

static ws_node *spread(ws_builder *b, ws_node *x) {
    ws_node *target = magnitude(b, x);
    ws_node *more = ws_op_repeat_4d(b->g, x, x->ne[0], x->ne[1], b->bp->n_altup - 1, 1);
    more = ws_op_mul_mat(b->g, ws_need_weight(b, "altup_proj.weight", 0), more);
    return ws_op_concat(b->g, x, rescale(b, more, target), 2);
}

static ws_node *merge(ws_builder *b, ws_node *x) {
    ws_node *target = magnitude(b, slice(b, x, b->bp->altup_active));
    ws_node *more = ws_op_mul_mat(b->g, ws_need_weight(b, "altup_unembd_proj.weight", 0), rest(b, x));
    more = rescale(b, more, target);
    ws_node *sum = slice(b, x, 0);
    for (uint64_t i = 0; i + 1 < b->bp->n_altup; i++) sum = same(b, WS_OP_ADD, sum, slice(b, more, i));
    return scale(b, sum);
}

static ws_node *modalities(ws_builder *b, ws_node *x, unsigned il) {
    x = scale(b, ws_build_norm(b, x, "blk.%u.altup_router_norm", (int)il));
    return activate(b, ws_mul_mat(b, "blk.%u.altup_router.weight", il, x));
}

static ws_node *predict(ws_builder *b, ws_node *x, unsigned il) {
    ws_graph *g = b->g;
    const uint64_t n = b->bp->n_altup;
    ws_node *m = modalities(b, slice(b, x, b->bp->altup_active), il);
    ws_node *coefs = ws_mul_mat(b, "blk.%u.altup_predict_coef.weight", il, m);
    coefs = ws_op_reshape(g, coefs, n, n, b->p->n_tokens, 1);
    ws_node *turned = ws_op_cont(g, ws_op_permute(g, x, 1, 2, 0, 3));
    ws_node *p = ws_op_mul_mat(g, turned, coefs);
    p = ws_op_cont(g, ws_op_permute(g, p, 0, 2, 1, 3));
    return same(b, WS_OP_ADD, p, x);
}

static ws_node *correct(ws_builder *b, ws_node *predictions, ws_node *activated, unsigned il) {
    ws_graph *g = b->g;
    ws_node *m = modalities(b, activated, il);
    ws_node *news = same(b, WS_OP_SUB, activated, slice(b, predictions, b->bp->altup_active));
    ws_node *coefs = scale(b, ws_mul_mat(b, "blk.%u.altup_correct_coef.weight", il, m));
    coefs = ws_op_cont_4d(g, ws_op_transpose(g, coefs), 1, b->p->n_tokens, b->bp->n_altup, 1);
    news = ws_op_repeat_4d(g, news, news->ne[0], news->ne[1], b->bp->n_altup, 1);
    return same(b, WS_OP_ADD, same(b, WS_OP_MUL, news, coefs), predictions);
}

/* ---- a layer ---- */

static ws_node *laurel(ws_builder *b, ws_node *x, unsigned il) {
    ws_node *y = ws_mul_mat(b, "blk.%u.laurel_l.weight", il, x);
    y = ws_mul_mat(b, "blk.%u.laurel_r.weight", il, y);
    return same(b, WS_OP_ADD, ws_build_norm(b, y, "blk.%u.laurel_post_norm", (int)il), x);
}

static ws_node *heads(ws_builder *b, ws_node *x, const char *weight, uint64_t head, uint64_t n, unsigned il) {
    return ws_op_reshape(b->g, ws_mul_mat(b, weight, il, x), head, n, x->ne[1], 1);
}

static ws_node *attend(ws_builder *b, ws_node *x, unsigned il) {
    const ws_bp_layer *l = &b->bp->layers[il];
    ws_node *q = heads(b, x, "blk.%u.attn_q.weight", l->head_k, l->n_head, il);
    q = ws_build_rope(b, ws_build_norm(b, q, "blk.%u.attn_q_norm", (int)il), il);
    if (l->cache_of != (int32_t)il) return ws_build_attention(b, q, NULL, NULL, il, false);
    ws_node *k = heads(b, x, "blk.%u.attn_k.weight", l->head_k, l->n_head_kv, il);
    ws_node *v = heads(b, x, "blk.%u.attn_v.weight", l->head_v, l->n_head_kv, il);
    k = ws_build_rope(b, ws_build_norm(b, k, "blk.%u.attn_k_norm", (int)il), il);
    return ws_build_attention(b, q, k, ws_build_plain_norm(b, v), il, false);
}

/* Only values above a cutoff, which the mean and the deviation give, pass. */
static ws_node *sparse(ws_builder *b, ws_node *x) {
    ws_graph *g = b->g;
    ws_node *mean = ws_op_mean(g, x);
    ws_node *squares = ws_op_sum_rows(g, same(b, WS_OP_SQR, same(b, WS_OP_SUB, x, mean), NULL));
    ws_node *deviation = same(b, WS_OP_SQRT, scale(b, squares), NULL);
    ws_node *cutoff = same(b, WS_OP_ADD, mean, scale(b, deviation));
    return activate(b, same(b, WS_OP_SUB, x, cutoff));
}

static ws_node *feed_forward(ws_builder *b, ws_node *x, unsigned il) {
    ws_node *up = ws_mul_mat(b, "blk.%u.ffn_up.weight", il, x), *gate = ws_mul_mat(b, "blk.%u.ffn_gate.weight", il, x);
    if (il < SPARSE_LAYERS) gate = sparse(b, gate);
    gate = activate(b, gate);
    return ws_mul_mat(b, "blk.%u.ffn_down.weight", il, same(b, WS_OP_MUL, up, gate));
}

/* The layer's own input is added to all streams but the first. */
static ws_node *add_input(ws_builder *b, ws_node *corrected, ws_node *inputs, unsigned il) {
    ws_node *first = slice(b, corrected, b->bp->altup_active);
    first = same(b, WS_OP_MUL, first, ws_need_weight(b, "blk.%u.altup_correct_scale.weight", il));
    first = activate(b, ws_mul_mat(b, "blk.%u.inp_gate.weight", il, first));
    first = same(b, WS_OP_MUL, first, slice(b, inputs, il));
    first = ws_mul_mat(b, "blk.%u.proj.weight", il, first);
    first = ws_build_norm(b, first, "blk.%u.post_norm", (int)il);
    ws_node *kept = slice(b, corrected, 0);
    return ws_op_concat(b->g, kept, same(b, WS_OP_ADD, rest(b, corrected), first), 2);
}

static ws_node *layer(ws_builder *b, ws_node *x, ws_node *inputs, unsigned il) {
    ws_node *predictions = predict(b, x, il);
    ws_node *active = slice(b, predictions, b->bp->altup_active);
    ws_node *y = ws_build_norm(b, active, "blk.%u.attn_norm", (int)il);
    ws_node *side = laurel(b, y, il);
    y = ws_build_norm(b, attend(b, y, il), "blk.%u.post_attention_norm", (int)il);
    y = same(b, WS_OP_ADD, y, active);
    ws_node *mid = scale(b, same(b, WS_OP_ADD, y, side));
    y = feed_forward(b, ws_build_norm(b, mid, "blk.%u.ffn_norm", (int)il), il);
    y = ws_build_norm(b, y, "blk.%u.post_ffw_norm", (int)il);
    ws_node *corrected = correct(b, predictions, same(b, WS_OP_ADD, y, mid), il);
    return add_input(b, corrected, inputs, il);
}

void ws_build_gemma3n(ws_builder *b) {
    ws_node *x = ws_build_embedding(b);
    ws_build_inputs(b);
    ws_node *inputs = ws_build_layer_inputs(b, x);
    x = spread(b, x);
    for (unsigned i = 0; i < b->bp->n_layer && !b->g->failed; i++) x = layer(b, x, inputs, i);
    x = merge(b, x);
    ws_build_out_ids(b);
    x = ws_op_get_rows(b->g, x, b->out_ids);
    ws_build_logits(b, x, true);
}
