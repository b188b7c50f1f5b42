/* q8_0.c - Q8_0: 8-bit quants around zero, one scale. */
#include "simple.h"

/* What has the whole part that roundf() gives, halves away from zero, of the element over its scale. The largest float
 * below 0.5 is added, since 0.5 itself would carry 0.49999997 to 1. */
V_INLINE vf32 scaled(vf32 x, float inverse, float unused) {
    (void)unused;
    const vf32 f = x * inverse;
    return f + v_from_bits((v_bits(f) & 0x80000000u) | 0x3effffffu);
}

static inline block_scales measure(const float *x) {
    /* An infinity makes every product with 1/d 0 or NaN. */
    const vf32 d = blocks_largest(x, 32, 32) / 127.0f;
    return (block_scales){v_inverse(d), v_set(0), v_half(d)};
}

static inline void quantize(const float *x, const block_scales *s, uint8_t *y) {
    uint8_t q[32 * WS_LANES];
    blocks_quants(q, x, 32, s, scaled, -127, 127);
    v_store_halves(y, sizeof(ws_q8_0), s->stored, WS_LANES);
    for (int b = 0; b < WS_LANES; b++, y += sizeof(ws_q8_0)) memcpy(y + offsetof(ws_q8_0, qs), q + 32 * b, 32);
}

void WS_FN(q8_0, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group_in_place(x, y, n_blocks, 32, sizeof(ws_q8_0), measure, quantize);
}

void WS_FN(q8_0, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q8_0 *block = x;
    for (; n_blocks; n_blocks--, block++, y += 32) {
        const float d = ws_f16_to_f32(block->d);
        for (int i = 0; i < 32; i += WS_LANES) v_store(y + i, v_float(v_load_i8(block->qs + i)) * d);
    }
}
