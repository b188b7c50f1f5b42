#include "mt19937.h"

enum { MIDDLE = 397 };

void ws_mt19937_seed(ws_mt19937 *r, uint32_t seed) {
    r->state[0] = seed;
    for (uint32_t i = 1; i < WS_MT_WORDS; i++)
        r->state[i] = 1812433253u * (r->state[i - 1] ^ (r->state[i - 1] >> 30)) + i;
    r->at = WS_MT_WORDS;
}

static void renew(ws_mt19937 *r) {
    for (size_t i = 0; i < WS_MT_WORDS; i++) {
        const uint32_t y = (r->state[i] & 0x80000000u) | (r->state[(i + 1) % WS_MT_WORDS] & 0x7fffffffu);
        r->state[i] = r->state[(i + MIDDLE) % WS_MT_WORDS] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    r->at = 0;
}

uint32_t ws_mt19937_next(ws_mt19937 *r) {
    if (r->at == WS_MT_WORDS) renew(r);
    uint32_t y = r->state[r->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

uint32_t ws_mt19937_below(ws_mt19937 *r, uint32_t n) {
    uint64_t product = (uint64_t)ws_mt19937_next(r) * n;
    if ((uint32_t)product < n) {
        const uint32_t least = -n % n;
        while ((uint32_t)product < least) product = (uint64_t)ws_mt19937_next(r) * n;
    }
    return (uint32_t)(product >> 32);
}
