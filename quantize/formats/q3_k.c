/* q3_k.c - Q3_K: 3-bit quants around zero, 6-bit scales. */
#include "importance.h"
#include "symmetric.h"
#include "two_bits.h"

typedef struct {
    vf32 l[16]; /* the quants, -4..3 */
    vf32 sum_lx, sum_l2;
} search_state;

/* Element i takes the quant that is best given the others, if that raises (sum w x l)^2 / sum w l^2, w = x^2. Returns
 * the lanes that it changed. */
V_INLINE vi32 refine(search_state *s, vf32 x, int i) {
    const vf32 w = x * x, wx = w * x, l = s->l[i];
    const vf32 others_lx = s->sum_lx - wx * l, others_l2 = s->sum_l2 - w * l * l;
    const vf32 quant = v_float(symmetric_quant(x * others_l2 / others_lx, 4));
    const vi32 candidate = v_lt(v_set(0), others_lx) & v_ne(quant, l);
    /* The usual case after the first round. The branch is faster than going on: predicted, it lets the processor
     * start on the next element, for which it would otherwise wait (the division). */
    if (!v_any(candidate)) return vi_set(0);
    const vf32 lx = others_lx + wx * quant, l2 = others_l2 + w * quant * quant;
    const vi32 better = candidate & v_lt(v_set(0), l2) & v_lt(s->sum_lx * s->sum_lx * l2, lx * lx * s->sum_l2);
    s->l[i] = v_select(better, quant, l);
    s->sum_lx = v_select(better, lx, s->sum_lx);
    s->sum_l2 = v_select(better, l2, s->sum_l2);
    return better;
}

/* The scale of a sub-block; its quants go to q. A lane in which a round changed nothing stays as it is. */
static inline vf32 search(vu32 *q, const vf32 *x) {
    const vf32 extreme = v_extreme(x, 16), inverse = -4.0f / extreme;
    const vi32 zero = v_lt(v_abs(extreme), v_set(WS_ZERO_BELOW));
    search_state s = {.sum_lx = v_set(0), .sum_l2 = v_set(0)};
    for (int i = 0; i < 16; i++) {
        const vf32 w = x[i] * x[i];
        s.l[i] = v_float(symmetric_quant(inverse * x[i], 4));
        s.sum_lx += w * x[i] * s.l[i];
        s.sum_l2 += w * s.l[i] * s.l[i];
    }
    vi32 changed = ~zero;
    for (int round = 0; round < 5 && v_any(changed); round++) {
        changed = vi_set(0);
        for (int i = 0; i < 16; i++) changed |= refine(&s, x[i], i) & ~zero;
    }
    for (int i = 0; i < 16; i++) q[i] = (vu32)vi_select(zero, vi_set(0), v_trunc(s.l[i]) + 4);
    return v_select(v_lt(v_set(0), s.sum_l2) & ~zero, s.sum_lx / s.sum_l2, v_set(0));
}

/* 16 codes of 6 bits as 3 words. */
static inline void pack_scales(vu32 *words, const vu32 *code) {
    for (int i = 0; i < 2; i++) {
        vu32 bytes[4];
        for (int j = 0; j < 4; j++) bytes[j] = (code[4 * i + j] & 15u) | (code[4 * i + j + 8] & 15u) << 4;
        words[i] = v_word(bytes);
    }
    words[2] = vu_set(0);
    for (int j = 0; j < 16; j++) words[2] |= code[j] >> 4 << (8 * (j % 4) + 2 * (j / 4));
}

/* The quants of the sub-blocks for the scales d * (code - 32); those they have where that is 0. */
static inline void requantize(vu32 *q, const vf32 *x, const vu32 *codes, vf32 d) {
    for (int j = 0; j < 16; j++) {
        const vf32 sub_d = d * v_float((vi32)codes[j] - 32);
        const vi32 keep = v_eq(sub_d, v_set(0));
        for (int i = 16 * j; i < 16 * j + 16; i++)
            q[i] = vu_select(keep, q[i], (vu32)(symmetric_quant(x[i] / sub_d, 4) + 4));
    }
}

/* The codes of the sub-blocks' scales; returns the half of the super-block's. */
static inline vu32 encode(vu32 *codes, const vf32 *scales) {
    const vf32 extreme = v_extreme(scales, 16), inverse = -32.0f / extreme;
    const vu32 some = (vu32)v_ne(extreme, v_set(0));
    for (int j = 0; j < 16; j++) {
        const vi32 scale = vi_clamp(v_int8(v_nearest(inverse * scales[j])), -32, 31);
        codes[j] = (vu32)(scale + 32) & some;
    }
    return v_half(1.0f / inverse) & some;
}

static inline void store(const vf32 *x, vu32 *q, const vu32 *codes, vu32 half, uint8_t *y, size_t live) {
    vu32 words[27]; /* 8 words of high bits, 16 of low bits, 3 of scales */
    requantize(q, x, codes, v_from_half(half));
    for (int i = 0; i < 8; i++) {
        words[i] = vu_set(0);
        for (int j = 0; j < 8; j++) words[i] |= (v_word(q + 32 * j + 4 * i) >> 2 & 0x01010101u) << j;
    }
    for (int i = 0; i < 256; i++) q[i] &= 3u;
    v_pack_2_bits(words + 8, q);
    pack_scales(words + 24, codes);
    v_store_words(y, sizeof(ws_q3_k), words, 27, live);
    v_store_halves(y + offsetof(ws_q3_k, d), sizeof(ws_q3_k), half, live);
}

static inline void quantize(const vf32 *x, uint8_t *y, size_t live) {
    vu32 q[256], codes[16];
    vf32 scales[16];
    for (int j = 0; j < 16; j++) scales[j] = search(q + 16 * j, x + 16 * j);
    const vu32 half = encode(codes, scales);
    store(x, q, codes, half, y, live);
}

static inline void quantize_weighted(const vf32 *x, const vf32 *columns, uint8_t *y, size_t live) {
    vu32 q[256], codes[16];
    vf32 w[256], scales[16], sum_w[16];
    importance_of_super_block(w, x, columns, 2.0f);
    for (int j = 0; j < 16; j++) {
        const symmetric_found found = symmetric_search(x + 16 * j, w + 16 * j, 16, 4);
        symmetric_quants(q + 16 * j, x + 16 * j, 16, 4, &found);
        scales[j] = found.scale;
        sum_w[j] = v_set(0);
        for (int i = 16 * j; i < 16 * j + 16; i++) sum_w[j] += w[i];
    }
    const symmetric_found found = symmetric_search(scales, sum_w, 16, 32);
    symmetric_quants(codes, scales, 16, 32, &found);
    store(x, q, codes, v_half(found.scale), y, live);
}

void WS_FN(q3_k, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group(x, y, n_blocks, 256, sizeof(ws_q3_k), quantize);
}

void WS_FN(q3_k, from_float_weighted)(const float *x, const float *weights, void *y, size_t n_rows, size_t row_blocks) {
    each_weighted_group(x, weights, y, n_rows, row_blocks, 256, sizeof(ws_q3_k), quantize_weighted);
}

static inline int unpack_scale(const uint8_t *packed, int j) {
    const int low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4;
    return (low | (packed[8 + j % 4] >> (2 * (j / 4)) & 3) << 4) - 32;
}

void WS_FN(q3_k, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_q3_k *block = x;
    for (; n_blocks; n_blocks--, block++) {
        const float d = ws_f16_to_f32(block->d);
        for (int j = 0; j < 16; j++, y += 16) {
            const uint8_t *qs = block->qs + two_bits_byte(j), *hmask = block->hmask + 16 * (j % 2);
            const float scale = d * (float)unpack_scale(block->scales, j);
            for (int i = 0; i < 16; i += WS_LANES) {
                const vu32 low = v_load_u8(qs + i) >> two_bits_shift(j) & 3u;
                const vu32 high = v_load_u8(hmask + i) >> (j / 2) & 1u;
                v_store(y + i, scale * v_float((vi32)(low | high << 2) - 4));
            }
        }
    }
}
