/* The plain decoder and its variations: Llama, Qwen, Gemma, Phi, gpt-oss and most others. Source: src/models of
 * llama.cpp 0c1e570. */
#include "builder.h"

enum { LLAMA4_PLAIN_EXPERTS = 128 }; /* Llama 4 Maverick, by its number of experts: does not normalize Q and K */

typedef struct {
    ws_node *q, *k, *v;
} qkv;

static uint64_t traits(const ws_builder *b) { return b->bp->style->traits; }

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
    if (traits(b) & WS_PRE_NORM_SPLIT && ws_weight(b, "blk.%u.attn_q_norm.weight", layer)) {
        r.q = ws_build_norm(b, r.q, "blk.%u.attn_q_norm", (int)layer);
        r.k = ws_build_norm(b, r.k, "blk.%u.attn_k_norm", (int)layer);
    }
    r.q = ws_op_reshape(g, r.q, l->head_k, l->n_head, n, 1);
    r.k = ws_op_reshape(g, r.k, l->head_k, l->n_head_kv, n, 1);
    r.v = ws_op_reshape(g, r.v, l->head_v, l->n_head_kv, n, 1);
    return r;
}

static bool rotates(const ws_builder *b, unsigned layer) {
    const uint64_t t = traits(b);
    if (t & WS_NO_ROPE || b->bp->no_rope) return false;
    if (t & WS_ROPE_DENSE_LEAD && layer < b->bp->n_dense_lead) return true;
    if (t & WS_ROPE_3_OF_4) return (layer + 1) % 4 != 0;
    if (t & WS_ROPE_IF_SLIDING) return b->bp->layers[layer].sliding || !b->p->any_sliding;
    return !(t & WS_ROPE_IF_32_LAYERS) || b->bp->n_layer == 32;
}

static qkv normalize_qk(ws_builder *b, qkv r, unsigned layer) {
    if (traits(b) & WS_PRE_NORM_SPLIT || !ws_weight(b, "blk.%u.attn_q_norm.weight", layer)) return r;
    r.q = ws_build_norm(b, r.q, "blk.%u.attn_q_norm", (int)layer);
    if (ws_weight(b, "blk.%u.attn_k_norm.weight", layer) || traits(b) & WS_BARE_NORMS)
        r.k = ws_build_norm(b, r.k, "blk.%u.attn_k_norm", (int)layer);
    return r;
}

static qkv rotate_qk(ws_builder *b, qkv r, unsigned layer) {
    ws_graph *g = b->g;
    const bool rope = rotates(b, layer);
    if (!(traits(b) & WS_ROPE_FIRST)) r = normalize_qk(b, r, layer);
    if (rope) r.q = ws_build_rope(b, r.q, layer), r.k = ws_build_rope(b, r.k, layer);
    if (b->attn_scale && !(rope && traits(b) & WS_ATTN_SCALE)) r.q = ws_op_same(g, WS_OP_MUL, r.q, b->attn_scale);
    if (traits(b) & WS_ROPE_FIRST) r = normalize_qk(b, r, layer);
    if (rope && traits(b) & WS_QK_RMS && b->bp->n_expert != LLAMA4_PLAIN_EXPERTS) {
        r.q = ws_op_same(g, WS_OP_RMS_NORM, r.q, NULL);
        r.k = ws_op_same(g, WS_OP_RMS_NORM, r.k, NULL);
    }
    if (traits(b) & WS_SCALED_Q) r.q = ws_op_same(g, WS_OP_SCALE, r.q, NULL);
    return r;
}

/* A factor per element or per head. */
static ws_node *gated(ws_builder *b, ws_node *y, ws_node *x, unsigned layer) {
    ws_graph *g = b->g;
    const ws_bp_layer *l = &b->bp->layers[layer];
    ws_node *gate = ws_mul_mat(b, "blk.%u.attn_gate.weight", layer, x);
    gate = ws_op_unary(g, traits(b) & WS_SOFTPLUS_GATE ? WS_UNARY_SOFTPLUS : WS_UNARY_SIGMOID, gate);
    if (gate->ne[0] != l->n_head) return ws_op_same(g, WS_OP_MUL, y, gate);
    y = ws_op_reshape(g, y, l->head_v, l->n_head, y->ne[1], 1);
    y = ws_op_same(g, WS_OP_MUL, y, ws_op_reshape(g, gate, 1, l->n_head, gate->ne[1], 1));
    return ws_op_reshape(g, y, l->head_v * l->n_head, y->ne[2], 1, 1);
}

ws_node *ws_build_self_attention(ws_builder *b, ws_node *x, unsigned layer) {
    const ws_bp_layer *l = &b->bp->layers[layer];
    const bool one = ws_weight(b, "blk.%u.attn_qkv.weight", layer);
    qkv r = one ? fused(b, x, l, layer) : separate(b, x, l, layer);
    r = rotate_qk(b, r, layer);
    const bool gate = ws_weight(b, "blk.%u.attn_gate.weight", layer);
    const bool norm = ws_weight(b, "blk.%u.attn_sub_norm.weight", layer);
    ws_node *y = ws_build_attention(b, r.q, r.k, r.v, layer, gate || norm);
    if (gate) y = gated(b, y, x, layer);
    if (norm) y = ws_build_norm(b, y, "blk.%u.attn_sub_norm", (int)layer);
    if (gate || norm) y = ws_mul_mat(b, "blk.%u.attn_output.weight", layer, y);
    if (norm) y = ws_build_bias(b, y, "blk.%u.attn_output.bias", layer);
    return b->bp->value_scale ? ws_op_same(b->g, WS_OP_SCALE, y, NULL) : y;
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
    ws_node *y = ws_build_experts(b, x, b->logits, layer);
    if (!ws_weight(b, "blk.%u.ffn_up_shexp.weight", layer)) return y;
    y = ws_op_same(b->g, WS_OP_ADD, y, shared_expert(b, x, layer));
    return traits(b) & WS_HALF_SHARED ? ws_op_same(b->g, WS_OP_SCALE, y, NULL) : y;
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
    if (b->bp->parallel) in = ws_build_norm(b, x, "blk.%u.ffn_norm", (int)layer);
    ws_node *ffn = ws_build_feed_forward(b, in, layer);
    if (traits(b) & WS_PARALLEL_ATTN_FIRST) return ws_op_same(g, WS_OP_ADD, ws_op_same(g, WS_OP_ADD, attn, ffn), x);
    if (traits(b) & WS_PARALLEL_SUM_FIRST) return ws_op_same(g, WS_OP_ADD, ws_op_same(g, WS_OP_ADD, ffn, attn), x);
    return ws_op_same(g, WS_OP_ADD, ws_op_same(g, WS_OP_ADD, ffn, x), attn);
}

/* The norm behind attention, and that before the feed-forward (NULL: none). Names mean what they say when there is a
 * norm before the feed-forward as well, or none at all before attention; else they name the norm before the
 * feed-forward. */
static void find_norms(ws_builder *b, unsigned layer, const char **post, const char **ffn) {
    static const char *const names[] = {"blk.%u.post_attention_norm", "blk.%u.attn_output_norm"};
    const bool before = ws_weight(b, "blk.%u.attn_norm.weight", layer);
    *ffn = ws_weight(b, "blk.%u.ffn_norm.weight", layer) || traits(b) & WS_BARE_NORMS ? "blk.%u.ffn_norm" : NULL;
    *post = NULL;
    for (int i = 0; i < 2; i++)
        if (ws_norm_weight(b, names[i], layer)) *(*ffn || !before ? post : ffn) = names[i];
}

/* Arctic: experts that read the layer's input. */
static ws_node *beside(ws_builder *b, ws_node *x, ws_node *mid, unsigned layer) {
    ws_node *y = ws_op_same(b->g, WS_OP_ADD,
                            ws_build_ffn(b, ws_build_norm(b, mid, "blk.%u.ffn_norm", (int)layer), "", layer), mid);
    x = ws_build_norm(b, x, "blk.%u.ffn_norm_exps", (int)layer);
    return ws_op_same(b->g, WS_OP_ADD, ws_build_experts(b, x, NULL, layer), y);
}

/* Grok 2: a dense feed-forward and experts, from the same input. */
static ws_node *feed_forwards(ws_builder *b, ws_node *x, unsigned layer) {
    ws_node *y = ws_build_feed_forward(b, x, layer);
    if (!(traits(b) & WS_EXPERTS_AND_DENSE) || !ws_weight(b, "blk.%u.ffn_up.weight", layer)) return y;
    return ws_op_same(b->g, WS_OP_SCALE, ws_op_same(b->g, WS_OP_ADD, ws_build_ffn(b, x, "", layer), y), NULL);
}

static ws_node *serial_layer(ws_builder *b, ws_node *x, unsigned layer) {
    const bool before = ws_weight(b, "blk.%u.attn_norm.weight", layer) || traits(b) & WS_BARE_NORMS;
    const char *post, *ffn;
    find_norms(b, layer, &post, &ffn);
    ws_node *residual = x;
    if (traits(b) & WS_GATE_FROM_INPUT) b->logits = ws_mul_mat(b, "blk.%u.ffn_gate_inp.weight", layer, x);
    ws_node *y = before ? ws_build_norm(b, x, "blk.%u.attn_norm", (int)layer) : x;
    y = ws_build_self_attention(b, y, layer);
    const bool late = traits(b) & WS_ROWS_BEHIND_NORM;
    if (post && late) y = ws_build_norm(b, y, post, (int)layer);
    if (drops_here(b, layer)) {
        y = drop_rows(b, y), residual = drop_rows(b, residual);
        if (b->logits) b->logits = drop_rows(b, b->logits);
    }
    if (post && !late) y = ws_build_norm(b, y, post, (int)layer);
    if (traits(b) & WS_MID_RESIDUAL_FIRST)
        y = ws_op_same(b->g, WS_OP_ADD, residual, y);
    else
        y = traits(b) & WS_RESIDUAL_FIRST ? ws_op_same(b->g, WS_OP_ADD, y, residual) : sum(b, y, residual);
    ws_node *mid = y;
    if (traits(b) & WS_EXPERTS_BESIDE) return beside(b, residual, mid, layer);
    if (ffn) y = ws_build_norm(b, y, ffn, (int)layer);
    y = feed_forwards(b, y, layer);
    if (ws_norm_weight(b, "blk.%u.post_ffw_norm", layer)) y = ws_build_norm(b, y, "blk.%u.post_ffw_norm", (int)layer);
    if (ws_weight(b, "blk.%u.layer_output_norm.weight", layer))
        y = ws_build_norm(b, y, "blk.%u.layer_output_norm", (int)layer);
    return sum(b, y, mid);
}

/* Learned positions, and norms, of the embeddings. */
static ws_node *finish_embedding(ws_builder *b, ws_node *x) {
    ws_node *places = ws_weight(b, "position_embd.weight", 0);
    if (places) x = ws_op_same(b->g, WS_OP_ADD, x, ws_op_get_rows(b->g, places, b->positions));
    return traits(b) & WS_EMBD_NORM ? ws_build_norm(b, x, "token_embd_norm", -1) : x;
}

static ws_node *add_skip(ws_builder *b, ws_node *x, ws_node *embd, unsigned layer) {
    embd = drops_here(b, layer) ? drop_rows(b, embd) : embd;
    ws_node *skip = ws_op_same(b->g, WS_OP_MUL, embd, ws_need_weight(b, "blk.%u.layer_output_scale.weight", layer));
    return ws_op_same(b->g, WS_OP_ADD, x, skip);
}

/* What an image adds to the result of an early layer, behind its embedding. */
static ws_node *deep_input(ws_builder *b, ws_node *input, unsigned layer) {
    const uint64_t n = b->bp->n_embd;
    return ws_op_view_2d(b->g, input, n, b->p->n_tokens, input->nb[1], (layer + 1) * n * 4);
}

void ws_build_decoder(ws_builder *b) {
    ws_node *x = ws_build_embedding(b);
    if (b->bp->attn_scale || traits(b) & WS_ATTN_SCALE)
        b->attn_scale = ws_op_input(b->g, WS_TYPE_F32, 1, 1, b->p->n_tokens, 1);
    ws_node *input = x;
    ws_build_inputs(b);
    ws_build_out_ids(b);
    ws_node *embd = x = finish_embedding(b, x);
    const bool parallel = traits(b) & WS_PARALLEL || b->bp->parallel;
    for (unsigned i = 0; i < b->bp->n_layer && !b->g->failed; i++) {
        x = parallel ? parallel_layer(b, x, i) : serial_layer(b, x, i);
        if (traits(b) & WS_EMBD_SKIP) x = add_skip(b, x, embd, i);
        if (i < b->bp->n_deepstack) x = ws_op_same(b->g, WS_OP_ADD, x, deep_input(b, input, i));
    }
    ws_build_logits(b, x, !(traits(b) & WS_LATE_ROWS));
}
