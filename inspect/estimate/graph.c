#include "graph.h"

#include "alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_NODES = 512, MAX_NODES = 1 << 20 };

struct ws_node_block {
    struct ws_node_block *next;
    ws_node nodes[BLOCK_NODES];
};

/* ---- the graph ---- */

void ws_graph_init(ws_graph *g) { *g = (ws_graph){.dummy = {.home = -1, .backend = -1, .seen = true}}; }

void ws_graph_free(ws_graph *g) {
    for (struct ws_node_block *b = g->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(g->nodes.node);
    free(g->leaves.node);
    ws_graph_init(g);
}

void ws_graph_fail(ws_graph *g, ws_status code, const char *fmt, ...) {
    if (g->failed) return;
    char msg[sizeof g->err.msg];
    va_list args;
    va_start(args, fmt);
    vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    g->failed = ws_fail(&g->err, code, "%s", msg);
}

static ws_node *create(ws_graph *g) {
    if (!g->failed && g->n_created >= MAX_NODES)
        ws_graph_fail(g, WS_UNSUPPORTED, "the model's graph has more than %d operations", MAX_NODES);
    if (!g->failed && g->n_created % BLOCK_NODES == 0) {
        struct ws_node_block *b = ws_alloc(1, sizeof *b, "graph", &g->err);
        if (!b) g->failed = WS_NOMEM;
        if (b) b->next = g->blocks, g->blocks = b;
    }
    ws_node *n = g->failed ? &g->dummy : &g->blocks->nodes[g->n_created++ % BLOCK_NODES];
    *n = (ws_node){.home = -1, .backend = -1, .seen = n == &g->dummy, .ne = {1, 1, 1, 1}};
    return n;
}

void ws_list_add(ws_graph *g, ws_node_list *l, ws_node *n) {
    if (g->failed) return;
    g->failed = ws_grow(&l->node, &l->cap, l->n + 1, sizeof *l->node, &g->err);
    if (!g->failed) l->node[l->n++] = n;
}

void ws_graph_expand(ws_graph *g, ws_node *n) {
    if (n->seen || g->failed) return;
    n->seen = true;
    for (int i = 0; i < WS_MAX_SRC; i++)
        if (n->src[i]) {
            ws_graph_expand(g, n->src[i]);
            n->src[i]->uses++;
        }
    ws_list_add(g, n->op == WS_OP_NONE ? &g->leaves : &g->nodes, n);
}

/* ---- sizes ---- */

static uint64_t mul(ws_graph *g, uint64_t a, uint64_t b) {
    uint64_t product = 0;
    if (ws_mul_overflows(a, b, &product) || product >> 62) {
        ws_graph_fail(g, WS_FORMAT, "the model's sizes are too large: a temporary result has over 2^62 bytes");
        return 0;
    }
    return product;
}

uint64_t ws_row_bytes(ws_dtype type, uint64_t elements) {
    const ws_dtype_info *t = ws_dtype_get(type);
    return elements / t->block_elements * t->block_bytes;
}

uint64_t ws_node_elements(const ws_node *n) { return n->ne[0] * n->ne[1] * n->ne[2] * n->ne[3]; }
uint64_t ws_node_rows(const ws_node *n) { return n->ne[1] * n->ne[2] * n->ne[3]; }

uint64_t ws_node_bytes(const ws_node *n) {
    const uint64_t block = ws_dtype_get(n->type)->block_elements;
    for (int i = 0; i < 4; i++)
        if (!n->ne[i]) return 0;
    uint64_t bytes =
        block == 1 ? ws_dtype_get(n->type)->block_bytes + (n->ne[0] - 1) * n->nb[0] : n->ne[0] * n->nb[0] / block;
    for (int i = 1; i < 4; i++) bytes += (n->ne[i] - 1) * n->nb[i];
    return bytes;
}

bool ws_node_contiguous_above(const ws_node *n, int first) {
    const ws_dtype_info *t = ws_dtype_get(n->type);
    uint64_t next = t->block_bytes;
    if (n->ne[0] != t->block_elements && n->nb[0] != next) return false;
    next *= n->ne[0] / t->block_elements;
    for (int i = 1; i < 4; i++) {
        if (i > first && n->ne[i] != 1 && n->nb[i] != next) return false;
        next = i > first ? next * n->ne[i] : n->ne[i] * n->nb[i];
    }
    return true;
}

bool ws_node_contiguous(const ws_node *n) { return ws_node_contiguous_above(n, 0); }

bool ws_node_contiguous_rows(const ws_node *n) {
    const ws_dtype_info *t = ws_dtype_get(n->type);
    return n->ne[0] == t->block_elements || n->nb[0] == t->block_bytes;
}

bool ws_node_same_shape(const ws_node *a, const ws_node *b) { return memcmp(a->ne, b->ne, sizeof a->ne) == 0; }

bool ws_node_same_layout(const ws_node *a, const ws_node *b) {
    return a->type == b->type && ws_node_same_shape(a, b) && memcmp(a->nb, b->nb, sizeof a->nb) == 0;
}

/* ---- tensors ---- */

/* Packed strides for the shape. */
static void pack(ws_graph *g, ws_node *n) {
    const ws_dtype_info *t = ws_dtype_get(n->type);
    n->nb[0] = t->block_bytes;
    n->nb[1] = mul(g, n->nb[0], n->ne[0] / t->block_elements);
    for (int i = 2; i < 4; i++) n->nb[i] = mul(g, n->nb[i - 1], n->ne[i - 1]);
    mul(g, n->nb[3], n->ne[3]);
}

ws_node *ws_op_tensor(ws_graph *g, ws_dtype type, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t ne3) {
    ws_node *n = create(g);
    n->type = type;
    n->ne[0] = ne0, n->ne[1] = ne1, n->ne[2] = ne2, n->ne[3] = ne3;
    pack(g, n);
    return n;
}

ws_node *ws_op_input(ws_graph *g, ws_dtype type, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t ne3) {
    ws_node *n = ws_op_tensor(g, type, ne0, ne1, ne2, ne3);
    n->flags |= WS_NODE_INPUT;
    return n;
}

ws_node *ws_node_duplicate(ws_graph *g, const ws_node *n) {
    ws_node *d = ws_op_tensor(g, n->type, n->ne[0], n->ne[1], n->ne[2], n->ne[3]);
    memcpy(d->nb, n->nb, sizeof d->nb);
    return d;
}

ws_node *ws_node_view_of(ws_graph *g, ws_node *n) {
    ws_node *v = ws_node_duplicate(g, n);
    v->base = n->base ? n->base : n;
    v->offset = n->offset;
    return v;
}

static ws_node *result(ws_graph *g, ws_gop op, ws_node *a, ws_node *b, uint64_t ne0, uint64_t ne1, uint64_t ne2,
                       uint64_t ne3) {
    ws_node *n = ws_op_tensor(g, WS_TYPE_F32, ne0, ne1, ne2, ne3);
    n->op = op;
    n->src[0] = a, n->src[1] = b;
    return n;
}

/* ---- operations ---- */

ws_node *ws_op_same(ws_graph *g, ws_gop op, ws_node *a, ws_node *b) {
    ws_node *n = result(g, op, a, b, a->ne[0], a->ne[1], a->ne[2], a->ne[3]);
    n->type = a->type;
    pack(g, n);
    return n;
}

ws_node *ws_op_unary(ws_graph *g, ws_unary u, ws_node *a) {
    ws_node *n = ws_op_same(g, WS_OP_UNARY, a, NULL);
    n->unary = u;
    return n;
}

ws_node *ws_op_mul_mat(ws_graph *g, ws_node *a, ws_node *b) {
    return result(g, WS_OP_MUL_MAT, a, b, a->ne[1], b->ne[1], b->ne[2], b->ne[3]);
}

ws_node *ws_op_mul_mat_id(ws_graph *g, ws_node *as, ws_node *b, ws_node *ids) {
    ws_node *n = result(g, WS_OP_MUL_MAT_ID, as, b, as->ne[1], ids->ne[0], b->ne[2], 1);
    n->src[2] = ids;
    return n;
}

ws_node *ws_op_get_rows(ws_graph *g, ws_node *a, ws_node *ids) {
    return result(g, WS_OP_GET_ROWS, a, ids, a->ne[0], ids->ne[0], ids->ne[1], ids->ne[2]);
}

ws_node *ws_op_set_rows(ws_graph *g, ws_node *a, ws_node *b, ws_node *ids) {
    ws_node *n = ws_node_view_of(g, a);
    n->op = WS_OP_SET_ROWS;
    n->src[0] = b, n->src[1] = ids, n->src[2] = a;
    return n;
}

ws_node *ws_op_cpy(ws_graph *g, ws_node *a, ws_node *b) {
    ws_node *n = ws_node_view_of(g, b);
    n->op = WS_OP_CPY;
    n->src[0] = a, n->src[1] = b;
    return n;
}

ws_node *ws_op_scale_inplace(ws_graph *g, ws_node *a) {
    ws_node *n = ws_node_view_of(g, a);
    n->op = WS_OP_SCALE;
    n->src[0] = a;
    return n;
}

ws_node *ws_op_cast(ws_graph *g, ws_node *a, ws_dtype type) {
    ws_node *n = ws_op_same(g, WS_OP_CPY, a, NULL);
    n->type = type;
    pack(g, n);
    return n;
}

ws_node *ws_op_cont(ws_graph *g, ws_node *a) { return ws_op_cont_4d(g, a, a->ne[0], a->ne[1], a->ne[2], a->ne[3]); }

ws_node *ws_op_cont_4d(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t ne3) {
    ws_node *n = result(g, WS_OP_CONT, a, NULL, ne0, ne1, ne2, ne3);
    n->type = a->type;
    pack(g, n);
    return n;
}

ws_node *ws_op_concat(ws_graph *g, ws_node *a, ws_node *b, int dim) {
    uint64_t ne[4];
    memcpy(ne, a->ne, sizeof ne);
    ne[dim] += b->ne[dim];
    return result(g, WS_OP_CONCAT, a, b, ne[0], ne[1], ne[2], ne[3]);
}

ws_node *ws_op_repeat_4d(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t ne3) {
    return result(g, WS_OP_REPEAT, a, NULL, ne0, ne1, ne2, ne3);
}

ws_node *ws_op_pad(ws_graph *g, ws_node *a, uint64_t p0) {
    return result(g, WS_OP_PAD, a, NULL, a->ne[0] + p0, a->ne[1], a->ne[2], a->ne[3]);
}

ws_node *ws_op_sum_rows(ws_graph *g, ws_node *a) {
    return result(g, WS_OP_SUM_ROWS, a, NULL, 1, a->ne[1], a->ne[2], a->ne[3]);
}

ws_node *ws_op_mean(ws_graph *g, ws_node *a) { return result(g, WS_OP_MEAN, a, NULL, 1, a->ne[1], a->ne[2], a->ne[3]); }

ws_node *ws_op_glu(ws_graph *g, ws_node *a, ws_node *b) {
    return result(g, WS_OP_GLU, a, b, b ? a->ne[0] : a->ne[0] / 2, a->ne[1], a->ne[2], a->ne[3]);
}

ws_node *ws_op_argsort_top_k(ws_graph *g, ws_node *a, uint64_t k) {
    ws_node *n = result(g, WS_OP_ARGSORT, a, NULL, a->ne[0], a->ne[1], a->ne[2], a->ne[3]);
    n->type = WS_TYPE_I32;
    pack(g, n);
    const uint64_t ne[4] = {k, n->ne[1], n->ne[2], n->ne[3]};
    return ws_op_view(g, n, ne, n->nb[1], n->nb[2], n->nb[3], 0);
}

ws_node *ws_op_soft_max(ws_graph *g, ws_node *a, ws_node *mask, ws_node *sinks) {
    ws_node *n = ws_op_same(g, WS_OP_SOFT_MAX, a, mask);
    n->src[2] = sinks;
    return n;
}

ws_node *ws_op_flash_attn(ws_graph *g, ws_node *q, ws_node *k, ws_node *v, ws_node *mask, ws_node *sinks) {
    ws_node *n = result(g, WS_OP_FLASH_ATTN, q, k, v->ne[0], q->ne[2], q->ne[1], q->ne[3]);
    n->src[2] = v, n->src[3] = mask, n->src[4] = sinks;
    return n;
}

ws_node *ws_op_ssm_conv(ws_graph *g, ws_node *x, ws_node *kernel) {
    const uint64_t before = kernel->ne[0] - 1;
    return result(g, WS_OP_SSM_CONV, x, kernel, kernel->ne[1], x->ne[0] > before ? x->ne[0] - before : 0, x->ne[2], 1);
}

ws_node *ws_op_ssm_scan(ws_graph *g, ws_node *s, ws_node *x, ws_node *dt, ws_node *a, ws_node *b, ws_node *c,
                        ws_node *ids) {
    const uint64_t states = mul(g, mul(g, s->ne[0], s->ne[1]), mul(g, s->ne[2], ids->ne[0]));
    ws_node *n = result(g, WS_OP_SSM_SCAN, s, x, ws_node_elements(x) + states, 1, 1, 1);
    n->src[2] = dt, n->src[3] = a, n->src[4] = b, n->src[5] = c, n->src[6] = ids;
    return n;
}

ws_node *ws_op_gated_delta_net(ws_graph *g, ws_node *q, ws_node *k, ws_node *v, ws_node *gate, ws_node *beta,
                               ws_node *state) {
    const uint64_t rows = mul(g, v->ne[2], v->ne[3]) + mul(g, v->ne[0], v->ne[3]);
    ws_node *n = result(g, WS_OP_GATED_DELTA_NET, q, k, mul(g, v->ne[0], v->ne[1]), rows, 1, 1);
    n->src[2] = v, n->src[3] = gate, n->src[4] = beta, n->src[5] = state;
    return n;
}

/* ---- views ---- */

static ws_node *view(ws_graph *g, ws_gop op, ws_node *a) {
    ws_node *n = ws_node_view_of(g, a);
    n->op = op;
    n->src[0] = a;
    return n;
}

ws_node *ws_op_reshape(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t ne3) {
    ws_node *n = view(g, WS_OP_RESHAPE, a);
    n->ne[0] = ne0, n->ne[1] = ne1, n->ne[2] = ne2, n->ne[3] = ne3;
    pack(g, n);
    return n;
}

ws_node *ws_op_permute(ws_graph *g, ws_node *a, int a0, int a1, int a2, int a3) {
    const int to[4] = {a0, a1, a2, a3};
    ws_node *n = view(g, WS_OP_PERMUTE, a);
    for (int i = 0; i < 4; i++) n->ne[to[i]] = a->ne[i], n->nb[to[i]] = a->nb[i];
    return n;
}

ws_node *ws_op_transpose(ws_graph *g, ws_node *a) {
    ws_node *n = ws_op_permute(g, a, 1, 0, 2, 3);
    n->op = WS_OP_TRANSPOSE;
    return n;
}

ws_node *ws_op_view(ws_graph *g, ws_node *a, const uint64_t ne[4], uint64_t nb1, uint64_t nb2, uint64_t nb3,
                    uint64_t offset) {
    ws_node *n = view(g, WS_OP_VIEW, a);
    memcpy(n->ne, ne, sizeof n->ne);
    n->nb[0] = ws_dtype_get(n->type)->block_bytes;
    n->nb[1] = nb1, n->nb[2] = nb2, n->nb[3] = nb3;
    n->offset += offset;
    mul(g, nb3, ne[3]);
    return n;
}

ws_node *ws_op_view_1d(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t offset) {
    const uint64_t row = ws_row_bytes(a->type, ne0), ne[4] = {ne0, 1, 1, 1};
    return ws_op_view(g, a, ne, row, row, row, offset);
}

ws_node *ws_op_view_2d(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t ne1, uint64_t nb1, uint64_t offset) {
    const uint64_t all = mul(g, nb1, ne1), ne[4] = {ne0, ne1, 1, 1};
    return ws_op_view(g, a, ne, nb1, all, all, offset);
}

ws_node *ws_op_view_3d(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t nb1, uint64_t nb2,
                       uint64_t offset) {
    const uint64_t ne[4] = {ne0, ne1, ne2, 1};
    return ws_op_view(g, a, ne, nb1, nb2, mul(g, nb2, ne2), offset);
}
