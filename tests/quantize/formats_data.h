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

/* Checksum of a format: its bytes for all patterns, and the floats they stand for. `x` and `bytes` hold DATA_BYTES. The
 * sign of a NaN (0 times an infinite scale) is the processor's choice, so all NaNs count as one. */
static inline uint64_t data_checksum(const ws_format *format, const ws_dtype_info *info, float *x, uint8_t *bytes) {
    const size_t n_blocks = DATA_FLOATS / info->block_elements;
    uint64_t hash = 0xcbf29ce484222325u;
    for (int pattern = 0; pattern < DATA_PATTERNS; pattern++) {
        data_fill(x, DATA_FLOATS, pattern);
        format->from_float(x, bytes, n_blocks);
        hash = data_hash(hash, bytes, n_blocks * info->block_bytes);
        format->to_float(bytes, x, n_blocks);
        for (size_t i = 0; i < DATA_FLOATS; i++)
            if (x[i] != x[i]) x[i] = ws_f32_from_bits(0x7fc00000);
        hash = data_hash(hash, x, DATA_BYTES);
    }
    return hash;
}

/* Known answers, equal to those of ggml 0.25.3 (test_formats_ggml.c compares). */
static const struct {
    ws_dtype type;
    uint64_t checksum;
} data_checksums[] = {
    {WS_TYPE_F32, 0x7ac491d27d777929ull},    {WS_TYPE_F16, 0x9ebafb9955ee91e2ull},
    {WS_TYPE_BF16, 0x96c514f19554d139ull},   {WS_TYPE_Q4_0, 0x3653b847dceec002ull},
    {WS_TYPE_Q4_1, 0xf8d3c716077442e9ull},   {WS_TYPE_Q5_0, 0x3776d396cb399d3bull},
    {WS_TYPE_Q5_1, 0xfbc6c2c3b7775ce4ull},   {WS_TYPE_Q8_0, 0x67bb49d4f6f573c5ull},
    {WS_TYPE_Q2_K, 0xc1e2d5994f72bd61ull},   {WS_TYPE_Q3_K, 0x79a89e9bae8a01a0ull},
    {WS_TYPE_Q4_K, 0x71c876ef9c13a033ull},   {WS_TYPE_Q5_K, 0x706f77a66427a55aull},
    {WS_TYPE_Q6_K, 0xbe94b367fdff234cull},   {WS_TYPE_IQ4_NL, 0xb41bfed9ea5dfdd2ull},
    {WS_TYPE_IQ4_XS, 0x894f8c8bec484367ull},
};
enum { DATA_CHECKSUMS = sizeof data_checksums / sizeof *data_checksums };

#endif
