/* q6_k.c - Q6_K: 6-bit quants around zero, 8-bit scales. */
#include "symmetric.h"
#include "two_bits.h"

static inline void quantize_sub_block(vu32 *q, const vf32 *x, vf32 d, const symmetric_found *found) {
    for (int i = 0; i < 16; i++) q[i] = (vu32)(symmetric_quant(x[i] / d, 32) + 32);
    const vi32 keep = v_eq(d, v_set(0));
    if (!v_any(keep)) return;
    vu32 own[16];
    symmetric_quants(own, x, 16, 32, found);
    for (int i = 0; i < 16; i++) q[i] = vu_select(keep, own[i], q[i]);
}

static inline void quantize_for(const vf32 *x, const vf32 *w, uint8_t *y, size_t live) {
    symmetric_found found[16];
    vf32 scales[16];
    for (int j = 0; j < 16; j++) {
        found[j] = symmetric_search(x + 16 * j, w + 16 * j, 16, 32);
        scales[j] = found[j].scale;
    }
    const vf32 extreme = v_extreme(scales, 16), inverse = -128.0f / extreme;
    const vu32 some = (vu32)~v_lt(v_abs(extreme), v_set(WS_ZERO_BELOW)); /* else the block is all zero bytes */
    const vu32 half = v_half(1.0f / inverse) & some;
    const vf32 d = v_from_half(half);

    vu32 q[256], codes[16], words[52]; /* 32 words of low bits, 16 of high bits, 4 of scales */
    for (int j = 0; j < 16; j++) {
        const vi32 code = v_int8(vi_min(vi_set(127), v_nearest(inverse * scales[j])));
        codes[j] = (vu32)code & 0xffu;
        quantize_sub_block(q + 16 * j, x + 16 * j, d * v_float(code), &found[j]);
    }
    for (int i = 0; i < 64; i++) q[i] = v_word(q + 4 * i);
    for (int i = 0; i < 32; i++) {
        const vu32 *first = q + 32 * (i / 16) + i % 16;
        words[i] = (first[0] & 0x0f0f0f0fu) | (first[16] & 0x0f0f0f0fu) << 4;
    }
    for (int i = 0; i < 64; i++) q[i] >>= 4;
    v_pack_2_bits(words + 32, q);
    for (int i = 0; i < 4; i++) words[48 + i] = v_word(codes + 4 * i);
    for (int i = 0; i < 52; i++) words[i] &= some;
    v_store_words(y, sizeof(ws_q6_k), words, 52, live);
    v_store_halves(y + offsetof(ws_q6_k, d), sizeof(ws_q6_k), half, live);
}

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    vf32 w[256];
    for (int i = 0; i < 256; i++) w[i] = x[i] * x[i];
    quantize_for(x, w, y, live);
}

void WS_FN(q6_k, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows, size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 256, sizeof(ws_q6_k), quantize_for);
}

void WS_FN(q6_k, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 256, sizeof(ws_q6_k), quantize);
}

void WS_FN(q6_k, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q6_k *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d);
        for (int j = 0; j < 16; j++, y += 16) {
            const int shift = two_bits_shift(j); /* the quants with shifts 4 and 6 are in the high halves of ql */
            const uint8_t *ql = block->ql + 64 * (j / 8) + 32 * (shift / 2 % 2) + 16 * (j % 2);
            const uint8_t *qh = block->qh + two_bits_byte(j);
            const float scale = d * (float)block->scales[j];
            for (int i = 0; i < 16; i += WS_LANES) {
                const vu32 low = v_load_u8(ql + i) >> (shift / 4 * 4) & 15u, high = v_load_u8(qh + i) >> shift & 3u;
                v_store(y + i, scale * v_float((vi32)(low | high << 4) - 32));
            }
        }
    }
}
