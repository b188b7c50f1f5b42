/* affine6.h - super-blocks of 8 sub-blocks of 32 with 6-bit scales and mins (Q4_K, Q5_K). */
#ifndef WS_AFFINE6_H
#define WS_AFFINE6_H

#include "affine.h"
#include "importance.h"
#include "positive.h"

V_INLINE vu32 affine6_code(vf32 value, vf32 inverse) {
    const vu32 low_byte = (vu32)v_nearest(inverse * value) & 0xffu;
    return (vu32)vi_min(vi_set(63), (vi32)low_byte);
}

/* Bytes of codes of 8 bits: what is above 6 bits (never from ordinary data) falls on bits of others, as in the
 * reference, hence affine6_unpack(). */
V_INLINE void affine6_pack(vu32 *bytes, const vu32 *scale, const vu32 *min) {
    for (int j = 0; j < 4; j++) {
        bytes[j] = (scale[j] | (scale[j + 4] >> 4) << 6) & 0xffu;
        bytes[j + 4] = (min[j] | (min[j + 4] >> 4) << 6) & 0xffu;
        bytes[j + 8] = (scale[j + 4] & 15u) | (min[j + 4] & 15u) << 4;
    }
}

V_INLINE void affine6_unpack(vu32 *scale, vu32 *min, const vu32 *bytes) {
    for (int j = 0; j < 4; j++) {
        scale[j] = bytes[j] & 63u;
        min[j] = bytes[j + 4] & 63u;
        scale[j + 4] = (bytes[j + 8] & 15u) | (bytes[j] >> 6) << 4;
        min[j + 4] = bytes[j + 8] >> 4 | (bytes[j + 4] >> 6) << 4;
    }
}

/* Elements weigh their magnitude plus the root mean square of the sub-block. */
V_INLINE void affine6_weights(vf32 *w, const vf32 *x) {
    vf32 sum = v_set(0);
    for (int i = 0; i < 32; i++) sum += x[i] * x[i];
    const vf32 rms = v_sqrt(sum / 32.0f);
    for (int i = 0; i < 32; i++) w[i] = rms + v_abs(x[i]);
}

/* What is stored of a super-block but for the quants. */
typedef struct {
    vu32 half_d, half_min, scale[8], min[8];
} ws_affine6;

/* The codes go by the largest scale and the largest min. */
V_INLINE void affine6_encode(ws_affine6 *a, const ws_affine *found) {
    const vf32 zero = v_set(0);
    vf32 max_scale = zero, max_min = zero;
    for (int j = 0; j < 8; j++) {
        max_scale = v_max(found[j].scale, max_scale);
        max_min = v_max(found[j].minus_min, max_min);
    }
    const vf32 inverse_scale = v_select(v_lt(zero, max_scale), 63.0f / max_scale, zero);
    const vf32 inverse_min = v_select(v_lt(zero, max_min), 63.0f / max_min, zero);
    a->half_d = v_half(max_scale / 63.0f);
    a->half_min = v_half(max_min / 63.0f);
    for (int j = 0; j < 8; j++) {
        a->scale[j] = affine6_code(found[j].scale, inverse_scale);
        a->min[j] = affine6_code(found[j].minus_min, inverse_min);
    }
}

/* The codes are searched for, sub-blocks having the weight of their elements. */
V_INLINE void affine6_encode_weighted(ws_affine6 *a, const ws_affine *found, vu32 max_code) {
    vf32 scales[8], mins[8], w[8];
    for (int j = 0; j < 8; j++) {
        scales[j] = found[j].scale;
        mins[j] = found[j].minus_min;
        w[j] = found[j].sum_w;
    }
    a->half_d = v_half(positive_search(a->scale, scales, w, 8, 63));
    a->half_min = v_half(positive_search(a->min, mins, w, 8, 63));
    for (int j = 0; j < 8; j++) {
        a->scale[j] = (vu32)vi_min((vi32)max_code, (vi32)a->scale[j]);
        a->min[j] = (vu32)vi_min((vi32)max_code, (vi32)a->min[j]);
    }
}

/* The four words of a block's head, d and dmin, scales and mins; and its 256 quants. */
V_INLINE void affine6_finish(vu32 *head, vu32 *q, ws_affine6 *a, const vf32 *x, int qmax, const ws_affine *found) {
    const vf32 d = v_from_half(a->half_d), dmin = v_from_half(a->half_min);
    vu32 bytes[12];
    affine6_pack(bytes, a->scale, a->min);
    affine6_unpack(a->scale, a->min, bytes);
    head[0] = a->half_d | a->half_min << 16;
    for (int i = 0; i < 3; i++) head[1 + i] = v_word(bytes + 4 * i);
    for (int j = 0; j < 8; j++)
        affine_quantize(q + 32 * j, x + 32 * j, 32, qmax, d * v_float((vi32)a->scale[j]),
                        dmin * v_float((vi32)a->min[j]), &found[j]);
}

V_INLINE void affine6_quantize(vu32 *head, vu32 *q, const vf32 *x, const ws_affine_rule rule) {
    ws_affine found[8];
    ws_affine6 a;
    for (int j = 0; j < 8; j += AFFINE_SIDE) {
        vf32 w[32 * AFFINE_SIDE];
        for (int k = 0; k < AFFINE_SIDE; k++) affine6_weights(w + 32 * k, x + 32 * (j + k));
        affine_search(found + j, x + 32 * j, w, rule);
    }
    affine6_encode(&a, found);
    affine6_finish(head, q, &a, x, rule.qmax, found);
}

/* The same with the importance of the columns; codes above max_code become that. */
V_INLINE void affine6_quantize_weighted(vu32 *head, vu32 *q, const vf32 *x, const vf32 *columns, int qmax,
                                        uint32_t max_code) {
    ws_affine found[8];
    ws_affine6 a;
    vf32 w[256];
    importance_of_super_block(w, x, columns, 2.0f);
    for (int j = 0; j < 8; j += AFFINE_SIDE)
        affine_search(found + j, x + 32 * j, w + 32 * j, AFFINE_WEIGHTED(32, qmax, AFFINE_SIDE));
    affine6_encode_weighted(&a, found, vu_set(max_code));
    affine6_finish(head, q, &a, x, qmax, found);
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
