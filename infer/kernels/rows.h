/* rows.h - work on rows of floats, element by element or over 16 lanes: one source, compiled for every instruction
 * set by inclusion. Without contraction (-ffp-contract=off) and with sums in fixed lanes the results are the same
 * bits everywhere; compilers turn the inner loops of 16 into vector instructions. */
#ifndef WS_ROWS_H
#define WS_ROWS_H

#include "fp16.h"
#include "kernels.h"

#include <math.h>
#include <string.h>

/* Adding 1.5 * 2^23 rounds a float of magnitude below 2^22 to an integer, found in the low bits of the sum. */
#define ROUND_MAGIC 12582912.0f

/* exp(x) to about 2 units in the last place: 0 below -87.3, exp(88) above 88, NaN stays NaN.
 * exp(x) = 2^n * exp(r), |r| <= ln(2) / 2; the polynomial is that of Cephes' expf. */
static inline float row_exp(float x) {
    const float low = x < -87.3f ? 0.0f : 1.0f;
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.3f ? -87.3f : x;
    const float shifted = x * 1.44269504f + ROUND_MAGIC;
    const float n = shifted - ROUND_MAGIC;
    float r = x - n * 0.693359375f; /* ln(2) in two parts: the first has few bits, so n times it is exact */
    r = r + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const float power = ws_f32_from_bits((ws_f32_bits(shifted) - ws_f32_bits(ROUND_MAGIC) + 127u) << 23);
    return p * power * low;
}

static inline float sum_lanes(float *lane) {
    for (int half = WS_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

static inline float max_lanes(float *lane) {
    for (int half = WS_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lane[l] = lane[l] < lane[l + half] ? lane[l + half] : lane[l];
    return lane[0];
}

/* One group of 32: the largest magnitude becomes 127. Magnitudes are compared as integers, which orders NaN above
 * infinity above all numbers. */
static inline void quantize_group(const float *x, const ws_q8 *to, size_t at, size_t group) {
    int32_t top = 0, sum[2] = {0, 0};
    for (int i = 0; i < WS_GROUP; i++) {
        const int32_t mag = (int32_t)(ws_f32_bits(x[i]) & 0x7fffffff);
        top = mag > top ? mag : top;
    }
    const float amax = ws_f32_from_bits((uint32_t)top);
    const float to_q = amax >= 1e-30f ? (float)WS_Q8_MAX / amax : 0.0f; /* the inverse of less might be infinite */
    const float d = top < 0x7f800000 ? amax / (float)WS_Q8_MAX : NAN;
    int8_t *q = to->q + at;
    int16_t *q16 = to->q16 + at;
    for (int i = 0; i < WS_GROUP; i++) {
        const float shifted = x[i] * to_q + ROUND_MAGIC;
        q16[i] = (int16_t)(ws_f32_bits(shifted) - ws_f32_bits(ROUND_MAGIC));
        q[i] = (int8_t)q16[i];
    }
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < WS_GROUP / 2; i++) sum[h] += q[h * WS_GROUP / 2 + i];
    to->d[group] = d;
    to->sum32[group] = d * (float)(sum[0] + sum[1]);
    to->sum16[2 * group] = d * (float)sum[0];
    to->sum16[2 * group + 1] = d * (float)sum[1];
}

static void row_quantize(const float *x, const ws_q8 *to, size_t t) {
    const size_t n_groups = to->n_cols / WS_GROUP;
    for (size_t g = 0; g < n_groups; g++)
        quantize_group(x + g * WS_GROUP, to, t * to->n_cols + g * WS_GROUP, t * n_groups + g);
}

static void row_rms_norm(const float *x, const float *w, float eps, float *y, size_t n) {
    float lane[WS_LANES] = {0};
    size_t i = 0;
    for (; i + WS_LANES <= n; i += WS_LANES)
        for (int l = 0; l < WS_LANES; l++) lane[l] += x[i + l] * x[i + l];
    for (int l = 0; i < n; i++, l++) lane[l] += x[i] * x[i];
    const float scale = 1.0f / sqrtf(sum_lanes(lane) / (float)n + eps);
    for (i = 0; i < n; i++) y[i] = x[i] * scale * w[i];
}

static void row_add(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static void row_silu_mul(float *restrict y, const float *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = y[i] / (1.0f + row_exp(-y[i])) * x[i];
}

static void row_rope_interleaved(float *restrict x, const float *restrict cos, const float *restrict sin, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        const float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * cos[i] - b * sin[i];
        x[2 * i + 1] = a * sin[i] + b * cos[i];
    }
}

static void row_rope_neox(float *restrict x, const float *restrict cos, const float *restrict sin, size_t n) {
    float *restrict y = x + n / 2;
    for (size_t i = 0; i < n / 2; i++) {
        const float a = x[i], b = y[i];
        x[i] = a * cos[i] - b * sin[i];
        y[i] = a * sin[i] + b * cos[i];
    }
}

static float row_max(const float *x, size_t n) {
    float lane[WS_LANES];
    for (int l = 0; l < WS_LANES; l++) lane[l] = -INFINITY;
    size_t i = 0;
    for (; i + WS_LANES <= n; i += WS_LANES)
        for (int l = 0; l < WS_LANES; l++) lane[l] = lane[l] < x[i + l] ? x[i + l] : lane[l];
    for (int l = 0; i < n; i++, l++) lane[l] = lane[l] < x[i] ? x[i] : lane[l];
    return max_lanes(lane);
}

static void row_softmax(float *p, size_t n, float scale, ws_softmax *s, float *acc, size_t n_acc) {
    for (size_t i = 0; i < n; i++) p[i] *= scale;
    const float top = row_max(p, n);
    if (!(top <= s->max)) {
        const float shrink = row_exp(s->max - top); /* 0 for the first span, where max is -infinity */
        for (int l = 0; l < WS_LANES; l++) s->sum[l] *= shrink;
        for (size_t i = 0; i < n_acc; i++) acc[i] *= shrink;
        s->max = top;
    }
    const float max = s->max;
    for (size_t i = 0; i < n; i++) p[i] = row_exp(p[i] - max);
    size_t i = 0;
    for (; i + WS_LANES <= n; i += WS_LANES)
        for (int l = 0; l < WS_LANES; l++) s->sum[l] += p[i + l];
    for (int l = 0; i < n; i++, l++) s->sum[l] += p[i];
}

/* Blocks small enough for sums in floats; their sums are added as doubles. */
enum { SUM_BLOCK = 512 };

static double row_log_sum_exp(const float *x, size_t n, size_t *argmax) {
    const float max = row_max(x, n);
    double sum = 0;
    for (size_t begin = 0; begin < n; begin += SUM_BLOCK) {
        const size_t end = begin + SUM_BLOCK < n ? begin + SUM_BLOCK : n;
        float lane[WS_LANES] = {0};
        size_t i = begin;
        for (; i + WS_LANES <= end; i += WS_LANES)
            for (int l = 0; l < WS_LANES; l++) lane[l] += row_exp(x[i + l] - max);
        for (int l = 0; i < end; i++, l++) lane[l] += row_exp(x[i] - max);
        sum += sum_lanes(lane);
    }
    *argmax = 0;
    while (*argmax + 1 < n && x[*argmax] != max) ++*argmax;
    return (double)max + log(sum);
}

static double row_divergence(const float *a, double lse_a, const float *b, double lse_b, size_t n) {
    const float la = (float)lse_a, shift = (float)(lse_b - lse_a);
    double sum = 0;
    for (size_t begin = 0; begin < n; begin += SUM_BLOCK) {
        const size_t end = begin + SUM_BLOCK < n ? begin + SUM_BLOCK : n;
        float lane[WS_LANES] = {0};
        size_t i = begin;
        for (; i + WS_LANES <= end; i += WS_LANES)
            for (int l = 0; l < WS_LANES; l++) lane[l] += row_exp(a[i + l] - la) * (a[i + l] - b[i + l] + shift);
        for (int l = 0; i < end; i++, l++) lane[l] += row_exp(a[i] - la) * (a[i] - b[i] + shift);
        sum += sum_lanes(lane);
    }
    return sum;
}

static void rows_init(ws_kernels *k) {
    k->quantize = row_quantize;
    k->rms_norm = row_rms_norm;
    k->add = row_add;
    k->silu_mul = row_silu_mul;
    k->rope_interleaved = row_rope_interleaved;
    k->rope_neox = row_rope_neox;
    k->softmax = row_softmax;
    k->log_sum_exp = row_log_sum_exp;
    k->divergence = row_divergence;
}

#endif
