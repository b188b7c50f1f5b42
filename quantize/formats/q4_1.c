/* q4_1.c - Q4_1: 4-bit quants from a minimum upward, one scale. */
#include "simple.h"

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    const ws_range range = v_range(x);
    const vf32 d = (range.max - range.min) / 15.0f;
    const vf32 inverse = v_inverse(d);
    vu32 q[32], words[5];
    for (int i = 0; i < 32; i++) q[i] = v_whole((x[i] - range.min) * inverse + 0.5f, 15);
    words[0] = v_half(d) | v_half(range.min) << 16;
    v_pack_4_bits(words + 1, q);
    v_store_words(y, sizeof(ws_q4_1), words, 5, live);
}

void WS_FN(q4_1, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 32, sizeof(ws_q4_1), quantize);
}

void WS_FN(q4_1, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q4_1 *block = x;
    for (; n_blocks; n_blocks--, block++, y += 32) {
        const float d = ws_f16_to_f32(block->d), m = ws_f16_to_f32(block->m);
        for (int i = 0; i < 16; i += WS_LANES) {
            const vu32 qs = v_load_u8(block->qs + i);
            v_store(y + i, v_float((vi32)(qs & 15u)) * d + m);
            v_store(y + i + 16, v_float((vi32)(qs >> 4)) * d + m);
        }
    }
}
