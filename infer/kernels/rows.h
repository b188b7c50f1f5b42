/* rows.h - work on rows of floats, element by element or over 16 lanes: one source, compiled for every instruction
 * set by inclusion. Without contraction (-ffp-contract=off) and with sums in fixed lanes the results are the same
 * bits everywhere. It is written over vectors of eight floats, which compilers turn into the instructions at hand. */
#ifndef WS_ROWS_H
#define WS_ROWS_H

#include "fp16.h"
#include "kernels.h"

#include <math.h>
#include <string.h>

typedef float floats __attribute__((vector_size(32)));
typedef int32_t ints __attribute__((vector_size(32)));
typedef int8_t eight_bytes __attribute__((vector_size(8)));
typedef float loose_floats __attribute__((vector_size(32), aligned(4), may_alias)); /* anywhere in a row */
typedef int32_t loose_ints __attribute__((vector_size(32), aligned(4), may_alias));

/* Rows are worked on in pieces of 16; the last one is padded. */
enum { WIDTH = sizeof(floats) / sizeof(float), VECTORS = WS_LANES / WIDTH };
typedef floats row_piece[VECTORS];

#define ALL(x)             ((floats){0} + (x))
#define SELECT(mask, a, b) ((floats)(((ints)(a) & (mask)) | ((ints)(b) & ~(mask))))

/* Adding 1.5 * 2^23 rounds a float of magnitude below 2^22 to an integer, found in the low bits of the sum. */
#define ROUND_MAGIC 12582912.0f

static inline size_t piece_size(size_t begin, size_t end) { return end - begin < WS_LANES ? end - begin : WS_LANES; }

/* A last piece of fewer than 16; kept apart from the loops, which it would slow down. */
__attribute__((noinline)) static void load_part(const float *x, size_t n, float padding, float *lane) {
    for (size_t l = 0; l < WS_LANES; l++) lane[l] = l < n ? x[l] : padding;
}

static inline void load_piece(const float *x, size_t n, float padding, row_piece to) {
    if (n < WS_LANES)
        load_part(x, n, padding, (float *)to);
    else
        for (int v = 0; v < VECTORS; v++) to[v] = *(const loose_floats *)(x + v * WIDTH);
}

static inline void store_piece(float *x, size_t n, row_piece from) {
    if (n < WS_LANES)
        memcpy(x, from, n * sizeof *x);
    else
        for (int v = 0; v < VECTORS; v++) *(loose_floats *)(x + v * WIDTH) = from[v];
}

/* x = exp(x - shift), to about 2 units in the last place: 0 below -87.7, exp(88) above 88, NaN stays NaN.
 * exp(x) = 2^n * exp(r), |r| <= ln(2) / 2; the polynomial is that of Cephes' expf. The exponent field of 2^n is 0 for
 * n = -127, which makes the result 0 there without another comparison. */
static inline void exp_vector(floats *to, float shift) {
    floats x = *to - shift;
    x = SELECT(x > ALL(88.0f), ALL(88.0f), x);
    x = SELECT(x < ALL(-88.0f), ALL(-88.0f), x);
    const floats shifted = x * 1.44269504f + ROUND_MAGIC, n = shifted - ROUND_MAGIC;
    floats r = x - n * 0.693359375f; /* ln(2) in two parts: the first has few bits, so n times it is exact */
    r = r + n * 2.12194440e-4f;
    floats p = ALL(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const ints exponent = (ints)shifted - (ints)ALL(ROUND_MAGIC) + 127;
    *to = p * (floats)(exponent << 23);
}

/* exp(x[l] - shift); 0 from n on. */
static inline void exp_piece(const float *x, size_t n, float shift, row_piece e) {
    load_piece(x, n, -INFINITY, e);
    for (int v = 0; v < VECTORS; v++) exp_vector(&e[v], shift);
}

/* Lanes 8 apart are added, then 4, 2 and 1 apart. */
static inline float sum_lanes(row_piece from) {
    const floats s8 = from[0] + from[1];
    const float a = s8[0] + s8[4], b = s8[1] + s8[5], c = s8[2] + s8[6], d = s8[3] + s8[7];
    return (a + c) + (b + d);
}

static inline float row_max(const float *x, size_t n) {
    row_piece top, lane;
    for (int v = 0; v < VECTORS; v++) top[v] = ALL(-INFINITY);
    for (size_t i = 0; i < n; i += WS_LANES) {
        load_piece(x + i, piece_size(i, n), -INFINITY, lane);
        for (int v = 0; v < VECTORS; v++) top[v] = SELECT(top[v] < lane[v], lane[v], top[v]);
    }
    const floats t8 = SELECT(top[0] < top[1], top[1], top[0]);
    float max = t8[0];
    for (int l = 1; l < WIDTH; l++) max = max < t8[l] ? t8[l] : max;
    return max;
}

static void row_rms_norm(const float *x, const float *w, float eps, float *y, size_t n) {
    row_piece sum = {{0}}, lane;
    for (size_t i = 0; i < n; i += WS_LANES) {
        load_piece(x + i, piece_size(i, n), 0, lane);
        for (int v = 0; v < VECTORS; v++) sum[v] += lane[v] * lane[v];
    }
    const float scale = 1.0f / sqrtf(sum_lanes(sum) / (float)n + eps);
    for (size_t i = 0; i < n; i++) y[i] = x[i] * scale * w[i];
}

static void row_layer_norm(const float *x, const float *w, const float *bias, float eps, float *y, size_t n) {
    row_piece sum = {{0}}, squares = {{0}}, lane;
    for (size_t i = 0; i < n; i += WS_LANES) {
        load_piece(x + i, piece_size(i, n), 0, lane);
        for (int v = 0; v < VECTORS; v++) sum[v] += lane[v];
    }
    const float mean = sum_lanes(sum) / (float)n;
    for (size_t i = 0; i < n; i += WS_LANES) {
        load_piece(x + i, piece_size(i, n), mean, lane);
        for (int v = 0; v < VECTORS; v++) squares[v] += (lane[v] - mean) * (lane[v] - mean);
    }
    const float scale = 1.0f / sqrtf(sum_lanes(squares) / (float)n + eps);
    for (size_t i = 0; i < n; i++) y[i] = (x[i] - mean) * scale * w[i] + (bias ? bias[i] : 0);
}

static void row_add(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static void row_add_scaled(float *y, const float *x, float factor, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += factor * x[i];
}

static void row_scale(float *y, float factor, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] *= factor;
}

/* ---- activations ---- */

/* Vectors go through pointers: by value, their way into functions depends on the instruction set. */
typedef void activation(floats *y, const floats *x);

/* y = y / (1 + exp(-slope)) */
static inline void divide_by_exp(floats *y, const floats *slope) {
    floats e = -*slope;
    exp_vector(&e, 0);
    *y = *y / (1.0f + e);
}

static inline void silu(floats *y, const floats *x) {
    const floats slope = *y;
    divide_by_exp(y, &slope);
    *y *= *x;
}

/* (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)) */
static inline void gelu(floats *y, const floats *x) {
    const floats slope = 2.0f * 0.79788456080286535588f * (*y + 0.044715f * *y * *y * *y);
    divide_by_exp(y, &slope);
    *y *= *x;
}

static inline void clamped(floats *y, const floats *x) {
    const floats limit = ALL(7.0f), low = SELECT(*x > limit, limit, *x), up = SELECT(low < -limit, -limit, low);
    *y = SELECT(*y > limit, limit, *y);
    const floats slope = 1.702f * *y;
    divide_by_exp(y, &slope);
    *y *= up + 1.0f;
}

static inline void activate(float *y, const float *x, size_t n, activation *f) {
    for (size_t i = 0; i < n; i += WS_LANES) {
        const size_t m = piece_size(i, n);
        row_piece gate, up = {ALL(1.0f), ALL(1.0f)};
        load_piece(y + i, m, 0, gate);
        if (x) load_piece(x + i, m, 0, up);
        for (int v = 0; v < VECTORS; v++) f(&gate[v], &up[v]);
        store_piece(y + i, m, gate);
    }
}

static void row_gelu_exact_mul(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = 0.5f * y[i] * (1.0f + erff(y[i] * 0.70710678118654752f)) * (x ? x[i] : 1.0f);
}

static void row_silu_mul(float *y, const float *x, size_t n) { activate(y, x, n, silu); }
static void row_gelu_mul(float *y, const float *x, size_t n) { activate(y, x, n, gelu); }
static void row_swiglu_clamped(float *y, const float *x, size_t n) { activate(y, x, n, clamped); }

/* tanh(u) = 1 - 2 / (1 + exp(2 u)) */
static void row_soft_cap(float *y, float factor, float cap, size_t n) {
    for (size_t i = 0; i < n; i += WS_LANES) {
        const size_t m = piece_size(i, n);
        row_piece x;
        load_piece(y + i, m, 0, x);
        for (int v = 0; v < VECTORS; v++) {
            floats e = x[v] * (2.0f * factor / cap);
            exp_vector(&e, 0);
            x[v] = cap - 2.0f * cap / (1.0f + e);
        }
        store_piece(y + i, m, x);
    }
}

/* ---- rotation ---- */

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

/* ---- 8-bit activations ---- */

/* The largest magnitude among 32 numbers, as bits: integers order NaN above infinity above all numbers. */
static inline int32_t top_magnitude(const ints x[WS_GROUP / WIDTH]) {
    ints top = {0};
    for (int i = 0; i < WS_GROUP / WIDTH; i++) {
        const ints mag = x[i] & 0x7fffffff, more = mag > top;
        top = (mag & more) | (top & ~more);
    }
    int32_t max = 0;
    for (int l = 0; l < WIDTH; l++) max = top[l] > max ? top[l] : max;
    return max;
}

static inline int32_t sum_ints(const ints *v) {
    return (((*v)[0] + (*v)[4]) + ((*v)[1] + (*v)[5])) + (((*v)[2] + (*v)[6]) + ((*v)[3] + (*v)[7]));
}

/* What is kept of a group beside its quants, from their scale and the sums of the first and the second 16. */
static inline void put_sums(ws_q8_cell *to, size_t tile, float d, int32_t first, int32_t second) {
    to[WS_Q8_D * tile].f = d;
    to[WS_Q8_BIAS * tile].i = -WS_BIAS * (first + second);
    to[WS_Q8_BIAS16 * tile].i = -WS_BIAS * first;
    to[(WS_Q8_BIAS16 + 1) * tile].i = -WS_BIAS * second;
    to[WS_Q8_SUM * tile].f = d * (float)(first + second);
    to[WS_Q8_SUM16 * tile].f = d * (float)first;
    to[(WS_Q8_SUM16 + 1) * tile].f = d * (float)second;
}

/* One group of 32: the largest magnitude becomes 127. */
static inline void quantize_group(const float *x, ws_q8_cell *to, size_t tile) {
    enum { N = WS_GROUP / WIDTH };
    ints v[N];
    for (int i = 0; i < N; i++) v[i] = *(const loose_ints *)(const void *)(x + i * WIDTH);
    const int32_t top = top_magnitude(v);
    const float amax = ws_f32_from_bits((uint32_t)top);
    const float to_q = amax >= 1e-30f ? (float)WS_Q8_MAX / amax : 0.0f; /* the inverse of less might be infinite */
    const float d = top < 0x7f800000 ? amax / (float)WS_Q8_MAX : NAN;
    for (int i = 0; i < N; i++) {
        v[i] = (ints)((floats)v[i] * to_q + ROUND_MAGIC) - (ints)ALL(ROUND_MAGIC);
        v[i] = (v[i] << 24) >> 24; /* the byte that is kept: what comes of a NaN has more */
        const eight_bytes q = __builtin_convertvector(v[i], eight_bytes);
        memcpy(to[(size_t)(2 * i) * tile].q, &q, 4);
        memcpy(to[(size_t)(2 * i + 1) * tile].q, (const int8_t *)&q + 4, 4);
    }
    const ints first16 = v[0] + v[1], second16 = v[2] + v[3];
    const int32_t first = sum_ints(&first16), second = sum_ints(&second16);
    put_sums(to, tile, d, first, second);
}

static void row_quantize(const float *x, const ws_q8 *to, size_t t) {
    for (size_t g = 0; g < to->n_cols / WS_GROUP; g++) quantize_group(x + g * WS_GROUP, ws_q8_at(to, t, g), to->tile);
}

static void row_to_bf16(const float *x, uint16_t *y, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = ws_f32_to_bf16(x[i]);
    for (; n % WS_GROUP; n++) y[n] = 0;
}

/* ---- exponentials ---- */

static void row_softmax(float *p, size_t n, float scale, ws_softmax *s, float *acc, size_t n_acc) {
    row_piece sum, e;
    for (size_t i = 0; i < n; i++) p[i] *= scale;
    const float top = row_max(p, n);
    if (!(top <= s->max)) {
        floats shrink = ALL(s->max); /* -infinity for the first span, which gives 0 */
        exp_vector(&shrink, top);
        for (int l = 0; l < WS_LANES; l++) s->sum[l] *= shrink[0];
        for (size_t i = 0; i < n_acc; i++) acc[i] *= shrink[0];
        s->max = top;
    }
    load_piece(s->sum, WS_LANES, 0, sum);
    for (size_t i = 0; i < n; i += WS_LANES) {
        const size_t m = piece_size(i, n);
        exp_piece(p + i, m, s->max, e);
        for (int v = 0; v < VECTORS; v++) sum[v] += e[v];
        store_piece(p + i, m, e);
    }
    store_piece(s->sum, WS_LANES, sum);
}

/* Blocks small enough for sums in floats; their sums are added as doubles. */
enum { SUM_BLOCK = 512 };

static double row_log_sum_exp(const float *x, size_t n, size_t *argmax) {
    const float max = row_max(x, n);
    double sum = 0;
    for (size_t begin = 0; begin < n; begin += SUM_BLOCK) {
        const size_t end = begin + SUM_BLOCK < n ? begin + SUM_BLOCK : n;
        row_piece part = {{0}}, e;
        for (size_t i = begin; i < end; i += WS_LANES) {
            exp_piece(x + i, piece_size(i, end), max, e);
            for (int v = 0; v < VECTORS; v++) part[v] += e[v];
        }
        sum += (double)sum_lanes(part);
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
        row_piece part = {{0}}, e, al, bl;
        for (size_t i = begin; i < end; i += WS_LANES) {
            const size_t m = piece_size(i, end);
            exp_piece(a + i, m, la, e);
            load_piece(a + i, m, 0, al);
            load_piece(b + i, m, 0, bl);
            for (int v = 0; v < VECTORS; v++) part[v] += e[v] * (al[v] - bl[v] + shift);
        }
        sum += (double)sum_lanes(part);
    }
    return sum;
}

/* ---- keys of a quantized cache ---- */

static inline void load_scales(const uint8_t *tile, row_piece d) {
    uint16_t half[WS_LANES];
    memcpy(half, tile, sizeof half);
    for (int l = 0; l < WS_LANES; l++) d[l / WIDTH][l % WIDTH] = ws_f16_to_f32(half[l]);
}

/* out = d * quants of 16 keys */
static inline void scale_quants(const row_piece d, const int8_t *q, float *out) {
    for (int v = 0; v < VECTORS; v++) {
        eight_bytes eight;
        memcpy(&eight, q + v * WIDTH, sizeof eight);
        *(loose_floats *)(out + v * WIDTH) = d[v] * __builtin_convertvector(eight, floats);
    }
}

static void expand_q8_0(const uint8_t *tile, size_t n_blocks, float *out) {
    for (; n_blocks; n_blocks--, tile += WS_LANES * 34, out += WS_LANES * 32) {
        row_piece d;
        load_scales(tile, d);
        for (int i = 0; i < 32; i++) scale_quants(d, (const int8_t *)tile + WS_LANES * (2 + i), out + i * WS_LANES);
    }
}

static void expand_q4_0(const uint8_t *tile, size_t n_blocks, float *out) {
    for (; n_blocks; n_blocks--, tile += WS_LANES * 18, out += WS_LANES * 32) {
        row_piece d;
        load_scales(tile, d);
        for (int i = 0; i < 16; i++) {
            const uint8_t *q = tile + WS_LANES * (2 + i);
            int8_t low[WS_LANES], high[WS_LANES];
            for (int l = 0; l < WS_LANES; l++) low[l] = (int8_t)((q[l] & 15) - 8), high[l] = (int8_t)((q[l] >> 4) - 8);
            scale_quants(d, low, out + i * WS_LANES);
            scale_quants(d, high, out + (16 + i) * WS_LANES);
        }
    }
}

static void rows_init(ws_kernels *k) {
    k->expand_keys[WS_TYPE_Q8_0] = expand_q8_0;
    k->expand_keys[WS_TYPE_Q4_0] = expand_q4_0;
    k->quantize = row_quantize;
    k->to_bf16 = row_to_bf16;
    k->rms_norm = row_rms_norm;
    k->layer_norm = row_layer_norm;
    k->add = row_add;
    k->add_scaled = row_add_scaled;
    k->scale = row_scale;
    k->soft_cap = row_soft_cap;
    k->silu_mul = row_silu_mul;
    k->gelu_mul = row_gelu_mul;
    k->gelu_exact_mul = row_gelu_exact_mul;
    k->swiglu_clamped = row_swiglu_clamped;
    k->rope_interleaved = row_rope_interleaved;
    k->rope_neox = row_rope_neox;
    k->softmax = row_softmax;
    k->log_sum_exp = row_log_sum_exp;
    k->divergence = row_divergence;
}

#endif
