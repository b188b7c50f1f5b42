/* Source: llama.cpp's ggml-cuda.cu and fattn.cu (buffer type, supports_op, choice of the flash attention kernel) for a
 * card of the Ada generation, which newer ones share. */
#include "machine.h"

enum {
    DEVICE_ALIGNMENT = 128,
    HOST_ALIGNMENT = 32,
    ROW_PAD = 512,   /* CUDA kernels read quantized rows in steps of this many elements */
    KQ_STRIDE = 256, /* cells that flash attention takes at a time */
    CONV_THREADS = 128,
};

static bool quantized(const ws_node *n) { return ws_dtype_is_quantized(n->type); }

/* ---- flash attention ---- */

typedef enum { NO_KERNEL, VECTOR_KERNEL, TENSOR_KERNEL } kernel;

/* Heads of K that have kernels, the heads of V that go with them (0: the same), and what the number of query heads
 * per KV head must be a multiple of. */
static const struct {
    uint16_t k, v, group;
} heads[] = {{40, 0, 0},  {64, 0, 0},  {72, 0, 0},    {80, 0, 0},     {96, 0, 0},  {112, 0, 0},
             {128, 0, 0}, {256, 0, 0}, {192, 128, 8}, {320, 256, 32}, {512, 0, 1}, {576, 512, 1}};

static bool has_kernel(const ws_node *q, const ws_node *k, const ws_node *v, bool grouped) {
    const uint64_t group = k->ne[2] ? q->ne[2] / k->ne[2] : 0;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (heads[i].k == k->ne[0])
            return v->ne[0] == (heads[i].v ? heads[i].v : k->ne[0]) &&
                   (!heads[i].group || (grouped && group % heads[i].group == 0));
    return false;
}

static bool cache_type_has_kernel(ws_dtype t) {
    switch (t) {
    case WS_TYPE_F32:
    case WS_TYPE_F16:
    case WS_TYPE_BF16:
    case WS_TYPE_Q4_0:
    case WS_TYPE_Q4_1:
    case WS_TYPE_Q5_0:
    case WS_TYPE_Q5_1:
    case WS_TYPE_Q8_0: return true;
    default: return false;
    }
}

/* Several query heads share the work on one KV head: needs a mask and strides in steps of 16 bytes. */
static bool groups(const ws_node *n) {
    const ws_node *q = n->src[0], *k = n->src[1], *mask = n->src[3];
    if (!mask || !k->ne[2] || q->ne[2] / k->ne[2] < 2 || k->ne[1] % KQ_STRIDE) return false;
    for (int s = 0; s < 4; s++)
        for (int i = 1; i < 4; i++)
            if (!quantized(n->src[s]) && n->src[s]->nb[i] % 16) return false;
    return true;
}

static kernel pick_kernel(const ws_node *n) {
    const ws_node *q = n->src[0], *k = n->src[1], *v = n->src[2];
    const bool grouped = groups(n);
    if (!has_kernel(q, k, v, grouped) || !cache_type_has_kernel(k->type) || !cache_type_has_kernel(v->type))
        return NO_KERNEL;
    const bool vector = q->ne[0] <= 256 && q->ne[0] % 64 == 0 && q->ne[0] != 192 && k->ne[1] % KQ_STRIDE == 0;
    if (!vector) return TENSOR_KERNEL;
    if (quantized(k) || quantized(v)) return q->ne[1] <= 2 ? VECTOR_KERNEL : TENSOR_KERNEL;
    if (q->ne[1] != 1) return TENSOR_KERNEL;
    const bool many = k->ne[2] && q->ne[2] / k->ne[2] > 4 && (q->ne[0] >= 256 || k->ne[1] >= 8192);
    return !grouped || (q->ne[3] == 1 && !many) ? VECTOR_KERNEL : TENSOR_KERNEL;
}

/* The result, and behind it K and V in f16 when they are stored in another type: the tensor kernels read only that. */
static uint64_t attention_bytes(const ws_node *n) {
    const ws_node *k = n->src[1], *v = n->src[2];
    uint64_t end = ws_node_bytes(n);
    if (pick_kernel(n) != TENSOR_KERNEL) return end;
    const bool v_in_k = v->base && v->base == k->base && v->offset == k->offset;
    if (k->type != WS_TYPE_F16) end = (end + 127) / 128 * 128 + ws_node_elements(k) * 2;
    if (v->type != WS_TYPE_F16 && !v_in_k) end = (end + 127) / 128 * 128 + ws_node_elements(v) * 2;
    return end;
}

/* ---- memory ---- */

static uint64_t row_padding(ws_dtype type, uint64_t row_elements) {
    const uint64_t rest = row_elements % ROW_PAD;
    return ws_dtype_is_quantized(type) && rest ? ws_row_bytes(type, ROW_PAD - rest) : 0;
}

uint64_t ws_machine_stored_bytes(const ws_machine *m, int b, ws_dtype type, uint64_t row_elements, uint64_t bytes) {
    return b == ws_machine_cpu(m) ? bytes : bytes + row_padding(type, row_elements);
}

uint64_t ws_machine_bytes(const ws_machine *m, int b, const ws_node *n) {
    if (b == ws_machine_cpu(m)) return ws_node_bytes(n);
    if (n->op == WS_OP_FLASH_ATTN) return attention_bytes(n);
    return ws_node_bytes(n) + row_padding(n->type, n->ne[0]);
}

uint64_t ws_machine_alignment(const ws_machine *m, int b) {
    return b == ws_machine_cpu(m) ? HOST_ALIGNMENT : DEVICE_ALIGNMENT;
}

/* ---- operations ---- */

static bool float16_or_32(const ws_node *n) { return n->type == WS_TYPE_F32 || n->type == WS_TYPE_F16; }

bool ws_gpu_multiplies(ws_dtype type) {
    switch (type) {
    case WS_TYPE_TQ1_0:
    case WS_TYPE_TQ2_0:
    case WS_TYPE_Q8_1:
    case WS_TYPE_I8:
    case WS_TYPE_I16:
    case WS_TYPE_I32:
    case WS_TYPE_I64:
    case WS_TYPE_F64: return false;
    default: return true;
    }
}

static bool can_get_rows(const ws_node *a) {
    switch (a->type) {
    case WS_TYPE_IQ4_NL:
    case WS_TYPE_MXFP4: return a->ne[0] % 256 == 0;
    case WS_TYPE_NVFP4:
    case WS_TYPE_Q8_K: return false;
    case WS_TYPE_I32: return true;
    default: return ws_gpu_multiplies(a->type);
    }
}

static bool can_multiply(const ws_node *n) {
    const ws_node *a = n->src[0], *b = n->src[1];
    if (a->nb[0] != ws_dtype_get(a->type)->block_bytes || b->nb[0] != ws_dtype_get(b->type)->block_bytes) return false;
    if (b->type == WS_TYPE_F16 && a->type != WS_TYPE_F16) return false;
    return ws_gpu_multiplies(a->type);
}

bool ws_gpu_convolves(uint64_t channels) { return channels % CONV_THREADS == 0; }

bool ws_gpu_scans(bool mamba2, uint64_t state, uint64_t head, uint64_t n_heads, uint64_t n_groups) {
    if (mamba2) return (state == 96 || state == 128 || state == 256) && head % 16 == 0;
    return state == 16 && head == 1 && n_heads % 128 == 0 && n_groups == 1;
}

static bool can_scan(const ws_node *n) {
    const ws_node *s = n->src[0];
    return ws_gpu_scans(n->src[3]->ne[0] == 1, s->ne[0], s->ne[1], s->ne[2], n->src[4]->ne[1]);
}

static bool can_store_rows(const ws_node *n) {
    if (n->src[0]->type == WS_TYPE_F16) return n->type == WS_TYPE_F16;
    return n->src[0]->type == WS_TYPE_F32 && (cache_type_has_kernel(n->type) || n->type == WS_TYPE_IQ4_NL);
}

static bool gpu_computes(const ws_node *n) {
    const ws_node *a = n->src[0], *b = n->src[1];
    switch (n->op) {
    case WS_OP_UNARY: return ws_node_contiguous(a);
    case WS_OP_GLU: return ws_node_contiguous_above(a, 1);
    case WS_OP_MUL_MAT:
    case WS_OP_MUL_MAT_ID: return can_multiply(n);
    case WS_OP_GET_ROWS: return can_get_rows(a);
    case WS_OP_SET_ROWS: return can_store_rows(n);
    case WS_OP_REPEAT: return float16_or_32(a);
    case WS_OP_NORM:
    case WS_OP_RMS_NORM:
    case WS_OP_L2_NORM:
    case WS_OP_SUM_ROWS:
    case WS_OP_MEAN: return ws_node_contiguous_rows(a);
    case WS_OP_ADD:
    case WS_OP_SUB:
    case WS_OP_MUL:
    case WS_OP_DIV: return float16_or_32(a) && float16_or_32(b) && float16_or_32(n);
    case WS_OP_SSM_SCAN: return can_scan(n);
    case WS_OP_SSM_CONV: return ws_gpu_convolves(a->ne[1]);
    case WS_OP_ROPE: return a->nb[0] == ws_dtype_get(a->type)->block_bytes && ws_node_contiguous_above(a, 2);
    case WS_OP_FLASH_ATTN: return pick_kernel(n) != NO_KERNEL;
    default: return true;
    }
}

bool ws_machine_supports(const ws_machine *m, int b, const ws_node *n) {
    if (b == ws_machine_cpu(m)) return true;
    if (n->flags & WS_NODE_CPU_ONLY) return false;
    for (int i = 0; i < WS_MAX_SRC; i++) {
        const int home = n->src[i] ? n->src[i]->home : -1;
        if (home >= 0 && home != ws_machine_cpu(m) && home != b) return false;
    }
    return gpu_computes(n);
}

bool ws_machine_offloads(const ws_node *n) {
    switch (n->op) {
    case WS_OP_GET_ROWS: return false;
    case WS_OP_MUL_MAT: return n->ne[1] >= WS_OFFLOAD_TOKENS;
    case WS_OP_MUL_MAT_ID:
    case WS_OP_ROPE: return n->ne[2] >= WS_OFFLOAD_TOKENS;
    default: return ws_node_rows(n) >= WS_OFFLOAD_TOKENS;
    }
}
