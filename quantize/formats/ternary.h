/* ternary.h - quants that are x over the largest magnitude, rounded to -1, 0, 1, halves away from zero. Some of them
 * make a byte, as digits to base 3 or 4 that are one higher. */
#ifndef WS_TERNARY_H
#define WS_TERNARY_H

#include "simple.h"

/* Twice the element over its scale has the quant for a whole part, but for 2 and -2. */
V_INLINE vf32 ternary_scaled(vf32 x, float inverse, float unused) {
    (void)unused;
    const vf32 f = x * inverse;
    return f + f;
}

V_INLINE block_scales ternary_measure(const float *x, int n) {
    const vf32 d = blocks_largest(x, n, n);
    return (block_scales){v_inverse(d), v_set(0), v_half(d)};
}

/* The quants of the n elements of each block. */
V_INLINE void ternary_quants(uint8_t *q, const float *x, int n, const block_scales *s) {
    blocks_quants(q, x, n, s, ternary_scaled, -1, 1);
}

typedef uint8_t ternary_bytes __attribute__((vector_size(16)));

V_INLINE ternary_bytes ternary_load(const uint8_t *q) {
    ternary_bytes v;
    memcpy(&v, q, sizeof v);
    return v;
}

#endif
