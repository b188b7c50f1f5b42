#include "cache.h"

#include "alloc.h"
#include "kernels.h"

#include <math.h>
#include <string.h>

bool ws_cache_can_hold(ws_dtype type) {
    return type == WS_TYPE_F16 || type == WS_TYPE_F32 || type == WS_TYPE_Q8_0 || type == WS_TYPE_Q4_0;
}

/* Elements of a row of n: whole lanes (of values), whole blocks. */
static uint64_t padded(uint64_t n, uint64_t lanes, ws_dtype type) {
    const uint64_t block = ws_dtype_get(type)->block_elements, unit = block > lanes ? block : lanes;
    return (n + unit - 1) / unit * unit;
}

static uint64_t bytes_of(uint64_t n, ws_dtype type) {
    return n / ws_dtype_get(type)->block_elements * ws_dtype_get(type)->block_bytes;
}

static uint64_t row_bytes(const ws_hparams *hp, ws_dtype type) {
    return bytes_of(padded(hp->head_k, 1, type), type) + bytes_of(padded(hp->head_v, WS_LANES, type), type);
}

uint64_t ws_cache_bytes(const ws_hparams *hp, ws_dtype type, uint64_t n_ctx) {
    uint64_t n;
    if (n_ctx > UINT32_MAX || ws_mul_overflows(padded(n_ctx, WS_LANES, type), hp->n_layer * hp->n_head_kv, &n) ||
        ws_mul_overflows(n, row_bytes(hp, type), &n))
        return UINT64_MAX;
    return n;
}

void ws_cache_init(ws_cache *c, const ws_hparams *hp, ws_dtype type, uint64_t n_ctx, void *memory, uint32_t cpu_flags) {
    *c = (ws_cache){
        .type = type,
        .n_ctx = padded(n_ctx, WS_LANES, type),
        .n_head_kv = hp->n_head_kv,
        .head_k = hp->head_k,
        .head_v = hp->head_v,
        .k_stride = padded(hp->head_k, 1, type),
        .v_stride = padded(hp->head_v, WS_LANES, type),
        .k = memory,
        .format = ws_format_get(type, cpu_flags),
    };
    c->k_bytes = bytes_of(c->k_stride, type);
    c->v_bytes = bytes_of(c->v_stride, type);
    c->v = c->k + hp->n_layer * hp->n_head_kv * c->n_ctx * c->k_bytes;
}

static uint8_t *keys(const ws_cache *c, size_t layer, size_t head, size_t at) {
    return c->k + ((layer * c->n_head_kv + head) * c->n_ctx + at) * c->k_bytes;
}

static uint8_t *values(const ws_cache *c, size_t layer, size_t head, size_t at) {
    return c->v + ((layer * c->n_head_kv + head) * c->n_ctx + at) * c->v_bytes;
}

const void *ws_cache_keys(const ws_cache *c, size_t layer, size_t head, size_t at) { return keys(c, layer, head, at); }

const void *ws_cache_values(const ws_cache *c, size_t layer, size_t head, size_t at) {
    return values(c, layer, head, at);
}

/* `n` units of `bytes` bytes into the column of a tile. */
static void store_column(const uint8_t *from, size_t n, size_t bytes, uint8_t *tile, size_t column) {
    for (size_t i = 0; i < n; i++) memcpy(tile + (i * WS_LANES + column) * bytes, from + i * bytes, bytes);
}

/* One round of the transform: sums and differences of elements `step` apart. */
static void butterfly(float *x, size_t n, size_t step) {
    for (size_t i = 0; i < n; i += 2 * step)
        for (size_t j = i; j < i + step; j++) {
            const float a = x[j], b = x[j + step];
            x[j] = a + b;
            x[j + step] = a - b;
        }
}

enum { MAX_TURN = 64, BLOCK = 32, MAX_BLOCK_BYTES = 34, SCALE_BYTES = 2 };

static void turn(float *x, size_t n, size_t size) {
    const float scale = 1.0f / sqrtf((float)size);
    for (size_t at = 0; at < n; at += size) {
        for (size_t step = 1; step < size; step *= 2) butterfly(x + at, size, step);
        for (size_t i = 0; i < size; i++) x[at + i] *= scale;
    }
}

/* The largest power of two up to MAX_TURN that divides n. */
static size_t turn_size(size_t n) {
    const size_t divides = n & -n;
    return divides < MAX_TURN ? divides : MAX_TURN;
}

void ws_cache_turn(float *x, size_t n) { turn(x, n, turn_size(n)); }

/* Blocks of MAX_TURN elements from `at` on, turned and filled up with zeros; the number of blocks that are needed. */
static size_t turned_blocks(const ws_cache *c, const float *x, size_t n_head, size_t at, uint8_t *blocks) {
    float part[MAX_TURN] = {0};
    const size_t n = n_head - at < MAX_TURN ? n_head - at : MAX_TURN, n_blocks = (n + BLOCK - 1) / BLOCK;
    memcpy(part, x + at, n * sizeof *part);
    turn(part, n, turn_size(n_head));
    c->format->from_float(part, blocks, n_blocks);
    return n_blocks;
}

static void store_key_blocks(const ws_cache *c, const float *k, uint8_t *tile, size_t column) {
    const size_t bytes = ws_dtype_get(c->type)->block_bytes;
    uint8_t blocks[MAX_TURN / BLOCK * MAX_BLOCK_BYTES];
    for (size_t at = 0; at < c->head_k; at += MAX_TURN) {
        const size_t n = turned_blocks(c, k, c->head_k, at, blocks);
        for (size_t i = 0; i < n; i++, tile += WS_LANES * bytes) {
            const uint8_t *block = blocks + i * bytes;
            store_column(block, 1, SCALE_BYTES, tile, column);
            store_column(block + SCALE_BYTES, bytes - SCALE_BYTES, 1, tile + WS_LANES * SCALE_BYTES, column);
        }
    }
}

static void store_key_floats(const ws_cache *c, const float *k, uint8_t *tile, size_t column) {
    uint8_t part[WS_LANES * sizeof(float)];
    const size_t bytes = ws_dtype_get(c->type)->block_bytes;
    for (size_t i = 0; i < c->head_k; i += WS_LANES) {
        const size_t n = c->head_k - i < WS_LANES ? c->head_k - i : WS_LANES;
        c->format->from_float(k + i, part, n);
        store_column(part, n, bytes, tile + i * WS_LANES * bytes, column);
    }
}

static void store_value_blocks(const ws_cache *c, const float *v, uint8_t *to) {
    const size_t bytes = ws_dtype_get(c->type)->block_bytes;
    uint8_t blocks[MAX_TURN / BLOCK * MAX_BLOCK_BYTES];
    for (size_t at = 0; at < c->head_v; at += MAX_TURN) {
        const size_t n = turned_blocks(c, v, c->head_v, at, blocks);
        memcpy(to, blocks, n * bytes);
        to += n * bytes;
    }
}

void ws_cache_store(const ws_cache *c, size_t layer, size_t position, const float *k, const float *v) {
    const bool blocks = ws_dtype_is_quantized(c->type);
    const size_t column = position % WS_LANES;
    for (size_t head = 0; head < c->n_head_kv; head++, k += c->head_k, v += c->head_v) {
        uint8_t *tile = keys(c, layer, head, position - column), *to = values(c, layer, head, position);
        (blocks ? store_key_blocks : store_key_floats)(c, k, tile, column);
        if (blocks)
            store_value_blocks(c, v, to);
        else
            c->format->from_float(v, to, c->head_v);
    }
}
