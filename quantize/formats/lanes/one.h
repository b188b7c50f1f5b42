/* one.h - one lane: plain scalars, any processor. The definition of every format. See any.h for the words. */
#ifndef WS_LANES_ONE_H
#define WS_LANES_ONE_H

#define WS_LANES 1
#include "fp16.h"
#include "types.h"

V_INLINE vf32 v_select(vi32 mask, vf32 yes, vf32 no) { return mask ? yes : no; }
V_INLINE vi32 vi_select(vi32 mask, vi32 yes, vi32 no) { return mask ? yes : no; }
V_INLINE vf32 v_min(vf32 a, vf32 b) { return a < b ? a : b; }
V_INLINE vf32 v_max(vf32 a, vf32 b) { return a > b ? a : b; }
V_INLINE vi32 vi_min(vi32 a, vi32 b) { return a < b ? a : b; }
V_INLINE vi32 vi_max(vi32 a, vi32 b) { return a > b ? a : b; }
/* Element `index` (its low five bits) of a table of 32. */
V_INLINE vf32 v_lookup(const float *table, vi32 index) { return table[index & 31]; }

V_INLINE vf32 v_lookup8(const float *table, vi32 index) { return table[index & 7]; }

V_INLINE vf32 v_round(vf32 f) { return (f + 0x1.8p23f) - 0x1.8p23f; }
V_INLINE vf32 v_sqrt(vf32 f) { return __builtin_sqrtf(f); }
V_INLINE int v_any(vi32 mask) { return mask != 0; }
V_INLINE uint32_t v_lane_bits(vi32 mask) { return mask & 1; }
V_INLINE vu32 v_select_less(vf32 a, vf32 b, vu32 yes, vu32 no) { return a < b ? yes : no; }

V_INLINE vu32 v_half(vf32 f) { return ws_f32_to_f16(f); }
V_INLINE vf32 v_from_half(vu32 half) { return ws_f16_to_f32((uint16_t)half); }

V_INLINE vu32 v_load_u8(const void *p) { return *(const uint8_t *)p; }
V_INLINE vi32 v_load_i8(const void *p) { return *(const int8_t *)p; }

V_INLINE vu32 v_load_u16(const void *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

V_INLINE void v_store_u16(void *p, vu32 v) {
    const uint16_t low = (uint16_t)v;
    memcpy(p, &low, sizeof low);
}

#define V_BYTES 1
V_INLINE void v_store_bounded(uint8_t *p, const vi32 *v, int8_t low, int8_t high) {
    *p = (uint8_t)vi_max(low, vi_min(high, *v));
}

V_INLINE uint32_t v_bits_lt(vf32 a, vf32 b) { return a < b; }
V_INLINE vu32 vu_add_lt(vu32 sum, vf32 a, vf32 b, uint32_t term) { return a < b ? sum + term : sum; }

#endif
