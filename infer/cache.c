#include "cache.h"

#include "alloc.h"
#include "kernels.h"

#include <string.h>

static uint64_t padded(uint64_t n) { return (n + WS_LANES - 1) / WS_LANES * WS_LANES; }

bool ws_cache_can_hold(ws_dtype type) { return type == WS_TYPE_F16 || type == WS_TYPE_F32; }

uint64_t ws_cache_bytes(const ws_hparams *hp, ws_dtype type, uint64_t n_ctx) {
    uint64_t n;
    if (n_ctx > UINT32_MAX || ws_mul_overflows(padded(n_ctx), hp->n_layer * hp->n_head_kv, &n) ||
        ws_mul_overflows(n, hp->head_k + padded(hp->head_v), &n) ||
        ws_mul_overflows(n, ws_dtype_get(type)->block_bytes, &n))
        return UINT64_MAX;
    return n;
}

void ws_cache_init(ws_cache *c, const ws_hparams *hp, ws_dtype type, uint64_t n_ctx, void *memory, uint32_t cpu_flags) {
    *c = (ws_cache){
        .type = type,
        .element_bytes = ws_dtype_get(type)->block_bytes,
        .n_ctx = padded(n_ctx),
        .n_head_kv = hp->n_head_kv,
        .head_k = hp->head_k,
        .head_v = hp->head_v,
        .v_stride = padded(hp->head_v),
        .k = memory,
        .format = ws_format_get(type, cpu_flags),
    };
    c->v = c->k + hp->n_layer * hp->n_head_kv * c->n_ctx * c->head_k * c->element_bytes;
}

static uint8_t *keys(const ws_cache *c, size_t layer, size_t head, size_t at) {
    return c->k + ((layer * c->n_head_kv + head) * c->n_ctx + at) * c->head_k * c->element_bytes;
}

static uint8_t *values(const ws_cache *c, size_t layer, size_t head, size_t at) {
    return c->v + ((layer * c->n_head_kv + head) * c->n_ctx + at) * c->v_stride * c->element_bytes;
}

const void *ws_cache_keys(const ws_cache *c, size_t layer, size_t head, size_t at) { return keys(c, layer, head, at); }

const void *ws_cache_values(const ws_cache *c, size_t layer, size_t head, size_t at) {
    return values(c, layer, head, at);
}

/* One key into the column of its tile. */
static void store_key(const ws_cache *c, const float *k, uint8_t *tile, size_t column) {
    uint8_t part[WS_LANES * sizeof(float)];
    const size_t bytes = c->element_bytes, step = WS_LANES * bytes;
    for (size_t i = 0; i < c->head_k; i += WS_LANES) {
        const size_t n = c->head_k - i < WS_LANES ? c->head_k - i : WS_LANES;
        c->format->from_float(k + i, part, n);
        for (size_t j = 0; j < n; j++) memcpy(tile + (i + j) * step + column * bytes, part + j * bytes, bytes);
    }
}

void ws_cache_store(const ws_cache *c, size_t layer, size_t position, const float *k, const float *v) {
    for (size_t head = 0; head < c->n_head_kv; head++) {
        const size_t column = position % WS_LANES;
        store_key(c, k + head * c->head_k, keys(c, layer, head, position - column), column);
        c->format->from_float(v + head * c->head_v, values(c, layer, head, position), c->head_v);
    }
}
