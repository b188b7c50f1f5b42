/* tq1_0.c - TQ1_0: -1, 0, 1 times one scale, five in a byte. */
#include "ternary.h"

static inline block_scales measure(const float *x) { return ternary_measure(x, 256); }

/* Bytes of n digits, 5 or 4, that lie `apart` from each other, the first highest; where there are four, the fifth is 0.
 * Up to 16 bytes; what is beyond them is not to be used. The ones of all digits make 121, 120 without the last. */
V_INLINE ternary_bytes numbers(const uint8_t *q, int n, int apart) {
    ternary_bytes sum = ternary_load(q);
    for (int i = 1; i < n; i++) sum += sum + sum + ternary_load(q + i * apart);
    return n == 5 ? sum + 121 : sum + sum + sum + 120;
}

/* As digits to base 3 a byte is the fraction number / 3^5, times 256, rounded up: so the next digit is always what
 * three times the byte carries out of it. */
V_INLINE void fractions(uint8_t *out, ternary_bytes number, size_t n) {
    typedef uint16_t shorts __attribute__((vector_size(32)));
    const shorts above = (__builtin_convertvector(number, shorts) * 13 + 242) / 243;
    number += __builtin_convertvector(above, ternary_bytes);
    memcpy(out, &number, n);
}

static inline void quantize(const float *x, const block_scales *s, uint8_t *y) {
    uint8_t q[256 * WS_LANES + 12]; /* for the last block's last load */
    memset(q + 256 * WS_LANES, 0, 12);
    ternary_quants(q, x, 256, s);
    v_store_halves(y + offsetof(ws_tq1_0, d), sizeof(ws_tq1_0), s->stored, WS_LANES);
    for (int b = 0; b < WS_LANES; b++, y += sizeof(ws_tq1_0)) {
        const uint8_t *of = q + 256 * b;
        fractions(y, numbers(of, 5, 32), 16);
        fractions(y + 16, numbers(of + 16, 5, 32), 16);
        fractions(y + 32, numbers(of + 160, 5, 16), 16);
        fractions(y + 48, numbers(of + 240, 4, 4), 4);
    }
}

void WS_FN(tq1_0, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group_in_place(x, y, n_blocks, 256, sizeof(ws_tq1_0), measure, quantize);
}

/* Digits n of n_bytes bytes (a multiple of 16), times d. */
V_INLINE float *unpack_digit(float *y, const uint8_t *bytes, int n_bytes, uint32_t power, float d) {
    for (int i = 0; i < n_bytes; i += WS_LANES) {
        const vu32 rest = v_load_u8(bytes + i) * power & 0xffu;
        v_store(y + i, v_float((vi32)(rest * 3u >> 8) - 1) * d);
    }
    return y + n_bytes;
}

void WS_FN(tq1_0, to_float)(const void *x, float *y, size_t n_blocks) {
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    const ws_tq1_0 *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d);
        for (int n = 0; n < 5; n++) y = unpack_digit(y, block->qs, 32, powers[n], d);
        for (int n = 0; n < 5; n++) y = unpack_digit(y, block->qs + 32, 16, powers[n], d);
        float last[16];
        for (int i = 0; i < 16; i++) {
            const uint8_t rest = (uint8_t)(block->qh[i % 4] * powers[i / 4]);
            last[i] = (float)((rest * 3 >> 8) - 1) * d;
        }
        memcpy(y, last, sizeof last); /* at any address */
        y += 16;
    }
}
