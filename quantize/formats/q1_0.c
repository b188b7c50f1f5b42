/* q1_0.c - Q1_0: signs, and the mean magnitude. */
#include "kernels.h"

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    vf32 sum = v_set(0);
    for (int i = 0; i < 128; i++) sum += v_abs(x[i]);
    vu32 words[4];
    for (int k = 0; k < 4; k++) {
        vu32 below = vu_set(0);
        for (int i = 0; i < 32; i++) below = vu_add_lt(below, x[32 * k + i], v_set(0), 1u << i);
        words[k] = ~below;
    }
    v_store_halves(y, sizeof(ws_q1_0), v_half(sum / 128.0f), live);
    v_store_words(y + offsetof(ws_q1_0, qs), sizeof(ws_q1_0), words, 4, live);
}

void WS_FN(q1_0, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 128, sizeof(ws_q1_0), quantize);
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
