/* builder.h - builds the graph of a forward pass, as llama.cpp does for the largest batch it will see. The pieces that
 * architectures share are here; one file per family puts them together. */
#ifndef WS_BUILDER_H
#define WS_BUILDER_H

#include "blueprint.h"
#include "graph.h"
#include "machine.h"

/* What the graph is built for. */
typedef struct {
    uint64_t n_tokens, n_seqs, n_outputs;       /* of the batch; tokens are a multiple of sequences */
    uint64_t n_streams;                         /* separate caches: 1, or one per sequence */
    uint64_t full_cells, sliding_cells;         /* per stream */
    uint64_t n_states;                          /* sequences that recurrent layers remember */
    bool flash_attn, v_transposed, any_sliding; /* V is stored transposed where flash attention was never wanted */
    ws_dtype type_k, type_v;
    uint64_t widest_v; /* without flash attention rows of V are as wide as the widest layer's */
    int8_t output_backend;
    const int8_t *layer_backend;  /* n_layer_all */
    const int8_t *tensor_backend; /* of blueprint->tensors */
} ws_pass;

/* What attention reads beside K and V, one set per kind of cache. */
typedef struct {
    ws_node *k_ids, *v_ids, *mask, *k_rotation, *v_rotation;
} ws_cache_inputs;

typedef struct {
    ws_graph *g;
    const ws_blueprint *bp;
    const ws_pass *p;
    const ws_machine *m;
    ws_node **weights;       /* per tensor, made when first asked for */
    ws_node **k, **v;        /* caches per layer */
    ws_node **conv, **state; /* recurrent layers */
    ws_node *positions, *out_ids, *state_ids, *state_ids_main, *state_ids_extra, *attn_scale;
    ws_node *logits; /* of the experts of this layer, where they are known before; or NULL */
    ws_cache_inputs full, sliding;
} ws_builder;

/* The whole graph in g; failures stay there. */
void ws_build_graph(ws_graph *g, const ws_blueprint *bp, const ws_pass *p, const ws_machine *m);

/* One per family; ws_build_graph() picks. */
void ws_build_decoder(ws_builder *b);
void ws_build_latent(ws_builder *b);
void ws_build_gemma3n(ws_builder *b);
void ws_build_gemma4(ws_builder *b);
void ws_build_mamba(ws_builder *b);
void ws_build_delta_net(ws_builder *b);
void ws_build_hybrid(ws_builder *b);
void ws_build_bert(ws_builder *b);

/* ---- pieces ---- */

void ws_make_caches(ws_builder *b);

/* A weight of a layer ("blk.%u.attn_q.weight") or of the model, as a node; NULL when the model has none. */
ws_node *ws_weight(ws_builder *b, const char *format, unsigned layer);
ws_node *ws_weight_on(ws_builder *b, const char *name, int backend); /* a copy there, as for tied embeddings */
/* A weight that must be there: fails the graph when it is not. */
ws_node *ws_need_weight(ws_builder *b, const char *format, unsigned layer);

ws_node *ws_build_embedding(ws_builder *b);
void ws_build_inputs(ws_builder *b); /* positions and what the caches need */
ws_node *ws_build_positions(ws_builder *b);
ws_cache_inputs ws_build_cache_inputs(ws_builder *b, bool sliding, bool k_only);
void ws_build_state_inputs(ws_builder *b);
ws_node *ws_build_out_ids(ws_builder *b);

/* A norm's weights, "blk.%u.attn_norm.weight" (PLaMo 3 leaves the suffix off); NULL when there are none. */
ws_node *ws_norm_weight(ws_builder *b, const char *stem, unsigned layer);
/* RMS or layer norm and its weights ("blk.%u.attn_norm"); layer < 0: the output's. */
ws_node *ws_build_norm(ws_builder *b, ws_node *x, const char *stem, int layer);
ws_node *ws_build_plain_norm(ws_builder *b, ws_node *x);
ws_node *ws_mul_mat(ws_builder *b, const char *format, unsigned layer, ws_node *x);
ws_node *ws_build_bias(ws_builder *b, ws_node *x, const char *format, unsigned layer);
ws_node *ws_build_rope(ws_builder *b, ws_node *x, unsigned layer);

/* Gemma's inputs for every layer, from tokens and hidden state x: [width, tokens, layers]. */
ws_node *ws_build_layer_inputs(ws_builder *b, ws_node *x);

/* A decoder's attention and feed-forward, with all variations: normalized x in, what is added to the residual out. */
ws_node *ws_build_self_attention(ws_builder *b, ws_node *x, unsigned layer);
ws_node *ws_build_feed_forward(ws_builder *b, ws_node *x, unsigned layer);

/* Dense feed-forward; `infix` is "" or "_shexp" (names ffn_up_shexp, ...). */
ws_node *ws_build_ffn(ws_builder *b, ws_node *x, const char *infix, unsigned layer);
/* Experts, chosen and summed. `logits` NULL: from ffn_gate_inp. */
ws_node *ws_build_experts(ws_builder *b, ws_node *x, ws_node *logits, unsigned layer);

/* Attention over the cache and the output projection (unless `bare`). k and v NULL: the cache of another layer. */
ws_node *ws_build_attention(ws_builder *b, ws_node *q, ws_node *k, ws_node *v, unsigned layer, bool bare);
/* The core: q [head, heads, tokens], k and v views of caches; v_up: MLA's projection of V. */
ws_node *ws_build_scores(ws_builder *b, ws_node *q, ws_node *k, ws_node *v, ws_node *mask, ws_node *sinks,
                         ws_node *v_up, unsigned layer);
ws_node *ws_store_k(ws_builder *b, ws_node *k, ws_node *ids, unsigned layer);
ws_node *ws_view_k(ws_builder *b, unsigned layer);

/* The state of a recurrent layer for the sequences of the batch; `all` is the cache, `width` elements each. */
ws_node *ws_build_state(ws_builder *b, ws_node *all, uint64_t width);
/* Mamba's mixer: normalized x in, what is added to the residual out. */
ws_node *ws_build_mamba1(ws_builder *b, ws_node *x, unsigned layer);
/* Around the operation that fetches the rows itself. */
ws_node *ws_build_state_begin(ws_builder *b, ws_node *all, uint64_t width);
void ws_build_state_end(ws_builder *b, ws_node *all, ws_node *states, uint64_t width);

/* Output norm, projection to the vocabulary, soft cap; marks outputs. */
void ws_build_logits(ws_builder *b, ws_node *x, bool rows_dropped);

#endif
