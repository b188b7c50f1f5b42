/* tq2_0.c - TQ2_0: -1, 0, 1 times one scale, two bits each. */
#include "ternary.h"
#include "two_bits.h"

static inline block_scales measure(const float *x) { return ternary_measure(x, 256); }

/* 16 bytes, each of four elements that lie 32 apart. The ones of all digits make 0x55. */
V_INLINE void pack_16(uint8_t *out, const uint8_t *q) {
    ternary_bytes sum = ternary_load(q + 96);
    for (int i = 64; i >= 0; i -= 32) {
        sum += sum;
        sum += sum;
        sum += ternary_load(q + i);
    }
    sum += 0x55;
    memcpy(out, &sum, sizeof sum);
}

static inline void quantize(const float *x, const block_scales *s, uint8_t *y) {
    uint8_t q[256 * WS_LANES];
    ternary_quants(q, x, 256, s);
    v_store_halves(y + offsetof(ws_tq2_0, d), sizeof(ws_tq2_0), s->stored, WS_LANES);
    for (int b = 0; b < WS_LANES; b++, y += sizeof(ws_tq2_0))
        for (int i = 0; i < 64; i += 16) pack_16(y + i, q + 256 * b + 128 * (i / 32) + i % 32);
}

void WS_FN(tq2_0, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group_in_place(x, y, n_blocks, 256, sizeof(ws_tq2_0), measure, quantize);
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
