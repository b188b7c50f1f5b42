/* The plain decoder and its variations: Llama, Qwen, Gemma, Phi, gpt-oss and most others. Source: src/models of
 * llama.cpp 0c1e570. */
#include "builder.h"

typedef struct {
    ws_node *q, *k, *v;
} qkv;

static unsigned traits(const ws_builder *b) { return b->bp->style->traits; }

/* ---- Q, K and V ---- */

/* Cut out of one product. */
static ws_node *part(ws_builder *b, ws_node *all, uint64_t head, uint64_t n, uint64_t before) {
    const uint64_t size = 4;
    return ws_op_view_3d(b->g, all, head, n, all->ne[1], head * size, all->nb[1], before * size);
}

static qkv fused(ws_builder *b, ws_node *x, const ws_bp_layer *l, unsigned layer) {
    ws_graph *g = b->g;
    ws_node *all = ws_mul_mat(b, "blk.%u.attn_qkv.weight", layer, x);
    all = ws_build_bias(b, all, "blk.%u.attn_qkv.bias", layer);
    if (b->bp->clamp_qkv) all = ws_op_same(g, WS_OP_CLAMP, all, NULL);
    const uint64_t q = l->n_head * l->head_k, k = l->n_head_kv * l->head_k;
    return (qkv){part(b, all, l->head_k, l->n_head, 0), part(b, all, l->head_k, l->n_head_kv, q),
                 part(b, all, l->head_v, l->n_head_kv, q + k)};
}

static ws_node *projected(ws_builder *b, ws_node *x, const char *weight, const char *bias, unsigned layer) {
    x = ws_mul_mat(b, weight, layer, x);
    x = ws_build_bias(b, x, bias, layer);
    return b->bp->clamp_qkv ? ws_op_same(b->g, WS_OP_CLAMP, x, NULL) : x;
}

static qkv separate(ws_builder *b, ws_node *x, const ws_bp_layer *l, unsigned layer) {
    ws_graph *g = b->g;
    const uint64_t n = x->ne[1];
    qkv r = {projected(b, x, "blk.%u.attn_q.weight", "blk.%u.attn_q.bias", layer),
             projected(b, x, "blk.%u.attn_k.weight", "blk.%u.attn_k.bias", layer),
             projected(b, x, "blk.%u.attn_v.weight", "blk.%u.attn_v.bias", layer)};
    if (traits(b) & WS_PRE_NORM_SPLIT) {
        r.q = ws_build_norm(b, r.q, "blk.%u.attn_q_norm", (int)layer);
        r.k = ws_build_norm(b, r.k, "blk.%u.attn_k_norm", (int)layer);
    }
    r.q = ws_op_reshape(g, r.q, l->head_k, l->n_head, n, 1);
    r.k = ws_op_reshape(g, r.k, l->head_k, l->n_head_kv, n, 1);
    r.v = ws_op_reshape(g, r.v, l->head_v, l->n_head_kv, n, 1);
    return r;
}

static bool rotates(const ws_builder *b, unsigned layer) {
    if (traits(b) & WS_NO_ROPE || b->bp->no_rope) return false;
    if (traits(b) & WS_ROPE_3_OF_4) return (layer + 1) % 4 != 0;
    if (traits(b) & WS_ROPE_IF_SLIDING) return b->bp->layers[layer].sliding || !b->p->any_sliding;
    return true;
}

static qkv rotate_qk(ws_builder *b, qkv r, unsigned layer) {
    ws_graph *g = b->g;
    const bool rope = rotates(b, layer);
    if (rope) r.q = ws_build_rope(b, r.q, layer), r.k = ws_build_rope(b, r.k, layer);
    if (b->attn_scale && !(rope && traits(b) & WS_ATTN_SCALE)) r.q = ws_op_same(g, WS_OP_MUL, r.q, b->attn_scale);
    if (rope && traits(b) & WS_QK_RMS) {
        r.q = ws_op_same(g, WS_OP_RMS_NORM, r.q, NULL);
        r.k = ws_op_same(g, WS_OP_RMS_NORM, r.k, NULL);
    }
    if (traits(b) & WS_SCALED_Q) r.q = ws_op_same(g, WS_OP_SCALE, r.q, NULL);
    return r;
}

ws_node *ws_build_self_attention(ws_builder *b, ws_node *x, unsigned layer) {
    const ws_bp_layer *l = &b->bp->layers[layer];
    const bool one = ws_weight(b, "blk.%u.attn_qkv.weight", layer);
    qkv r = one ? fused(b, x, l, layer) : separate(b, x, l, layer);
    if (!(traits(b) & WS_PRE_NORM_SPLIT)) {
        if (ws_weight(b, "blk.%u.attn_q_norm.weight", layer))
            r.q = ws_build_norm(b, r.q, "blk.%u.attn_q_norm", (int)layer);
        if (ws_weight(b, "blk.%u.attn_k_norm.weight", layer))
            r.k = ws_build_norm(b, r.k, "blk.%u.attn_k_norm", (int)layer);
    }
    r = rotate_qk(b, r, layer);
    return ws_build_attention(b, r.q, r.k, r.v, layer, false);
}

/* ---- feed-forward ---- */

static ws_node *shared_expert(ws_builder *b, ws_node *x, unsigned layer) {
    ws_graph *g = b->g;
    ws_node *y = ws_build_ffn(b, x, "_shexp", layer);
    if (!(traits(b) & WS_SHARED_GATE)) return y;
    ws_node *gate = ws_mul_mat(b, "blk.%u.ffn_gate_inp_shexp.weight", layer, x);
    if (traits(b) & WS_SHARED_GATE_SILU)
        gate = ws_op_same(g, WS_OP_DIV, ws_op_unary(g, WS_UNARY_OTHER, gate), gate);
    else
        gate = ws_op_unary(g, WS_UNARY_SIGMOID, gate);
    return ws_op_same(g, WS_OP_MUL, y, gate);
}

ws_node *ws_build_feed_forward(ws_builder *b, ws_node *x, unsigned layer) {
    if (!ws_weight(b, "blk.%u.ffn_gate_inp.weight", layer)) return ws_build_ffn(b, x, "", layer);
    ws_node *y = ws_build_experts(b, x, NULL, layer);
    if (!ws_weight(b, "blk.%u.ffn_up_shexp.weight", layer)) return y;
    return ws_op_same(b->g, WS_OP_ADD, y, shared_expert(b, x, layer));
}

/* ---- layers ---- */

static ws_node *drop_rows(ws_builder *b, ws_node *x) { return ws_op_get_rows(b->g, x, b->out_ids); }

static ws_node *sum(ws_builder *b, ws_node *x, ws_node *residual) {
    if (b->bp->residual_scale) x = ws_op_same(b->g, WS_OP_SCALE, x, NULL);
    return traits(b) & WS_RESIDUAL_FIRST ? ws_op_same(b->g, WS_OP_ADD, residual, x)
                                         : ws_op_same(b->g, WS_OP_ADD, x, residual);
}

static bool drops_here(const ws_builder *b, unsigned layer) {
    return layer == b->bp->n_layer - 1 && !(traits(b) & WS_LATE_ROWS);
}

static ws_node *parallel_layer(ws_builder *b, ws_node *x, unsigned layer) {
    ws_graph *g = b->g;
    /* Falcon 40B has a norm of its own for attention. */
    const bool two = ws_weight(b, "blk.%u.attn_norm_2.weight", layer);
    ws_node *in = ws_build_norm(b, x, "blk.%u.attn_norm", (int)layer);
    ws_node *attn = ws_build_self_attention(b, two ? ws_build_norm(b, x, "blk.%u.attn_norm_2", (int)layer) : in, layer);
    if (drops_here(b, layer)) attn = drop_rows(b, attn), x = drop_rows(b, x), in = drop_rows(b, in);
    ws_node *ffn = ws_build_feed_forward(b, in, layer);
    if (traits(b) & WS_PARALLEL_ATTN_FIRST) return ws_op_same(g, WS_OP_ADD, ws_op_same(g, WS_OP_ADD, attn, ffn), x);
    return ws_op_same(g, WS_OP_ADD, ws_op_same(g, WS_OP_ADD, ffn, x), attn);
}

/* post_attention_norm is what its name says when there is a norm before the feed-forward as well, or none at all
 * before attention; else it is the norm before the feed-forward. */
static ws_node *serial_layer(ws_builder *b, ws_node *x, unsigned layer) {
    const bool before = ws_weight(b, "blk.%u.attn_norm.weight", layer);
    const bool ffn_norm = ws_weight(b, "blk.%u.ffn_norm.weight", layer);
    const bool post = ws_weight(b, "blk.%u.post_attention_norm.weight", layer) && (ffn_norm || !before);
    ws_node *residual = x;
    ws_node *y = before ? ws_build_norm(b, x, "blk.%u.attn_norm", (int)layer) : x;
    y = ws_build_self_attention(b, y, layer);
    if (drops_here(b, layer)) y = drop_rows(b, y), residual = drop_rows(b, residual);
    if (post) y = ws_build_norm(b, y, "blk.%u.post_attention_norm", (int)layer);
    ws_node *mid = y = traits(b) & WS_RESIDUAL_FIRST ? ws_op_same(b->g, WS_OP_ADD, y, residual) : sum(b, y, residual);
    if (ffn_norm)
        y = ws_build_norm(b, y, "blk.%u.ffn_norm", (int)layer);
    else if (before)
        y = ws_build_norm(b, y, "blk.%u.post_attention_norm", (int)layer);
    y = ws_build_feed_forward(b, y, layer);
    if (ws_weight(b, "blk.%u.post_ffw_norm.weight", layer)) {
        y = ws_build_norm(b, y, "blk.%u.post_ffw_norm", (int)layer);
    }
    return sum(b, y, mid);
}

void ws_build_decoder(ws_builder *b) {
    ws_node *x = ws_build_embedding(b);
    if (b->bp->attn_scale || traits(b) & WS_ATTN_SCALE)
        b->attn_scale = ws_op_input(b->g, WS_TYPE_F32, 1, 1, b->p->n_tokens, 1);
    ws_build_inputs(b);
    ws_build_out_ids(b);
    for (unsigned i = 0; i < b->bp->n_layer && !b->g->failed; i++)
        x = traits(b) & WS_PARALLEL ? parallel_layer(b, x, i) : serial_layer(b, x, i);
    ws_build_logits(b, x, !(traits(b) & WS_LATE_ROWS));
}
