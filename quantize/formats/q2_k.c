/* q2_k.c - Q2_K: 2-bit quants, 4-bit scales and mins. */
#include "affine.h"
#include "importance.h"
#include "positive.h"
#include "two_bits.h"

/* Codes of 16 values for the largest of them, in the low byte; 0 when none is positive. */
static inline void encode(vu32 *codes, const vf32 *values, vf32 largest) {
    const vi32 positive = v_lt(v_set(0), largest);
    const vf32 inverse = 15.0f / largest;
    for (int j = 0; j < 16; j++) codes[j] = (vu32)(v_nearest(inverse * values[j]) & positive) & 0xffu;
}

/* Codes of scales and mins share bytes: what is above four bits (never from ordinary data) is lost. */
static inline void store(const vf32 *x, const ws_affine *found, const vu32 *scale, const vu32 *min, vu32 half_d,
                         vu32 half_min, uint8_t *y, size_t live) {
    const vf32 d = v_from_half(half_d), dmin = v_from_half(half_min);
    vu32 code[16], q[256], words[21]; /* the whole block */
    for (int j = 0; j < 16; j++) {
        code[j] = (scale[j] | min[j] << 4) & 0xffu;
        affine_quantize(q + 16 * j, x + 16 * j, 16, 3, d * v_float((vi32)(code[j] & 15u)),
                        dmin * v_float((vi32)(code[j] >> 4)), &found[j]);
    }
    for (int i = 0; i < 4; i++) words[i] = v_word(code + 4 * i);
    for (int i = 0; i < 64; i++) q[i] = v_word(q + 4 * i);
    v_pack_2_bits(words + 4, q);
    words[20] = half_d | half_min << 16;
    v_store_words(y, sizeof(ws_q2_k), words, 21, live);
}

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    const ws_affine_rule rule = {
        .n = 16, .qmax = 3, .first_try = -0.5f, .step = 0.1f, .last_try = 15, .side = AFFINE_SIDE, .absolute = true};
    ws_affine found[16];
    vf32 scales[16], mins[16], max_scale = v_set(0), max_min = v_set(0);
    for (int j = 0; j < 16; j += AFFINE_SIDE) {
        vf32 w[16 * AFFINE_SIDE];
        for (int i = 0; i < 16 * AFFINE_SIDE; i++) w[i] = v_abs(x[16 * j + i]);
        affine_search(found + j, x + 16 * j, w, rule);
    }
    for (int j = 0; j < 16; j++) {
        scales[j] = found[j].scale;
        mins[j] = found[j].minus_min;
        max_scale = v_max(scales[j], max_scale);
        max_min = v_max(mins[j], max_min);
    }
    vu32 low[16], high[16];
    encode(low, scales, max_scale);
    encode(high, mins, max_min);
    /* max_scale and max_min start at 0, so where no value is positive these are the halves of 0. */
    store(x, found, low, high, v_half(max_scale / 15.0f), v_half(max_min / 15.0f), y, live);
}

static inline void quantize_weighted(const vf32 *x, const vf32 *columns, uint8_t *y, size_t live) {
    ws_affine found[16];
    vf32 w[256], scales[16], mins[16], sum_w[16];
    importance_of_super_block(w, x, columns, 1.0f);
    for (int j = 0; j < 16; j += AFFINE_SIDE)
        affine_search(found + j, x + 16 * j, w + 16 * j, AFFINE_WEIGHTED(16, 3, AFFINE_SIDE));
    for (int j = 0; j < 16; j++) {
        scales[j] = found[j].scale;
        mins[j] = found[j].minus_min;
        sum_w[j] = found[j].sum_w;
    }
    vu32 low[16], high[16];
    const vf32 d = positive_search(low, scales, sum_w, 16, 15), dmin = positive_search(high, mins, sum_w, 16, 15);
    store(x, found, low, high, v_half(d), v_half(dmin), y, live);
}

void WS_FN(q2_k, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 256, sizeof(ws_q2_k), quantize);
}

void WS_FN(q2_k, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows, size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 256, sizeof(ws_q2_k), quantize_weighted);
}

void WS_FN(q2_k, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q2_k *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d), dmin = ws_f16_to_f32(block->dmin);
        for (int j = 0; j < 16; j++, y += 16) {
            const uint8_t *qs = block->qs + two_bits_byte(j);
            const float scale = d * (float)(block->scales[j] & 15), min = dmin * (float)(block->scales[j] >> 4);
            for (int i = 0; i < 16; i += WS_LANES)
                v_store(y + i, scale * v_float((vi32)(v_load_u8(qs + i) >> two_bits_shift(j) & 3u)) - min);
        }
    }
}
