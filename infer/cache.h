/* cache.h - the KV cache: keys and values of the tokens seen so far, in the layout that attention's kernels read.
 * Per layer and KV head, keys lie in tiles of 16 positions, transposed (tile, dimension, position); values lie by
 * position, each row padded with zeros to a multiple of 16.
 *
 * Q8_0 and Q4_0 take as many bytes as their blocks. Rows are padded to whole blocks; values are rows of blocks, and in
 * a tile of keys every 32 dimensions are 16 halves (the scales) and then, for each byte of a block's quants, those of
 * the 16 positions. Attention expands them to floats, a span at a time. */
#ifndef WS_CACHE_H
#define WS_CACHE_H

#include "arch.h"
#include "formats.h"

typedef struct {
    ws_dtype type; /* F16, F32, Q8_0 or Q4_0 */
    size_t n_ctx;  /* positions, a multiple of 16 */
    size_t n_head_kv, head_k, head_v;
    size_t k_stride, v_stride; /* elements of a row, with its padding */
    size_t k_bytes, v_bytes;   /* of a row */
    uint8_t *k, *v;
    const ws_format *format;
} ws_cache;

bool ws_cache_can_hold(ws_dtype type); /* is this a type for --kv-type? */

/* Bytes of a cache for n_ctx tokens; UINT64_MAX when they do not fit 64 bits. */
uint64_t ws_cache_bytes(const ws_hparams *hp, ws_dtype type, uint64_t n_ctx);

/* Lay a cache out in `memory`, ws_cache_bytes() zeroed bytes that stay the caller's. */
void ws_cache_init(ws_cache *c, const ws_hparams *hp, ws_dtype type, uint64_t n_ctx, void *memory, uint32_t cpu_flags);

/* Keys and values of one head of a layer, from position `at` (a multiple of 16) on. */
const void *ws_cache_keys(const ws_cache *c, size_t layer, size_t head, size_t at);
const void *ws_cache_values(const ws_cache *c, size_t layer, size_t head, size_t at);

/* Turn a head's n elements as those of a cache of blocks are: by the orthonormal Hadamard matrix of the largest power
 * of two up to 64 that divides n. Twice is not at all. */
void ws_cache_turn(float *x, size_t n);

/* Keep one token's keys (n_head_kv * head_k floats) and values. */
void ws_cache_store(const ws_cache *c, size_t layer, size_t position, const float *k, const float *v);

#endif
