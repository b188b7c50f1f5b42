/* Families that are no plain decoders: DeepSeek's latent attention, Gemma 3n, Mamba, gated delta nets; and the start
 * and end that all share. Source: src/models of llama.cpp 0c1e570. */
#include "alloc.h"
#include "builder.h"

#include <stdlib.h>

static ws_node *same(ws_builder *b, ws_gop op, ws_node *x, ws_node *y) { return ws_op_same(b->g, op, x, y); }
static ws_node *scale(ws_builder *b, ws_node *x) { return same(b, WS_OP_SCALE, x, NULL); }
static ws_node *activate(ws_builder *b, ws_node *x) { return ws_op_unary(b->g, WS_UNARY_OTHER, x); }
static ws_node *drop_rows(ws_builder *b, ws_node *x) { return ws_op_get_rows(b->g, x, b->out_ids); }

/* ---- start and end ---- */

/* Its weights' name, without suffix: LFM2 and NeoBERT have their own. */
static const char *output_norm(ws_builder *b) {
    if (ws_weight(b, "output_norm.weight", 0)) return "output_norm";
    if (ws_weight(b, "enc.output_norm.weight", 0)) return "enc.output_norm";
    return ws_weight(b, "token_embd_norm.weight", 0) ? "token_embd_norm" : "output_norm";
}

void ws_build_logits(ws_builder *b, ws_node *x, bool rows_dropped) {
    const uint64_t traits = b->bp->style->traits;
    if (traits & WS_HIDDEN_KEPT) x->flags |= WS_NODE_OUTPUT;
    const bool norm_first = traits & WS_NORM_OUTPUT_KEPT;
    if (!rows_dropped && !norm_first) x = drop_rows(b, x);
    x = ws_build_norm(b, x, output_norm(b), -1);
    if (norm_first) x->flags |= WS_NODE_OUTPUT;
    if (!rows_dropped && norm_first) x = drop_rows(b, x);
    x->flags |= WS_NODE_OUTPUT;
    if (traits & WS_ALL_SCALED) x = scale(b, x);
    if (traits & WS_NO_LOGITS) {
        ws_graph_expand(b->g, x);
        return;
    }
    ws_node *head = ws_weight(b, "output.weight", 0);
    if (!head && traits & WS_ONE_EMBEDDING) head = ws_weight(b, "token_embd.weight", 0);
    if (!head) head = ws_weight_on(b, "token_embd.weight", b->p->output_backend);
    if (!head) return;
    x = ws_op_mul_mat(b->g, head, x);
    x = ws_build_bias(b, x, "output.bias", 0);
    if (b->bp->final_cap) x = scale(b, activate(b, scale(b, x)));
    if (b->bp->logit_scale) x = scale(b, x);
    x->flags |= WS_NODE_OUTPUT;
    ws_graph_expand(b->g, x);
}

static void build(ws_builder *b) {
    switch (b->bp->style->family) {
    case WS_FAMILY_DECODER: ws_build_decoder(b); break;
    case WS_FAMILY_LATENT: ws_build_latent(b); break;
    case WS_FAMILY_GEMMA3N: ws_build_gemma3n(b); break;
    case WS_FAMILY_GEMMA4: ws_build_gemma4(b); break;
    case WS_FAMILY_MAMBA: ws_build_mamba(b); break;
    case WS_FAMILY_HYBRID: ws_build_hybrid(b); break;
    case WS_FAMILY_BERT: ws_build_bert(b); break;
    case WS_FAMILY_DELTA_NET: ws_build_delta_net(b); break;
    }
}

void ws_build_graph(ws_graph *g, const ws_blueprint *bp, const ws_pass *p, const ws_machine *m) {
    ws_builder b = {.g = g, .bp = bp, .p = p, .m = m};
    const size_t n = bp->n_layer_all;
    ws_node **pointers = ws_alloc(bp->n_tensors + 4 * n, sizeof *pointers, "graph", &g->err);
    if (!pointers) {
        g->failed = WS_NOMEM;
        return;
    }
    b.weights = pointers;
    b.k = pointers + bp->n_tensors, b.v = b.k + n, b.conv = b.v + n, b.state = b.conv + n;
    ws_make_caches(&b);
    if (!g->failed) build(&b);
    free(pointers);
}

/* ---- DeepSeek ---- */

static ws_node *latent_queries(ws_builder *b, ws_node *x, unsigned il) {
    if (ws_weight(b, "blk.%u.attn_q.weight", il)) return ws_mul_mat(b, "blk.%u.attn_q.weight", il, x);
    x = ws_mul_mat(b, "blk.%u.attn_q_a.weight", il, x);
    x = ws_build_norm(b, x, "blk.%u.attn_q_a_norm", (int)il);
    return ws_mul_mat(b, "blk.%u.attn_q_b.weight", il, x);
}

/* Queries and keys in the latent space; the cache keeps the latent vector and the rotated part of the key. */
static ws_node *absorbed(ws_builder *b, ws_node *q, ws_node *latent, ws_node *k_pe, unsigned il) {
    ws_graph *g = b->g;
    const ws_blueprint *bp = b->bp;
    const uint64_t rope = bp->n_rot, nope = bp->key_mla - rope, n = q->ne[2], heads = q->ne[1];
    ws_node *q_nope = ws_op_view_3d(g, q, nope, heads, n, q->nb[1], q->nb[2], 0);
    ws_node *q_pe = ws_op_view_3d(g, q, rope, heads, n, q->nb[1], q->nb[2], nope * 4);
    q_pe = ws_build_rope(b, q_pe, il);
    q_nope = ws_mul_mat(b, "blk.%u.attn_k_b.weight", il, ws_op_permute(g, q_nope, 0, 2, 1, 3));
    ws_node *queries = ws_op_concat(g, ws_op_permute(g, q_nope, 0, 2, 1, 3), q_pe, 0);
    latent = ws_op_reshape(g, latent, bp->lora_kv, 1, n, 1);
    ws_node *keys = ws_op_concat(g, latent, k_pe, 0);
    if (b->attn_scale) queries = same(b, WS_OP_MUL, queries, b->attn_scale);
    ws_graph_expand(g, queries);
    ws_graph_expand(g, latent);
    ws_graph_expand(g, keys);
    ws_graph_expand(g, ws_store_k(b, keys, b->full.k_ids, il));
    ws_node *k = ws_view_k(b, il);
    const uint64_t ne[4] = {bp->lora_kv, k->ne[1], k->ne[2], k->ne[3]};
    ws_node *v = ws_op_view(g, k, ne, k->nb[1], k->nb[2], k->nb[3], 0);
    ws_node *up = ws_need_weight(b, "blk.%u.attn_v_b.weight", il);
    return ws_mul_mat(b, "blk.%u.attn_output.weight", il,
                      ws_build_scores(b, queries, k, v, b->full.mask, NULL, up, il));
}

/* Files made before the projections were split: keys and values of all heads are stored. */
static ws_node *decompressed(ws_builder *b, ws_node *q, ws_node *latent, ws_node *k_pe, unsigned il) {
    ws_graph *g = b->g;
    const ws_bp_layer *l = &b->bp->layers[il];
    const uint64_t rope = b->bp->n_rot, nope = l->head_k - rope, n = q->ne[2], head = nope + l->head_v;
    ws_node *kv = ws_mul_mat(b, "blk.%u.attn_kv_b.weight", il, latent);
    ws_node *k = ws_op_view_3d(g, kv, nope, l->n_head, n, head * 4, head * l->n_head * 4, 0);
    ws_node *v = ws_op_cont(g, ws_op_view_3d(g, kv, l->head_v, l->n_head, n, head * 4, head * l->n_head * 4, nope * 4));
    q = ws_build_rope(b, q, il);
    k = ws_op_concat(g, k, ws_op_repeat_4d(g, k_pe, rope, l->n_head, n, 1), 0);
    if (b->attn_scale) q = same(b, WS_OP_MUL, q, b->attn_scale);
    return ws_build_attention(b, q, k, v, il, false);
}

static ws_node *latent_attention(ws_builder *b, ws_node *x, unsigned il) {
    ws_graph *g = b->g;
    const ws_blueprint *bp = b->bp;
    const ws_bp_layer *l = &bp->layers[il];
    const uint64_t n = x->ne[1], row = (bp->lora_kv + bp->n_rot) * 4;
    ws_node *q = ws_op_reshape(g, latent_queries(b, x, il), bp->key_mla ? bp->key_mla : l->head_k, l->n_head, n, 1);
    ws_node *both = ws_mul_mat(b, "blk.%u.attn_kv_a_mqa.weight", il, x);
    ws_node *latent = ws_op_view_2d(g, both, bp->lora_kv, n, row, 0);
    ws_node *k_pe = ws_op_view_3d(g, both, bp->n_rot, 1, n, row, row, bp->lora_kv * 4);
    k_pe = ws_build_rope(b, k_pe, il);
    latent = ws_build_norm(b, latent, "blk.%u.attn_kv_a_norm", (int)il);
    return bp->key_mla ? absorbed(b, q, latent, k_pe, il) : decompressed(b, q, latent, k_pe, il);
}

static ws_node *latent_layer(ws_builder *b, ws_node *x, unsigned il) {
    ws_node *y = latent_attention(b, ws_build_norm(b, x, "blk.%u.attn_norm", (int)il), il);
    const bool scaled = b->bp->style->traits & WS_ALL_SCALED;
    if (il == b->bp->n_layer - 1) y = drop_rows(b, y), x = drop_rows(b, x);
    ws_node *mid = same(b, WS_OP_ADD, scaled ? scale(b, y) : y, x);
    y = ws_build_norm(b, mid, "blk.%u.ffn_norm", (int)il);
    if (!ws_weight(b, "blk.%u.ffn_gate_inp.weight", il)) {
        y = ws_build_ffn(b, y, "", il);
        return same(b, WS_OP_ADD, scaled ? scale(b, y) : y, mid);
    }
    ws_node *sum = ws_build_experts(b, y, NULL, il);
    if (ws_weight(b, "blk.%u.ffn_up_shexp.weight", il)) sum = same(b, WS_OP_ADD, sum, ws_build_ffn(b, y, "_shexp", il));
    return same(b, WS_OP_ADD, sum, mid);
}

void ws_build_latent(ws_builder *b) {
    ws_node *x = ws_build_embedding(b);
    if (b->bp->attn_scale) b->attn_scale = ws_op_input(b->g, WS_TYPE_F32, 1, 1, b->p->n_tokens, 1);
    ws_build_positions(b);
    b->full = ws_build_cache_inputs(b, false, b->bp->key_mla != 0);
    ws_build_out_ids(b);
    for (unsigned i = 0; i < b->bp->n_layer && !b->g->failed; i++) x = latent_layer(b, x, i);
    ws_build_logits(b, x, true);
}
