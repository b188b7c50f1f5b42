/* q5_1.c - Q5_1: 5-bit quants from a minimum upward, one scale. */
#include "affine.h"
#include "importance.h"
#include "simple.h"

static inline void store(const vu32 *q, vf32 d, vf32 min, uint8_t *y, size_t live) {
    vu32 words[6];
    words[0] = v_half(d) | v_half(min) << 16;
    v_pack_5_bits(words + 1, q);
    v_store_words(y, sizeof(ws_q5_1), words, 6, live);
}

static inline block_scales measure(const float *x) {
    const ws_range range = blocks_min_max(x);
    const vf32 d = (range.max - range.min) / 31.0f;
    return (block_scales){v_inverse(d), range.min, v_half(d) | v_half(range.min) << 16};
}

V_INLINE vf32 scaled(vf32 x, float inverse, float min) { return (x - min) * inverse + 0.5f; }

static inline void quantize(const float *x, const block_scales *s, uint8_t *y) {
    uint8_t q[32 * WS_LANES];
    blocks_quants(q, x, 32, s, scaled, 0, 31);
    v_store_words(y, sizeof(ws_q5_1), &s->stored, 1, WS_LANES);
    for (int b = 0; b < WS_LANES; b++, y += sizeof(ws_q5_1)) pack_5_bits(y + offsetof(ws_q5_1, qh), q + 32 * b);
}

static inline void quantize_weighted(const vf32 *x, const vf32 *w, uint8_t *y, size_t live) {
    ws_affine found;
    vu32 q[32];
    affine_search(&found, x, w, AFFINE_WEIGHTED(32, 31, 1));
    affine_own_quants(q, x, 32, 31, &found);
    store(q, found.scale, -found.minus_min, y, live);
}

void WS_FN(q5_1, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group_in_place(x, y, n_blocks, 32, sizeof(ws_q5_1), measure, quantize);
}

void WS_FN(q5_1, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows, size_t row_blocks) {
    each_group_of_rows(x, weights, y, n_rows, row_blocks, sizeof(ws_q5_1), quantize_weighted);
}

void WS_FN(q5_1, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q5_1 *block = x;
    for (; n_blocks; n_blocks--, block++, y += 32) {
        const float d = ws_f16_to_f32(block->d), m = ws_f16_to_f32(block->m);
        uint32_t high;
        memcpy(&high, block->qh, sizeof high);
        for (int i = 0; i < 16; i += WS_LANES) {
            const vu32 qs = v_load_u8(block->qs + i);
            v_store(y + i, v_float((vi32)((qs & 15u) | v_fifth_bits(high, i))) * d + m);
            v_store(y + i + 16, v_float((vi32)(qs >> 4 | v_fifth_bits(high, i + 16))) * d + m);
        }
    }
}
