/* nvfp4.c - NVFP4: 4-bit floats, an 8-bit float (UE4M3) as the scale of every 16. */
#include "fp4.h"

/* A number of at least 0 as UE4M3, halves upward, NaN as 0. Below 2^-6 the codes are whole multiples of 2^-9; from
 * there on a code is the float's exponent and three bits, but for what comes to 256 or more: as in the reference all
 * that is the largest number, 0x7e for 448. */
V_INLINE vu32 encode(vf32 f) {
    const vf32 bounded = v_min(v_set(448.0f), v_max(f, v_set(0)));
    const vi32 multiple = vi_min(vi_set(7), v_trunc(v_min(bounded, v_set(1)) * 512.0f + 0.5f));
    const vi32 normal = (vi32)((v_bits(bounded) + 0x80000u) >> 20) - (120 << 3);
    const vi32 code = vi_select(V_MASK(normal >= 15 << 3), vi_set(0x7e), normal);
    return (vu32)vi_select(v_lt(bounded, v_set(0x1p-6f)), multiple, code);
}

/* Half of the number, for quants are doubled; 0x7f stands for 0. Bit 7 means nothing. */
V_INLINE vf32 half_of_code(vu32 code) {
    const vi32 magnitude = (vi32)(code & 0x7fu);
    const vf32 normal = v_from_bits((vu32)(magnitude + (119 << 3)) << 20);
    const vf32 half = v_select(V_MASK(magnitude < 8), v_float(magnitude) * 0x1p-10f, normal);
    return v_select(V_MASK(code == 0x7fu), v_set(0), half);
}

/* Elements so large that the distances to several values may be rounded to the same. */
#define BEYOND 0x1p14f

/* Where one is: the first of the 16 values at the least distance, in the reference's order. */
static inline vu32 nearest_of_all(vf32 x, vf32 d) {
    vf32 least = v_abs(fp4_values[0] * d - x);
    vu32 q = vu_set(0);
    for (uint32_t k = 1; k < 16; k++) {
        const vf32 distance = v_abs(fp4_values[k] * d - x);
        const vi32 nearer = v_lt(distance, least);
        q = vu_select(nearer, vu_set(k), q);
        least = v_select(nearer, distance, least);
    }
    return q;
}

/* A group is 4 WS_LANES runs of 16 elements: lane l of part j is run WS_LANES j + l. The parts' scales share a word,
 * byte j is that of part j. The offset is the largest element of the lane's runs. */
static inline block_scales measure(const float *x) {
    block_scales s = {.offset = v_set(0)};
    vu32 codes[4];
    for (int j = 0; j < 4; j++) {
        const vf32 largest = blocks_largest(x + 16 * WS_LANES * j, 16, 16);
        codes[j] = encode(largest / 6.0f);
        s.offset = v_max(largest, s.offset);
    }
    s.stored = v_word(codes);
    return s;
}

static void quants_of_large(uint8_t *q, const float *x, const vf32 *scale) {
    float of_run[4 * WS_LANES];
    memcpy(of_run, scale, sizeof of_run);
    for (int i = 0; i < 64 * WS_LANES; i += V_BYTES) {
        vi32 v[V_BYTES / WS_LANES];
        for (int k = 0; k < V_BYTES / WS_LANES; k++) {
            const int at = i + k * WS_LANES;
            v[k] = (vi32)nearest_of_all(v_load(x + at), v_set(of_run[at / 16]));
        }
        v_store_bounded(q + i, v, 0, 15);
    }
}

/* 64 quants of 4 bits, in each 16 element i beside i + 8. */
V_INLINE void pack_in_16(uint8_t *out, const uint8_t *q) {
    for (int i = 0; i < 4; i++) {
        uint64_t low, high;
        memcpy(&low, q + 16 * i, 8);
        memcpy(&high, q + 16 * i + 8, 8);
        low |= high << 4;
        memcpy(out + 8 * i, &low, 8);
    }
}

static inline void quantize(const float *x, const block_scales *s, uint8_t *y) {
    uint8_t q[64 * WS_LANES], codes[4 * WS_LANES];
    vf32 scale[4], limit[4];
    for (int j = 0; j < 4; j++) {
        const vu32 code = s->stored >> (8 * j) & 0x7fu;
        v_store_bytes(codes + WS_LANES * j, 1, code, WS_LANES);
        scale[j] = half_of_code(code);
        /* A scale of 0 makes all values 0, and the first of them counts: no element is above infinity. */
        limit[j] = v_select(v_lt(v_set(0), scale[j]), scale[j], v_set(__builtin_inff()));
    }
    if (v_any(~v_lt(s->offset, v_set(BEYOND))))
        quants_of_large(q, x, scale);
    else
        fp4_quants(q, x, 16, limit, 4);
    for (int b = 0; b < WS_LANES; b++, y += sizeof(ws_nvfp4)) {
        memcpy(y, codes + 4 * b, 4);
        pack_in_16(y + offsetof(ws_nvfp4, qs), q + 64 * b);
    }
}

void WS_FN(nvfp4, from_float)(const float *x, void *y, size_t n_blocks) {
    each_group_in_place(x, y, n_blocks, 64, sizeof(ws_nvfp4), measure, quantize);
}

void WS_FN(nvfp4, to_float)(const void *x, float *y, size_t n_blocks) {
    const ws_nvfp4 *block = x;
    for (; n_blocks; n_blocks--, block++)
        for (int j = 0; j < 4; j++, y += 16) {
            const vf32 d = half_of_code(vu_set(block->d[j]));
            uint8_t twice[16]; /* for the low and for the high halves */
            memcpy(twice, block->qs + 8 * j, 8);
            memcpy(twice + 8, block->qs + 8 * j, 8);
            for (int i = 0; i < 16; i += WS_LANES) {
                const vu32 q = v_load_u8(twice + i) >> ((v_iota() + (uint32_t)i) >> 3 << 2) & 15u;
                v_store(y + i, v_lookup(fp4_values, (vi32)q) * d);
            }
        }
}
