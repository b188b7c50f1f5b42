/* q1_0.c - Q1_0: signs, and the mean magnitude. */
#include "elements.h"

/* Sums are in order: here a lane is a block. */
static inline block_scales measure(const float *x) {
    vf32 sum = v_set(0), v[128];
    v_load_blocks(v, x, 128, WS_LANES);
    for (int i = 0; i < 128; i++) sum += v_abs(v[i]);
    return (block_scales){.stored = v_half(sum / 128.0f)};
}

static inline void quantize(const float *x, const block_scales *s, uint8_t *y) {
    v_store_halves(y, sizeof(ws_q1_0), s->stored, WS_LANES);
    for (int b = 0; b < WS_LANES; b++, x += 128, y += sizeof(ws_q1_0))
        for (int i = 0; i < 128; i += 32) {
            uint32_t below = 0;
            prefetch_ahead(x + i, 32, 128 * WS_LANES);
            for (int k = 0; k < 32; k += WS_LANES) below |= v_bits_lt(v_load(x + i + k), v_set(0)) << k;
            below = ~below;
            memcpy(y + offsetof(ws_q1_0, qs) + i / 8, &below, sizeof below);
        }
}

void WS_FN(q1_0, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group_in_place(x, y, n_blocks, 128, sizeof(ws_q1_0), measure, quantize);
}

void WS_FN(q1_0, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q1_0 *block = x;
    for (; n_blocks; n_blocks--, block++, y += 128) {
        const vu32 d = v_bits(v_set(ws_f16_to_f32(block->d)));
        for (int i = 0; i < 128; i += WS_LANES) {
            uint32_t bits;
            memcpy(&bits, block->qs + i / 32 * 4, sizeof bits);
            const vu32 negative = ~(vu_set(bits) >> (v_iota() + (uint32_t)(i % 32))) << 31;
            v_store(y + i, v_from_bits(d ^ negative));
        }
    }
}
