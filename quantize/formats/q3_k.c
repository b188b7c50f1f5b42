/* q3_k.c - Q3_K: 3-bit quants around zero, 6-bit scales. */
#include "importance.h"
#include "symmetric.h"
#include "two_bits.h"

/* The search for a sub-block's quants l and its scale: they shall make LX^2 / L2 large, LX = sum w x l, L2 = sum w l^2,
 * w = x^2. The first quants are those of the scale that takes the extreme element to -4. Then up to five rounds over
 * the elements give each the quant that is best given the others, t = x L2' / LX' rounded, if that is better; LX' and
 * L2' are the sums without the element's own terms. A round that changes nothing is the last.
 *
 * Few elements ever change, and that t is nearest to l can mostly be told without LX' and L2': see distance(). So a
 * group of super-blocks is searched in this way: with a sub-block in each lane, all elements are tested once. Searches
 * that go on do so by turns: for each, with its elements in the lanes, the next element is found that may change; then,
 * with a search in each lane, those elements get their quants. */
enum { SUB_BLOCKS = 16 * WS_LANES, ROUND = 16, ROUNDS = 5 };

typedef struct {
    const float *const *block; /* where the super-blocks are */
    vf32 inverse[16];          /* the first quants are those of x * inverse */
    vi32 open[16];             /* lanes whose search went on */
    /* By number, which is WS_LANES * sub-block + lane. */
    float lx[SUB_BLOCKS], l2[SUB_BLOCKS];
    /* Of searches that went on; visits to elements are counted, visit v is to element v % 16. */
    float l[SUB_BLOCKS][16];
    uint8_t visit[SUB_BLOCKS], end[SUB_BLOCKS]; /* the next visit; the last round's end, as far as is known */
} group_search;

/* Searches that go on, one after the other, and what distance() takes. */
typedef struct {
    int n;
    uint32_t number[SUB_BLOCKS + WS_LANES];
    float lx[SUB_BLOCKS], l2[SUB_BLOCKS], per_scale[SUB_BLOCKS], half[SUB_BLOCKS], sure[SUB_BLOCKS];
    float x[SUB_BLOCKS], l[SUB_BLOCKS]; /* of the element that may change */
} turn;

typedef struct {
    vf32 per_scale, half, sure;
} test;

/* As t - l = (x L2 / LX - l) / (1 - w x l / LX), t is surely nearest to l where the distance is below `sure`: then the
 * divisor is above 2^-8, and the room below a half is enough for rounding. t is bounded to the quants; it is never so
 * large that v_nearest() would make something else of it, since LX^2 / L2 never sinks. Where LX may have lost low bits
 * or overflown nothing is sure. */
V_INLINE test make_test(vf32 lx, vf32 l2) {
    const vi32 usual = v_lt(v_set(0x1p-90f), lx) & v_lt(lx, v_set(0x1p90f));
    return (test){l2 / lx, 0.5f / lx, v_select(usual, v_set(0.497f), v_set(0))};
}

V_INLINE vf32 distance(vf32 x, vf32 l, vf32 wxl, vf32 per_scale, vf32 half) {
    const vf32 t = v_max(v_set(-4.25f), v_min(v_set(3.25f), x * per_scale));
    return v_abs(t - l) + half * wxl;
}

V_INLINE void store_test(turn *t, int k, test of) {
    v_store(t->per_scale + k, of.per_scale);
    v_store(t->half + k, of.half);
    v_store(t->sure + k, of.sure);
}

static inline const float *sub_block(const group_search *s, uint32_t number) {
    return s->block[number % WS_LANES] + number / WS_LANES * 16;
}

/* Makes the sums of sub-block j for its first quants, and finds whether the search goes on. */
V_INLINE void begin(group_search *s, int j, const vf32 *x) {
    const vf32 extreme = v_extreme(x, 16), inverse = -4.0f / extreme;
    const vi32 some = ~v_lt(v_abs(extreme), v_set(WS_ZERO_BELOW));
    vf32 l[16], wxl[16], lx = v_set(0), l2 = v_set(0);
    vi32 unsure = vi_set(0);
    for (int i = 0; i < 16; i++) {
        const vf32 w = x[i] * x[i];
        l[i] = v_min(v_set(3), v_round(inverse * x[i]));
        wxl[i] = w * x[i] * l[i];
        lx += wxl[i];
        l2 += w * l[i] * l[i];
    }
    const test t = make_test(lx, l2);
    for (int i = 0; i < 16; i++) unsure |= ~v_lt(distance(x[i], l[i], wxl[i], t.per_scale, t.half), t.sure);
    /* Where the scale is negative no w x l is above 0, LX is not above any of them, and nothing changes. */
    s->open[j] = v_lt(v_set(0), lx) & some & unsure;
    s->inverse[j] = inverse;
    v_store(s->lx + WS_LANES * j, lx);
    v_store(s->l2 + WS_LANES * j, v_select(some, l2, v_set(0)));
}

/* Lists the searches that go on for the first turn, with their first quants. */
V_INLINE void list_open(group_search *s, turn *t) {
    t->n = 0;
    for (int j = 0; j < 16; j++)
        t->n += (int)v_compress(t->number + t->n, v_iota() + (uint32_t)(WS_LANES * j), s->open[j]);
    for (int k = 0; k < t->n; k++) {
        const uint32_t number = t->number[k];
        const float *x = sub_block(s, number);
        float inverse;
        memcpy(&inverse, (const float *)s->inverse + number, sizeof inverse);
        for (int i = 0; i < 16; i += WS_LANES)
            v_store(s->l[number] + i, v_float(symmetric_quant(v_load(x + i) * inverse, 4)));
        t->lx[k] = s->lx[number];
        t->l2[k] = s->l2[number];
        s->visit[number] = 0;
        s->end[number] = ROUND;
    }
    for (int k = 0; k < t->n; k += WS_LANES) store_test(t, k, make_test(v_load(t->lx + k), v_load(t->l2 + k)));
}

/* Bit i: element i may change. */
V_INLINE uint32_t unsettled(const float *x, const float *l, const turn *t, int k) {
    uint32_t bits = 0;
    for (int i = 0; i < 16; i += WS_LANES) {
        const vf32 v = v_load(x + i), q = v_load(l + i);
        const vf32 d = distance(v, q, v * v * v * q, v_set(t->per_scale[k]), v_set(t->half[k]));
        bits |= v_lane_bits(~v_lt(d, v_set(t->sure[k]))) << i;
    }
    return bits;
}

/* Finds the next element of each search that may change. Searches without one are finished and leave the list. */
V_INLINE void find_elements(group_search *s, turn *t) {
    int n = 0;
    for (int k = 0; k < t->n; k++) {
        const uint32_t number = t->number[k], from = s->visit[number];
        const float *x = sub_block(s, number), *l = s->l[number];
        const uint32_t ahead = unsettled(x, l, t, k) * 0x10001u >> from % ROUND;
        const uint32_t visit = from + (uint32_t)__builtin_ctz(ahead | 1u << ROUND);
        s->lx[number] = t->lx[n] = t->lx[k];
        s->l2[number] = t->l2[n] = t->l2[k];
        s->visit[number] = (uint8_t)visit;
        t->number[n] = number;
        memcpy(&t->x[n], (const uint8_t *)x + sizeof *x * (visit % ROUND), sizeof *x); /* at any address */
        t->l[n] = l[visit % ROUND];
        n += (ahead != 0) & (visit < s->end[number]);
    }
    t->n = n;
}

/* Gives those elements the quants that are best, where that raises LX^2 / L2. */
V_INLINE void refine(group_search *s, turn *t) {
    int32_t changed[SUB_BLOCKS];
    for (int k = 0; k < t->n; k += WS_LANES) {
        const vf32 x = v_load(t->x + k), l = v_load(t->l + k), w = x * x, wx = w * x;
        const vf32 sum_lx = v_load(t->lx + k), sum_l2 = v_load(t->l2 + k);
        const vf32 others_lx = sum_lx - wx * l, others_l2 = sum_l2 - w * l * l;
        const vf32 quant = v_float(symmetric_quant(x * others_l2 / others_lx, 4));
        const vi32 candidate = v_lt(v_set(0), others_lx) & v_ne(quant, l);
        const vf32 lx = others_lx + wx * quant, l2 = others_l2 + w * quant * quant;
        const vi32 better = candidate & v_lt(v_set(0), l2) & v_lt(sum_lx * sum_lx * l2, lx * lx * sum_l2);
        v_store(t->l + k, v_select(better, quant, l));
        const vf32 new_lx = v_select(better, lx, sum_lx), new_l2 = v_select(better, l2, sum_l2);
        v_store(t->lx + k, new_lx);
        v_store(t->l2 + k, new_l2);
        store_test(t, k, make_test(new_lx, new_l2));
        memcpy(changed + k, &better, sizeof better);
    }
    for (int k = 0; k < t->n; k++) {
        const uint32_t number = t->number[k], visit = s->visit[number], round_after = visit / ROUND + 2;
        s->l[number][visit % ROUND] = t->l[k];
        s->visit[number] = (uint8_t)(visit + 1);
        if (changed[k]) s->end[number] = (uint8_t)(ROUND * (round_after < ROUNDS ? round_after : ROUNDS));
    }
}

/* The scales of the sub-blocks of a group. */
static inline void search_all(group_search *s, vf32 *scales, const vf32 *x, size_t live) {
    turn t;
    const vi32 is_live = V_MASK((vi32)v_iota() < (int32_t)live);
    for (int j = 0; j < 16; j++) {
        v_prefetch((uintptr_t)s->block[0] + (size_t)(16 + j) * WS_LANES * 64, WS_LANES * 64); /* the next group */
        begin(s, j, x + 16 * j);
        s->open[j] &= is_live;
    }
    list_open(s, &t);
    for (find_elements(s, &t); t.n; find_elements(s, &t)) refine(s, &t);
    for (int j = 0; j < 16; j++) {
        const vf32 lx = v_load(s->lx + WS_LANES * j), l2 = v_load(s->l2 + WS_LANES * j);
        scales[j] = v_select(v_lt(v_set(0), l2), lx / l2, v_set(0));
    }
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

/* The quants of a sub-block for the scale d, raised by 4, four in a word. Where d is 0 they are of no use. */
V_INLINE void divide(vu32 *words, const vf32 *x, vf32 d) {
    for (int i = 0; i < 16; i += 4) {
        vu32 q[4];
        for (int k = 0; k < 4; k++) q[k] = (vu32)(symmetric_quant(x[i + k] / d, 4) + 4);
        words[i / 4] = v_word(q);
    }
}

/* The same by multiplying, which is faster. That differs by so little that only near a half might it round otherwise,
 * as the quants of x * first_inverse are bounded. Returns the lanes where it might. */
V_INLINE vi32 multiply(vu32 *words, const vf32 *x, vf32 d, vf32 first_inverse) {
    const float zero = 0x1.8p23f + 4;  /* zero + t has the whole number nearest to t + 4 in its low bits */
    const int32_t lowest = 0x4b400000; /* the bits of zero - 4 */
    const vf32 inverse = 1.0f / d;
    vf32 most = v_set(0);
    for (int i = 0; i < 16; i += 4) {
        vu32 q[4];
        for (int k = 0; k < 4; k++) {
            const vf32 t = x[i + k] * inverse, sum = t + zero;
            most = v_max(v_abs(t - (sum - zero)), most);
            q[k] = (vu32)vi_clamp((vi32)v_bits(sum), lowest, lowest + 7);
        }
        words[i / 4] = ((q[0] | q[1] << 8) & 0xffffu) | q[2] << 16 | q[3] << 24;
    }
    return ~(v_lt(most, v_set(0.499998f)) & v_lt(v_abs(inverse), v_abs(first_inverse) * 0x1p16f));
}

V_INLINE void requantize(vu32 *words, const vf32 *x, vf32 d, vf32 first_inverse) {
    /* One lane is the definition: divide. */
    if (WS_LANES == 1 || v_any(multiply(words, x, d, first_inverse) & v_ne(d, v_set(0)))) divide(words, x, d);
}

/* Sets the lanes `keep` of the quants of sub-block j, whose stored scale is 0, to those that the search made. */
static inline void keep_own(const group_search *s, vu32 *words, int j, const vf32 *x, vi32 keep) {
    const vi32 some = ~v_lt(v_abs(v_extreme(x, 16)), v_set(WS_ZERO_BELOW));
    for (int i = 0; i < 16; i += 4) {
        vu32 q[4];
        for (int k = 0; k < 4; k++) q[k] = (vu32)((symmetric_quant(s->inverse[j] * x[i + k], 4) + 4) & some);
        words[i / 4] = vu_select(keep, v_word(q), words[i / 4]);
    }
    for (uint32_t lanes = v_lane_bits(keep & s->open[j]); lanes; lanes &= lanes - 1) {
        const int lane = __builtin_ctz(lanes);
        const float *l = s->l[WS_LANES * j + lane];
        for (int i = 0; i < 16; i++) {
            const uint8_t own = (uint8_t)((int)l[i] + 4);
            memcpy((uint8_t *)(words + i / 4) + 4 * lane + i % 4, &own, 1);
        }
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

/* The quants are raised by 4, four in a word. */
static inline void store(const vu32 *q, const vu32 *codes, vu32 half, uint8_t *y, size_t live) {
    vu32 words[27]; /* 8 words of high bits, 16 of low bits, 3 of scales */
    for (int i = 0; i < 8; i++) {
        words[i] = vu_set(0);
        for (int j = 0; j < 8; j++) words[i] |= (q[8 * j + i] >> 2 & 0x01010101u) << j;
    }
    v_pack_2_bits(words + 8, q);
    pack_scales(words + 24, codes);
    v_store_words(y, sizeof(ws_q3_k), words, 27, live);
    v_store_halves(y + offsetof(ws_q3_k, d), sizeof(ws_q3_k), half, live);
}

V_INLINE vf32 sub_scale(vu32 code, vu32 half) { return v_from_half(half) * v_float((vi32)code - 32); }

static inline void quantize(const vf32 *x, const float *const *block, uint8_t *y, size_t live) {
    vu32 q[64], codes[16];
    vf32 scales[16];
    group_search s;
    s.block = block;
    search_all(&s, scales, x, live);
    const vu32 half = encode(codes, scales);
    for (int j = 0; j < 16; j++) {
        const vf32 d = sub_scale(codes[j], half);
        const vi32 zero = v_eq(d, v_set(0));
        requantize(q + 4 * j, x + 16 * j, d, s.inverse[j]);
        if (v_any(zero)) keep_own(&s, q + 4 * j, j, x + 16 * j, zero);
    }
    store(q, codes, half, y, live);
}

static inline void quantize_weighted(const vf32 *x, const vf32 *columns, uint8_t *y, size_t live) {
    vu32 q[64], own[64], codes[16];
    vf32 w[256], scales[16], sum_w[16], inverse[16];
    importance_of_super_block(w, x, columns, 2.0f);
    for (int j = 0; j < 16; j++) {
        const symmetric_found found = symmetric_search(x + 16 * j, w + 16 * j, 16, 4);
        vu32 of_sub_block[16];
        symmetric_quants(of_sub_block, x + 16 * j, 16, 4, &found);
        for (int i = 0; i < 4; i++) own[4 * j + i] = v_word(of_sub_block + 4 * i);
        scales[j] = found.scale;
        inverse[j] = found.inverse;
        sum_w[j] = v_set(0);
        for (int i = 16 * j; i < 16 * j + 16; i++) sum_w[j] += w[i];
    }
    const symmetric_found found = symmetric_search(scales, sum_w, 16, 32);
    symmetric_quants(codes, scales, 16, 32, &found);
    const vu32 half = v_half(found.scale);
    for (int j = 0; j < 16; j++) {
        const vf32 d = sub_scale(codes[j], half);
        requantize(q + 4 * j, x + 16 * j, d, inverse[j]);
        for (int i = 4 * j; i < 4 * j + 4; i++) q[i] = vu_select(v_eq(d, v_set(0)), own[i], q[i]);
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
