/* fetch.h - what a single token's products ask memory for ahead of time. */
#ifndef WS_FETCH_H
#define WS_FETCH_H

#include <stdint.h>

/* Rows of floats are long streams, which processors fetch ahead by themselves, but not beyond a page whose address they
 * have not looked up: one access to a page that comes soon, every FETCH_STEP columns, has that done in time. */
enum { FETCH_STEP = 1024, FETCH_AHEAD = 16384 };

static inline void fetch_page(const uint8_t *at) { __builtin_prefetch(at + FETCH_AHEAD, 0, 2); }

#endif
