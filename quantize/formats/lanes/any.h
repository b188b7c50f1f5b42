/* any.h - the words that instruction sets say differently, in the compiler's operators, for any WS_LANES > 1. */
#ifndef WS_LANES_ANY_H
#define WS_LANES_ANY_H

#include "types.h"

/* `yes` where the mask is set. */
V_INLINE vi32 vi_select(vi32 mask, vi32 yes, vi32 no) { return (yes & mask) | (no & ~mask); }
V_INLINE vf32 v_select(vi32 mask, vf32 yes, vf32 no) { return (vf32)vi_select(mask, (vi32)yes, (vi32)no); }

/* a < b ? a : b and a > b ? a : b: the second operand when one is NaN or both are zero. */
V_INLINE vf32 v_min(vf32 a, vf32 b) { return v_select(V_MASK(a < b), a, b); }
V_INLINE vf32 v_max(vf32 a, vf32 b) { return v_select(V_MASK(a > b), a, b); }

#ifndef V_HAS_OWN_WORDS
V_INLINE vi32 vi_min(vi32 a, vi32 b) { return vi_select(a < b, a, b); }
V_INLINE vi32 vi_max(vi32 a, vi32 b) { return vi_select(a > b, a, b); }

/* To the nearest whole number, ties to even, for |f| < 2^22; a 0 may have either sign. */
V_INLINE vf32 v_round(vf32 f) { return (f + 0x1.8p23f) - 0x1.8p23f; }

V_INLINE vf32 v_sqrt(vf32 f) {
    for (int lane = 0; lane < WS_LANES; lane++) f[lane] = __builtin_sqrtf(f[lane]);
    return f;
}

/* In each lane element `index` (its low five bits) of a table of 32. */
V_INLINE vf32 v_lookup(const float *table, vi32 index) {
    vf32 v;
    for (int lane = 0; lane < WS_LANES; lane++) v[lane] = table[index[lane] & 31];
    return v;
}

/* The same for the low three bits and a table of 8. */
V_INLINE vf32 v_lookup8(const float *table, vi32 index) {
    vf32 v;
    for (int lane = 0; lane < WS_LANES; lane++) v[lane] = table[index[lane] & 7];
    return v;
}

/* Bit i is set where the mask is set in lane i. */
V_INLINE uint32_t v_lane_bits(vi32 mask) {
    uint32_t bits = 0;
    for (int lane = 0; lane < WS_LANES; lane++) bits |= ((uint32_t)mask[lane] & 1u) << lane;
    return bits;
}

/* a < b ? yes : no */
V_INLINE vu32 v_select_less(vf32 a, vf32 b, vu32 yes, vu32 no) {
    return (vu32)vi_select(V_MASK(a < b), (vi32)yes, (vi32)no);
}

/* Is the mask set in any lane? */
V_INLINE int v_any(vi32 mask) {
    int32_t any = 0;
    for (int lane = 0; lane < WS_LANES; lane++) any |= mask[lane];
    return any != 0;
}
#endif

/* Float to half in the low 16 bits, as ws_f32_to_f16() does it. */
V_INLINE vu32 v_half(vf32 f) {
    const vu32 u = (vu32)f, sign = u >> 16 & 0x8000u, mag = u & 0x7fffffffu;
    const vu32 normal = (mag - 0x38000000u + 0xfffu + (mag >> 13 & 1u)) >> 13;
    const vu32 subnormal = (vu32)((vf32)mag + 0.5f) - 0x3f000000u;
    vi32 half = vi_select(mag < 0x38800000u, (vi32)subnormal, (vi32)normal);
    half = vi_select(mag >= 0x477ff000u, (vi32){0} + 0x7c00, half); /* from 65520 on: infinity */
    half = vi_select(mag > 0x7f800000u, (vi32){0} + 0x7e00, half);
    return (vu32)half | sign;
}

/* Half (in the low 16 bits) to float, as ws_f16_to_f32() does it. */
V_INLINE vf32 v_from_half(vu32 half) {
    const vu32 sign = (half & 0x8000u) << 16, mag = half & 0x7fffu;
    const vf32 subnormal = V_CONVERT((vi32)mag, vf32) * 0x1p-24f;
    vu32 normal = (mag << 13) + 0x38000000u;
    normal += (vu32)(mag >= 0x7c00u) & 0x38000000u; /* infinity, NaN */
    normal |= (vu32)(mag > 0x7c00u) & 0x00400000u;  /* NaNs are made quiet */
    return (vf32)(sign | (vu32)vi_select(mag < 0x400u, (vi32)subnormal, (vi32)normal));
}

/* WS_LANES small integers, each in a lane; and the low 16 bits of each lane. */
typedef uint8_t v_bytes __attribute__((vector_size(WS_LANES)));
typedef int8_t v_signed_bytes __attribute__((vector_size(WS_LANES)));
typedef uint16_t v_shorts __attribute__((vector_size(2 * WS_LANES)));

V_INLINE vu32 v_load_u8(const void *p) {
    v_bytes v;
    memcpy(&v, p, sizeof v);
    return V_CONVERT(v, vu32);
}

V_INLINE vi32 v_load_i8(const void *p) {
    v_signed_bytes v;
    memcpy(&v, p, sizeof v);
    return V_CONVERT(v, vi32);
}

V_INLINE vu32 v_load_u16(const void *p) {
    v_shorts v;
    memcpy(&v, p, sizeof v);
    return V_CONVERT(v, vu32);
}

V_INLINE void v_store_u16(void *p, vu32 v) {
    const v_shorts low = V_CONVERT(v, v_shorts);
    memcpy(p, &low, sizeof low);
}

/* Four floats at byte `offset` of each of the blocks 0, 4, 8, ... */
V_INLINE vf32 v_load_chunks(const uint8_t *const *block, size_t offset) {
    vf32 v;
    for (int k = 0; k < WS_LANES / 4; k++) memcpy((uint8_t *)&v + 16 * k, block[4 * k] + offset, 16);
    return v;
}

/* p[0..3] in every four lanes; p[k] in all lanes of the k-th four. */
V_INLINE vf32 v_quad(const float *p) {
    vf32 v;
    for (int k = 0; k < WS_LANES / 4; k++) memcpy((uint8_t *)&v + 16 * k, p, 16);
    return v;
}
V_INLINE vf32 v_each_quad(const float *p) {
    vf32 v;
    for (int lane = 0; lane < WS_LANES; lane++) v[lane] = p[lane / 4];
    return v;
}

#ifndef V_HAS_OWN_WORDS
/* V_BYTES integers, so many that they fill a vector or some, each bounded to low..high, as bytes. */
#define V_BYTES WS_LANES
V_INLINE void v_store_bounded(uint8_t *p, const vi32 *v, int8_t low, int8_t high) {
    for (int i = 0; i < WS_LANES; i++) p[i] = (uint8_t)((*v)[i] < low ? low : (*v)[i] > high ? high : (*v)[i]);
}

/* Each lane takes one of its four: that which the low two bits of its index name. */
V_INLINE vf32 v_quad_lookup(vf32 quads, vu32 index) {
    vf32 v;
    for (uint32_t lane = 0; lane < WS_LANES; lane++) v[lane] = quads[lane / 4 * 4 + (index[lane] & 3u)];
    return v;
}

/* The smallest of all lanes (no NaN among them). */
V_INLINE float v_least(vf32 v) {
    float least = v[0];
    for (int lane = 1; lane < WS_LANES; lane++) least = v[lane] < least ? v[lane] : least;
    return least;
}

/* Bit i: is a < b, a <= b in lane i? */
V_INLINE uint32_t v_bits_lt(vf32 a, vf32 b) { return v_lane_bits((vi32)(a < b)); }
V_INLINE uint32_t v_bits_le(vf32 a, vf32 b) { return v_lane_bits((vi32)(a <= b)); }
#endif

/* sum + term where a < b. */
V_INLINE vu32 vu_add_lt(vu32 sum, vf32 a, vf32 b, uint32_t term) { return sum + ((vu32)(a < b) & term); }

#endif
