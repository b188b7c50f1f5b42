/* Sources: llama.cpp 0c1e570 (llama-model-loader, llama-kv-cache, llama-kv-cache-iswa, llama-memory-recurrent,
 * ggml-cuda's buffer type), checked against what it allocates for 24 models (tests/conformance/check_vram.py). */
#include "estimate.h"

#include "alloc.h"

#include <inttypes.h>
#include <string.h>

enum {
    CTX_PAD = 256,          /* contexts are rounded up to this */
    DEVICE_ALIGNMENT = 128, /* of a tensor in CUDA memory */
    HOST_ALIGNMENT = 32,
    ROW_PAD = 512,     /* CUDA kernels read quantized rows in steps of this many elements */
    MIN_ROTATION = 64, /* quantized caches are rotated by Hadamard matrices of this size and up */
    FLOAT = 4,
    HALF = 2,
    INDEX = 8,
};

/* ---- sums that notice overflow; `bad` sticks ---- */

typedef struct {
    const ws_est_model *m;
    const ws_est_options *o;
    ws_estimate *e;
    uint64_t ubatch; /* tokens computed at a time */
    bool bad;
} sizes;

static uint64_t add(sizes *s, uint64_t a, uint64_t b) {
    uint64_t sum = 0;
    s->bad |= ws_add_overflows(a, b, &sum);
    return sum;
}

static uint64_t mul(sizes *s, uint64_t a, uint64_t b) {
    uint64_t product = 0;
    s->bad |= ws_mul_overflows(a, b, &product);
    return product;
}

static uint64_t pad(sizes *s, uint64_t v, uint64_t to) { return add(s, v, to - 1) & ~(to - 1); }

static uint64_t max(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t min(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* ---- weights ---- */

/* Bytes that CUDA adds behind a tensor whose quantized rows do not end on a multiple of ROW_PAD elements. */
static uint64_t row_padding(ws_dtype type, uint64_t row_elements) {
    const ws_dtype_info *info = ws_dtype_get(type);
    const uint64_t rest = row_elements % ROW_PAD;
    return info->block_elements > 1 && rest ? (ROW_PAD - rest) / info->block_elements * info->block_bytes : 0;
}

static uint64_t on_device(sizes *s, ws_dtype type, uint64_t row_elements, uint64_t bytes) {
    return pad(s, add(s, bytes, row_padding(type, row_elements)), DEVICE_ALIGNMENT);
}

static void add_weights(sizes *s) {
    for (size_t i = 0; i < s->m->n_tensors; i++) {
        const ws_est_tensor *t = &s->m->tensors[i];
        if (t->place != WS_PLACE_INPUT)
            s->e->device.weights = add(s, s->e->device.weights, on_device(s, t->type, t->row_elements, t->bytes));
        if (t->place != WS_PLACE_LAYERS)
            s->e->host.weights = add(s, s->e->host.weights, pad(s, t->bytes, HOST_ALIGNMENT));
    }
}

/* ---- KV cache ---- */

static void round_context(sizes *s) {
    const ws_est_options *o = s->o;
    const bool split = !o->unified && o->n_seq > 1;
    s->e->n_ctx = pad(s, o->n_ctx, CTX_PAD);
    s->e->n_streams = split ? o->n_seq : 1;
    s->e->n_ctx_seq = split ? pad(s, s->e->n_ctx / o->n_seq, CTX_PAD) : s->e->n_ctx;
    s->ubatch = min(min(o->n_ubatch, o->n_batch), s->e->n_ctx);
}

/* Sliding layers keep the window of every sequence that shares the cache, and the tokens being computed. */
static uint64_t sliding_cells(sizes *s) {
    const ws_est_options *o = s->o;
    if (o->swa_full) return s->e->n_ctx_seq;
    const uint64_t windows = mul(s, s->m->window, o->unified ? o->n_seq : 1);
    return pad(s, min(s->e->n_ctx_seq, add(s, windows, min(o->n_ubatch, o->n_batch))), CTX_PAD);
}

/* K or V of one layer. A width of whole heads is a multiple of the block (checked). */
static uint64_t plane(sizes *s, ws_dtype type, uint64_t width, uint64_t cells) {
    const ws_dtype_info *info = ws_dtype_get(type);
    const uint64_t row = mul(s, width / info->block_elements, info->block_bytes);
    const uint64_t bytes = mul(s, row, mul(s, cells, s->e->n_streams));
    return width ? on_device(s, type, width, bytes) : 0;
}

static uint64_t state(sizes *s, uint64_t elements) {
    return pad(s, mul(s, mul(s, elements, FLOAT), max(s->o->n_seq, 1)), DEVICE_ALIGNMENT);
}

/* Without flash attention V lies transposed, and all layers take the widest one's row. */
static uint64_t widest_v(const ws_est_model *m) {
    uint64_t widest = 0;
    for (size_t i = 0; i < m->n_layers; i++) widest = max(widest, m->layers[i].v_width);
    return widest;
}

static void add_cache(sizes *s) {
    ws_estimate *e = s->e;
    e->full.cells = e->n_ctx_seq;
    e->sliding.cells = sliding_cells(s);
    const uint64_t v_all = s->o->flash_attn ? 0 : widest_v(s->m);
    for (size_t i = 0; i < s->m->n_layers; i++) {
        const ws_est_layer *layer = &s->m->layers[i];
        ws_est_cache *cache = layer->sliding ? &e->sliding : &e->full;
        const uint64_t v_width = layer->v_width ? max(layer->v_width, v_all) : 0;
        if (layer->k_width) {
            cache->n_layers++;
            cache->bytes = add(s, cache->bytes, plane(s, s->o->type_k, layer->k_width, cache->cells));
            cache->bytes = add(s, cache->bytes, plane(s, s->o->type_v, v_width, cache->cells));
        }
        if (layer->ssm_state) {
            e->recurrent.n_layers++;
            e->recurrent.bytes = add(s, e->recurrent.bytes, state(s, layer->conv_state));
            e->recurrent.bytes = add(s, e->recurrent.bytes, state(s, layer->ssm_state));
        }
    }
    e->device.kv_cache = add(s, add(s, e->full.bytes, e->sliding.bytes), e->recurrent.bytes);
}

/* ---- compute buffers ----
 * The graph allocator reuses memory of results that are no longer needed, so the buffer is as large as the worst
 * moment of the graph: inputs that live throughout (mask, indices), plus the largest set of results alive together -
 * in the feed-forward, in attention, or at the logits, for which the inputs have made room. In floats per token:
 *   feed-forward  gate, up and their product; residual, normed input; the hole that attention's Q leaves behind
 *   experts       the same for every used expert, or their outputs before they are summed
 *   attention     residual, normed input, Q, result; without flash attention the scores of every cell as well */

/* Masks and indices for one cache. */
static uint64_t cache_inputs(sizes *s, uint64_t cells) {
    const bool fa = s->o->flash_attn;
    const uint64_t mask = mul(s, mul(s, cells, s->ubatch), fa ? HALF : FLOAT);
    /* One index per token for K; for V too, or without flash attention, transposed, one for each of its elements. */
    const uint64_t v_indices = fa ? 1 : mul(s, s->m->n_head_kv, s->m->head_v);
    return add(s, mask, mul(s, mul(s, s->ubatch, INDEX), add(s, 1, v_indices)));
}

/* A quantized cache is rotated: K by the largest power of two that divides its head, V by the smallest. */
static uint64_t rotations(sizes *s) {
    uint64_t bytes = 0;
    if (ws_dtype_is_quantized(s->o->type_k) && s->m->head_k && s->m->head_k % MIN_ROTATION == 0) {
        const uint64_t n = s->m->head_k & (~s->m->head_k + 1);
        bytes = add(s, bytes, mul(s, mul(s, n, n), FLOAT));
    }
    if (ws_dtype_is_quantized(s->o->type_v) && !s->m->mla && s->m->head_v && s->m->head_v % MIN_ROTATION == 0)
        bytes = add(s, bytes, MIN_ROTATION * MIN_ROTATION * FLOAT);
    return bytes;
}

static uint64_t inputs(sizes *s) {
    uint64_t bytes = mul(s, s->ubatch, FLOAT); /* positions */
    if (s->e->full.n_layers) bytes = add(s, bytes, cache_inputs(s, s->e->full.cells));
    if (s->e->sliding.n_layers) bytes = add(s, bytes, cache_inputs(s, s->e->sliding.cells));
    return add(s, bytes, rotations(s));
}

static uint64_t q_width(sizes *s) { return mul(s, s->m->n_head, s->m->head_k); }

static uint64_t feed_forward(sizes *s) {
    const ws_est_model *m = s->m;
    const uint64_t residual = mul(s, 2, m->n_embd);
    const uint64_t q = m->flow == WS_FLOW_FUSED_QKV ? 0 : q_width(s);
    if (!m->n_expert_used) return add(s, add(s, mul(s, 3, m->n_ff), residual), q);
    const uint64_t inner = mul(s, m->n_expert_used, m->n_ff_expert), outer = mul(s, m->n_expert_used, m->n_embd);
    return max(add(s, add(s, mul(s, 3, inner), residual), q), add(s, add(s, mul(s, 2, outer), residual), inner));
}

/* Bytes. CUDA's flash attention reads a quantized cache through a copy of one layer's K and V in f16. */
static uint64_t attention(sizes *s) {
    const ws_est_model *m = s->m;
    const ws_est_options *o = s->o;
    const bool rotated = ws_dtype_is_quantized(o->type_k);
    const uint64_t cells =
        max(s->e->full.n_layers ? s->e->full.cells : 0, s->e->sliding.n_layers ? s->e->sliding.cells : 0);
    const uint64_t q = mul(s, o->flash_attn || !rotated ? 2 : 1, q_width(s));
    uint64_t floats = add(s, mul(s, 2, m->n_embd), q);
    if (!o->flash_attn) floats = add(s, floats, mul(s, m->n_head, cells));
    uint64_t bytes = mul(s, mul(s, floats, FLOAT), s->ubatch);
    if (o->flash_attn && (o->type_k != WS_TYPE_F16 || o->type_v != WS_TYPE_F16)) {
        const uint64_t pair = mul(s, m->n_head_kv, add(s, m->head_k, m->mla ? 0 : m->head_v));
        bytes = add(s, bytes, mul(s, mul(s, mul(s, cells, s->e->n_streams), pair), HALF));
    }
    return bytes;
}

/* Mamba: the two halves of its input product, the convolution's input and output, the scan's output and the gated
 * product are alive together, and per sequence the states that these carry along. */
static uint64_t mamba(sizes *s) {
    const uint64_t tokens = mul(s, mul(s, 6, s->m->d_inner), mul(s, s->ubatch, FLOAT));
    const uint64_t carried = add(s, s->m->d_state, mul(s, 2, s->m->d_conv - 1));
    return add(s, tokens, mul(s, mul(s, s->o->n_seq, FLOAT), mul(s, s->m->d_inner, carried)));
}

static uint64_t layer_results(sizes *s) {
    if (s->m->flow == WS_FLOW_MAMBA) return mamba(s);
    return max(mul(s, mul(s, feed_forward(s), FLOAT), s->ubatch), attention(s));
}

static void add_compute(sizes *s) {
    const ws_est_options *o = s->o;
    const uint64_t outputs = min(s->ubatch, o->n_outputs ? o->n_outputs : o->n_batch);
    const uint64_t wanted = pad(s, mul(s, outputs, FLOAT), DEVICE_ALIGNMENT); /* which tokens' logits */
    const uint64_t in = inputs(s);
    const uint64_t body = add(s, add(s, in, wanted), layer_results(s));
    const uint64_t logits = mul(s, mul(s, add(s, s->m->n_vocab, s->m->n_embd), FLOAT), outputs);
    s->e->device.compute = max(body, logits);
    /* The host holds the inputs and the embedded tokens on their way to the device. */
    s->e->host.compute = add(s, in, mul(s, mul(s, mul(s, 2, s->m->n_embd), FLOAT), s->ubatch));
    s->e->host.output = mul(s, mul(s, s->m->n_vocab, FLOAT), max(o->n_seq, 1));
}

/* ---- what llama.cpp refuses ---- */

static ws_status check_blocks(const char *what, ws_dtype type, uint64_t head, ws_error *err) {
    const ws_dtype_info *info = ws_dtype_get(type);
    if (head % info->block_elements == 0) return WS_OK;
    return ws_fail(err, WS_UNSUPPORTED,
                   "heads of %" PRIu64 " elements cannot be stored as %s: its blocks have %" PRIu32 " (%s cache)", head,
                   info->name, info->block_elements, what);
}

static ws_status check(const ws_est_model *m, const ws_est_options *o, ws_error *err) {
    if (m->mla && o->type_k != o->type_v)
        return ws_fail(err, WS_UNSUPPORTED,
                       "the K cache (%s) and the V cache (%s) of this model are one: their types must agree",
                       ws_dtype_name(o->type_k), ws_dtype_name(o->type_v));
    if (ws_dtype_is_quantized(o->type_v) && !o->flash_attn)
        return ws_fail(err, WS_UNSUPPORTED, "a V cache of type %s needs flash attention", ws_dtype_name(o->type_v));
    if (!widest_v(m) && !m->mla) return WS_OK; /* no attention at all */
    WS_TRY(check_blocks("K", o->type_k, m->head_k, err));
    return check_blocks("V", o->type_v, m->head_v, err);
}

ws_status ws_estimate_run(ws_estimate *out, const ws_est_model *m, const ws_est_options *o, ws_error *err) {
    *out = (ws_estimate){0};
    WS_TRY(check(m, o, err));
    sizes s = {.m = m, .o = o, .e = out};
    round_context(&s);
    add_weights(&s);
    add_cache(&s);
    add_compute(&s);
    ws_est_memory *d = &out->device, *h = &out->host;
    d->total = add(&s, add(&s, d->weights, d->kv_cache), d->compute);
    h->total = add(&s, add(&s, h->weights, h->compute), h->output);
    if (!s.bad) return WS_OK;
    *out = (ws_estimate){0};
    return ws_fail(err, WS_FORMAT, "the sizes of this model do not fit 64 bits");
}
