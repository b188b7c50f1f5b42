/* nvfp4.c - NVFP4: 4-bit floats, an 8-bit float (UE4M3) as the scale of every 16. */
#include "fp4.h"

/* A number of at least 0 as UE4M3, halves upward, NaN as 0. Below 2^-6 the codes are whole multiples of 2^-9; from
 * there on a code is the float's exponent and three bits, but for what comes to 256 or more: as in the reference all
 * that is the largest number, 0x7e for 448. */
V_INLINE vu32 encode(vf32 f) {
    const vf32 bounded = v_min(v_set(448.0f), v_max(f, v_set(0)));
    const vi32 multiple = vi_min(vi_set(7), v_trunc(v_min(bounded, v_set(1)) * 512.0f + 0.5f));
    const vi32 normal = (vi32)((v_bits(bounded) + 0x80000u) >> 20) - (120 << 3);
    const vi32 code = vi_select(V_MASK(normal >= 15 << 3), vi_set(0x7e), normal);
    return (vu32)vi_select(v_lt(bounded, v_set(0x1p-6f)), multiple, code);
}

/* Half of the number, for quants are doubled; 0x7f stands for 0. Bit 7 means nothing. */
V_INLINE vf32 half_of_code(vu32 code) {
    const vi32 magnitude = (vi32)(code & 0x7fu);
    const vf32 normal = v_from_bits((vu32)(magnitude + (119 << 3)) << 20);
    const vf32 half = v_select(V_MASK(magnitude < 8), v_float(magnitude) * 0x1p-10f, normal);
    return v_select(V_MASK(code == 0x7fu), v_set(0), half);
}

/* Elements so large that the distances to several values may be rounded to the same. */
#define BEYOND 0x1p14f

/* Where one is: the first of the 16 values at the least distance, in the reference's order. */
static inline vu32 nearest_of_all(vf32 x, vf32 d) {
    vf32 least = v_abs(fp4_values[0] * d - x);
    vu32 q = vu_set(0);
    for (uint32_t k = 1; k < 16; k++) {
        const vf32 distance = v_abs(fp4_values[k] * d - x);
        const vi32 nearer = v_lt(distance, least);
        q = vu_select(nearer, vu_set(k), q);
        least = v_select(nearer, distance, least);
    }
    return q;
}

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    vu32 scales[4], words[9]; /* the whole block: a word of scales, 8 of quants */
    for (int j = 0; j < 4; j++, x += 16) {
        const vf32 largest = v_largest(x, 16);
        scales[j] = encode(largest / 6.0f);
        const vf32 d = half_of_code(scales[j]);
        vf32 midpoints[FP4_MIDPOINTS];
        fp4_midpoints(midpoints, d);
        vu32 q[16];
        /* A scale of 0 makes all values 0, and the first of them counts. */
        const vi32 some = v_lt(v_set(0), d);
        if (v_any(~v_lt(largest, v_set(BEYOND))))
            for (int i = 0; i < 16; i++) q[i] = nearest_of_all(x[i], d);
        else
            for (int i = 0; i < 16; i++) q[i] = fp4_quant(x[i], midpoints) & (vu32)some;
        fp4_pack(words + 1 + 2 * j, q, 16);
    }
    words[0] = v_word(scales);
    v_store_words(y, sizeof(ws_nvfp4), words, 9, live);
}

void WS_FN(nvfp4, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 64, sizeof(ws_nvfp4), quantize);
}

void WS_FN(nvfp4, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_nvfp4 *block = x;
    for (; n_blocks; n_blocks--, block++)
        for (int j = 0; j < 4; j++, y += 16) {
            const vf32 d = half_of_code(vu_set(block->d[j]));
            uint8_t twice[16]; /* for the low and for the high halves */
            memcpy(twice, block->qs + 8 * j, 8);
            memcpy(twice + 8, block->qs + 8 * j, 8);
            for (int i = 0; i < 16; i += WS_LANES) {
                const vu32 q = v_load_u8(twice + i) >> ((v_iota() + (uint32_t)i) >> 3 << 2) & 15u;
                v_store(y + i, v_lookup(fp4_values, (vi32)q) * d);
            }
        }
}
