/* lanes.h - registers of ROWS lanes as compilers see them, for the decoding of blocks (block_types.h): lane r is a
 * row's, four bytes wide. ROWS is 8 for AVX2, 4 for NEON. */
#ifndef WS_LANES_H
#define WS_LANES_H

#include "inline.h"

#include <stdint.h>

#define REGISTER __attribute__((vector_size(4 * ROWS)))
typedef uint8_t u8s REGISTER;
typedef uint16_t u16s REGISTER;
typedef uint32_t u32s REGISTER;
typedef int32_t i32s REGISTER;
typedef float f32s REGISTER;

#define BYTES(v)  ((u8s){0} + (uint8_t)(v))
#define HALVES(v) ((u16s){0} + (uint16_t)(v))
#define WORDS(v)  ((u32s){0} + (uint32_t)(v))
#define FLOATS(v) ((f32s){0} + (v))

/* (v >> shift) & mask in every byte. */
INLINE u8s field(u8s v, const int shift, const int mask) { return (u8s)((u16s)v >> shift) & BYTES(mask); }

/* (v >> shift) & mask in every word. */
INLINE u32s word_bits(u32s v, const int shift, const uint32_t mask) { return (v >> shift) & WORDS(mask); }

/* Bit `from` of every byte, moved to bit `to`. */
INLINE u8s move_bit(u8s v, const int from, const int to) {
    const u16s moved = from < to ? (u16s)v << (to - from) : (u16s)v >> (from - to);
    return (u8s)moved & BYTES(1 << to);
}

/* Byte i of every word as a number, without and with its sign. */
INLINE f32s byte_to_float(u8s v, const int i) {
    return __builtin_convertvector((i32s)word_bits((u32s)v, 8 * i, 255), f32s);
}
INLINE f32s signed_to_float(u8s v, const int i) {
    return __builtin_convertvector(((i32s)v << (24 - 8 * i)) >> 24, f32s);
}

#endif
