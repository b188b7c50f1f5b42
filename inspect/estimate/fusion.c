/* Source: llama.cpp's ggml-cuda.cu (ggml_backend_cuda_graph_optimize and the patterns that it looks for). */
#include "fusion.h"

#include "alloc.h"

enum { MAX_ROUTED = 15 /* experts whose sum is one kernel */, MAX_CHOICES = 512 /* experts to choose from */ };

static void keep(ws_graph *g, ws_kept_list *kept, ws_node *node, const ws_node *until) {
    for (size_t i = kept->n; i > 0 && kept->entry[i - 1].until == until; i--)
        if (kept->entry[i - 1].node == node) return;
    if (g->failed) return;
    g->failed = ws_grow(&kept->entry, &kept->cap, kept->n + 1, sizeof *kept->entry, &g->err);
    if (g->failed) return;
    kept->entry[kept->n].node = node;
    kept->entry[kept->n++].until = until;
}

/* Does node i read only inside of its group, which is nodes[0..n)? */
static bool read_inside_only(ws_node *const *nodes, size_t n, size_t i) {
    uint32_t uses = 0;
    for (size_t j = i + 1; j < n; j++)
        for (int s = 0; s < WS_MAX_SRC; s++) uses += nodes[j]->src[s] == nodes[i];
    return uses == nodes[i]->uses && !(nodes[i]->flags & WS_NODE_OUTPUT);
}

static bool base_inside(ws_node *const *nodes, size_t n, const ws_node *base) {
    if (!base || base->weight) return true;
    for (size_t i = 0; i < n; i++)
        if (nodes[i] == base) return true;
    return false;
}

/* A group can be one operation if nothing but nodes out1 and out2 is read from outside. */
static bool closed(ws_node *const *nodes, size_t n, size_t out1, size_t out2) {
    for (size_t i = 0; i < n; i++) {
        if (i == out1 || i == out2) continue;
        if (!read_inside_only(nodes, n, i) || !base_inside(nodes, n, nodes[i]->base)) return false;
    }
    return true;
}

/* ---- the weighted sum ---- */

static bool is_weights(const ws_node *n, const ws_node *product) {
    return n && n->type == WS_TYPE_F32 && ws_node_contiguous(n) && n->ne[0] == 1 && n->ne[1] == product->ne[1] &&
           n->ne[2] == product->ne[2] && n->ne[3] == product->ne[3];
}

static bool is_experts(const ws_node *n, const ws_node *product) {
    return n && n->type == WS_TYPE_F32 && ws_node_contiguous(n) && ws_node_same_shape(n, product);
}

static bool is_weighting(const ws_node *n, ws_node **experts, ws_node **weights) {
    if (n->op != WS_OP_MUL || n->type != WS_TYPE_F32 || !ws_node_contiguous(n)) return false;
    const int full = is_experts(n->src[0], n) && is_weights(n->src[1], n) ? 0 : 1;
    *experts = n->src[full], *weights = n->src[1 - full];
    return is_experts(*experts, n) && is_weights(*weights, n);
}

/* n views of the product, one per expert, and n - 1 additions behind them. */
static bool is_sum(ws_node *const *nodes, const ws_node *product, size_t n_experts) {
    size_t views = 0, sums = 0;
    const ws_node *first = NULL, *before = NULL;
    for (size_t i = 0; i < 2 * n_experts - 1; i++) {
        const ws_node *n = nodes[i];
        if (n->op == WS_OP_VIEW && n->base == product && n->offset == views * product->nb[1]) {
            if (!views++) first = n;
            continue;
        }
        if (n->op != WS_OP_ADD || sums + 1 >= views) return false;
        if (n->src[0] != (sums++ ? before : first)) return false;
        before = n;
    }
    return views == n_experts && sums == n_experts - 1;
}

/* Nodes that the group takes, or 0. */
static size_t keep_weighted_sum(ws_graph *g, ws_node *const *nodes, size_t left, ws_kept_list *kept) {
    ws_node *experts = NULL, *weights = NULL, *scale = NULL, *raw = NULL;
    size_t products = 1;
    if (!is_weighting(nodes[0], &experts, &weights)) return 0;
    ws_node *scaled = NULL, *route = NULL;
    if (left > 1 && is_weighting(nodes[1], &scaled, &route) && scaled == nodes[0]) {
        raw = experts, scale = weights, weights = route, experts = raw, products = 2;
    }
    const ws_node *product = nodes[products - 1];
    const uint64_t n_experts = product->ne[1];
    if (n_experts < 2 || n_experts > MAX_ROUTED) return 0;
    const size_t n = 2 * n_experts + products - 1;
    if (n > left || !is_sum(nodes + products, product, n_experts) || !closed(nodes, n, n - 1, n - 1)) return 0;
    keep(g, kept, experts, nodes[n - 1]);
    keep(g, kept, weights, nodes[n - 1]);
    if (scale) keep(g, kept, scale, nodes[n - 1]);
    return n;
}

/* ---- the choice of experts ---- */

typedef struct {
    ws_node *const *nodes;
    size_t left, at;
} cursor;

/* The next node, if it is `op` and reads `src` first. */
static bool next(cursor *c, ws_gop op, const ws_node *src) {
    if (c->at >= c->left || c->nodes[c->at]->op != op || (src && c->nodes[c->at]->src[0] != src)) return false;
    c->at++;
    return true;
}

static const ws_node *back(const cursor *c, size_t n) { return c->nodes[c->at - n]; }

static bool kernel_for(uint64_t n_choices) {
    const bool power = (n_choices & (n_choices - 1)) == 0 && n_choices <= MAX_CHOICES;
    return power || n_choices == 288 || n_choices == 576;
}

/* Gate, ids and weights: [softmax | sigmoid | sqrt(softplus)], reshape, (bias), argsort, view, get_rows,
 * (reshape, sum, clamp, divide, reshape), (scale). */
static size_t keep_choice(ws_graph *g, ws_node *const *nodes, size_t left, ws_kept_list *kept) {
    cursor c = {nodes, left, 1};
    const bool gate = nodes[0]->op == WS_OP_SOFT_MAX || (nodes[0]->op == WS_OP_UNARY && nodes[0]->unary);
    if (!gate || (nodes[0]->op == WS_OP_SOFT_MAX && (nodes[0]->src[1] || nodes[0]->src[2]))) return 0;
    if (nodes[0]->unary == WS_UNARY_SOFTPLUS && !next(&c, WS_OP_SQRT, nodes[0])) return 0;
    const ws_node *probs = back(&c, 1);
    if (!next(&c, WS_OP_RESHAPE, probs)) return 0;
    const ws_node *shaped = back(&c, 1);
    const bool bias = next(&c, WS_OP_ADD, probs);
    if (!next(&c, WS_OP_ARGSORT, bias ? back(&c, 1) : probs)) return 0;
    if (!next(&c, WS_OP_VIEW, back(&c, 1))) return 0;
    const size_t ids = c.at - 1;
    if (!next(&c, WS_OP_GET_ROWS, shaped) || back(&c, 1)->src[1] != nodes[ids]) return 0;
    const size_t before_norm = c.at;
    const bool norm = next(&c, WS_OP_RESHAPE, back(&c, 1)) && next(&c, WS_OP_SUM_ROWS, back(&c, 1)) &&
                      next(&c, WS_OP_CLAMP, back(&c, 1)) && next(&c, WS_OP_DIV, back(&c, 3)) &&
                      next(&c, WS_OP_RESHAPE, back(&c, 1));
    if (!norm) c.at = before_norm;
    next(&c, WS_OP_SCALE, back(&c, 1));
    const uint64_t row = nodes[ids]->nb[0] ? nodes[ids]->nb[1] / nodes[ids]->nb[0] : 0;
    if (!kernel_for(row) || !closed(nodes, c.at, ids, c.at - 1) || c.at >= left) return 0;
    for (size_t i = 0; i < c.at; i++) {
        keep(g, kept, nodes[i], nodes[c.at]);
        for (int s = 0; s < WS_MAX_SRC; s++)
            if (nodes[i]->src[s]) keep(g, kept, nodes[i]->src[s], nodes[c.at]);
    }
    return c.at;
}

void ws_find_kept(ws_graph *g, ws_node *const *nodes, size_t n, ws_kept_list *kept) {
    for (size_t i = 0; i < n && !g->failed; i++) {
        const size_t summed = keep_weighted_sum(g, nodes + i, n - i, kept);
        if (summed) i += summed - 1;
        const size_t chosen = keep_choice(g, nodes + i, n - i, kept);
        if (chosen) i += chosen - 1;
    }
}
