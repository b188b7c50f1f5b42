/* BERT and its relatives: encoders with norms behind attention and feed-forward. Source: src/models/bert.cpp of
 * llama.cpp 0c1e570. */
#include "builder.h"

static ws_node *add(ws_builder *b, ws_node *x, ws_node *y) { return ws_op_same(b->g, WS_OP_ADD, x, y); }

static ws_node *embed(ws_builder *b) {
    ws_node *x = ws_build_embedding(b);
    ws_node *types = ws_weight(b, "token_types.weight", 0), *places = ws_weight(b, "position_embd.weight", 0);
    if (types) x = add(b, x, ws_op_view_1d(b->g, types, b->bp->n_embd, 0));
    if (places) x = add(b, ws_op_get_rows(b->g, places, b->positions), x);
    return ws_build_norm(b, x, "token_embd_norm", -1);
}

static ws_node *layer(ws_builder *b, ws_node *x, unsigned il) {
    ws_node *y = ws_build_self_attention(b, x, il);
    if (il == b->bp->n_layer - 1) y = ws_op_get_rows(b->g, y, b->out_ids), x = ws_op_get_rows(b->g, x, b->out_ids);
    y = ws_build_norm(b, add(b, y, x), "blk.%u.attn_output_norm", (int)il);
    if (ws_weight(b, "blk.%u.attn_norm_2.weight", il))
        y = ws_build_norm(b, add(b, y, x), "blk.%u.attn_norm_2", (int)il);
    y = add(b, ws_build_feed_forward(b, y, il), y);
    return ws_build_norm(b, y, "blk.%u.layer_output_norm", (int)il);
}

void ws_build_bert(ws_builder *b) {
    ws_build_inputs(b);
    ws_node *x = embed(b);
    ws_build_out_ids(b);
    for (unsigned i = 0; i < b->bp->n_layer && !b->g->failed; i++) x = layer(b, x, i);
    x->flags |= WS_NODE_OUTPUT;
    ws_graph_expand(b->g, x);
}
