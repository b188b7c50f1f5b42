/* q2_0.c - Q2_0: 2-bit quants, one scale. The format has quants for -1, 0, 1 and 2 times the scale; the quantizer, as
 * the reference, makes the largest magnitude the scale, and no use of 2. */
#include "ternary.h"

/* All quants are -1, which NaN makes of them, where 1/d is infinite: see v_inverse(). */
static inline block_scales measure(const float *x) {
    const vf32 d = blocks_largest(x, 64, 64), inverse = v_inverse(d);
    const vi32 infinite = v_eq(inverse, v_set(0)) & v_ne(d, v_set(0));
    return (block_scales){v_select(infinite, v_set(__builtin_nanf("")), inverse), v_set(0), v_half(d)};
}

/* Of n digits (a multiple of 4 V_BYTES), raised by one, those of each word as a byte: of the word times 2^24 + 2^18 +
 * 2^12
 * + 2^6 that is the highest. */
V_INLINE void pack(uint8_t *out, uint8_t *q, int n) {
    for (int i = 0; i < n; i++) q[i]++;
    for (int i = 0; i < n / 4; i += V_BYTES) {
        vi32 v[V_BYTES / WS_LANES];
        for (int k = 0; k < V_BYTES / WS_LANES; k++)
            v[k] = (vi32)(v_bits(v_load(q + 4 * (i + k * WS_LANES))) * 0x01041040u) >> 24;
        v_store_bounded(out + i, v, INT8_MIN, INT8_MAX);
    }
}

static inline void quantize(const float *x, const block_scales *s, uint8_t *y) {
    uint8_t q[64 * WS_LANES], packed[16 * WS_LANES];
    ternary_quants(q, x, 64, s);
    pack(packed, q, 64 * WS_LANES);
    v_store_halves(y, sizeof(ws_q2_0), s->stored, WS_LANES);
    for (int b = 0; b < WS_LANES; b++, y += sizeof(ws_q2_0)) memcpy(y + offsetof(ws_q2_0, qs), packed + 16 * b, 16);
}

void WS_FN(q2_0, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group_in_place(x, y, n_blocks, 64, sizeof(ws_q2_0), measure, quantize);
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
