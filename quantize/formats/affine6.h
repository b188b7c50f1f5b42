/* affine6.h - super-blocks of 8 sub-blocks of 32 with 6-bit scales and mins (Q4_K, Q5_K). */
#ifndef WS_AFFINE6_H
#define WS_AFFINE6_H

#include "affine.h"

V_INLINE vu32 affine6_code(vf32 value, vf32 inverse) {
    const vu32 low_byte = (vu32)v_nearest(inverse * value) & 0xffu;
    return (vu32)vi_min(vi_set(63), (vi32)low_byte);
}

V_INLINE void affine6_pack(vu32 *words, const vu32 *scale, const vu32 *min) {
    vu32 bytes[12];
    for (int j = 0; j < 4; j++) {
        bytes[j] = scale[j] | (scale[j + 4] >> 4) << 6;
        bytes[j + 4] = min[j] | (min[j + 4] >> 4) << 6;
        bytes[j + 8] = (scale[j + 4] & 15u) | (min[j + 4] & 15u) << 4;
    }
    for (int i = 0; i < 3; i++) words[i] = v_word(bytes + 4 * i);
}

/* Elements weigh their magnitude plus the root mean square of the sub-block. */
V_INLINE void affine6_weights(vf32 *w, const vf32 *x) {
    vf32 sum = v_set(0);
    for (int i = 0; i < 32; i++) sum += x[i] * x[i];
    const vf32 rms = v_sqrt(sum / 32.0f);
    for (int i = 0; i < 32; i++) w[i] = rms + v_abs(x[i]);
}

/* The 256 quants of each block, and the four words of its head: d and dmin, scales and mins. */
V_INLINE void affine6_quantize(vu32 *head, vu32 *q, const vf32 *x, const ws_affine_rule rule) {
    ws_affine found[8];
    vf32 max_scale = v_set(0), max_min = v_set(0);
    for (int j = 0; j < 8; j += AFFINE_SIDE) {
        vf32 w[32 * AFFINE_SIDE];
        for (int k = 0; k < AFFINE_SIDE; k++) affine6_weights(w + 32 * k, x + 32 * (j + k));
        affine_search(found + j, x + 32 * j, w, rule);
    }
    for (int j = 0; j < 8; j++) {
        max_scale = v_max(found[j].scale, max_scale);
        max_min = v_max(found[j].minus_min, max_min);
    }
    const vf32 zero = v_set(0);
    const vf32 inverse_scale = v_select(v_lt(zero, max_scale), 63.0f / max_scale, zero);
    const vf32 inverse_min = v_select(v_lt(zero, max_min), 63.0f / max_min, zero);
    const vu32 half_d = v_half(max_scale / 63.0f), half_min = v_half(max_min / 63.0f);
    const vf32 d = v_from_half(half_d), dmin = v_from_half(half_min);
    vu32 scale[8], min[8];
    for (int j = 0; j < 8; j++) {
        scale[j] = affine6_code(found[j].scale, inverse_scale);
        min[j] = affine6_code(found[j].minus_min, inverse_min);
        affine_quantize(q + 32 * j, x + 32 * j, 32, rule.qmax, d * v_float((vi32)scale[j]),
                        dmin * v_float((vi32)min[j]), &found[j]);
    }
    head[0] = half_d | half_min << 16;
    affine6_pack(head + 1, scale, min);
}

typedef struct {
    float scale, min;
} ws_scale_min;

/* Scale and min of sub-block j from the 12 packed bytes and the halves of the super-block. */
static inline ws_scale_min affine6_scale_min(const uint8_t *packed, int j, uint16_t d, uint16_t dmin) {
    const bool first = j < 4;
    const int scale = first ? packed[j] & 63 : (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
    const int min = first ? packed[j + 4] & 63 : packed[j + 4] >> 4 | (packed[j] >> 6) << 4;
    return (ws_scale_min){ws_f16_to_f32(d) * (float)scale, ws_f16_to_f32(dmin) * (float)min};
}

#endif
