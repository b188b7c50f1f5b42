/* formats_data.h - inputs and known answers for the formats, the same on every processor: made of integers and exact
 * float operations only. Shared by test_formats.c and tests/cross/formats.c. */
#ifndef WS_TESTS_FORMATS_DATA_H
#define WS_TESTS_FORMATS_DATA_H

#include "dtype.h"
#include "formats.h"
#include "fp16.h"

#include <stddef.h>
#include <stdint.h>

enum { DATA_FLOATS = 37 * 256, DATA_BYTES = DATA_FLOATS * (int)sizeof(float) };

static inline uint64_t data_random(uint64_t *state) { /* xorshift64 */
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Nearly normal, deviation 1: the sum of the 12 five-bit fields of a random number, centred; never beyond 6. */
static inline float data_normal(uint64_t *state) {
    uint64_t bits = data_random(state);
    int sum = 0;
    for (int i = 0; i < 12; i++, bits >>= 5) sum += (int)(bits & 31);
    return ((float)sum - 186.0f) / 32.0f + (float)(bits & 15) / 512.0f;
}

static inline float data_power(int exponent) { return ws_f32_from_bits((uint32_t)(exponent + 127) << 23); }

typedef float data_pattern(uint64_t *state, size_t i);

static inline float data_weights(uint64_t *s, size_t i) { return (void)i, data_normal(s) * 0.02f; }
static inline float data_heavy_tails(uint64_t *s, size_t i) {
    (void)i;
    const uint64_t bits = data_random(s) | (uint64_t)1 << 20;
    return data_normal(s) * data_power(__builtin_ctzll(bits) - 8);
}
static inline float data_constant(uint64_t *s, size_t i) { return (void)s, i / 256 % 2 ? 0.75f : -0.3f; }
static inline float data_zero(uint64_t *s, size_t i) { return (void)s, (void)i, 0.0f; }
static inline float data_signed_zeros(uint64_t *s, size_t i) {
    const float f = i % 48 < 40 ? 0.0f : data_normal(s) * 1e-3f;
    return data_random(s) & 1 ? -f : f;
}
static inline float data_subnormal(uint64_t *s, size_t i) {
    return data_normal(s) * data_power(-100) * data_power(-25 - (int)(i / 256));
}
static inline float data_tiny(uint64_t *s, size_t i) { return data_normal(s) * data_power(-120 + (int)(i / 100)); }
static inline float data_huge(uint64_t *s, size_t i) {
    const float f = data_normal(s);
    return (f > 3.9f ? 3.9f : f < -3.9f ? -3.9f : f) * data_power(126 - (int)(i / 512)); /* up to FLT_MAX */
}
static inline float data_negative(uint64_t *s, size_t i) { return (void)i, -__builtin_fabsf(data_normal(s)) - 0.5f; }
static inline float data_offset(uint64_t *s, size_t i) { return (void)i, 5.0f + data_normal(s) * 1e-3f; }
static inline float data_outlier(uint64_t *s, size_t i) { return data_normal(s) * (i % 211 == 0 ? 40.0f : 1e-3f); }
static inline float data_ties(uint64_t *s, size_t i) {
    return (void)i, ((float)(data_random(s) >> 8 & 15) - 8.0f) * 0.125f;
}
static inline float data_mixed(uint64_t *s, size_t i) { /* a scale of its own for every 16 */
    return data_normal(s) * data_power((int)(i / 16 * 7 % 23) - 20);
}

static const struct {
    const char *name;
    data_pattern *make;
} data_patterns[] = {
    {"weights", data_weights},
    {"heavy tails", data_heavy_tails},
    {"constant", data_constant},
    {"zero", data_zero},
    {"signed zeros", data_signed_zeros},
    {"subnormal", data_subnormal},
    {"tiny", data_tiny},
    {"huge", data_huge},
    {"negative", data_negative},
    {"offset", data_offset},
    {"outlier", data_outlier},
    {"ties", data_ties},
    {"mixed", data_mixed},
};
enum { DATA_PATTERNS = sizeof data_patterns / sizeof *data_patterns };

static inline void data_fill_seeded(float *x, size_t n, int pattern, uint64_t seed) {
    uint64_t state = 0x9e3779b97f4a7c15u + (uint64_t)pattern + (seed << 8);
    for (int i = 0; i < 8; i++) data_random(&state);
    for (size_t i = 0; i < n; i++) x[i] = data_patterns[pattern].make(&state, i);
}

static inline void data_fill(float *x, size_t n, int pattern) { data_fill_seeded(x, n, pattern, 0); }

/* FNV-1a. */
static inline uint64_t data_hash(uint64_t hash, const void *data, size_t n) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < n; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

/* The importance matrix: a weight of at least 0 per column, as sums of squares of activations are: ordinary ones, some
 * large, some tiny, zeros one by one and for whole sub-blocks. */
static inline void data_fill_weights(float *weights, size_t n, int pattern) {
    uint64_t state = 0xd1b54a32d192ed03u + (uint64_t)pattern;
    for (int i = 0; i < 8; i++) data_random(&state);
    for (size_t i = 0; i < n; i++) {
        const float f = data_normal(&state);
        const int kind = (int)(data_random(&state) >> 40 & 31);
        const float scale = kind == 0 ? 0.0f : kind == 1 ? data_power(-40) : kind == 2 ? data_power(14) : 1.0f;
        weights[i] = i % 352 < 32 && pattern % 2 ? 0.0f : f * f * scale;
    }
}

/* Whether the reference gets through a pattern: where sums overflow, its searches for a codebook entry abort. */
static inline bool data_fits(int pattern, const ws_dtype_info *info) {
    return data_patterns[pattern].make != data_huge || info->name[0] != 'I' || info->name[2] == '4';
}

/* For weighted conversions the data are rows of 7 blocks, which neither 4, 8 nor 16 lanes divide. */
enum { DATA_ROW_BLOCKS = 7 };

static inline size_t data_rows(const ws_dtype_info *info) {
    return DATA_FLOATS / info->block_elements / DATA_ROW_BLOCKS;
}

/* Checksum of a format: its bytes for all patterns (weighted: with an importance matrix), and the floats they stand
 * for. `x`, `y` and `bytes` hold DATA_BYTES. The sign of a NaN (0 times an infinite scale) is the processor's choice,
 * so all NaNs count as one. */
static inline uint64_t data_checksum(const ws_format *format, const ws_dtype_info *info, bool weighted, float *x,
                                     float *y, uint8_t *bytes) {
    const size_t n_rows = data_rows(info);
    const size_t n_blocks = weighted ? n_rows * DATA_ROW_BLOCKS : DATA_FLOATS / info->block_elements;
    uint64_t hash = 0xcbf29ce484222325u;
    for (int pattern = 0; pattern < DATA_PATTERNS; pattern++) {
        if (!data_fits(pattern, info)) continue;
        data_fill(x, DATA_FLOATS, pattern);
        data_fill_weights(y, DATA_ROW_BLOCKS * info->block_elements, pattern);
        if (weighted)
            format->from_float_weighted(x, y, bytes, n_rows, DATA_ROW_BLOCKS);
        else
            format->from_float(x, bytes, n_blocks);
        hash = data_hash(hash, bytes, n_blocks * info->block_bytes);
        format->to_float(bytes, y, n_blocks);
        for (size_t i = 0; i < n_blocks * info->block_elements; i++)
            if (y[i] != y[i]) y[i] = ws_f32_from_bits(0x7fc00000);
        hash = data_hash(hash, y, n_blocks * info->block_elements * sizeof *y);
    }
    return hash;
}

/* Known answers, without and with an importance matrix (0: the type needs one; ignores it): those of ggml 0.25.3,
 * computed with its functions in place of ours. */
static const struct {
    ws_dtype type;
    uint64_t plain, weighted;
} data_checksums[] = {
    /* clang-format off */
    {WS_TYPE_F32, 0x7ac491d27d777929ull, 0},
    {WS_TYPE_F16, 0x9ebafb9955ee91e2ull, 0},
    {WS_TYPE_Q4_0, 0x3653b847dceec002ull, 0x7ee73d6b17073933ull},
    {WS_TYPE_Q4_1, 0xf8d3c716077442e9ull, 0xbbbe1cd722278468ull},
    {WS_TYPE_Q5_0, 0x3776d396cb399d3bull, 0xb23691849192a0e9ull},
    {WS_TYPE_Q5_1, 0xfbc6c2c3b7775ce4ull, 0xe43440a94a7e9fd4ull},
    {WS_TYPE_Q8_0, 0x67bb49d4f6f573c5ull, 0},
    {WS_TYPE_Q2_K, 0xc1e2d5994f72bd61ull, 0x624523ac387b3e51ull},
    {WS_TYPE_Q3_K, 0x79a89e9bae8a01a0ull, 0x05c4ed9f3fc63be1ull},
    {WS_TYPE_Q4_K, 0x71c876ef9c13a033ull, 0x7bbbed2a130e6886ull},
    {WS_TYPE_Q5_K, 0x706f77a66427a55aull, 0xa4ad5627150d3d6dull},
    {WS_TYPE_Q6_K, 0xbe94b367fdff234cull, 0xcff14f6201facd07ull},
    {WS_TYPE_IQ2_XXS, 0, 0xd1c710b15dfdb09full},
    {WS_TYPE_IQ2_XS, 0, 0x22431f426400b1b7ull},
    {WS_TYPE_IQ3_XXS, 0x39b8470d2cf1be9cull, 0x7d6bf3e3e73a60f1ull},
    {WS_TYPE_IQ1_S, 0, 0x911f0894ce64d574ull},
    {WS_TYPE_IQ4_NL, 0xb41bfed9ea5dfdd2ull, 0xfa7fc29b1b7dcc43ull},
    {WS_TYPE_IQ3_S, 0x4c2ecac682ee5aefull, 0x579c840da253f47aull},
    {WS_TYPE_IQ2_S, 0x1d21b6838b1e1eb8ull, 0x6800505d49b1307bull},
    {WS_TYPE_IQ4_XS, 0x894f8c8bec484367ull, 0x71004e03a9d53346ull},
    {WS_TYPE_IQ1_M, 0xc7bb3c06cc09b787ull, 0x0d6d839ee6084cc5ull},
    {WS_TYPE_BF16, 0x96c514f19554d139ull, 0},
    {WS_TYPE_TQ1_0, 0x22ca5076d276191eull, 0},
    {WS_TYPE_TQ2_0, 0x2dd4d515447d2e0cull, 0},
    {WS_TYPE_MXFP4, 0x1d8b3bb23336355full, 0},
    {WS_TYPE_NVFP4, 0x10547b03aef4d513ull, 0},
    {WS_TYPE_Q1_0, 0x071421a266ad8eb8ull, 0},
    {WS_TYPE_Q2_0, 0xf79a1cf2c0bf1334ull, 0},
    /* clang-format on */
};
enum { DATA_CHECKSUMS = sizeof data_checksums / sizeof *data_checksums };

#endif
