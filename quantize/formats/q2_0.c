/* q2_0.c - Q2_0: 2-bit quants, one scale. The format has quants for -1, 0, 1 and 2 times the scale; the quantizer, as
 * the reference, makes the largest magnitude the scale, and no use of 2. */
#include "simple.h"
#include "ternary.h"

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    const vf32 d = v_largest(x, 64), inverse = v_inverse(d);
    /* All quants are 0 (for -1) where 1/d is infinite: see v_inverse(). */
    const vu32 finite = ~(vu32)(v_eq(inverse, v_set(0)) & v_ne(d, v_set(0)));
    vu32 words[4];
    for (int k = 0; k < 4; k++) {
        words[k] = vu_set(0);
        for (int i = 0; i < 16; i++) words[k] = ternary_add(words[k], x[16 * k + i] * inverse, 1u << (2 * i));
        words[k] &= finite;
    }
    v_store_halves(y, sizeof(ws_q2_0), v_half(d), live);
    v_store_words(y + offsetof(ws_q2_0, qs), sizeof(ws_q2_0), words, 4, live);
}

void WS_FN(q2_0, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 64, sizeof(ws_q2_0), quantize);
}

void WS_FN(q2_0, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q2_0 *block = x;
    for (; n_blocks; n_blocks--, block++, y += 64) {
        const float d = ws_f16_to_f32(block->d);
        for (int i = 0; i < 64; i += WS_LANES) {
            uint32_t bits;
            memcpy(&bits, block->qs + i / 16 * 4, sizeof bits);
            const vu32 q = vu_set(bits) >> ((v_iota() + (uint32_t)(i % 16)) * 2u) & 3u;
            v_store(y + i, v_float((vi32)q - 1) * d);
        }
    }
}
