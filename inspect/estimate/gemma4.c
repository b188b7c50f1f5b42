/* Gemma 4: windows with heads of another size, later layers that read the caches of earlier ones, inputs of its own for
 * every layer (the small models), experts beside a dense feed-forward (the large one). Source: src/models/gemma4.cpp
 * of llama.cpp 0c1e570. */
#include "builder.h"

static ws_node *same(ws_builder *b, ws_gop op, ws_node *x, ws_node *y) { return ws_op_same(b->g, op, x, y); }

static ws_node *heads(ws_builder *b, ws_node *x, uint64_t head, uint64_t n) {
    return ws_op_reshape(b->g, x, head, n, b->p->n_tokens, 1);
}

/* The product of K serves as V in layers without a V of their own. */
static ws_node *attend(ws_builder *b, ws_node *x, unsigned il) {
    const ws_bp_layer *l = &b->bp->layers[il];
    ws_node *q = heads(b, ws_mul_mat(b, "blk.%u.attn_q.weight", il, x), l->head_k, l->n_head);
    q = ws_build_rope(b, ws_build_norm(b, q, "blk.%u.attn_q_norm", (int)il), il);
    if (l->cache_of != (int32_t)il) return ws_build_attention(b, q, NULL, NULL, il, false);
    ws_node *k = ws_mul_mat(b, "blk.%u.attn_k.weight", il, x);
    ws_node *v = ws_weight(b, "blk.%u.attn_v.weight", il) ? ws_mul_mat(b, "blk.%u.attn_v.weight", il, x) : k;
    k = heads(b, k, l->head_k, l->n_head_kv);
    v = heads(b, v, l->head_v, l->n_head_kv);
    k = ws_build_rope(b, ws_build_norm(b, k, "blk.%u.attn_k_norm", (int)il), il);
    return ws_build_attention(b, q, k, ws_build_plain_norm(b, v), il, false);
}

static ws_node *experts(ws_builder *b, ws_node *x, unsigned il) {
    ws_node *r = same(b, WS_OP_SCALE, ws_build_plain_norm(b, x), NULL);
    r = same(b, WS_OP_MUL, r, ws_need_weight(b, "blk.%u.ffn_gate_inp.scale", il));
    r = ws_mul_mat(b, "blk.%u.ffn_gate_inp.weight", il, r);
    ws_node *y = ws_build_experts(b, ws_build_norm(b, x, "blk.%u.pre_ffw_norm_2", (int)il), r, il);
    return ws_build_norm(b, y, "blk.%u.post_ffw_norm_2", (int)il);
}

static ws_node *feed_forward(ws_builder *b, ws_node *x, unsigned il) {
    ws_node *y = ws_build_ffn(b, ws_build_norm(b, x, "blk.%u.ffn_norm", (int)il), "", il);
    if (!ws_weight(b, "blk.%u.ffn_gate_inp.weight", il)) return y;
    y = ws_build_norm(b, y, "blk.%u.post_ffw_norm_1", (int)il);
    return same(b, WS_OP_ADD, y, experts(b, x, il));
}

static ws_node *add_input(ws_builder *b, ws_node *x, ws_node *inputs, unsigned il) {
    ws_node *y = ws_op_unary(b->g, WS_UNARY_OTHER, ws_mul_mat(b, "blk.%u.inp_gate.weight", il, x));
    const uint64_t row = inputs->ne[0] * 4;
    y = same(b, WS_OP_MUL, y, ws_op_view_2d(b->g, inputs, inputs->ne[0], inputs->ne[1], row, il * row * inputs->ne[1]));
    y = ws_build_norm(b, ws_mul_mat(b, "blk.%u.proj.weight", il, y), "blk.%u.post_norm", (int)il);
    return same(b, WS_OP_ADD, x, y);
}

static ws_node *layer(ws_builder *b, ws_node *x, ws_node *inputs, unsigned il) {
    ws_node *y = attend(b, ws_build_norm(b, x, "blk.%u.attn_norm", (int)il), il);
    ws_node *mid = same(b, WS_OP_ADD, ws_build_norm(b, y, "blk.%u.post_attention_norm", (int)il), x);
    y = ws_build_norm(b, feed_forward(b, mid, il), "blk.%u.post_ffw_norm", (int)il);
    y = same(b, WS_OP_ADD, y, mid);
    if (inputs) y = add_input(b, y, inputs, il);
    ws_node *scale = ws_weight(b, "blk.%u.layer_output_scale.weight", il);
    return scale ? same(b, WS_OP_MUL, y, scale) : y;
}

void ws_build_gemma4(ws_builder *b) {
    ws_node *x = ws_build_embedding(b);
    ws_build_inputs(b);
    ws_build_out_ids(b);
    const bool own = ws_weight(b, "per_layer_token_embd.weight", 0);
    ws_node *inputs = own ? ws_build_layer_inputs(b, x) : NULL;
    for (unsigned i = 0; i < b->bp->n_layer && !b->g->failed; i++) x = layer(b, x, inputs, i);
    ws_build_logits(b, x, false);
}
