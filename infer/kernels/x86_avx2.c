/* x86_avx2.c - kernels for AVX2 with FMA and F16C. Products are in x86_vectors.h; here is the decoding of quantized
 * rows into panels: bytes of 8 rows are transposed in units of four, so that a register holds the same four columns
 * of 8 rows, and then the bit fields are taken apart for all of them at once. */
#include "blocks.h"
#include "kernels.h"
#include "rows.h"

#include <immintrin.h>
#include <stddef.h>

#define V(op)     _mm256_##op
#define VI        __m256i
#define VF        __m256
#define LOAD_I(p) _mm256_loadu_si256((const __m256i *)(p))
#define ZERO_I    _mm256_setzero_si256()
#define N_VEC     2
/* Bytes of x with the signs of w's; 0 where w is 0. */
#define WITH_SIGN(x, w) _mm256_sign_epi8(x, w)
enum { TILE = 4, TILE_R = 4, STRIP_R = 2, TILE_T = 3, ATTN_ROWS = 4 };

/* 8 floats of a kind (float_kind): register v of the 16 at p. */
#define LOAD_VEC(p, v, kind) load_8((const uint8_t *)(p), v, (int)(kind))
#define ADD_LANES(l)         add_lanes((l).v[0], (l).v[1])
#define HALF_AT(p, at)       _mm_loadu_si128((const __m128i *)((const uint8_t *)(p) + (at)))

static inline __attribute__((always_inline)) __m256 load_8(const uint8_t *p, const int v, const int kind) {
    if (kind == 0) return _mm256_loadu_ps((const float *)(const void *)(p + 32 * v));
    if (kind == 1) return _mm256_cvtph_ps(HALF_AT(p, 16 * v));
    const __m256i pairs = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32 * v));
    const __m256i high = _mm256_set1_epi32((int)0xffff0000u);
    return _mm256_castsi256_ps(kind == 2 ? _mm256_and_si256(pairs, high) : _mm256_slli_epi32(pairs, 16));
}

static inline float add_lanes(__m256 low, __m256 high) {
    const __m256 s8 = _mm256_add_ps(low, high);
    const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

#include "x86_vectors.h"

/* Field `at` of 8 blocks, one per row. */
enum { HALF = WS_LANES / 2 };

static inline __m256 gather_f16(const uint8_t *const *rows, size_t at) {
    uint16_t h[HALF];
    UNROLL for (int r = 0; r < HALF; r++) memcpy(&h[r], rows[r] + at, sizeof h[r]);
    const __m128i v = _mm_setr_epi16((short)h[0], (short)h[1], (short)h[2], (short)h[3], (short)h[4], (short)h[5],
                                     (short)h[6], (short)h[7]);
    return _mm256_cvtph_ps(v);
}

static inline __m256i gather_32(const uint8_t *const *rows, size_t at) {
    int32_t w[HALF];
    UNROLL for (int r = 0; r < HALF; r++) memcpy(&w[r], rows[r] + at, sizeof w[r]);
    return _mm256_setr_epi32(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]);
}

/* to[k] = bytes at + 4 k .. at + 4 k + 3 of the 8 rows, for k = 0..3. */
static inline void transpose_16(const uint8_t *const *rows, size_t at, __m256i to[4]) {
    __m256i v[4], pair[4];
    UNROLL for (int i = 0; i < 4; i++) v[i] =
        _mm256_inserti128_si256(_mm256_castsi128_si256(HALF_AT(rows[i], at)), HALF_AT(rows[i + 4], at), 1);
    pair[0] = _mm256_unpacklo_epi32(v[0], v[1]), pair[1] = _mm256_unpackhi_epi32(v[0], v[1]);
    pair[2] = _mm256_unpacklo_epi32(v[2], v[3]), pair[3] = _mm256_unpackhi_epi32(v[2], v[3]);
    to[0] = _mm256_unpacklo_epi64(pair[0], pair[2]), to[1] = _mm256_unpackhi_epi64(pair[0], pair[2]);
    to[2] = _mm256_unpacklo_epi64(pair[1], pair[3]), to[3] = _mm256_unpackhi_epi64(pair[1], pair[3]);
}

static inline void transpose_32(const uint8_t *const *rows, size_t at, __m256i to[8]) {
    transpose_16(rows, at, to);
    transpose_16(rows, at + 16, to + 4);
}

#define BYTES(v) _mm256_set1_epi8(v)

/* (v >> shift) & mask in every byte. */
static inline __m256i field(__m256i v, const int shift, const char mask) {
    return _mm256_and_si256(_mm256_srli_epi16(v, shift), BYTES(mask));
}

/* bit `from` of every byte, moved to bit 4 or 2 (`to`). */
static inline __m256i move_bit(__m256i v, const int from, const int to) {
    const __m256i moved = from < to ? _mm256_slli_epi16(v, to - from) : _mm256_srli_epi16(v, from - to);
    return _mm256_and_si256(moved, BYTES((char)(1 << to)));
}

/* Quants that were stored as q - low. */
static inline void put_q(ws_panel *p, int g, int r0, __m256i q, const int low) {
    const __m256i biased = _mm256_add_epi8(q, BYTES((char)(WS_BIAS + low)));
    _mm256_storeu_si256((__m256i *)(void *)p->q[g][r0], biased);
}

static inline void put_d(ws_panel *p, int r0, __m256 d) { _mm256_storeu_ps(p->d[0] + r0, d); }

static inline void put_whole(ws_panel *p, int r0, __m256 d, __m256 min) {
    put_d(p, r0, d);
    _mm256_storeu_ps(p->min[0] + r0, min);
}

/* ---- blocks of 32: each function decodes rows r0 .. r0 + 7 of one block ---- */

static inline void nibbles(const uint8_t *const *rows, size_t at, __m256i q[8]) {
    __m256i t[4];
    transpose_16(rows, at, t);
    UNROLL for (int k = 0; k < 4; k++) q[k] = field(t[k], 0, 15), q[k + 4] = field(t[k], 4, 15);
}

/* Set bit 4 of quant c to bit c of the rows' 32-bit words. Four columns' bits lie in half a byte: spread that byte
 * over the word, move the half to the top if it is the low one, keep each column's own bit, and turn it into 16. */
static inline void fifth_bits(__m256i bits, __m256i q[8]) {
    const __m256i own = _mm256_set1_epi32((int)0x80402010u), sixteen = BYTES(16);
    UNROLL for (int byte = 0; byte < 4; byte++) {
        const __m256i spread =
            _mm256_shuffle_epi8(bits, _mm256_add_epi8(_mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0,
                                                                        0x04040404, 0x08080808, 0x0c0c0c0c),
                                                      BYTES((char)byte)));
        const __m256i low = _mm256_and_si256(_mm256_slli_epi16(spread, 4), own), high = _mm256_and_si256(spread, own);
        q[2 * byte] = _mm256_or_si256(q[2 * byte], _mm256_min_epu8(low, sixteen));
        q[2 * byte + 1] = _mm256_or_si256(q[2 * byte + 1], _mm256_min_epu8(high, sixteen));
    }
}

static inline void put_all(ws_panel *p, int r0, const __m256i q[8], const int low) {
    UNROLL for (int g = 0; g < 8; g++) put_q(p, g, r0, q[g], low);
}

static inline void decode_q4_0(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    __m256i q[8];
    nibbles(rows, at + offsetof(ws_q4_0, qs), q);
    put_all(out, r0, q, -8);
    put_d(out, r0, gather_f16(rows, at));
}

static inline void decode_q4_1(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    __m256i q[8];
    nibbles(rows, at + offsetof(ws_q4_1, qs), q);
    put_all(out, r0, q, 0);
    put_whole(out, r0, gather_f16(rows, at), gather_f16(rows, at + offsetof(ws_q4_1, m)));
}

static inline void decode_q5_0(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    __m256i q[8];
    nibbles(rows, at + offsetof(ws_q5_0, qs), q);
    fifth_bits(gather_32(rows, at + offsetof(ws_q5_0, qh)), q);
    put_all(out, r0, q, -16);
    put_d(out, r0, gather_f16(rows, at));
}

static inline void decode_q5_1(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    __m256i q[8];
    nibbles(rows, at + offsetof(ws_q5_1, qs), q);
    fifth_bits(gather_32(rows, at + offsetof(ws_q5_1, qh)), q);
    put_all(out, r0, q, 0);
    put_whole(out, r0, gather_f16(rows, at), gather_f16(rows, at + offsetof(ws_q5_1, m)));
}

static inline void decode_q8_0(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    __m256i q[8];
    transpose_32(rows, at + offsetof(ws_q8_0, qs), q);
    put_all(out, r0, q, 0);
    put_d(out, r0, gather_f16(rows, at));
}

/* ---- super-blocks of 256: 8 panels ---- */

/* Byte i of every word as a number. */
static inline __m256 byte_to_float(__m256i v, const int i) {
    return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(v, 8 * i), _mm256_set1_epi32(255)));
}

/* Scales and minimums of Q4_K and Q5_K. Word k of the 12 bytes holds, for sub-blocks j = 0..3 in byte j,
 * k = 0: scale[j] and two bits of scale[j + 4]; k = 1: the same of min; k = 2: four bits of both [j + 4]. */
static inline void scales_q4_k(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    const __m256 d = gather_f16(rows, at);
    const __m256 neg = _mm256_sub_ps(_mm256_setzero_ps(), gather_f16(rows, at + offsetof(ws_q4_k, dmin)));
    __m256i t[4], scale[2], min[2];
    transpose_16(rows, at + offsetof(ws_q4_k, scales), t);
    scale[0] = field(t[0], 0, 63), min[0] = field(t[1], 0, 63);
    scale[1] = _mm256_or_si256(field(t[2], 0, 15), field(t[0], 2, 48));
    min[1] = _mm256_or_si256(field(t[2], 4, 15), field(t[1], 2, 48));
    UNROLL for (int p = 0; p < 8; p++) put_whole(out + p, r0, _mm256_mul_ps(d, byte_to_float(scale[p / 4], p % 4)),
                                                 _mm256_mul_ps(neg, byte_to_float(min[p / 4], p % 4)));
}

static inline void decode_q4_k(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    UNROLL for (int c = 0; c < 4; c++) {
        __m256i t[8];
        transpose_32(rows, at + offsetof(ws_q4_k, qs) + 32 * c, t);
        UNROLL for (int g = 0; g < 8; g++) {
            put_q(out + 2 * c, g, r0, field(t[g], 0, 15), 0);
            put_q(out + 2 * c + 1, g, r0, field(t[g], 4, 15), 0);
        }
    }
    scales_q4_k(rows, at, out, r0);
}

static inline void decode_q5_k(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    __m256i high[8];
    transpose_32(rows, at + offsetof(ws_q5_k, qh), high);
    UNROLL for (int c = 0; c < 4; c++) {
        __m256i t[8];
        transpose_32(rows, at + offsetof(ws_q5_k, qs) + 32 * c, t);
        UNROLL for (int g = 0; g < 8; g++) {
            put_q(out + 2 * c, g, r0, _mm256_or_si256(field(t[g], 0, 15), move_bit(high[g], 2 * c, 4)), 0);
            put_q(out + 2 * c + 1, g, r0, _mm256_or_si256(field(t[g], 4, 15), move_bit(high[g], 2 * c + 1, 4)), 0);
        }
    }
    scales_q4_k(rows, at, out, r0);
}

/* d * (signed byte s of the words) for the 16 sub-blocks s. */
static inline void put_scales(const __m256i words[4], __m256 d, ws_panel *out, int r0) {
    UNROLL for (int s = 0; s < 16; s++) {
        const __m256i wide = _mm256_srai_epi32(_mm256_slli_epi32(words[s / 4], 24 - 8 * (s % 4)), 24);
        _mm256_storeu_ps(out[s / 2].d[s % 2] + r0, _mm256_mul_ps(d, _mm256_cvtepi32_ps(wide)));
    }
}

static inline void decode_q2_k(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    UNROLL for (int h = 0; h < 2; h++) {
        __m256i t[8];
        transpose_32(rows, at + offsetof(ws_q2_k, qs) + 32 * h, t);
        UNROLL for (int g = 0; g < 8; g++) UNROLL for (int p = 0; p < 4; p++)
            put_q(out + 4 * h + p, g, r0, field(t[g], 2 * p, 3), 0);
    }
    const __m256 d = gather_f16(rows, at + offsetof(ws_q2_k, d));
    const __m256 neg = _mm256_sub_ps(_mm256_setzero_ps(), gather_f16(rows, at + offsetof(ws_q2_k, dmin)));
    __m256i t[4], scale[4];
    transpose_16(rows, at + offsetof(ws_q2_k, scales), t);
    UNROLL for (int k = 0; k < 4; k++) scale[k] = field(t[k], 0, 15), t[k] = field(t[k], 4, 15);
    put_scales(scale, d, out, r0);
    UNROLL for (int s = 0; s < 16; s++)
        _mm256_storeu_ps(out[s / 2].min[s % 2] + r0, _mm256_mul_ps(neg, byte_to_float(t[s / 4], s % 4)));
}

static inline void scales_q3_k(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    __m256i t[4], scale[4];
    transpose_16(rows, at + offsetof(ws_q3_k, scales) - 4, t); /* 12 bytes: words 1 to 3 */
    scale[0] = _mm256_or_si256(field(t[1], 0, 15), _mm256_slli_epi16(field(t[3], 0, 3), 4));
    scale[1] = _mm256_or_si256(field(t[2], 0, 15), _mm256_slli_epi16(field(t[3], 2, 3), 4));
    scale[2] = _mm256_or_si256(field(t[1], 4, 15), _mm256_slli_epi16(field(t[3], 4, 3), 4));
    scale[3] = _mm256_or_si256(field(t[2], 4, 15), _mm256_slli_epi16(field(t[3], 6, 3), 4));
    UNROLL for (int k = 0; k < 4; k++) scale[k] = _mm256_sub_epi8(scale[k], BYTES(32));
    put_scales(scale, gather_f16(rows, at + offsetof(ws_q3_k, d)), out, r0);
}

static inline void decode_q3_k(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    __m256i high[8];
    transpose_32(rows, at + offsetof(ws_q3_k, hmask), high);
    UNROLL for (int h = 0; h < 2; h++) {
        __m256i t[8];
        transpose_32(rows, at + offsetof(ws_q3_k, qs) + 32 * h, t);
        UNROLL for (int g = 0; g < 8; g++) UNROLL for (int p = 0; p < 4; p++)
            put_q(out + 4 * h + p, g, r0, _mm256_or_si256(field(t[g], 2 * p, 3), move_bit(high[g], 4 * h + p, 2)), -4);
    }
    scales_q3_k(rows, at, out, r0);
}

/* The four panels of half h: the low nibbles of ql's first and second 32 bytes, then their high nibbles. */
static inline void half_q6_k(const uint8_t *const *rows, size_t at, const int h, ws_panel *out, int r0) {
    UNROLL for (int part = 0; part < 2; part++) {
        __m256i low[4], more[4], high[4];
        transpose_16(rows, at + offsetof(ws_q6_k, ql) + 64 * h + 16 * part, low);
        transpose_16(rows, at + offsetof(ws_q6_k, ql) + 64 * h + 32 + 16 * part, more);
        transpose_16(rows, at + offsetof(ws_q6_k, qh) + 32 * h + 16 * part, high);
        UNROLL for (int k = 0; k < 4; k++) {
            const int g = 4 * part + k;
            const __m256i up0 = _mm256_slli_epi16(field(high[k], 0, 3), 4),
                          up1 = _mm256_slli_epi16(field(high[k], 2, 3), 4);
            const __m256i up2 = field(high[k], 0, 48), up3 = field(high[k], 2, 48);
            put_q(out + 0, g, r0, _mm256_or_si256(field(low[k], 0, 15), up0), -32);
            put_q(out + 1, g, r0, _mm256_or_si256(field(more[k], 0, 15), up1), -32);
            put_q(out + 2, g, r0, _mm256_or_si256(field(low[k], 4, 15), up2), -32);
            put_q(out + 3, g, r0, _mm256_or_si256(field(more[k], 4, 15), up3), -32);
        }
    }
}

static inline void decode_q6_k(const uint8_t *const *rows, size_t at, ws_panel *out, int r0) {
    half_q6_k(rows, at, 0, out, r0);
    half_q6_k(rows, at, 1, out + 4, r0);
    __m256i scale[4];
    transpose_16(rows, at + offsetof(ws_q6_k, scales), scale);
    put_scales(scale, gather_f16(rows, at + offsetof(ws_q6_k, d)), out, r0);
}

/* A single token waits for memory: ask for as many bytes of the 16 rows that follow as are being read. */
static inline void fetch(const ws_block_rows *rows, size_t block, const size_t bytes) {
    enum { LINE = 64 };
    const char *ahead = (const char *)rows->base + WS_LANES * (rows->stride + block * bytes);
    for (size_t i = 0; i < WS_LANES * bytes; i += LINE) _mm_prefetch(ahead + i, _MM_HINT_T1);
}

#define DECODE(name, ID)                                                                                               \
    static void rows_##name(const ws_block_rows *rows, size_t n_blocks, ws_panel *out) {                               \
        const uint8_t *at[WS_LANES];                                                                                   \
        for (size_t r = 0; r < WS_LANES; r++) at[r] = rows->base + r * rows->stride;                                   \
        for (size_t b = 0; b < n_blocks; b++, out += WS_ELEMENTS_##ID / WS_GROUP) {                                    \
            fetch(rows, b, WS_BYTES_##ID);                                                                             \
            decode_##name(at, b *WS_BYTES_##ID, out, 0);                                                               \
            decode_##name(at + HALF, b * WS_BYTES_##ID, out, HALF);                                                    \
        }                                                                                                              \
    }
DECODE(q4_0, Q4_0)
DECODE(q4_1, Q4_1)
DECODE(q5_0, Q5_0)
DECODE(q5_1, Q5_1)
DECODE(q8_0, Q8_0)
DECODE(q2_k, Q2_K)
DECODE(q3_k, Q3_K)
DECODE(q4_k, Q4_K)
DECODE(q5_k, Q5_K)
DECODE(q6_k, Q6_K)
#undef DECODE

void ws_kernels_init_avx2(ws_kernels *k) {
    rows_init(k);
    vectors_init(k);
    k->panel[WS_TYPE_Q4_0].decode = rows_q4_0;
    k->panel[WS_TYPE_Q4_1].decode = rows_q4_1;
    k->panel[WS_TYPE_Q5_0].decode = rows_q5_0;
    k->panel[WS_TYPE_Q5_1].decode = rows_q5_1;
    k->panel[WS_TYPE_Q8_0].decode = rows_q8_0;
    k->panel[WS_TYPE_Q2_K].decode = rows_q2_k;
    k->panel[WS_TYPE_Q3_K].decode = rows_q3_k;
    k->panel[WS_TYPE_Q4_K].decode = rows_q4_k;
    k->panel[WS_TYPE_Q5_K].decode = rows_q5_k;
    k->panel[WS_TYPE_Q6_K].decode = rows_q6_k;
}
