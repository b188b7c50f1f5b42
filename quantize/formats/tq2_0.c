/* tq2_0.c - TQ2_0: -1, 0, 1 times one scale, two bits each. */
#include "simple.h"
#include "ternary.h"
#include "two_bits.h"

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    const vf32 d = v_largest(x, 256), inverse = v_inverse(d);
    vu32 words[16];
    for (int k = 0; k < 16; k++) { /* four bytes, each of four elements that lie 32 apart */
        const vf32 *first = x + 128 * (k / 8) + 4 * (k % 8);
        words[k] = vu_set(0);
        for (int i = 0; i < 16; i++)
            words[k] = ternary_add(words[k], first[32 * (i / 4) + i % 4] * inverse, 1u << (8 * (i % 4) + 2 * (i / 4)));
    }
    v_store_words(y, sizeof(ws_tq2_0), words, 16, live);
    v_store_halves(y + offsetof(ws_tq2_0, d), sizeof(ws_tq2_0), v_half(d), live);
}

void WS_FN(tq2_0, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 256, sizeof(ws_tq2_0), quantize);
}

void WS_FN(tq2_0, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_tq2_0 *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d);
        for (int j = 0; j < 16; j++, y += 16)
            for (int i = 0; i < 16; i += WS_LANES) {
                const vu32 q = v_load_u8(block->qs + two_bits_byte(j) + i) >> two_bits_shift(j) & 3u;
                v_store(y + i, v_float((vi32)q - 1) * d);
            }
    }
}
