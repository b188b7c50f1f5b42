/* avx2.h - eight lanes: AVX2 and F16C. See any.h for the words. */
#ifndef WS_LANES_AVX2_H
#define WS_LANES_AVX2_H

#include <immintrin.h>

#define WS_LANES 8
#define V_HAS_STORE_LANES
#include "types.h"

V_INLINE vf32 v_select(vi32 mask, vf32 yes, vf32 no) { return _mm256_blendv_ps(no, yes, (__m256)mask); }
V_INLINE vi32 vi_select(vi32 mask, vi32 yes, vi32 no) {
    return (vi32)_mm256_blendv_epi8((__m256i)no, (__m256i)yes, (__m256i)mask);
}
V_INLINE vf32 v_min(vf32 a, vf32 b) { return _mm256_min_ps(a, b); }
V_INLINE vf32 v_max(vf32 a, vf32 b) { return _mm256_max_ps(a, b); }
V_INLINE vi32 vi_min(vi32 a, vi32 b) { return (vi32)_mm256_min_epi32((__m256i)a, (__m256i)b); }
V_INLINE vi32 vi_max(vi32 a, vi32 b) { return (vi32)_mm256_max_epi32((__m256i)a, (__m256i)b); }
/* The low three bits choose within eight elements, bits 3 and 4 among the four eights. */
V_INLINE vf32 v_lookup(const float *table, vi32 index) {
    const __m256 bit3 = (__m256)(index << 28), bit4 = (__m256)(index << 27);
    __m256 v[4];
    for (int k = 0; k < 4; k++) v[k] = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8 * k), (__m256i)index);
    return _mm256_blendv_ps(_mm256_blendv_ps(v[0], v[1], bit3), _mm256_blendv_ps(v[2], v[3], bit3), bit4);
}
V_INLINE vf32 v_lookup8(const float *table, vi32 index) {
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), (__m256i)index);
}
V_INLINE uint32_t v_lane_bits(vi32 mask) { return (uint32_t)_mm256_movemask_ps((__m256)mask); }
V_INLINE vu32 v_select_less(vf32 a, vf32 b, vu32 yes, vu32 no) {
    return (vu32)_mm256_blendv_ps((__m256)no, (__m256)yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
V_INLINE vf32 v_round(vf32 f) { return _mm256_round_ps(f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
V_INLINE vf32 v_sqrt(vf32 f) { return _mm256_sqrt_ps(f); }
V_INLINE int v_any(vi32 mask) { return _mm256_movemask_ps((__m256)mask) != 0; }

/* The processor would keep the payload of a NaN; the definition makes it 0x7e00 with the sign. */
V_INLINE __m128i halves(vf32 f) {
    const __m256 sign = _mm256_and_ps(f, _mm256_set1_ps(-0.0f)), nan = _mm256_set1_ps(__builtin_nanf(""));
    const __m256 quiet = _mm256_blendv_ps(f, _mm256_or_ps(sign, nan), _mm256_cmp_ps(f, f, _CMP_UNORD_Q));
    return _mm256_cvtps_ph(quiet, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
V_INLINE vu32 v_half(vf32 f) { return (vu32)_mm256_cvtepu16_epi32(halves(f)); }
V_INLINE __m128i low_halves(vu32 v) {
    const __m256i low = (__m256i)(v & 0xffffu);
    return _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
}
V_INLINE vf32 v_from_half(vu32 half) { return _mm256_cvtph_ps(low_halves(half)); }

V_INLINE vu32 v_load_u8(const void *p) { return (vu32)_mm256_cvtepu8_epi32(_mm_loadu_si64(p)); }
V_INLINE vi32 v_load_i8(const void *p) { return (vi32)_mm256_cvtepi8_epi32(_mm_loadu_si64(p)); }
V_INLINE vu32 v_load_u16(const void *p) { return (vu32)_mm256_cvtepu16_epi32(_mm_loadu_si128(p)); }
V_INLINE void v_store_u16(void *p, vu32 v) { _mm_storeu_si128(p, low_halves(v)); }

#define V_HAS_TRUNC_ANY
V_INLINE vi32 v_trunc_any(vf32 f) { return (vi32)_mm256_cvttps_epi32(f); }

#define V_BYTES 32
V_INLINE void v_store_bounded(uint8_t *p, const vi32 *v, int8_t low,
                              int8_t high) { /* packs in fours, hence the shuffle */
    const __m256i a = _mm256_packs_epi32((__m256i)v[0], (__m256i)v[1]);
    const __m256i b = _mm256_packs_epi32((__m256i)v[2], (__m256i)v[3]);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b), order);
    const __m256i above = _mm256_max_epi8(bytes, _mm256_set1_epi8(low));
    _mm256_storeu_si256((void *)p, _mm256_min_epi8(above, _mm256_set1_epi8(high)));
}

#define V_HAS_BYTE_BITS
V_INLINE uint32_t v_bit_of_bytes(const uint8_t *p, int bit) {
    const __m256i highest = _mm256_slli_epi16(_mm256_loadu_si256((const void *)p), 7 - bit);
    return (uint32_t)_mm256_movemask_epi8(highest);
}

V_INLINE void vp_store_lanes(uint32_t *p, vu32 v, unsigned begin, unsigned end) {
    const vi32 lane = {0, 1, 2, 3, 4, 5, 6, 7};
    _mm256_maskstore_epi32((int *)p, (__m256i)((lane >= (int)begin) & (lane < (int)end)), (__m256i)v);
}

/* The four bytes-of-16 at `offset` of blocks 0 and 4. */
V_INLINE vf32 v_load_chunks(const uint8_t *const *block, size_t offset) {
    return _mm256_loadu2_m128((const void *)(block[4] + offset), (const void *)(block[0] + offset));
}

V_INLINE vf32 v_quad(const float *p) { return _mm256_broadcast_ps((const void *)p); }
V_INLINE vf32 v_each_quad(const float *p) {
    const __m256i lanes = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    return _mm256_permutevar8x32_ps((__m256)_mm256_castsi128_si256(_mm_loadu_si64(p)), lanes);
}
V_INLINE vf32 v_quad_lookup(vf32 quads, vu32 index) { return _mm256_permutevar_ps(quads, (__m256i)index); }
V_INLINE float v_least(vf32 v) {
    const __m128 four = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_min_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_min_ss(two, _mm_movehdup_ps(two)));
}
V_INLINE uint32_t v_bits_lt(vf32 a, vf32 b) { return (uint32_t)_mm256_movemask_ps((__m256)(a < b)); }
V_INLINE uint32_t v_bits_le(vf32 a, vf32 b) { return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LE_OQ)); }
V_INLINE vu32 vu_add_lt(vu32 sum, vf32 a, vf32 b, uint32_t term) {
    return term == 1 ? sum - (vu32)(a < b) : sum + ((vu32)(a < b) & term); /* terms are constants */
}

#endif
