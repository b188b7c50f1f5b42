/* mxfp4.c - MXFP4: 4-bit floats, one scale that is a power of two. */
#include "fp4.h"

/* floorf(log2f(f)) for f > 0 as the reference has it, in single precision: where the logarithm is nearer to the whole
 * number above than to the float below that, it is rounded up. That happens within 2^p ln 2 units of the last place
 * below a power 2^k, where 2^p is the power of two at or below |k| (below k itself for k > 0). */
V_INLINE vi32 floor_log2(vf32 f) {
    const vi32 subnormal = v_lt(f, v_set(0x1p-126f));
    const vi32 bits = (vi32)v_bits(v_select(subnormal, f * 0x1p24f, f));
    const vi32 k = (bits >> 23) - 126 - (subnormal & 24); /* f is below 2^k */
    const vf32 exponent = v_select(v_lt(v_set(0), v_float(k)), v_float(k) - 0.5f, v_float(-k));
    const vi32 near = v_trunc(v_from_bits(v_bits(exponent) & 0x7f800000u) * 0.6931472f);
    const vi32 steps_below = 0x800000 - (bits & 0x7fffff);
    return k - 1 - V_MASK(steps_below <= near);
}

/* Half of the scale 2^(e - 127), for quants are doubled. */
V_INLINE vf32 half_scale(vi32 e) {
    const vu32 subnormal = vu_select(V_MASK(e > 0), vu_set(0x400000), vu_set(0x200000));
    return v_from_bits(vu_select(V_MASK(e > 1), (vu32)(e - 1) << 23, subnormal));
}

static inline block_scales measure(const float *x) {
    const vf32 largest = blocks_largest(x, 32, 32);
    /* The largest becomes 4 to 8 of 6 (8 to 16 of 12). Below 2^-125 the byte wraps round, as in the reference. */
    const vi32 e = (floor_log2(largest) + 125) & 0xff & v_lt(v_set(0), largest);
    return (block_scales){half_scale(e), v_set(0), (vu32)e};
}

static inline void quantize(const float *x, const block_scales *s, uint8_t *y) {
    uint8_t q[32 * WS_LANES];
    fp4_quants(q, x, 32, &s->scale, 1);
    v_store_bytes(y, sizeof(ws_mxfp4), s->stored, WS_LANES);
    for (int b = 0; b < WS_LANES; b++, y += sizeof(ws_mxfp4)) pack_4_bits(y + offsetof(ws_mxfp4, qs), q + 32 * b);
}

void WS_FN(mxfp4, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group_in_place(x, y, n_blocks, 32, sizeof(ws_mxfp4), measure, quantize);
}

void WS_FN(mxfp4, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_mxfp4 *block = x;
    for (; n_blocks; n_blocks--, block++, y += 32) {
        const vf32 d = half_scale(vi_set(block->e));
        for (int i = 0; i < 16; i += WS_LANES) {
            const vu32 q = v_load_u8(block->qs + i);
            v_store(y + i, v_lookup(fp4_values, (vi32)(q & 15u)) * d);
            v_store(y + i + 16, v_lookup(fp4_values, (vi32)(q >> 4)) * d);
        }
    }
}
