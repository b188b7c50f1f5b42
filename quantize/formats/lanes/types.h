/* types.h - vectors of WS_LANES (4, 8 or 16) lanes, by the compiler's vector extension. */
#ifndef WS_LANES_TYPES_H
#define WS_LANES_TYPES_H

typedef float vf32 __attribute__((vector_size(4 * WS_LANES)));
typedef int32_t vi32 __attribute__((vector_size(4 * WS_LANES)));
typedef uint32_t vu32 __attribute__((vector_size(4 * WS_LANES)));

#define V_MASK(condition) ((vi32)(condition))
#define V_CONVERT(v, type) __builtin_convertvector(v, type)

/* The numbers a, b, c, d of a shuffle within four lanes, for all fours of a vector. */
#if WS_LANES == 4
#define V_QUADS(a, b, c, d) a, b, c, d
#elif WS_LANES == 8
#define V_QUADS(a, b, c, d) a, b, c, d, a + 4, b + 4, c + 4, d + 4
#else
#define V_QUADS(a, b, c, d)                                                                                            \
    a, b, c, d, a + 4, b + 4, c + 4, d + 4, a + 8, b + 8, c + 8, d + 8, a + 12, b + 12, c + 12, d + 12
#endif

#endif
