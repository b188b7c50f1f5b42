/* tq1_0.c - TQ1_0: -1, 0, 1 times one scale, five in a byte. */
#include "simple.h"
#include "ternary.h"

/* The byte of five elements `apart` from each other, as digits to base 3, the first highest: the fraction number / 3^5,
 * times 256, rounded up. So the next digit is always what three times the byte carries out of it. A half keeps whole
 * quotients from falling below. */
V_INLINE vu32 pack_digits(const vf32 *x, int n, int apart, vf32 inverse) {
    static const uint32_t places[5] = {81, 27, 9, 3, 1};
    vu32 number = vu_set(0);
    for (int i = 0; i < n; i++) number = ternary_add(number, x[i * apart] * inverse, places[i]);
    return (vu32)v_trunc((v_float((vi32)number) * 256.0f + 242.5f) * (1.0f / 243.0f));
}

/* `n_bytes` bytes of n digits each, from elements that lie n_bytes apart. */
V_INLINE void pack_bytes(vu32 *words, const vf32 *x, int n, int n_bytes, vf32 inverse) {
    for (int i = 0; i < n_bytes; i += 4) {
        vu32 bytes[4];
        for (int k = 0; k < 4; k++) bytes[k] = pack_digits(x + i + k, n, n_bytes, inverse);
        words[i / 4] = v_word(bytes);
    }
}

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    const vf32 d = v_largest(x, 256), inverse = v_inverse(d);
    vu32 words[13];
    pack_bytes(words, x, 5, 32, inverse);
    pack_bytes(words + 8, x + 160, 5, 16, inverse);
    pack_bytes(words + 12, x + 240, 4, 4, inverse); /* the fifth digit is 0 */
    v_store_words(y, sizeof(ws_tq1_0), words, 13, live);
    v_store_halves(y + offsetof(ws_tq1_0, d), sizeof(ws_tq1_0), v_half(d), live);
}

void WS_FN(tq1_0, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 256, sizeof(ws_tq1_0), quantize);
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
