/* q4_0.c - Q4_0: 4-bit quants around zero, one scale. */
#include "importance.h"
#include "simple.h"
#include "symmetric.h"

static inline void store(const vu32 *q, vu32 half_d, uint8_t *y, size_t live) {
    vu32 words[4];
    v_pack_4_bits(words, q);
    v_store_halves(y, sizeof(ws_q4_0), half_d, live);
    v_store_words(y + offsetof(ws_q4_0, qs), sizeof(ws_q4_0), words, 4, live);
}

static inline block_scales measure(const float *x) {
    const vf32 d = blocks_extreme(x) / -8.0f, inverse = v_inverse(d);
    return (block_scales){inverse, v_middle(d, inverse, 8.5f), v_half(d)};
}

V_INLINE vf32 scaled(vf32 x, float inverse, float middle) { return x * inverse + middle; }

static inline void quantize(const float *x, const block_scales *s, uint8_t *y) {
    uint8_t q[32 * WS_LANES];
    blocks_quants(q, x, 32, s, scaled, 0, 15);
    v_store_halves(y, sizeof(ws_q4_0), s->stored, WS_LANES);
    for (int b = 0; b < WS_LANES; b++, y += sizeof(ws_q4_0)) pack_4_bits(y + offsetof(ws_q4_0, qs), q + 32 * b);
}

static inline void quantize_weighted(const vf32 *x, const vf32 *w, uint8_t *y, size_t live) {
    const symmetric_found found = symmetric_search(x, w, 32, 8);
    vu32 q[32];
    symmetric_quants(q, x, 32, 8, &found);
    store(q, v_half_or_nan(found.scale), y, live);
}

void WS_FN(q4_0, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group_in_place(x, y, n_blocks, 32, sizeof(ws_q4_0), measure, quantize);
}

void WS_FN(q4_0, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows, size_t row_blocks) {
    each_group_of_rows(x, weights, y, n_rows, row_blocks, sizeof(ws_q4_0), quantize_weighted);
}

void WS_FN(q4_0, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q4_0 *block = x;
    for (; n_blocks; n_blocks--, block++, y += 32) {
        const float d = ws_f16_to_f32(block->d);
        for (int i = 0; i < 16; i += WS_LANES) {
            const vu32 qs = v_load_u8(block->qs + i);
            v_store(y + i, v_float((vi32)(qs & 15u) - 8) * d);
            v_store(y + i + 16, v_float((vi32)(qs >> 4) - 8) * d);
        }
    }
}
