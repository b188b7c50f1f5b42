/* Layers that keep a state instead of a cache: Mamba, and the gated delta nets of Qwen3-Next. Source:
 * src/models/mamba-base.cpp, delta-net-base.cpp, qwen3next.cpp of llama.cpp 0c1e570. */
#include "builder.h"

static ws_node *same(ws_builder *b, ws_gop op, ws_node *x, ws_node *y) { return ws_op_same(b->g, op, x, y); }
static ws_node *activate(ws_builder *b, ws_node *x) { return ws_op_unary(b->g, WS_UNARY_OTHER, x); }
static uint64_t seq_tokens(const ws_builder *b) { return b->p->n_tokens / b->p->n_seqs; }

/* The convolution's input is what it still remembers and the new columns; it then remembers the last of these. */
static ws_node *convolve(ws_builder *b, ws_node *x, uint64_t channels, unsigned il) {
    ws_graph *g = b->g;
    const uint64_t before = b->bp->conv_kernel - 1, width = before * channels, n = b->p->n_seqs;
    ws_node *all = b->conv[il];
    ws_node *kept = ws_op_reshape(g, ws_build_state(b, all, width), before, channels, n, 1);
    return ws_op_concat(g, kept, ws_op_transpose(g, x), 0);
}

/* ---- Mamba ---- */

static ws_node *mamba_scan(ws_builder *b, ws_node *x, ws_node *dt, ws_node *bc, ws_node *cc, unsigned il) {
    ws_graph *g = b->g;
    const ws_blueprint *bp = b->bp;
    const uint64_t width = bp->d_state * bp->d_inner, n = b->p->n_seqs;
    ws_node *all = b->state[il], *states = ws_build_state_begin(b, all, width);
    ws_node *ssm = ws_op_reshape(g, states, bp->d_state, 1, bp->d_inner, b->p->n_states);
    ws_node *y = ws_op_ssm_scan(g, ssm, x, dt, ws_need_weight(b, "blk.%u.ssm_a", il), bc, cc, b->state_ids_main);
    ws_graph_expand(g, y);
    ws_build_state_end(b, all, states, width);
    ws_node *last = ws_op_view_1d(g, y, width * n, x->nb[3] * x->ne[3]);
    ws_graph_expand(g, ws_op_cpy(g, last, ws_op_view_1d(g, all, width * n, 0)));
    return y;
}

static ws_node *mamba_mix(ws_builder *b, ws_node *x, ws_node *z, unsigned il) {
    ws_graph *g = b->g;
    const ws_blueprint *bp = b->bp;
    const uint64_t t = seq_tokens(b), n = b->p->n_seqs;
    ws_node *db = ws_mul_mat(b, "blk.%u.ssm_x.weight", il, x);
    ws_node *dt = ws_op_view_3d(g, db, bp->dt_rank, t, n, db->nb[1], db->nb[2], 0);
    const uint64_t ne[4] = {bp->d_state, 1, t, n};
    ws_node *bc = ws_op_view(g, db, ne, bp->d_state * 4, db->nb[1], db->nb[2], bp->dt_rank * 4);
    ws_node *cc = ws_op_view(g, db, ne, bp->d_state * 4, db->nb[1], db->nb[2], (bp->dt_rank + bp->d_state) * 4);
    if (bp->dt_norm || ws_weight(b, "blk.%u.ssm_dt_norm.weight", il)) {
        dt = ws_build_norm(b, dt, "blk.%u.ssm_dt_norm", (int)il);
        bc = ws_build_norm(b, bc, "blk.%u.ssm_b_norm", (int)il);
        cc = ws_build_norm(b, cc, "blk.%u.ssm_c_norm", (int)il);
    } else {
        dt = ws_op_cont(g, dt);
    }
    dt = ws_build_bias(b, ws_mul_mat(b, "blk.%u.ssm_dt.weight", il, dt), "blk.%u.ssm_dt.bias", il);
    ws_node *cur = x;
    x = ws_op_reshape(g, x, 1, bp->d_inner, t, n);
    ws_node *scanned = mamba_scan(b, x, dt, bc, cc, il);
    ws_node *y = ws_op_view_3d(g, scanned, bp->d_inner, t, n, x->nb[2], x->nb[3], 0);
    y = same(b, WS_OP_ADD, y, same(b, WS_OP_MUL, cur, ws_need_weight(b, "blk.%u.ssm_d", il)));
    y = ws_op_glu(g, ws_op_cont(g, z), y);
    return ws_mul_mat(b, "blk.%u.ssm_out.weight", il, y);
}

ws_node *ws_build_mamba1(ws_builder *b, ws_node *x, unsigned il) {
    ws_graph *g = b->g;
    const ws_blueprint *bp = b->bp;
    const uint64_t t = seq_tokens(b), n = b->p->n_seqs, d = bp->d_inner, width = (bp->conv_kernel - 1) * d;
    ws_node *cur = ws_op_reshape(g, x, x->ne[0], t, n, 1);
    ws_node *xz = ws_mul_mat(b, "blk.%u.ssm_in.weight", il, cur);
    ws_node *half = ws_op_view_3d(g, xz, d, xz->ne[1], xz->ne[2], xz->nb[1], xz->nb[2], 0);
    ws_node *z = ws_op_view_3d(g, xz, d, xz->ne[1], xz->ne[2], xz->nb[1], xz->nb[2], d * 4);
    ws_node *conv = convolve(b, half, d, il);
    ws_node *last = ws_op_view_3d(g, conv, bp->conv_kernel - 1, d, n, conv->nb[1], conv->nb[2], t * conv->nb[0]);
    ws_graph_expand(g, ws_op_cpy(g, last, ws_op_view_1d(g, b->conv[il], width * n, 0)));
    ws_node *y = ws_op_ssm_conv(g, conv, ws_need_weight(b, "blk.%u.ssm_conv1d.weight", il));
    y = activate(b, ws_build_bias(b, y, "blk.%u.ssm_conv1d.bias", il));
    y = mamba_mix(b, y, z, il);
    return ws_op_reshape(g, y, y->ne[0], t * n, 1, 1);
}

void ws_build_mamba(ws_builder *b) {
    ws_node *x = ws_build_embedding(b);
    ws_build_state_inputs(b);
    ws_build_out_ids(b);
    for (unsigned i = 0; i < b->bp->n_layer && !b->g->failed; i++) {
        ws_node *y = ws_build_mamba1(b, ws_build_norm(b, x, "blk.%u.attn_norm", (int)i), i);
        if (i == b->bp->n_layer - 1) {
            y = ws_op_get_rows(b->g, y, b->out_ids);
            x = ws_op_get_rows(b->g, x, b->out_ids);
        }
        x = same(b, WS_OP_ADD, y, x);
    }
    ws_build_logits(b, x, true);
}

/* ---- gated delta net ---- */

typedef struct {
    uint64_t head, k_heads, v_heads, v_head, t, n;
} delta_sizes;

static delta_sizes sizes_of(const ws_builder *b) {
    const ws_blueprint *bp = b->bp;
    return (delta_sizes){bp->d_state,   bp->n_groups, bp->dt_rank, bp->d_inner / bp->dt_rank,
                         seq_tokens(b), b->p->n_seqs};
}

static ws_node *cut(ws_builder *b, ws_node *x, uint64_t size, const delta_sizes *s, uint64_t before) {
    const uint64_t ne[4] = {size, s->k_heads, s->t, s->n};
    return ws_op_view(b->g, x, ne, x->nb[1], x->nb[2], x->nb[3], before * 4);
}

/* Queries, keys and values in one; the gate z apart. Older files have all in one product. */
static ws_node *mixed(ws_builder *b, ws_node *x, const delta_sizes *s, ws_node **z, unsigned il) {
    ws_graph *g = b->g;
    if (ws_weight(b, "blk.%u.attn_qkv.weight", il)) {
        ws_node *m = ws_mul_mat(b, "blk.%u.attn_qkv.weight", il, x);
        m = ws_op_reshape(g, m, m->ne[0], s->t, s->n, 1);
        *z = ws_mul_mat(b, "blk.%u.attn_gate.weight", il, x);
        return m;
    }
    ws_node *all = ws_mul_mat(b, "blk.%u.ssm_in.weight", il, x);
    const uint64_t v = s->v_head * s->v_heads / s->k_heads;
    all = ws_op_reshape(g, all, 2 * s->head + 2 * v, s->k_heads, s->t, s->n);
    ws_node *q = cut(b, all, s->head, s, 0), *k = cut(b, all, s->head, s, s->head);
    ws_node *values = cut(b, all, v, s, 2 * s->head);
    *z = ws_op_cont(g, cut(b, all, v, s, 2 * s->head + v));
    q = ws_op_cont_4d(g, q, s->head * s->k_heads, s->t, s->n, 1);
    k = ws_op_cont_4d(g, k, s->head * s->k_heads, s->t, s->n, 1);
    values = ws_op_cont_4d(g, values, s->v_head * s->v_heads, s->t, s->n, 1);
    return ws_op_concat(g, ws_op_concat(g, q, k, 0), values, 0);
}

static ws_node *gate_of(ws_builder *b, ws_node *alpha, const delta_sizes *s, unsigned il) {
    alpha = same(b, WS_OP_ADD, alpha, ws_need_weight(b, "blk.%u.ssm_dt.bias", il));
    alpha = ws_op_unary(b->g, WS_UNARY_SOFTPLUS, alpha);
    ws_node *gate = same(b, WS_OP_MUL, alpha, ws_need_weight(b, "blk.%u.ssm_a", il));
    return ws_op_reshape(b->g, gate, 1, s->v_heads, s->t, s->n);
}

static void beta_and_gate(ws_builder *b, ws_node *x, const delta_sizes *s, ws_node **beta, ws_node **gate,
                          unsigned il) {
    ws_graph *g = b->g;
    if (ws_weight(b, "blk.%u.ssm_alpha.weight", il)) {
        *beta = ws_op_reshape(g, ws_mul_mat(b, "blk.%u.ssm_beta.weight", il, x), 1, s->v_heads, s->t, s->n);
        *beta = ws_op_unary(g, WS_UNARY_SIGMOID, *beta);
        ws_node *a = ws_op_reshape(g, ws_mul_mat(b, "blk.%u.ssm_alpha.weight", il, x), s->v_heads, s->t, s->n, 1);
        *gate = gate_of(b, a, s, il);
        return;
    }
    ws_node *ba = ws_mul_mat(b, "blk.%u.ssm_ba.weight", il, x);
    const uint64_t per_head = s->v_heads / s->k_heads;
    ba = ws_op_reshape(g, ba, 2 * per_head, s->k_heads, s->t, s->n);
    ws_node *bb = cut(b, ba, per_head, s, 0), *a = cut(b, ba, per_head, s, per_head);
    *beta = ws_op_unary(g, WS_UNARY_SIGMOID, ws_op_cont(g, bb));
    *beta = ws_op_reshape(g, *beta, 1, s->v_heads, s->t, s->n);
    *gate = gate_of(b, ws_op_cont_4d(g, a, s->v_heads, s->t, s->n, 1), s, il);
}

static ws_node *heads_of(ws_builder *b, ws_node *x, uint64_t head, uint64_t heads, const delta_sizes *s,
                         uint64_t before) {
    const uint64_t ne[4] = {head, heads, s->t, s->n}, row = x->ne[0] * 4;
    return ws_op_view(b->g, x, ne, head * 4, row, row * s->t, before * 4);
}

/* Each key head serves several value heads; Qwen3.5's operation knows that by itself. */
static ws_node *repeat_heads(ws_builder *b, ws_node *x, const delta_sizes *s) {
    if (ws_weight(b, "blk.%u.ssm_alpha.weight", 0)) return x;
    const uint64_t times = s->v_heads / s->k_heads, rows = s->t * s->n;
    if (times <= 1) return x;
    x = ws_op_reshape(b->g, x, s->head, 1, s->k_heads, rows);
    x = ws_op_repeat_4d(b->g, x, s->head, times, s->k_heads, rows);
    return ws_op_reshape(b->g, x, s->head, s->v_heads, s->t, s->n);
}

static ws_node *unit_length(ws_builder *b, ws_node *x) {
    return same(b, WS_OP_SCALE, same(b, WS_OP_RMS_NORM, x, NULL), NULL);
}

static ws_node *delta_attention(ws_builder *b, ws_node *x, unsigned il) {
    ws_graph *g = b->g;
    const ws_blueprint *bp = b->bp;
    const delta_sizes s = sizes_of(b);
    ws_node *z = NULL, *beta = NULL, *gate = NULL, *m = mixed(b, x, &s, &z, il);
    beta_and_gate(b, x, &s, &beta, &gate, il);
    const uint64_t channels = bp->d_inner + 2 * bp->n_groups * bp->d_state, before = bp->conv_kernel - 1;
    const uint64_t state_width = bp->d_state * bp->d_inner;
    ws_node *conv = convolve(b, m, channels, il);
    ws_node *last = ws_op_view_3d(g, conv, before, channels, s.n, conv->nb[1], conv->nb[2], s.t * 4);
    ws_node *update = ws_op_view_2d(g, b->conv[il], before * channels, s.n, b->conv[il]->nb[1], 0);
    ws_graph_expand(g, ws_op_cpy(g, last, update));
    ws_node *state = ws_op_reshape(g, ws_build_state(b, b->state[il], state_width), s.v_head, s.v_head, s.v_heads, s.n);
    ws_node *y = activate(b, ws_op_ssm_conv(g, conv, ws_need_weight(b, "blk.%u.ssm_conv1d.weight", il)));
    ws_node *q = heads_of(b, y, s.head, s.k_heads, &s, 0);
    ws_node *k = heads_of(b, y, s.head, s.k_heads, &s, s.head * s.k_heads);
    ws_node *v = heads_of(b, y, s.v_head, s.v_heads, &s, 2 * s.head * s.k_heads);
    q = repeat_heads(b, unit_length(b, q), &s);
    k = repeat_heads(b, unit_length(b, k), &s);
    ws_node *r = ws_op_gated_delta_net(g, q, k, v, gate, beta, state);
    const uint64_t out_ne[4] = {s.v_head, s.v_heads, s.t, s.n}, row = s.v_head * s.v_heads * 4;
    const uint64_t state_ne[4] = {s.v_head, s.v_head, s.v_heads, s.n}, plane = s.v_head * s.v_head * 4;
    ws_node *out = ws_op_view(g, r, out_ne, s.v_head * 4, row, row * s.t, 0);
    ws_node *next = ws_op_view(g, r, state_ne, s.v_head * 4, plane, plane * s.v_heads, row * s.t * s.n);
    ws_graph_expand(g, ws_op_cpy(g, next, ws_op_view_2d(g, b->state[il], state_width, s.n, b->state[il]->nb[1], 0)));
    ws_node *z4 = ws_op_reshape(g, z, s.v_head, s.v_heads, s.t, s.n);
    out = same(b, WS_OP_MUL, ws_build_norm(b, out, "blk.%u.ssm_norm", (int)il), activate(b, z4));
    out = ws_op_reshape(g, out, s.v_head * s.v_heads, s.t, s.n, 1);
    out = ws_mul_mat(b, "blk.%u.ssm_out.weight", il, out);
    return ws_op_reshape(g, out, bp->n_embd, s.t * s.n, 1, 1);
}

static ws_node *projected(ws_builder *b, const char *weight, const char *bias, ws_node *x, unsigned il) {
    return ws_build_bias(b, ws_mul_mat(b, weight, il, x), bias, il);
}

/* One product holds query and gate of every head. */
static ws_node *gated_attention(ws_builder *b, ws_node *x, unsigned il) {
    ws_graph *g = b->g;
    const ws_bp_layer *l = &b->bp->layers[il];
    const uint64_t n = x->ne[1], h = l->head_k, ne[4] = {h, l->n_head, n, 1};
    ws_node *both =
        ws_op_reshape(g, projected(b, "blk.%u.attn_q.weight", "blk.%u.attn_q.bias", x, il), 2 * h, l->n_head, n, 1);
    ws_node *k = projected(b, "blk.%u.attn_k.weight", "blk.%u.attn_k.bias", x, il),
            *v = projected(b, "blk.%u.attn_v.weight", "blk.%u.attn_v.bias", x, il);
    ws_node *q = ws_op_view(g, both, ne, both->nb[1], both->nb[2], both->nb[3], 0);
    ws_node *gate = ws_op_view(g, both, ne, both->nb[1], both->nb[2], both->nb[3], h * 4);
    k = ws_op_reshape(g, k, h, l->n_head_kv, n, 1);
    v = ws_op_reshape(g, v, h, l->n_head_kv, n, 1);
    q = ws_build_rope(b, ws_build_norm(b, q, "blk.%u.attn_q_norm", (int)il), il);
    k = ws_build_rope(b, ws_build_norm(b, k, "blk.%u.attn_k_norm", (int)il), il);
    ws_node *y = ws_build_attention(b, q, k, v, il, true);
    gate = ws_op_unary(g, WS_UNARY_SIGMOID, ws_op_cont_4d(g, gate, h * l->n_head, n, 1, 1));
    return ws_mul_mat(b, "blk.%u.attn_output.weight", il, same(b, WS_OP_MUL, y, gate));
}

static ws_node *delta_ffn(ws_builder *b, ws_node *x, unsigned il) {
    if (!ws_weight(b, "blk.%u.ffn_gate_inp.weight", il)) return ws_build_ffn(b, x, "", il);
    ws_node *y = ws_build_experts(b, x, NULL, il);
    if (!ws_weight(b, "blk.%u.ffn_up_shexp.weight", il)) return y;
    ws_node *shared = ws_build_ffn(b, x, "_shexp", il);
    ws_node *gate = ws_mul_mat(b, "blk.%u.ffn_gate_inp_shexp.weight", il, x);
    shared = same(b, WS_OP_MUL, shared, ws_op_unary(b->g, WS_UNARY_SIGMOID, gate));
    return same(b, WS_OP_ADD, y, shared);
}

void ws_build_delta_net(ws_builder *b) {
    ws_node *x = ws_build_embedding(b);
    ws_build_state_inputs(b);
    b->full = ws_build_cache_inputs(b, false, false);
    ws_build_positions(b);
    ws_build_out_ids(b);
    for (unsigned i = 0; i < b->bp->n_layer && !b->g->failed; i++) {
        ws_node *y = ws_build_norm(b, x, "blk.%u.attn_norm", (int)i);
        ws_graph_expand(b->g, y);
        y = b->bp->layers[i].recurrent ? delta_attention(b, y, i) : gated_attention(b, y, i);
        ws_node *mid = same(b, WS_OP_ADD, y, x);
        y = ws_build_norm(b, mid, "blk.%u.post_attention_norm", (int)i);
        x = same(b, WS_OP_ADD, delta_ffn(b, y, i), mid);
    }
    ws_build_logits(b, x, false);
}
