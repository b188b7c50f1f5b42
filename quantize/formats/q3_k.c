/* q3_k.c - Q3_K: 3-bit quants around zero, 6-bit scales. */
#include "importance.h"
#include "symmetric.h"
#include "two_bits.h"

typedef struct {
    const vf32 *x;
    vf32 l[16]; /* the quants, -4..3 */
    vf32 sum_lx, sum_l2;
} search_state;

/* The quants for the scale that takes the extreme element to -4. Returns the lanes that are not zero. */
static inline vi32 begin(search_state *s, const vf32 *x) {
    const vf32 extreme = v_extreme(x, 16), inverse = -4.0f / extreme;
    s->x = x;
    s->sum_lx = s->sum_l2 = v_set(0);
    for (int i = 0; i < 16; i++) {
        const vf32 w = x[i] * x[i];
        s->l[i] = v_float(symmetric_quant(inverse * x[i], 4));
        s->sum_lx += w * x[i] * s->l[i];
        s->sum_l2 += w * s->l[i] * s->l[i];
    }
    return ~v_lt(v_abs(extreme), v_set(WS_ZERO_BELOW));
}

/* Lanes in which refine() might change element i: where x * others_l2 / others_lx may not be nearest to l. That it
 * surely is can be seen without the division, with room for the errors of these products. None are where the scale is
 * negative, half of all: so is sum_lx there. */
V_INLINE vi32 unsettled(const search_state *s, int i) {
    const vf32 x = s->x[i], l = s->l[i], w = x * x;
    const vf32 lx = s->sum_lx - w * x * l, l2 = s->sum_l2 - w * l * l;
    const vf32 product = x * l2, bounded = v_max(lx * -4.25f, v_min(lx * 3.25f, product));
    /* The second: v_nearest() of what is beyond 2^22 is no matter of bounds. */
    const vi32 settled = v_lt(v_abs(bounded - lx * l), lx * 0.499f) & v_lt(v_abs(product), lx * 0x1p20f);
    return v_lt(v_set(0), lx) & ~settled;
}

/* Element i takes the quant that is best given the others, if that raises (sum w x l)^2 / sum w l^2, w = x^2. Returns
 * the lanes that it changed. */
V_INLINE vi32 refine(search_state *s, int i) {
    const vf32 x = s->x[i], l = s->l[i], w = x * x, wx = w * x;
    const vf32 others_lx = s->sum_lx - wx * l, others_l2 = s->sum_l2 - w * l * l;
    const vf32 quant = v_float(symmetric_quant(x * others_l2 / others_lx, 4));
    const vi32 candidate = v_lt(v_set(0), others_lx) & v_ne(quant, l);
    const vf32 lx = others_lx + wx * quant, l2 = others_l2 + w * quant * quant;
    const vi32 better = candidate & v_lt(v_set(0), l2) & v_lt(s->sum_lx * s->sum_lx * l2, lx * lx * s->sum_l2);
    s->l[i] = v_select(better, quant, l);
    s->sum_lx = v_select(better, lx, s->sum_lx);
    s->sum_l2 = v_select(better, l2, s->sum_l2);
    return better;
}

/* Up to five rounds over the elements; a lane in which a round changed nothing stays as it is. Returns the lanes that
 * are not zero. */
static inline vi32 search(search_state *s, const vf32 *x) {
    const vi32 some = begin(s, x);
    vi32 changed = some;
    for (int round = 0; round < 5 && v_any(changed); round++) {
        changed = vi_set(0);
        for (int i = 0; i < 16; i++) /* predicted, the branch lets the processor start on the next element */
            if (v_any(unsettled(s, i))) changed |= refine(s, i) & some;
    }
    return some;
}

V_INLINE vf32 fitted_scale(const search_state *s, vi32 some) {
    return v_select(v_lt(v_set(0), s->sum_l2) & some, s->sum_lx / s->sum_l2, v_set(0));
}

/* Sub-blocks for which begin() is not the end, by number: WS_LANES * sub-block + lane. */
typedef struct {
    int n;
    uint16_t list[16 * WS_LANES];
} worklist;

/* Most sub-blocks of ordinary weights change nothing in the first round. The others are searched together,
 * gathered into full vectors, whichever lanes they come from. */
static inline void search_unsettled(vf32 *scales, const float *const *block, const worklist *work) {
    for (int first = 0; first < work->n; first += WS_LANES) {
        const int n = work->n - first < WS_LANES ? work->n - first : WS_LANES;
        const void *x_of[WS_LANES];
        for (int lane = 0; lane < WS_LANES; lane++) {
            const int number = work->list[first + (lane < n ? lane : n - 1)];
            x_of[lane] = block[number % WS_LANES] + number / WS_LANES * 16;
        }
        vf32 x[16], found;
        search_state s;
        v_load_blocks_at(x, x_of, 16);
        (void)search(&s, x);
        found = fitted_scale(&s, ~vi_set(0));
        for (int lane = 0; lane < n; lane++) {
            const int number = work->list[first + lane];
            memcpy((float *)(scales + number / WS_LANES) + number % WS_LANES, (const float *)&found + lane,
                   sizeof(float));
        }
    }
}

/* The scales of the sub-blocks of a group, `block` being where its blocks are. */
static inline void search_all(vf32 *scales, const vf32 *x, const float *const *block, size_t live) {
    worklist work = {.n = 0};
    for (int j = 0; j < 16; j++) {
        search_state s;
        const vi32 some = begin(&s, x + 16 * j);
        scales[j] = fitted_scale(&s, some);
        vi32 open = vi_set(0);
        for (int i = 0; i < 16; i++) open |= unsettled(&s, i);
        for (uint32_t lanes = v_lane_bits(open & some) & (uint32_t)((1u << live) - 1); lanes; lanes &= lanes - 1)
            work.list[work.n++] = (uint16_t)(WS_LANES * j + __builtin_ctz(lanes));
    }
    search_unsettled(scales, block, &work);
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

/* The quants of a sub-block for the scale d. Returns the lanes where that is 0: there the search's own remain. */
V_INLINE vi32 requantize(vu32 *q, const vf32 *x, vf32 d) {
    for (int i = 0; i < 16; i++) q[i] = (vu32)(symmetric_quant(x[i] / d, 4) + 4);
    return v_eq(d, v_set(0));
}

/* Sets the lanes `keep` of q to the quants that the search makes. */
static inline void keep_own(vu32 *q, const vf32 *x, vi32 keep) {
    search_state s;
    const vi32 some = search(&s, x);
    for (int i = 0; i < 16; i++) q[i] = vu_select(keep, (vu32)((v_trunc(s.l[i]) + 4) & some), q[i]);
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

static inline void store(vu32 *q, const vu32 *codes, vu32 half, uint8_t *y, size_t live) {
    vu32 words[27]; /* 8 words of high bits, 16 of low bits, 3 of scales */
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

V_INLINE vf32 sub_scale(vu32 code, vu32 half) { return v_from_half(half) * v_float((vi32)code - 32); }

static inline void quantize(const vf32 *x, const float *const *block, uint8_t *y, size_t live) {
    vu32 q[256], codes[16];
    vf32 scales[16];
    search_all(scales, x, block, live);
    const vu32 half = encode(codes, scales);
    for (int j = 0; j < 16; j++) {
        const vi32 keep = requantize(q + 16 * j, x + 16 * j, sub_scale(codes[j], half));
        if (v_any(keep)) keep_own(q + 16 * j, x + 16 * j, keep);
    }
    store(q, codes, half, y, live);
}

static inline void quantize_weighted(const vf32 *x, const vf32 *columns, uint8_t *y, size_t live) {
    vu32 q[256], own[256], codes[16];
    vf32 w[256], scales[16], sum_w[16];
    importance_of_super_block(w, x, columns, 2.0f);
    for (int j = 0; j < 16; j++) {
        const symmetric_found found = symmetric_search(x + 16 * j, w + 16 * j, 16, 4);
        symmetric_quants(own + 16 * j, x + 16 * j, 16, 4, &found);
        scales[j] = found.scale;
        sum_w[j] = v_set(0);
        for (int i = 16 * j; i < 16 * j + 16; i++) sum_w[j] += w[i];
    }
    const symmetric_found found = symmetric_search(scales, sum_w, 16, 32);
    symmetric_quants(codes, scales, 16, 32, &found);
    const vu32 half = v_half(found.scale);
    for (int j = 0; j < 16; j++) {
        const vi32 keep = requantize(q + 16 * j, x + 16 * j, sub_scale(codes[j], half));
        for (int i = 16 * j; i < 16 * j + 16; i++) q[i] = vu_select(keep, own[i], q[i]);
    }
    store(q, codes, half, y, live);
}

void WS_FN(q3_k, from_float)(const float *x, void *y, size_t n_blocks) {
    for (size_t i = 0; i < n_blocks; i += WS_LANES) {
        const size_t live = n_blocks - i < WS_LANES ? n_blocks - i : WS_LANES;
        const float *block[WS_LANES];
        for (size_t lane = 0; lane < WS_LANES; lane++) block[lane] = x + (i + (lane < live ? lane : live - 1)) * 256;
        vf32 group[256];
        v_load_blocks(group, block[0], 256, live);
        quantize(group, block, (uint8_t *)y + i * sizeof(ws_q3_k), live);
    }
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
