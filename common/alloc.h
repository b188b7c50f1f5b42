/* alloc.h - overflow-checked allocation. Sizes that come from a file pass through here. */
#ifndef WS_ALLOC_H
#define WS_ALLOC_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

/* n * size zeroed bytes, or NULL with err filled ("out of memory: N x M bytes for WHAT"). n == 0 gives a
 * valid pointer. Release with free(). */
void *ws_alloc(size_t n, size_t size, const char *what, ws_error *err);

/* Like ws_alloc() but aligned to 64 bytes and not zeroed, for kernels' working sets. Release with free(). */
void *ws_alloc_aligned(size_t n, size_t size, const char *what, ws_error *err);

/* Grow *array (element size `size`, capacity *cap) to hold at least `need` elements; doubles. */
WS_MUST_CHECK ws_status ws_grow(void *array, size_t *cap, size_t need, size_t size, ws_error *err);

/* Copies of strings; NULL with err filled when memory is out. Release with free(). */
char *ws_strndup(const char *s, size_t n, ws_error *err);
char *ws_sprintf(ws_error *err, const char *fmt, ...) WS_PRINTF(2, 3);

/* a * b and a + b in 64 bits; true when the result does not fit (then *out is not set). */
static inline bool ws_mul_overflows(uint64_t a, uint64_t b, uint64_t *out) { return __builtin_mul_overflow(a, b, out); }
static inline bool ws_add_overflows(uint64_t a, uint64_t b, uint64_t *out) { return __builtin_add_overflow(a, b, out); }

/* x rounded up to a multiple of a (a power of two); the caller has checked that it fits. */
static inline uint64_t ws_align_up(uint64_t x, uint64_t a) { return (x + a - 1) & ~(a - 1); }

#endif
