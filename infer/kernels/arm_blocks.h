/* arm_blocks.h - blocks of quantized rows for NEON, and their products with a single token by dot(), for arm_neon.c and
 * arm_dotprod.c. */
#ifndef WS_ARM_BLOCKS_H
#define WS_ARM_BLOCKS_H

#include "arm_panels.h"

enum { WIDE_LOW = 0 }; /* signed bytes hold all quants */

typedef struct {
    int32x4_t sum;
} dots;

INLINE dots open_dots(const ws_q8_cell *bias, const int low) {
    return (dots){low ? (int32x4_t)((i32s)all_32(bias) >> (7 - __builtin_ctz((unsigned)-low))) : vdupq_n_s32(0)};
}

INLINE void add_dots(dots *d, u8s q, const ws_q8_cell *x, const int adds) {
    (void)adds;
    d->sum = dot(d->sum, (int8x16_t)q, (int8x16_t)all_32(x));
}

INLINE void add_signed_dots(dots *d, u8s magnitudes, u8s minus, const ws_q8_cell *x, const int adds) {
    add_dots(d, (magnitudes ^ minus) - minus, x, adds);
}

INLINE f32s close_dots(dots *d) { return as_floats(d->sum); }

#include "block_table.h"

#endif
