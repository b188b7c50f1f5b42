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

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    const vf32 largest = v_largest(x, 32);
    /* The largest becomes 4 to 8 of 6 (8 to 16 of 12). Below 2^-125 the byte wraps round, as in the reference. */
    const vi32 e = (floor_log2(largest) + 125) & 0xff & v_lt(v_set(0), largest);
    vf32 midpoints[FP4_MIDPOINTS];
    fp4_midpoints(midpoints, half_scale(e));
    vu32 q[32], words[4];
    for (int i = 0; i < 32; i++) q[i] = fp4_quant(x[i], midpoints);
    fp4_pack(words, q, 32);
    v_store_bytes(y, sizeof(ws_mxfp4), (vu32)e, live);
    v_store_words(y + offsetof(ws_mxfp4, qs), sizeof(ws_mxfp4), words, 4, live);
}

void WS_FN(mxfp4, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 32, sizeof(ws_mxfp4), quantize);
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
