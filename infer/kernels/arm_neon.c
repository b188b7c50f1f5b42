/* arm_neon.c - kernels for every 64-bit ARM processor: products of floats, attention, and quantized rows with products
 * of bytes in pairs. */
#include "arm_quants.h"

/* Two products of 128 * 127 fit 16 bits. */
INLINE int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t x) {
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x)), high = vmull_high_s8(w, x);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
}

INLINE void sum_four(const ws_panel *panel, int g, const int end, const ws_q8_cell *x, const int tile,
                     int32x4_t sum[][N_VEC]) {
    UNROLL for (int t = 0; t < TOKENS; t++) UNROLL for (int v = 0; v < N_VEC; v++) sum[t][v] = vdupq_n_s32(0);
    UNROLL for (; g < end; g++) UNROLL for (int t = 0; t < TOKENS; t++) {
        const int8x16_t xs = (int8x16_t)all_32(x + g * tile + t);
        UNROLL for (int v = 0; v < N_VEC; v++) sum[t][v] = dot(sum[t][v], panel_quants(panel, g, v), xs);
    }
}

#include "arm_blocks.h"
#include "block_panels.h"

/* ---- floats (vectors.h) ---- */

#define V(op) neon_##op
#define VF    float32x4_t
enum { TILE_R = 2, STRIP_R = 2, TILE_T = 3, ATTN_ROWS = 4 };
#define IN_REGISTER(v) __asm__("" : "+w"(v))

INLINE VF neon_setzero_ps(void) { return vdupq_n_f32(0); }
INLINE VF neon_set1_ps(float x) { return vdupq_n_f32(x); }
INLINE VF neon_loadu_ps(const float *p) { return vld1q_f32(p); }
INLINE void neon_storeu_ps(float *p, VF v) { vst1q_f32(p, v); }
INLINE VF neon_fmadd_ps(VF a, VF b, VF c) { return vfmaq_f32(c, a, b); }

/* 4 floats of a kind (float_kind): register v of the 16 at p. */
#define LOAD_VEC(p, v, kind) load_4((const uint8_t *)(p), v, (int)(kind))
INLINE VF load_4(const uint8_t *p, const int v, const int kind) {
    if (kind == 0) return vreinterpretq_f32_u8(vld1q_u8(p + 16 * v));
    if (kind == 1) return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 8 * v)));
    const uint32x4_t pairs = vreinterpretq_u32_u8(vld1q_u8(p + 16 * v));
    return vreinterpretq_f32_u32(kind == 2 ? vandq_u32(pairs, vdupq_n_u32(0xffff0000u)) : vshlq_n_u32(pairs, 16));
}

#define ADD_LANES(l) add_lanes((l).v)
static inline float add_lanes(const VF v[4]) {
    const VF s4 = vaddq_f32(vaddq_f32(v[0], v[2]), vaddq_f32(v[1], v[3])); /* lanes 8 apart, then 4 */
    const float32x2_t s2 = vadd_f32(vget_low_f32(s4), vget_high_f32(s4));
    return vget_lane_f32(s2, 0) + vget_lane_f32(s2, 1);
}

#include "vectors.h"

void ws_kernels_init_neon(ws_kernels *k) {
    vectors_init(k);
    panels_init(k);
    decoding_init(k);
    singles_init(k);
}
