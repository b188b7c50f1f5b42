/* graph.h - the graph of a forward pass, by shape alone: what ggml would compute, in ggml's order, without any data.
 * Its nodes carry what decides memory: sizes, strides, who reads whom, who is a view of whom.
 *
 * Shapes: ne[0] is the fastest dimension, nb[] are strides in bytes. Builders return a node of the graph; when memory
 * runs out or a size does not fit 64 bits the graph remembers that (`failed`) and hands out a dummy, so that callers
 * check once, at the end. */
#ifndef WS_GRAPH_H
#define WS_GRAPH_H

#include "dtype.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    WS_OP_NONE,
    WS_OP_VIEW,
    WS_OP_RESHAPE,
    WS_OP_PERMUTE,
    WS_OP_TRANSPOSE, /* up to here: no computation */
    WS_OP_ADD,
    WS_OP_ADD_ID,
    WS_OP_SUB,
    WS_OP_MUL,
    WS_OP_DIV,
    WS_OP_SQR,
    WS_OP_SQRT,
    WS_OP_SCALE,
    WS_OP_UNARY,
    WS_OP_ROPE,
    WS_OP_RMS_NORM,
    WS_OP_CLAMP,
    WS_OP_SOFT_MAX,
    WS_OP_FILL, /* from ADD to here: may write over a source of the same layout */
    WS_OP_NORM,
    WS_OP_L2_NORM,
    WS_OP_MUL_MAT,
    WS_OP_MUL_MAT_ID,
    WS_OP_GET_ROWS,
    WS_OP_SET_ROWS,
    WS_OP_CPY,
    WS_OP_CONT,
    WS_OP_CONCAT,
    WS_OP_PAD,
    WS_OP_REPEAT,
    WS_OP_SUM_ROWS,
    WS_OP_MEAN,
    WS_OP_ARGSORT,
    WS_OP_GLU,
    WS_OP_FLASH_ATTN,
    WS_OP_SSM_CONV,
    WS_OP_SSM_SCAN,
    WS_OP_GATED_DELTA_NET,
} ws_gop;

/* Which unary function, where it matters to the fusion of expert routing. */
typedef enum { WS_UNARY_OTHER, WS_UNARY_SIGMOID, WS_UNARY_SOFTPLUS } ws_unary;

enum { WS_MAX_SRC = 10, WS_NODE_INPUT = 1, WS_NODE_OUTPUT = 2, WS_NODE_CPU_ONLY = 4 };

typedef struct ws_node ws_node;
struct ws_node {
    uint64_t ne[4], nb[4];
    ws_dtype type;
    ws_gop op;
    ws_unary unary;
    unsigned flags;
    bool weight;     /* stored with the model */
    bool seen;       /* part of the graph already */
    int8_t home;     /* backend whose memory holds it beforehand (weights, caches); -1: none, the allocator places it */
    int8_t backend;  /* chosen by the scheduler; -1: not yet */
    int16_t layer;   /* flash attention: of which layer */
    uint64_t offset; /* views: bytes into `base` */
    uint32_t uses;   /* how many nodes of the graph read it */
    ws_node *base;   /* views: the tensor that owns the memory, never a view itself */
    ws_node *copies; /* copies on other backends, chained by next_copy */
    ws_node *next_copy;
    int8_t copy_backend;
    uint8_t copy_index;
    ws_node *src[WS_MAX_SRC];
    /* the allocator's */
    bool allocated;
    int8_t buffer;
    uint32_t children, views;
    uint64_t address;
};

typedef struct {
    ws_node **node;
    size_t n, cap;
} ws_node_list;

typedef struct {
    ws_node_list nodes, leaves; /* in the order of evaluation */
    struct ws_node_block *blocks;
    size_t n_created;
    ws_status failed;
    ws_error err;
    ws_node dummy;
} ws_graph;

void ws_graph_init(ws_graph *g);
void ws_graph_free(ws_graph *g);

/* Remember the first failure. */
void ws_graph_fail(ws_graph *g, ws_status code, const char *fmt, ...) WS_PRINTF(3, 4);
void ws_list_add(ws_graph *g, ws_node_list *l, ws_node *n);

/* Put `n` and all it depends on into the graph, in ggml's order: sources first, from left to right. */
void ws_graph_expand(ws_graph *g, ws_node *n);

/* ---- sizes ---- */

uint64_t ws_node_elements(const ws_node *n);
uint64_t ws_node_rows(const ws_node *n);
uint64_t ws_node_bytes(const ws_node *n); /* from the first to the last element */
uint64_t ws_row_bytes(ws_dtype type, uint64_t elements);
bool ws_node_contiguous(const ws_node *n);
bool ws_node_contiguous_rows(const ws_node *n);             /* elements of a row are adjacent */
bool ws_node_contiguous_above(const ws_node *n, int first); /* dimensions above `first` are packed */
bool ws_node_same_layout(const ws_node *a, const ws_node *b);
bool ws_node_same_shape(const ws_node *a, const ws_node *b);
static inline bool ws_node_is_view_op(const ws_node *n) { return n->op >= WS_OP_VIEW && n->op <= WS_OP_TRANSPOSE; }

/* ---- tensors that exist before the graph runs ---- */

ws_node *ws_op_tensor(ws_graph *g, ws_dtype type, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t ne3);
ws_node *ws_op_input(ws_graph *g, ws_dtype type, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t ne3);
ws_node *ws_node_duplicate(ws_graph *g, const ws_node *n); /* same type, shape and strides, nothing else */
ws_node *ws_node_view_of(ws_graph *g, ws_node *n);         /* a view of all of it, without an operation */

/* ---- operations, named as in ggml ---- */

ws_node *ws_op_same(ws_graph *g, ws_gop op, ws_node *a, ws_node *b); /* result like a: add, mul, norm, rope, ... */
ws_node *ws_op_unary(ws_graph *g, ws_unary u, ws_node *a);
ws_node *ws_op_mul_mat(ws_graph *g, ws_node *a, ws_node *b);
ws_node *ws_op_mul_mat_id(ws_graph *g, ws_node *as, ws_node *b, ws_node *ids);
ws_node *ws_op_get_rows(ws_graph *g, ws_node *a, ws_node *ids);
ws_node *ws_op_set_rows(ws_graph *g, ws_node *a, ws_node *b, ws_node *ids);
ws_node *ws_op_cpy(ws_graph *g, ws_node *a, ws_node *b);
ws_node *ws_op_scale_inplace(ws_graph *g, ws_node *a);
ws_node *ws_op_cast(ws_graph *g, ws_node *a, ws_dtype type);
ws_node *ws_op_cont(ws_graph *g, ws_node *a);
ws_node *ws_op_cont_4d(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t ne3);
ws_node *ws_op_concat(ws_graph *g, ws_node *a, ws_node *b, int dim);
ws_node *ws_op_repeat_4d(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t ne3);
ws_node *ws_op_pad(ws_graph *g, ws_node *a, uint64_t p0);
ws_node *ws_op_sum_rows(ws_graph *g, ws_node *a);
ws_node *ws_op_mean(ws_graph *g, ws_node *a);
ws_node *ws_op_glu(ws_graph *g, ws_node *a, ws_node *b);           /* b NULL: both halves in a */
ws_node *ws_op_argsort_top_k(ws_graph *g, ws_node *a, uint64_t k); /* [k, ...] of I32 */
ws_node *ws_op_soft_max(ws_graph *g, ws_node *a, ws_node *mask, ws_node *sinks);
ws_node *ws_op_flash_attn(ws_graph *g, ws_node *q, ws_node *k, ws_node *v, ws_node *mask, ws_node *sinks);
ws_node *ws_op_ssm_conv(ws_graph *g, ws_node *x, ws_node *kernel);
ws_node *ws_op_ssm_scan(ws_graph *g, ws_node *s, ws_node *x, ws_node *dt, ws_node *a, ws_node *b, ws_node *c,
                        ws_node *ids);
ws_node *ws_op_gated_delta_net(ws_graph *g, ws_node *q, ws_node *k, ws_node *v, ws_node *gate, ws_node *beta,
                               ws_node *state);
ws_node *ws_op_reshape(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t ne3);
ws_node *ws_op_permute(ws_graph *g, ws_node *a, int a0, int a1, int a2, int a3);
ws_node *ws_op_transpose(ws_graph *g, ws_node *a);
/* Strides nb1..nb3 and offset in bytes. */
ws_node *ws_op_view(ws_graph *g, ws_node *a, const uint64_t ne[4], uint64_t nb1, uint64_t nb2, uint64_t nb3,
                    uint64_t offset);
ws_node *ws_op_view_1d(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t offset);
ws_node *ws_op_view_2d(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t ne1, uint64_t nb1, uint64_t offset);
ws_node *ws_op_view_3d(ws_graph *g, ws_node *a, uint64_t ne0, uint64_t ne1, uint64_t ne2, uint64_t nb1, uint64_t nb2,
                       uint64_t offset);

#endif
