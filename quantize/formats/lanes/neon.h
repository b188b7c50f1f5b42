/* neon.h - four lanes: the vectors of every 64-bit ARM processor. What any.h says in operators is well compiled;
 * only a few words have better instructions. */
#ifndef WS_LANES_NEON_H
#define WS_LANES_NEON_H

#include <arm_neon.h>

#define WS_LANES 4
#define V_HAS_OWN_WORDS
#include "any.h"

V_INLINE vi32 vi_min(vi32 a, vi32 b) { return (vi32)vminq_s32((int32x4_t)a, (int32x4_t)b); }
V_INLINE vi32 vi_max(vi32 a, vi32 b) { return (vi32)vmaxq_s32((int32x4_t)a, (int32x4_t)b); }
V_INLINE vf32 v_round(vf32 f) { return (vf32)vrndnq_f32((float32x4_t)f); }
V_INLINE vf32 v_sqrt(vf32 f) { return (vf32)vsqrtq_f32((float32x4_t)f); }
V_INLINE vf32 v_lookup(const float *table, vi32 index) {
    const vi32 masked = index & 31;
    return (vf32){table[masked[0]], table[masked[1]], table[masked[2]], table[masked[3]]};
}
V_INLINE vf32 v_lookup8(const float *table, vi32 index) {
    const vi32 masked = index & 7;
    return (vf32){table[masked[0]], table[masked[1]], table[masked[2]], table[masked[3]]};
}
V_INLINE uint32_t v_lane_bits(vi32 mask) { return vaddvq_u32((uint32x4_t)mask & (uint32x4_t){1, 2, 4, 8}); }
V_INLINE vu32 v_select_less(vf32 a, vf32 b, vu32 yes, vu32 no) {
    return (vu32)vbslq_u32(vcltq_f32((float32x4_t)a, (float32x4_t)b), (uint32x4_t)yes, (uint32x4_t)no);
}
V_INLINE int v_any(vi32 mask) { return vmaxvq_u32((uint32x4_t)mask) != 0; }

#define V_BYTES 16
V_INLINE void v_store_bounded(uint8_t *p, const vi32 *v, int8_t low, int8_t high) {
    const int16x8_t a = vcombine_s16(vqmovn_s32((int32x4_t)v[0]), vqmovn_s32((int32x4_t)v[1]));
    const int16x8_t b = vcombine_s16(vqmovn_s32((int32x4_t)v[2]), vqmovn_s32((int32x4_t)v[3]));
    const int8x16_t bytes = vcombine_s8(vqmovn_s16(a), vqmovn_s16(b));
    vst1q_s8((int8_t *)p, vminq_s8(vmaxq_s8(bytes, vdupq_n_s8(low)), vdupq_n_s8(high)));
}

V_INLINE vf32 v_quad_lookup(vf32 quads, vu32 index) {
    const vu32 bytes = (index & 3u) * 0x04040404u + 0x03020100u;
    return (vf32)vqtbl1q_u8((uint8x16_t)quads, (uint8x16_t)bytes);
}
V_INLINE float v_least(vf32 v) { return vminvq_f32((float32x4_t)v); }
V_INLINE uint32_t v_bits_lt(vf32 a, vf32 b) { return v_lane_bits((vi32)(a < b)); }
V_INLINE uint32_t v_bits_le(vf32 a, vf32 b) { return v_lane_bits((vi32)(a <= b)); }

#endif
