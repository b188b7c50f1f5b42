/* mt19937.h - the Mersenne Twister (Matsumoto and Nishimura, 1998), with which llama-perplexity chooses its tasks. */
#ifndef WS_MT19937_H
#define WS_MT19937_H

#include <stddef.h>
#include <stdint.h>

enum { WS_MT_WORDS = 624 };

typedef struct {
    uint32_t state[WS_MT_WORDS];
    size_t at;
} ws_mt19937;

void ws_mt19937_seed(ws_mt19937 *r, uint32_t seed);
uint32_t ws_mt19937_next(ws_mt19937 *r);

/* Uniform in [0, n), n >= 1, as libstdc++'s uniform_int_distribution draws it (Lemire, 2019: a 64-bit product, drawn
 * again where its lower half would favour some numbers). */
uint32_t ws_mt19937_below(ws_mt19937 *r, uint32_t n);

#endif
