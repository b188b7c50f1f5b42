/* arm_lanes.h - what the decoding of blocks (block_types.h) needs of NEON: 4 rows in a register. */
#ifndef WS_ARM_LANES_H
#define WS_ARM_LANES_H

enum { ROWS = 4 };

#include "kernels.h"
#include "lanes.h"

#include <arm_neon.h>
#include <string.h>

INLINE void prefetch(const char *p) { __builtin_prefetch(p, 0, 1); }

/* a * b + c, rounded once. */
INLINE f32s fused(f32s a, f32s b, f32s c) { return (f32s)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }

INLINE u32s all_32(const ws_q8_cell *x) { return (u32s)vld1q_dup_s32(&x->i); }
INLINE f32s all_f(const ws_q8_cell *x) { return (f32s)vld1q_dup_f32(&x->f); }

/* A table of 16 bytes. */
INLINE u8s table_16(const void *p) { return (u8s)vld1q_u8(p); }

/* table[i] of the bytes i, 0..15. */
INLINE u8s look_up(u8s table, u8s i) { return (u8s)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)i); }

/* Byte `byte` of every word in all four of its bytes. */
INLINE u8s spread(u8s v, const int byte) {
    const u32s from = WORDS(0x01010101 * byte) + (u32s){0, 0x04040404, 0x08080808, 0x0c0c0c0c};
    return look_up(v, (u8s)from);
}

/* The low half of every word of `low`, the high half of every word of `high`. */
INLINE u8s low_and_high(u8s low, u8s high) { return (low & (u8s)WORDS(0xffff)) | (high & (u8s)WORDS(0xffff0000u)); }

/* The low half of every word as a float. */
INLINE f32s low_f16(u32s words) { return (f32s)vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32((uint32x4_t)words))); }

/* list[place] for the places in every half of a word. */
INLINE u16s codes_of(const uint16_t *list, u16s place) {
    u16s code = HALVES(0);
    UNROLL for (int i = 0; i < 2 * ROWS; i++) code[i] = list[place[i]];
    return code;
}

/* ---- blocks of 4 rows ---- */

/* The same block of 4 rows: row r at b + r * stride. */
typedef struct {
    const uint8_t *b;
    size_t stride;
} block_rows;

INLINE block_rows rows_from(const uint8_t *base, size_t stride) { return (block_rows){base, stride}; }

INLINE const uint8_t *row_at(const block_rows *r, const int row) { return r->b + (size_t)row * r->stride; }

INLINE void next_block(block_rows *r, size_t bytes) { r->b += bytes; }

INLINE u32s gather_32(const block_rows *r, size_t at) {
    uint32_t w[ROWS];
    UNROLL for (int i = 0; i < ROWS; i++) memcpy(&w[i], row_at(r, i) + at, sizeof w[i]);
    return (u32s){w[0], w[1], w[2], w[3]};
}

INLINE f32s gather_f16(const block_rows *r, size_t at) {
    uint16_t h[ROWS];
    UNROLL for (int i = 0; i < ROWS; i++) memcpy(&h[i], row_at(r, i) + at, sizeof h[i]);
    return low_f16((u32s){h[0], h[1], h[2], h[3]});
}

/* to[k] = bytes at + 4 k .. at + 4 k + 3 of the rows, for k = 0..3. */
INLINE void transpose(const block_rows *r, size_t at, u8s to[4]) {
    uint32x4_t v[4];
    UNROLL for (int j = 0; j < 4; j++) v[j] = vreinterpretq_u32_u8(vld1q_u8(row_at(r, j) + at));
    const uint64x2_t even01 = vreinterpretq_u64_u32(vtrn1q_u32(v[0], v[1]));
    const uint64x2_t odd01 = vreinterpretq_u64_u32(vtrn2q_u32(v[0], v[1]));
    const uint64x2_t even23 = vreinterpretq_u64_u32(vtrn1q_u32(v[2], v[3]));
    const uint64x2_t odd23 = vreinterpretq_u64_u32(vtrn2q_u32(v[2], v[3]));
    to[0] = (u8s)vtrn1q_u64(even01, even23), to[1] = (u8s)vtrn1q_u64(odd01, odd23);
    to[2] = (u8s)vtrn2q_u64(even01, even23), to[3] = (u8s)vtrn2q_u64(odd01, odd23);
}

#endif
