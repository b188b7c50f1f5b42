/* q8_0.c - Q8_0: 8-bit quants around zero, one scale. */
#include "simple.h"

/* roundf(), halves away from zero, for f in -127..127 (but for the scale's last-bit error) or NaN. The largest float
 * below 0.5 is added, since 0.5 itself would carry 0.49999997 to 1. */
V_INLINE vu32 round_to_byte(vf32 f) {
    const vf32 number = v_max(f, v_set(-127.0f));
    const vf32 half = v_from_bits((v_bits(number) & 0x80000000u) | 0x3effffffu);
    return (vu32)v_trunc(number + half) & 0xffu;
}

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    /* An infinity makes every product with 1/d 0 or NaN. */
    const vf32 d = v_largest(x, 32) / 127.0f;
    const vf32 inverse = v_inverse(d);
    vu32 q[32], words[8];
    for (int i = 0; i < 32; i++) q[i] = round_to_byte(x[i] * inverse);
    for (int i = 0; i < 8; i++) words[i] = v_word(q + 4 * i);
    v_store_halves(y, sizeof(ws_q8_0), v_half(d), live);
    v_store_words(y + offsetof(ws_q8_0, qs), sizeof(ws_q8_0), words, 8, live);
}

void WS_FN(q8_0, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 32, sizeof(ws_q8_0), quantize);
}

void WS_FN(q8_0, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q8_0 *block = x;
    for (; n_blocks; n_blocks--, block++, y += 32) {
        const float d = ws_f16_to_f32(block->d);
        for (int i = 0; i < 32; i += WS_LANES) v_store(y + i, v_float(v_load_i8(block->qs + i)) * d);
    }
}
