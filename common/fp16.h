/* fp16.h - IEEE half and bfloat16 in software, the definition that SIMD conversions are tested against. */
#ifndef WS_FP16_H
#define WS_FP16_H

#include <stdint.h>
#include <string.h>

static inline uint32_t ws_f32_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float ws_f32_from_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* A NaN keeps its payload and is made quiet, as processors do it. */
static inline float ws_f16_to_f32(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, mant = h & 0x3ff;
    if (exp == 31) return ws_f32_from_bits(sign | 0x7f800000u | mant << 13 | (mant ? 0x400000u : 0));
    if (exp) return ws_f32_from_bits(sign | (exp + 112) << 23 | mant << 13);
    const float subnormal = (float)mant * 0x1p-24f; /* exact: mant < 2^10 */
    return ws_f32_from_bits(sign | ws_f32_bits(subnormal));
}

/* Round to nearest even; overflow gives infinity; NaN becomes the quiet NaN 0x7e00 with the sign kept. */
static inline uint16_t ws_f32_to_f16(float f) {
    const uint32_t u = ws_f32_bits(f), sign = u >> 16 & 0x8000, mag = u & 0x7fffffff;
    if (mag > 0x7f800000u) return (uint16_t)(sign | 0x7e00);
    if (mag >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); /* from 65520 on */
    if (mag < 0x38800000u) { /* below 2^-14: subnormal; adding 0.5 leaves the rounded value in the low bits */
        const float shifted = ws_f32_from_bits(mag) + 0.5f;
        return (uint16_t)(sign | (ws_f32_bits(shifted) - 0x3f000000u));
    }
    const uint32_t odd = mag >> 13 & 1;
    return (uint16_t)(sign | ((mag - 0x38000000u + 0xfff + odd) >> 13));
}

static inline float ws_bf16_to_f32(uint16_t h) { return ws_f32_from_bits((uint32_t)h << 16); }

/* Round to nearest even; a NaN stays a NaN (made quiet). */
static inline uint16_t ws_f32_to_bf16(float f) {
    const uint32_t u = ws_f32_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000u) return (uint16_t)(u >> 16 | 64);
    return (uint16_t)((u + (0x7fff + (u >> 16 & 1))) >> 16);
}

#endif
