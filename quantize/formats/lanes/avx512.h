/* avx512.h - sixteen lanes: AVX-512 F, BW, DQ, VL. See any.h for the words. */
#ifndef WS_LANES_AVX512_H
#define WS_LANES_AVX512_H

#include <immintrin.h>

#define WS_LANES 16
#include "types.h"

/* 0xca: the truth table of mask ? yes : no. */
V_INLINE vi32 vi_select(vi32 mask, vi32 yes, vi32 no) {
    return (vi32)_mm512_ternarylogic_epi32((__m512i)mask, (__m512i)yes, (__m512i)no, 0xca);
}
V_INLINE vf32 v_select(vi32 mask, vf32 yes, vf32 no) { return (vf32)vi_select(mask, (vi32)yes, (vi32)no); }
V_INLINE vf32 v_min(vf32 a, vf32 b) { return _mm512_min_ps(a, b); }
V_INLINE vf32 v_max(vf32 a, vf32 b) { return _mm512_max_ps(a, b); }
V_INLINE vi32 vi_min(vi32 a, vi32 b) { return (vi32)_mm512_min_epi32((__m512i)a, (__m512i)b); }
V_INLINE vi32 vi_max(vi32 a, vi32 b) { return (vi32)_mm512_max_epi32((__m512i)a, (__m512i)b); }
V_INLINE vf32 v_lookup(const float *table, vi32 index) {
    return _mm512_permutex2var_ps(_mm512_loadu_ps(table), (__m512i)index, _mm512_loadu_ps(table + 16));
}
V_INLINE vf32 v_lookup8(const float *table, vi32 index) { /* the table twice, so that bit 3 does not matter */
    return _mm512_permutexvar_ps((__m512i)index, _mm512_broadcast_f32x8(_mm256_loadu_ps(table)));
}
V_INLINE uint32_t v_lane_bits(vi32 mask) { return _mm512_movepi32_mask((__m512i)mask); }
V_INLINE vu32 v_select_less(vf32 a, vf32 b, vu32 yes, vu32 no) {
    return (vu32)_mm512_mask_mov_epi32((__m512i)no, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), (__m512i)yes);
}
V_INLINE vf32 v_round(vf32 f) { return _mm512_roundscale_ps(f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
V_INLINE vf32 v_sqrt(vf32 f) { return _mm512_sqrt_ps(f); }
V_INLINE int v_any(vi32 mask) { return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0; }

/* The processor would keep the payload of a NaN; the definition makes it 0x7e00 with the sign. */
V_INLINE vu32 v_half(vf32 f) {
    const __m512 sign = _mm512_and_ps(f, _mm512_set1_ps(-0.0f)), nan = _mm512_set1_ps(__builtin_nanf(""));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(f, f, _CMP_UNORD_Q);
    const __m512 quiet = _mm512_mask_or_ps(f, is_nan, sign, nan);
    return (vu32)_mm512_cvtepu16_epi32(_mm512_cvtps_ph(quiet, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
V_INLINE vf32 v_from_half(vu32 half) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16((__m512i)half)); }

V_INLINE vu32 v_load_u8(const void *p) { return (vu32)_mm512_cvtepu8_epi32(_mm_loadu_si128(p)); }
V_INLINE vi32 v_load_i8(const void *p) { return (vi32)_mm512_cvtepi8_epi32(_mm_loadu_si128(p)); }
V_INLINE vu32 v_load_u16(const void *p) { return (vu32)_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)); }
V_INLINE void v_store_u16(void *p, vu32 v) { _mm256_storeu_si256(p, _mm512_cvtepi32_epi16((__m512i)v)); }

#define V_HAS_TRUNC_ANY
V_INLINE vi32 v_trunc_any(vf32 f) { return (vi32)_mm512_cvttps_epi32(f); }

#define V_BYTES 64
V_INLINE void v_store_bounded(uint8_t *p, const vi32 *v, int8_t low,
                              int8_t high) { /* packs in fours, hence the shuffle */
    const __m512i a = _mm512_packs_epi32((__m512i)v[0], (__m512i)v[1]);
    const __m512i b = _mm512_packs_epi32((__m512i)v[2], (__m512i)v[3]);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(a, b));
    const __m512i above = _mm512_max_epi8(bytes, _mm512_set1_epi8(low));
    _mm512_storeu_si512(p, _mm512_min_epi8(above, _mm512_set1_epi8(high)));
}

#define V_HAS_BYTE_BITS
V_INLINE uint32_t v_bit_of_bytes(const uint8_t *p, int bit) {
    return _mm256_test_epi8_mask(_mm256_loadu_si256((const void *)p), _mm256_set1_epi8((char)(1 << bit)));
}

V_INLINE size_t v_compress(uint32_t *out, vu32 v, vi32 mask) {
    const __mmask16 bits = _mm512_movepi32_mask((__m512i)mask);
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(bits, (__m512i)v));
    return (size_t)__builtin_popcount(bits);
}

#define V_PART 8
typedef float vp_f32 __attribute__((vector_size(32)));
typedef uint32_t vp_u32 __attribute__((vector_size(32)));
V_INLINE vp_f32 vp_min(vp_f32 a, vp_f32 b) { return _mm256_min_ps(a, b); }
V_INLINE vp_u32 vp_select_less(vp_f32 a, vp_f32 b, vp_u32 yes, vp_u32 no) {
    return (vp_u32)_mm256_mask_mov_epi32((__m256i)no, _mm256_cmp_ps_mask(a, b, _CMP_LT_OQ), (__m256i)yes);
}
V_INLINE void vp_store_lanes(uint32_t *p, vp_u32 v, unsigned begin, unsigned end) {
    _mm256_mask_storeu_epi32(p, (__mmask8)((1u << end) - (1u << begin)), (__m256i)v);
}

/* Broadcasts under a mask, since those are loads; to insert would take the ports of the shuffles that follow. */
V_INLINE vf32 v_load_chunks(const uint8_t *const *block, size_t offset) {
    __m512 v = _mm512_broadcast_f32x4(_mm_loadu_ps((const void *)(block[0] + offset)));
    v = _mm512_mask_broadcast_f32x4(v, 0x00f0, _mm_loadu_ps((const void *)(block[4] + offset)));
    v = _mm512_mask_broadcast_f32x4(v, 0x0f00, _mm_loadu_ps((const void *)(block[8] + offset)));
    return _mm512_mask_broadcast_f32x4(v, 0xf000, _mm_loadu_ps((const void *)(block[12] + offset)));
}

V_INLINE vf32 v_quad(const float *p) { return _mm512_broadcast_f32x4(_mm_loadu_ps(p)); }
V_INLINE vf32 v_each_quad(const float *p) {
    const __m512i lanes = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    return _mm512_permutexvar_ps(lanes, _mm512_castps128_ps512(_mm_loadu_ps(p)));
}
V_INLINE vf32 v_quad_lookup(vf32 quads, vu32 index) { return _mm512_permutevar_ps(quads, (__m512i)index); }
#define V_HAS_WIDE_LOOKUP /* and each lane one of all sixteen */
V_INLINE vf32 v_wide_lookup(vf32 table, vu32 index) { return _mm512_permutexvar_ps((__m512i)index, table); }
V_INLINE float v_least(vf32 v) { return _mm512_reduce_min_ps(v); }
V_INLINE uint32_t v_bits_lt(vf32 a, vf32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
V_INLINE uint32_t v_bits_le(vf32 a, vf32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
V_INLINE vu32 vu_add_lt(vu32 sum, vf32 a, vf32 b, uint32_t term) {
    return (vu32)_mm512_mask_add_epi32((__m512i)sum, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), (__m512i)sum,
                                       _mm512_set1_epi32((int)term));
}

#endif
