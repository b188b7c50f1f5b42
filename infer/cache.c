#include "cache.h"

#include "alloc.h"
#include "kernels.h"

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

/* Up to n elements at a time, as floats in a buffer, the rest of it zeros. */
static const float *piece(const float *x, size_t n, size_t left, float *buffer) {
    if (left >= n) return x;
    memset(buffer, 0, n * sizeof *buffer);
    memcpy(buffer, x, left * sizeof *buffer);
    return buffer;
}

enum { BLOCK = 32, MAX_BLOCK_BYTES = 34, SCALE_BYTES = 2 };

static void store_key_blocks(const ws_cache *c, const float *k, uint8_t *tile, size_t column) {
    const size_t bytes = ws_dtype_get(c->type)->block_bytes;
    for (size_t i = 0; i < c->head_k; i += BLOCK, tile += WS_LANES * bytes) {
        float buffer[BLOCK];
        uint8_t block[MAX_BLOCK_BYTES];
        c->format->from_float(piece(k + i, BLOCK, c->head_k - i, buffer), block, 1);
        store_column(block, 1, SCALE_BYTES, tile, column);
        store_column(block + SCALE_BYTES, bytes - SCALE_BYTES, 1, tile + WS_LANES * SCALE_BYTES, column);
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
    for (size_t i = 0; i < c->head_v; i += BLOCK, to += bytes) {
        float buffer[BLOCK];
        c->format->from_float(piece(v + i, BLOCK, c->head_v - i, buffer), to, 1);
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
