/* inline.h - functions with constant arguments that are inlined, and loops that are unrolled, so that what they work on
 * stays in registers. */
#ifndef WS_INLINE_H
#define WS_INLINE_H

#define INLINE static inline __attribute__((always_inline))
#ifdef WS_SANITIZED /* unrolled and instrumented, this takes compilers many minutes */
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
