/* types.h - the lane types: plain scalars for one lane, else vectors by the compiler's extension. */
#ifndef WS_LANES_TYPES_H
#define WS_LANES_TYPES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define V_INLINE static inline __attribute__((always_inline))

#if WS_LANES == 1
typedef float vf32;
typedef int32_t vi32;
typedef uint32_t vu32;
#define V_MASK(condition)  (-(vi32)(condition))
#define V_CONVERT(v, type) ((type)(v))
#else
typedef float vf32 __attribute__((vector_size(4 * WS_LANES)));
typedef int32_t vi32 __attribute__((vector_size(4 * WS_LANES)));
typedef uint32_t vu32 __attribute__((vector_size(4 * WS_LANES)));
#define V_MASK(condition)  ((vi32)(condition))
#define V_CONVERT(v, type) __builtin_convertvector(v, type)
#endif

/* v_lane_bits() of a mask that is set everywhere. */
#define V_ALL_LANES ((1u << WS_LANES) - 1)

/* The numbers a, b, c, d of a shuffle within four lanes, for all fours of a vector; the first, third, ... and the
 * second, fourth, ... fours of two vectors. */
#if WS_LANES == 4
#define V_QUADS(a, b, c, d) a, b, c, d
#elif WS_LANES == 8
#define V_QUADS(a, b, c, d) a, b, c, d, a + 4, b + 4, c + 4, d + 4
#define V_EVEN_QUADS        0, 1, 2, 3, 8, 9, 10, 11
#define V_ODD_QUADS         4, 5, 6, 7, 12, 13, 14, 15
#elif WS_LANES == 16
#define V_QUADS(a, b, c, d)                                                                                            \
    a, b, c, d, a + 4, b + 4, c + 4, d + 4, a + 8, b + 8, c + 8, d + 8, a + 12, b + 12, c + 12, d + 12
#define V_EVEN_QUADS 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define V_ODD_QUADS  4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#endif

#endif
