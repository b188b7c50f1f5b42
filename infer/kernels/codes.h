/* codes.h - decoding of the types whose quants are looked up rather than counted: 16 values (IQ4, FP4), three values
 * (TQ), points of a codebook (IQ1, IQ2, IQ3). Part of c.c: one row of one block, into row r of the panels it fills.
 * Groups of eight quants are handled as the bytes of a 64-bit word. */
#ifndef WS_CODES_H
#define WS_CODES_H

#include "blocks.h"
#include "fp16.h"
#include "kernels.h"

#include <string.h>

#define EACH_BYTE 0x0101010101010101u

/* Quants of columns 4 first .. of row r, from their signed bytes; n a multiple of 4. */
static inline void put_quants(ws_panel *out, int r, int first, const void *quants, int n) {
    for (int g = 0; g < n / 4; g++) {
        uint32_t four;
        memcpy(&four, (const uint8_t *)quants + 4 * g, sizeof four);
        four ^= 0x80808080u; /* + WS_BIAS */
        memcpy(out->q[first + g][r], &four, sizeof four);
    }
}

/* 16 or 32 quants by the low, then the high halves of their n bytes. */
static inline void put_nibbles(ws_panel *out, int r, int first, const uint8_t *qs, int n, const int8_t values[16]) {
    int8_t q[32];
    for (int i = 0; i < n; i++) q[i] = values[qs[i] & 15], q[i + n] = values[qs[i] >> 4];
    put_quants(out, r, first, q, 2 * n);
}

/* Data of the format: kvalues_iq4nl in ggml-common.h. */
static const int8_t iq4_bytes[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static void decode_iq4_nl(const void *block, ws_panel *out, int r) {
    const ws_iq4_nl *b = block;
    put_nibbles(out, r, 0, b->qs, 16, iq4_bytes);
    out->d[0][r] = ws_f16_to_f32(b->d);
}

static void decode_iq4_xs(const void *block, ws_panel *out, int r) {
    const ws_iq4_xs *b = block;
    for (int p = 0; p < 8; p++) {
        const int scale = (b->scales_l[p / 2] >> p % 2 * 4 & 15) | (b->scales_h >> 2 * p & 3) << 4;
        put_nibbles(&out[p], r, 0, b->qs + 16 * p, 16, iq4_bytes);
        out[p].d[0][r] = ws_f16_to_f32(b->d) * (float)(scale - 32);
    }
}

#endif
