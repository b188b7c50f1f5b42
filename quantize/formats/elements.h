/* elements.h - for the types without a search: lanes are neighbouring elements, and a row is read as it lies in memory.
 *
 * A group is WS_LANES blocks here, too. What a block has one of (largest element, scale, inverse) is a vector with a
 * block in each lane; the quants are made block after block, with the block's numbers in all lanes. Only minima and
 * maxima are taken across lanes: their order shows in nothing but the signs of equals, which are looked up. */
#ifndef WS_ELEMENTS_H
#define WS_ELEMENTS_H

#include "kernels.h"

#include <float.h>

/* What is known of a group's blocks before their quants: the numbers that those are made with, and the bits that are
 * stored for them. */
typedef struct {
    vf32 scale, offset;
    vu32 stored;
} block_scales;

/* Gives `quantize` one group after the other with what `measure` makes of it, which is done one group ahead: its few
 * long divisions end while quants are made. Where blocks are too few to fill the last group, zeros do. */
V_INLINE void each_group_in_place(const float *src, uint8_t *dst, size_t n_blocks, size_t elements, size_t bytes,
                                  block_scales (*measure)(const float *x),
                                  void (*quantize)(const float *x, const block_scales *s, uint8_t *y)) {
    const size_t full = n_blocks / WS_LANES, rest = n_blocks % WS_LANES, n_groups = full + (rest != 0);
    float last[WS_LANES * WS_MAX_ELEMENTS];
    uint8_t last_blocks[WS_LANES * WS_MAX_ELEMENTS];
    if (n_groups == 0) return;
    if (rest) {
        memset(last, 0, WS_LANES * elements * sizeof *last);
        memcpy(last, (const void *)(src + full * WS_LANES * elements), rest * elements * sizeof *last);
    }
    block_scales ahead = measure(full ? src : last);
    for (size_t g = 0; g < n_groups; g++) {
        const block_scales scales = ahead;
        const float *x = src + g * WS_LANES * elements;
        if (g + 1 < n_groups) ahead = measure(g + 1 < full ? x + WS_LANES * elements : last);
        if (g < full)
            quantize(x, &scales, dst + g * WS_LANES * bytes);
        else
            quantize(last, &scales, last_blocks);
    }
    memcpy(dst + full * WS_LANES * bytes, last_blocks, rest * bytes);
}

/* What a vector has for each block of a group, to be taken one by one. */
typedef struct {
    float of[WS_LANES];
} block_floats;

V_INLINE block_floats each_block(vf32 v) {
    block_floats b;
    memcpy(b.of, &v, sizeof v);
    return b;
}

/* Asks for n elements that lie four groups ahead of x. Where measuring and quantizing alternate, memory would wait for
 * the latter; asked for more than a few lines at a time, it would be waited for. */
V_INLINE void prefetch_ahead(const float *x, size_t n, size_t group_elements) {
    v_prefetch((uintptr_t)x + 4 * group_elements * sizeof *x, n * sizeof *x);
}

/* The quants of the n elements of each block, as bytes: the whole part of what `scaled` makes of an element and its
 * block's numbers, bounded to low..high; `low` for NaN. */
V_INLINE void blocks_quants(uint8_t *q, const float *x, int n, const block_scales *s,
                            vf32 (*scaled)(vf32 x, float scale, float offset), int8_t low, int8_t high) {
    const block_floats scales = each_block(s->scale), offsets = each_block(s->offset);
    for (int i = 0; i < n * WS_LANES; i += V_BYTES) {
        vi32 v[V_BYTES / WS_LANES];
        prefetch_ahead(x + i, V_BYTES, (size_t)n * WS_LANES);
        for (int k = 0; k < V_BYTES / WS_LANES; k++) {
            const unsigned b = (unsigned)i / (unsigned)n + (unsigned)(k * WS_LANES / n);
            v[k] = v_trunc_any(scaled(v_load(x + i + k * WS_LANES), scales.of[b], offsets.of[b]));
        }
        v_store_bounded(q + i, v, low, high);
    }
}

/* 16 quants, four in a word. Every processor has vectors of this size. */
typedef uint32_t bytes_16 __attribute__((vector_size(16)));

V_INLINE bytes_16 load_16(const uint8_t *q) {
    bytes_16 v;
    memcpy(&v, q, sizeof v);
    return v;
}

/* Of n elements (a multiple of WS_LANES) of each block, the blocks lying `apart` elements from each other: the largest
 * magnitude, NaNs passed over. */
V_INLINE vf32 blocks_largest(const float *x, int n, int apart) {
    vf32 max[V_FOURS];
    for (int k = 0; k < V_FOURS; k++) {
        vf32 part[V_FOUR];
        for (int b = 0; b < V_FOUR; b++, x += apart) {
            part[b] = v_set(0);
            for (int i = 0; i < n; i += WS_LANES) part[b] = v_max(v_abs(v_load(x + i)), part[b]);
        }
        max[k] = v_four_across(part, v_max);
    }
    return v_fours_across(max, v_max);
}

typedef struct {
    vf32 min, max;
} ws_range;

/* The range of `from` and each block's 32 elements, NaNs passed over. A zero may have either sign. */
V_INLINE ws_range blocks_range(const float *x, ws_range from) {
    vf32 min[V_FOURS], max[V_FOURS];
    for (int k = 0; k < V_FOURS; k++) {
        vf32 low[V_FOUR], high[V_FOUR];
        for (int b = 0; b < V_FOUR; b++, x += 32) {
            low[b] = from.min, high[b] = from.max;
            for (int i = 0; i < 32; i += WS_LANES) {
                const vf32 v = v_load(x + i);
                low[b] = v_min(v, low[b]);
                high[b] = v_max(v, high[b]);
            }
        }
        min[k] = v_four_across(low, v_min);
        max[k] = v_four_across(high, v_max);
    }
    return (ws_range){v_fours_across(min, v_min), v_fours_across(max, v_max)};
}

/* In the lanes that are set, the first of the block's 32 elements whose magnitude is that in v. */
static inline vf32 blocks_first(const float *x, vi32 lanes, vf32 v) {
    block_floats first = each_block(v);
    for (uint32_t rest = v_lane_bits(lanes); rest; rest &= rest - 1) {
        const int b = __builtin_ctz(rest);
        float element;
        int i = 0;
        do memcpy(&element, (const uint8_t *)x + sizeof element * (size_t)(32 * b + i), sizeof element);
        while (__builtin_fabsf(element) != __builtin_fabsf(first.of[b]) && ++i < 32);
        first.of[b] = element;
    }
    return v_load(first.of);
}

/* The element of largest magnitude of each block's 32, with its sign, the first of equals; 0 when there is none above
 * 0. */
V_INLINE vf32 blocks_extreme(const float *x) {
    const ws_range r = blocks_range(x, (ws_range){v_set(0), v_set(0)});
    const vi32 equal = v_eq(r.max, -r.min) & v_lt(v_set(0), r.max);
    const vf32 extreme = v_select(v_lt(r.max, -r.min), r.min, r.max);
    return v_any(equal) ? blocks_first(x, equal, extreme) : extreme;
}

/* The range of each block's 32 elements. The first zero is the minimum where that is 0, and the maximum, too, where
 * all are. */
V_INLINE ws_range blocks_min_max(const float *x) {
    ws_range r = blocks_range(x, (ws_range){v_set(FLT_MAX), v_set(-FLT_MAX)});
    const vi32 zero = v_eq(r.min, v_set(0));
    if (v_any(zero)) {
        r.min = blocks_first(x, zero, r.min);
        r.max = v_select(v_eq(r.min, r.max), r.min, r.max);
    }
    return r;
}

#endif
