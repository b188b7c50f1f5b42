/* Mamba 2 and what mixes it with attention (Granite 4, Nemotron-H), and the short convolutions of LFM2. Source:
 * src/models/mamba-base.cpp, granite-hybrid.cpp, nemotron-h.cpp, lfm2.cpp of llama.cpp 0c1e570. */
#include "builder.h"

static ws_node *same(ws_builder *b, ws_gop op, ws_node *x, ws_node *y) { return ws_op_same(b->g, op, x, y); }
static uint64_t seq_tokens(const ws_builder *b) { return b->p->n_tokens / b->p->n_seqs; }
static uint64_t traits(const ws_builder *b) { return b->bp->style->traits; }

/* What the convolution remembers, its new columns behind it; keeps the last of these. */
static ws_node *remember(ws_builder *b, ws_node *columns, uint64_t channels, unsigned il) {
    ws_graph *g = b->g;
    const uint64_t before = b->bp->conv_kernel - 1, width = before * channels, n = b->p->n_seqs;
    ws_node *all = b->conv[il];
    ws_node *kept = ws_op_reshape(g, ws_build_state(b, all, width), before, channels, n, 1);
    ws_node *x = ws_op_concat(g, kept, columns, 0);
    ws_node *last = ws_op_view_3d(g, x, before, channels, n, x->nb[1], x->nb[2], seq_tokens(b) * x->nb[0]);
    ws_graph_expand(g, ws_op_cpy(g, last, ws_op_view_2d(g, all, width, n, all->nb[1], 0)));
    return x;
}

/* ---- Mamba 2 ---- */

/* Heads of `size` out of the convolution's rows. */
static ws_node *heads(ws_builder *b, ws_node *x, uint64_t size, uint64_t n, uint64_t before) {
    const uint64_t ne[4] = {size, n, seq_tokens(b), b->p->n_seqs};
    return ws_op_view(b->g, x, ne, size * 4, x->nb[1], x->nb[2], before * 4);
}

static ws_node *scan(ws_builder *b, ws_node *x, ws_node *dt, ws_node *bb, ws_node *cc, unsigned il) {
    ws_graph *g = b->g;
    const ws_blueprint *bp = b->bp;
    const uint64_t width = bp->d_state * bp->d_inner, n = b->p->n_seqs;
    ws_node *all = b->state[il], *states = ws_build_state_begin(b, all, width);
    ws_node *ssm = ws_op_reshape(g, states, bp->d_state, bp->d_inner / bp->dt_rank, bp->dt_rank, b->p->n_states);
    ws_node *y = ws_op_ssm_scan(g, ssm, x, dt, ws_need_weight(b, "blk.%u.ssm_a", il), bb, cc, b->state_ids_main);
    ws_graph_expand(g, y);
    ws_build_state_end(b, all, states, width);
    ws_node *last = ws_op_view_2d(g, y, width, n, width * 4, ws_node_elements(x) * 4);
    ws_graph_expand(g, ws_op_cpy(g, last, ws_op_view_2d(g, all, width, n, all->nb[1], 0)));
    return y;
}

static ws_node *mamba2(ws_builder *b, ws_node *x, unsigned il) {
    ws_graph *g = b->g;
    const ws_blueprint *bp = b->bp;
    const uint64_t t = seq_tokens(b), n = b->p->n_seqs, inner = bp->d_inner, rank = bp->dt_rank;
    const uint64_t head = inner / rank, groups = bp->n_groups * bp->d_state, channels = inner + 2 * groups;
    ws_node *all = ws_mul_mat(b, "blk.%u.ssm_in.weight", il, x);
    all = ws_op_reshape(g, all, all->ne[0], t, n, 1);
    ws_node *z = heads(b, all, head, rank, 0);
    ws_node *xbc = ws_op_view_3d(g, all, channels, t, n, all->nb[1], all->nb[2], inner * 4);
    ws_node *dt = ws_op_view_3d(g, all, rank, t, n, all->nb[1], all->nb[2], (inner + channels) * 4);
    ws_node *conv = remember(b, ws_op_transpose(g, xbc), channels, il);
    ws_node *y = ws_op_ssm_conv(g, conv, ws_need_weight(b, "blk.%u.ssm_conv1d.weight", il));
    y = ws_op_unary(g, WS_UNARY_OTHER, ws_build_bias(b, y, "blk.%u.ssm_conv1d.bias", il));
    ws_node *in = heads(b, y, head, rank, 0);
    ws_node *bb = heads(b, y, bp->d_state, bp->n_groups, inner);
    ws_node *cc = heads(b, y, bp->d_state, bp->n_groups, inner + groups);
    dt = ws_build_bias(b, ws_op_cont(g, dt), "blk.%u.ssm_dt.bias", il);
    ws_node *scanned = scan(b, in, dt, bb, cc, il);
    const uint64_t ne[4] = {head, rank, t, n}, row = inner * 4;
    ws_node *out = ws_op_view(g, scanned, ne, in->nb[1], row, row * t, 0);
    out = same(b, WS_OP_ADD, out, same(b, WS_OP_MUL, in, ws_need_weight(b, "blk.%u.ssm_d", il)));
    out = ws_op_glu(g, ws_op_cont(g, z), out);
    if (ws_weight(b, "blk.%u.ssm_norm.weight", il)) {
        out = ws_op_reshape(g, out, inner / bp->n_groups, bp->n_groups, t, n);
        out = ws_build_norm(b, out, "blk.%u.ssm_norm", (int)il);
    }
    return ws_mul_mat(b, "blk.%u.ssm_out.weight", il, ws_op_reshape(g, out, inner, t * n, 1, 1));
}

/* ---- the short convolution ---- */

static ws_node *third(ws_builder *b, ws_node *x, uint64_t which) {
    const uint64_t size = x->ne[0] / 3;
    return ws_op_view_3d(b->g, x, size, x->ne[1], x->ne[2], x->nb[1], x->nb[2], which * size * 4);
}

static ws_node *short_convolution(ws_builder *b, ws_node *x, unsigned il) {
    ws_graph *g = b->g;
    const uint64_t t = seq_tokens(b), n = b->p->n_seqs;
    ws_node *all = ws_mul_mat(b, "blk.%u.shortconv.in_proj.weight", il, ws_op_reshape(g, x, x->ne[0], t, n, 1));
    ws_node *columns = ws_op_transpose(g, same(b, WS_OP_MUL, third(b, all, 0), third(b, all, 2)));
    ws_node *y = remember(b, columns, b->bp->n_embd, il);
    y = ws_op_ssm_conv(g, y, ws_need_weight(b, "blk.%u.shortconv.conv.weight", il));
    y = same(b, WS_OP_MUL, third(b, all, 1), y);
    y = ws_mul_mat(b, "blk.%u.shortconv.out_proj.weight", il, y);
    return ws_op_reshape(g, y, y->ne[0], t * n, 1, 1);
}

/* ---- layers ---- */

static ws_node *mix(ws_builder *b, ws_node *x, unsigned il) {
    if (!b->bp->layers[il].recurrent) return ws_build_self_attention(b, x, il);
    if (traits(b) & WS_MAMBA1) return ws_build_mamba1(b, x, il);
    return traits(b) & WS_SHORT_CONV ? short_convolution(b, x, il) : mamba2(b, x, il);
}

/* Nemotron's experts may work in a smaller space. */
static ws_node *nemotron_ffn(ws_builder *b, ws_node *x, unsigned il) {
    if (!ws_weight(b, "blk.%u.ffn_gate_inp.weight", il)) return ws_build_ffn(b, x, "", il);
    const bool latent = ws_weight(b, "blk.%u.ffn_latent_down.weight", il);
    ws_node *in = latent ? ws_mul_mat(b, "blk.%u.ffn_latent_down.weight", il, x) : x;
    ws_node *y = ws_build_experts(b, in, ws_mul_mat(b, "blk.%u.ffn_gate_inp.weight", il, x), il);
    if (latent) y = ws_mul_mat(b, "blk.%u.ffn_latent_up.weight", il, y);
    return same(b, WS_OP_ADD, y, ws_build_ffn(b, x, "_shexp", il));
}

/* One thing per layer: a state, attention or feed-forward. */
static ws_node *single_layer(ws_builder *b, ws_node *x, unsigned il) {
    const ws_bp_layer *l = &b->bp->layers[il];
    ws_node *y = ws_build_norm(b, x, "blk.%u.attn_norm", (int)il);
    y = l->recurrent || !l->n_ff ? mix(b, y, il) : nemotron_ffn(b, y, il);
    return same(b, WS_OP_ADD, y, x);
}

static ws_node *scaled(ws_builder *b, ws_node *x) { return b->bp->residual_scale ? same(b, WS_OP_SCALE, x, NULL) : x; }

static ws_node *add(ws_builder *b, ws_node *x, ws_node *residual) {
    return traits(b) & WS_RESIDUAL_FIRST ? same(b, WS_OP_ADD, residual, x) : same(b, WS_OP_ADD, scaled(b, x), residual);
}

static ws_node *layer(ws_builder *b, ws_node *x, unsigned il) {
    ws_node *y = mix(b, ws_build_norm(b, x, "blk.%u.attn_norm", (int)il), il);
    if (il == b->bp->n_layer - 1) {
        y = ws_op_get_rows(b->g, y, b->out_ids);
        x = ws_op_get_rows(b->g, x, b->out_ids);
    }
    /* Mamba 2 alone has no feed-forward */
    const bool ffn = ws_weight(b, "blk.%u.ffn_norm.weight", il);
    ws_node *mid = ffn ? add(b, y, x) : same(b, WS_OP_ADD, y, x);
    if (!ffn) return mid;
    y = ws_build_feed_forward(b, ws_build_norm(b, mid, "blk.%u.ffn_norm", (int)il), il);
    return traits(b) & WS_RESIDUAL_FIRST ? same(b, WS_OP_ADD, mid, y) : same(b, WS_OP_ADD, scaled(b, y), mid);
}

/* Falcon H1: attention and a state side by side. */
static ws_node *double_layer(ws_builder *b, ws_node *x, unsigned il) {
    ws_node *attn = ws_build_self_attention(b, ws_build_norm(b, x, "blk.%u.attn_norm", (int)il), il);
    ws_node *state = mamba2(b, ws_build_norm(b, x, "blk.%u.attn_norm", (int)il), il);
    x = same(b, WS_OP_ADD, same(b, WS_OP_ADD, attn, state), x);
    if (il == b->bp->n_layer - 1) x = ws_op_get_rows(b->g, x, b->out_ids);
    return same(b, WS_OP_ADD, ws_build_ffn(b, ws_build_norm(b, x, "blk.%u.ffn_norm", (int)il), "", il), x);
}

void ws_build_hybrid(ws_builder *b) {
    const uint64_t t = traits(b);
    ws_node *x = ws_build_embedding(b);
    if (t & (WS_ONE_THING | WS_SHORT_CONV)) ws_graph_expand(b->g, x);
    ws_build_state_inputs(b);
    if (!(t & WS_ONLY_STATES)) b->full = ws_build_cache_inputs(b, false, false);
    if (b->p->any_sliding) b->sliding = ws_build_cache_inputs(b, true, false);
    if (t & WS_SHORT_CONV) ws_build_positions(b);
    ws_build_out_ids(b);
    if (!(t & (WS_NO_ROPE | WS_SHORT_CONV | WS_ONLY_STATES)) && !b->bp->no_rope) ws_build_positions(b);
    for (unsigned i = 0; i < b->bp->n_layer && !b->g->failed; i++)
        x = t & WS_ONE_THING              ? single_layer(b, x, i)
            : t & WS_STATES_AND_ATTENTION ? double_layer(b, x, i)
                                          : layer(b, x, i);
    ws_build_logits(b, x, !(t & WS_LATE_ROWS));
}
