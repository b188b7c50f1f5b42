/* lanes.h - vectors of WS_LANES floats or integers, and the rule by which the formats use them.
 *
 * One lane is one block. A quantizer loads WS_LANES blocks and transposes them, so that element i of all of them
 * is one vector; then every lane goes through the operations of the reference quantizer, in its order, on its own
 * block. Nothing is ever summed across lanes, so the bytes do not depend on the width, and the same text compiled
 * with one lane (WS_ISA=c: plain scalars) is the definition of the format. What the reference decides with `if` and
 * `break` is decided here per lane with masks (0 or -1 in each lane) and v_select(); a lane whose loop would have
 * ended goes on without being changed. Groups that do not fill a vector repeat their last block in the spare
 * lanes, and only the real ones are stored. Where there are no sums, lanes may be WS_LANES neighbouring elements of
 * one block: on the way back to floats, and in the types without a search (elements.h).
 *
 * Equality with ggml rests on:
 *   - IEEE arithmetic in the written order: -ffp-contract=off, no -ffast-math, no flushing of subnormals;
 *   - v_nearest(), the reference's rounding, wherever it rounds to an integer;
 *   - converting to integers only what is known to fit (v_trunc): out of range, processors differ;
 *   - comparisons that are false for NaN, as written; v_min and v_max say which operand they return.
 * Overflow to infinity and the NaNs that follow are carried like any value; no operation here traps.
 *
 * The operators + - * / & | ^ ~ << >> work on vectors and on scalars alike. Comparisons do not (a vector gives 0
 * or -1, a scalar 0 or 1), hence v_lt() and friends. gcc 12 and clang 14 know no `?:` on vectors in C.
 *
 * Names: v_ for floats and for all types, vi_ for signed, vu_ for unsigned lanes. Adding an instruction set is one
 * header in lanes/ that defines the same words as lanes/any.h, and a row in the choice below. */
#ifndef WS_LANES_H
#define WS_LANES_H

/* Each of these sets WS_LANES, includes the types (vf32, vi32, vu32) and defines the words in which the sets differ.
 * The tests set WS_LANES themselves, to run the logic of wide vectors on any processor. */
#if defined(WS_LANES)
#include "lanes/any.h"
#elif defined(WS_ISA_avx512)
#include "lanes/avx512.h"
#elif defined(WS_ISA_avx2)
#include "lanes/avx2.h"
#elif defined(WS_ISA_neon)
#include "lanes/neon.h"
#else
#include "lanes/one.h"
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "blocks are written as words of the file's byte order");

/* === bits, constants, comparisons === */

V_INLINE vu32 v_bits(vf32 f) {
    vu32 u;
    memcpy(&u, &f, sizeof u);
    return u;
}

V_INLINE vf32 v_from_bits(vu32 u) {
    vf32 f;
    memcpy(&f, &u, sizeof f);
    return f;
}

V_INLINE vf32 v_set(float value) { return value - (vf32){0}; }
V_INLINE vi32 vi_set(int32_t value) { return value + (vi32){0}; }
V_INLINE vu32 vu_set(uint32_t value) { return value + (vu32){0}; }

/* 0, 1, 2, ... */
V_INLINE vu32 v_iota(void) {
    static const uint32_t numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vu32 v;
    memcpy(&v, numbers, sizeof v);
    return v;
}

V_INLINE vf32 v_abs(vf32 f) { return v_from_bits(v_bits(f) & 0x7fffffffu); }
V_INLINE vf32 v_float(vi32 i) { return V_CONVERT(i, vf32); }
V_INLINE vi32 v_trunc(vf32 f) { return V_CONVERT(f, vi32); } /* |f| < 2^31 */

V_INLINE vi32 v_lt(vf32 a, vf32 b) { return V_MASK(a < b); }
V_INLINE vi32 v_eq(vf32 a, vf32 b) { return V_MASK(a == b); }
V_INLINE vi32 v_ne(vf32 a, vf32 b) { return V_MASK(a != b); }

V_INLINE vi32 vu_ne(vu32 a, vu32 b) { return V_MASK(a != b); }
V_INLINE vi32 vu_eq(vu32 a, vu32 b) { return V_MASK(a == b); }

V_INLINE vu32 vu_select(vi32 mask, vu32 yes, vu32 no) { return (vu32)vi_select(mask, (vi32)yes, (vi32)no); }
V_INLINE vi32 vi_clamp(vi32 v, int32_t low, int32_t high) { return vi_max(vi_set(low), vi_min(vi_set(high), v)); }

/* === rounding === */

#ifndef V_HAS_TRUNC_ANY
/* v_trunc(), but the least integer for NaN, as on x86. */
V_INLINE vi32 v_trunc_any(vf32 f) { return v_trunc(v_select(v_eq(f, f), f, v_set(-0x1p31f))); }
#endif

/* The reference's rounding to the nearest integer, ties to even: adding 1.5 * 2^23 leaves the integer in the low
 * bits of the sum. Exact for |f| < 2^22; beyond (and for NaN) the bits are whatever they are, in every lane alike. */
V_INLINE vi32 v_nearest(vf32 f) { return (vi32)(v_bits(f + 0x1.8p23f) & 0x7fffffu) - 0x400000; }

/* v_nearest(f) bounded to low..high, as floats, for |f| < 2^22: bounds the sum's bits before they are an integer. */
V_INLINE vf32 v_nearest_small(vf32 f, int32_t low, int32_t high) {
    const int32_t zero = 0x4b400000; /* the bits of 1.5 * 2^23, where steps of one bit are steps of 1 */
    const vi32 bits = vi_clamp((vi32)v_bits(f + 0x1.8p23f), zero + low, zero + high);
    return v_from_bits((vu32)bits) - 0x1.8p23f;
}

/* === memory; no pointer here need be aligned === */

V_INLINE vf32 v_load(const void *p) {
    vf32 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Asks for the n bytes at an address, to which a row's reader will come, in the second-level cache; nothing need be
 * there. */
V_INLINE void v_prefetch(uintptr_t address, size_t n) {
    for (size_t i = 0; WS_LANES > 1 && i < n; i += 64) __builtin_prefetch((const void *)(address + i), 0, 2);
}

V_INLINE void v_store(void *p, vf32 v) { memcpy(p, &v, sizeof v); }

#ifndef V_HAS_BYTE_BITS
/* Bit `bit` of each of 32 bytes, as the bits of a word. */
V_INLINE uint32_t v_bit_of_bytes(const uint8_t *p, int bit) {
    uint32_t word = 0;
    for (int i = 0; i < 32; i += 8) {
        uint64_t bytes;
        memcpy(&bytes, p + i, sizeof bytes);
        /* Bits 0, 8, ... times 2^7 + 2^14 + ...: bits 56 to 63 of the product are those eight, in order. */
        word |= (uint32_t)((bytes >> bit & 0x0101010101010101u) * 0x0102040810204080u >> 56) << i;
    }
    return word;
}
#endif

/* The bytes in the low eight bits of v[0..3], as one word per lane. */
V_INLINE vu32 v_word(const vu32 *v) { return v[0] | v[1] << 8 | v[2] << 16 | v[3] << 24; }

/* === runs of lanes === */

#ifndef V_PART
/* The lanes where the mask is set come first; the rest of WS_LANES words is anything. Returns how many. */
V_INLINE size_t v_compress(uint32_t *out, vu32 v, vi32 mask) {
    uint32_t words[WS_LANES];
    memcpy(words, &v, sizeof words);
    const uint32_t bits = v_lane_bits(mask);
    size_t n = 0;
    for (int lane = 0; lane < WS_LANES; lane++) {
        out[n] = words[lane];
        n += bits >> lane & 1;
    }
    return n;
}

/* Parts of V_PART neighbouring lanes, where a few lanes are enough and wide loads are dear; else whole vectors. */
#define V_PART WS_LANES
typedef vf32 vp_f32;
typedef vu32 vp_u32;
V_INLINE vp_f32 vp_min(vp_f32 a, vp_f32 b) { return v_min(a, b); }
V_INLINE vp_u32 vp_select_less(vp_f32 a, vp_f32 b, vp_u32 yes, vp_u32 no) { return v_select_less(a, b, yes, no); }
#ifndef V_HAS_STORE_LANES
/* Lanes begin to end - 1. */
V_INLINE void vp_store_lanes(uint32_t *p, vp_u32 v, unsigned begin, unsigned end) {
    memcpy(p + begin, (const uint8_t *)&v + 4 * begin, 4 * (end - begin));
}
#endif
#endif

#if WS_LANES == 1

V_INLINE void v_load_blocks_at(vf32 *x, const void *const *block, size_t n) { memcpy(x, block[0], n * sizeof *x); }

V_INLINE void v_store_words(void *dst, size_t stride, const vu32 *words, size_t n, size_t live) {
    (void)stride, (void)live;
    memcpy(dst, words, n * sizeof *words);
}

#define V_FOUR  1
#define V_FOURS 1
V_INLINE vf32 v_four_across(const vf32 *v, vf32 (*op)(vf32 a, vf32 b)) { return (void)op, v[0]; }
V_INLINE vf32 v_fours_across(const vf32 *v, vf32 (*op)(vf32 a, vf32 b)) { return (void)op, v[0]; }

#else

/* Four vectors of chunks of four: lanes 4 k to 4 k + 3 of v[i] hold elements 0 to 3 of block 4 k + i. Afterwards
 * lanes are blocks and v[i] is element i, or the other way round: it is its own inverse. */
V_INLINE void v_transpose(vf32 *v) {
    enum { B = WS_LANES }; /* numbers from B on take from the second vector */
    const vf32 low01 = __builtin_shufflevector(v[0], v[1], V_QUADS(0, B, 1, B + 1));
    const vf32 high01 = __builtin_shufflevector(v[0], v[1], V_QUADS(2, B + 2, 3, B + 3));
    const vf32 low23 = __builtin_shufflevector(v[2], v[3], V_QUADS(0, B, 1, B + 1));
    const vf32 high23 = __builtin_shufflevector(v[2], v[3], V_QUADS(2, B + 2, 3, B + 3));
    v[0] = __builtin_shufflevector(low01, low23, V_QUADS(0, 1, B, B + 1));
    v[1] = __builtin_shufflevector(low01, low23, V_QUADS(2, 3, B + 2, B + 3));
    v[2] = __builtin_shufflevector(high01, high23, V_QUADS(0, 1, B, B + 1));
    v[3] = __builtin_shufflevector(high01, high23, V_QUADS(2, 3, B + 2, B + 3));
}

/* What `op` makes of each of V_FOURS times V_FOUR vectors' lanes, in a lane for each: first in fours, by which a four's
 * lanes are of the four vectors, then over the fours. */
#define V_FOUR  4
#define V_FOURS (WS_LANES / 4)
V_INLINE vf32 v_four_across(const vf32 *v, vf32 (*op)(vf32 a, vf32 b)) {
    enum { B = WS_LANES };
    vf32 half[2];
    for (int i = 0; i < 2; i++)
        half[i] = op(__builtin_shufflevector(v[2 * i], v[2 * i + 1], V_QUADS(0, 2, B, B + 2)),
                     __builtin_shufflevector(v[2 * i], v[2 * i + 1], V_QUADS(1, 3, B + 1, B + 3)));
    return op(__builtin_shufflevector(half[0], half[1], V_QUADS(0, 2, B, B + 2)),
              __builtin_shufflevector(half[0], half[1], V_QUADS(1, 3, B + 1, B + 3)));
}

V_INLINE vf32 v_fours_across(vf32 *v, vf32 (*op)(vf32 a, vf32 b)) {
    (void)op;
#ifdef V_EVEN_QUADS
    for (int k = V_FOURS / 2; k; k /= 2)
        for (int i = 0; i < k; i++)
            v[i] = op(__builtin_shufflevector(v[2 * i], v[2 * i + 1], V_EVEN_QUADS),
                      __builtin_shufflevector(v[2 * i], v[2 * i + 1], V_ODD_QUADS));
#endif
    return v[0];
}

/* WS_LANES blocks of n floats, n a multiple of 4: x[i] becomes element i of each. */
V_INLINE void v_load_blocks_at(vf32 *x, const void *const *block, size_t n) {
    for (size_t i = 0; i < n; i += 4) {
        for (size_t row = 0; row < 4; row++)
            x[i + row] = v_load_chunks((const uint8_t *const *)block + row, i * sizeof(float));
        v_transpose(x + i);
    }
}

V_INLINE void v_store_lanes(uint8_t *out, size_t stride, const vu32 *words, size_t n, size_t live) {
    for (; n >= 4; n -= 4, words += 4, out += 16) {
        vf32 v[4];
        memcpy(v, words, sizeof v);
        v_transpose(v);
        for (size_t lane = 0; lane < live; lane++)
            memcpy(out + lane * stride, (const uint8_t *)&v[lane % 4] + lane / 4 * 16, 16);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t lane = 0; lane < live; lane++)
            memcpy(out + lane * stride + 4 * i, (const uint8_t *)&words[i] + 4 * lane, 4);
}

/* words[0..n-1] of lane i go to dst + i * stride, for the first `live` lanes. */
V_INLINE void v_store_words(void *dst, size_t stride, const vu32 *words, size_t n, size_t live) {
    if (live == WS_LANES)
        v_store_lanes(dst, stride, words, n, WS_LANES);
    else
        v_store_lanes(dst, stride, words, n, live);
}

#endif

/* `live` (1 to WS_LANES) blocks that lie one after the other; the last fills the spare lanes. */
V_INLINE void v_load_blocks(vf32 *x, const void *src, size_t n, size_t live) {
    const void *block[WS_LANES];
    for (size_t lane = 0; lane < WS_LANES; lane++)
        block[lane] = (const float *)src + (lane < live ? lane : live - 1) * n;
    v_load_blocks_at(x, block, n);
}

/* The low 16 bits of lane i go to dst + i * stride. */
V_INLINE void v_store_halves(void *dst, size_t stride, vu32 halves, size_t live) {
    for (size_t lane = 0; lane < live; lane++)
        memcpy((uint8_t *)dst + lane * stride, (const uint8_t *)&halves + 4 * lane, 2);
}

/* The same with the low 8 bits. */
V_INLINE void v_store_bytes(void *dst, size_t stride, vu32 bytes, size_t live) {
    for (size_t lane = 0; lane < live; lane++)
        memcpy((uint8_t *)dst + lane * stride, (const uint8_t *)&bytes + 4 * lane, 1);
}

#endif
