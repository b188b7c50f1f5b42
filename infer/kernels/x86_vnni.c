/* x86_vnni.c - quantized rows for AVX-512 with VNNI, whose vpdpbusd adds four products of an unsigned and a signed byte
 * to each of 16 sums: a panel's 16 rows.
 *
 * Each type has one function that takes a block of 16 rows apart and hands registers with four columns of all rows to a
 * sink. The sink either keeps them as panels, which many tokens will be multiplied with, or multiplies them with a
 * single token on the spot. Functions with constant arguments are inlined and unrolled, so that nothing of a sink but
 * its pointers is ever in memory. */
#include "x86_blocks.h"
#include "x86_codes.h"

/* ---- blocks of 32 ---- */

/* Set bit 4 of the bytes of q to the four bits at 4 g of the rows' 32-bit words. */
INLINE ints fifth_bits(ints bits, const int g, ints q) {
    return _mm512_mask_add_epi8(q, four_bits(bits, g / 2, g % 2), q, BYTES(16));
}

INLINE void put_nibbles(block_rows *r, size_t at, sink *s) {
    ints t[4];
    transpose(r, at, t);
    UNROLL for (int k = 0; k < 4; k++) put(s, 0, k, field(t[k], 0, 15));
    UNROLL for (int k = 0; k < 4; k++) put(s, 0, k + 4, field(t[k], 4, 15));
}

INLINE void put_5_bits(block_rows *r, size_t at_bits, size_t at, sink *s) {
    ints t[4];
    const ints bits = gather_32(r, at_bits);
    transpose(r, at, t);
    UNROLL for (int k = 0; k < 4; k++) put(s, 0, k, fifth_bits(bits, k, field(t[k], 0, 15)));
    UNROLL for (int k = 0; k < 4; k++) put(s, 0, k + 4, fifth_bits(bits, k + 4, field(t[k], 4, 15)));
}

INLINE void block_q4_0(block_rows *r, sink *s) {
    put_nibbles(r, offsetof(ws_q4_0, qs), s);
    const floats d = gather_f16(r, offsetof(ws_q4_0, d));
    put_d(s, 0, d, d);
}

INLINE void block_q4_1(block_rows *r, sink *s) {
    put_nibbles(r, offsetof(ws_q4_1, qs), s);
    const ints dm = gather_32(r, offsetof(ws_q4_1, d));
    put_d(s, 0, low_f16(dm), low_f16(dm));
    put_min(s, 0, high_f16(dm), high_f16(dm));
}

INLINE void block_q5_0(block_rows *r, sink *s) {
    put_5_bits(r, offsetof(ws_q5_0, qh), offsetof(ws_q5_0, qs), s);
    const floats d = gather_f16(r, offsetof(ws_q5_0, d));
    put_d(s, 0, d, d);
}

INLINE void block_q5_1(block_rows *r, sink *s) {
    put_5_bits(r, offsetof(ws_q5_1, qh), offsetof(ws_q5_1, qs), s);
    const ints dm = gather_32(r, offsetof(ws_q5_1, d));
    put_d(s, 0, low_f16(dm), low_f16(dm));
    put_min(s, 0, high_f16(dm), high_f16(dm));
}

INLINE void block_q8_0(block_rows *r, sink *s) {
    UNROLL for (int half = 0; half < 2; half++) {
        ints t[4];
        transpose(r, offsetof(ws_q8_0, qs) + 16 * half, t);
        UNROLL for (int k = 0; k < 4; k++) put(s, 0, 4 * half + k, _mm512_xor_si512(t[k], BYTES((char)WS_BIAS)));
    }
    const floats d = gather_f16(r, offsetof(ws_q8_0, d));
    put_d(s, 0, d, d);
}

/* ---- super-blocks of 256: 8 panels ---- */

/* Scales and minimums of Q4_K and Q5_K, from the first 16 bytes: word 0 holds d and dmin; the other words k hold, for
 * sub-blocks j = 0..3 in byte j, k = 1: scale[j] and two bits of scale[j + 4]; k = 2: the same of min; k = 3: four bits
 * of both [j + 4]. */
INLINE void scales_q4_k(block_rows *r, sink *s) {
    ints t[4], scale[2], min[2];
    transpose(r, 0, t);
    const floats d = low_f16(t[0]), neg = _mm512_sub_ps(_mm512_setzero_ps(), high_f16(t[0]));
    scale[0] = field(t[1], 0, 63), min[0] = field(t[2], 0, 63);
    scale[1] = _mm512_or_si512(field(t[3], 0, 15), field(t[1], 2, 48));
    min[1] = _mm512_or_si512(field(t[3], 4, 15), field(t[2], 2, 48));
    UNROLL for (int p = 0; p < 8; p++) {
        const floats dp = _mm512_mul_ps(d, byte_to_float(scale[p / 4], p % 4));
        const floats mp = _mm512_mul_ps(neg, byte_to_float(min[p / 4], p % 4));
        put_d(s, p, dp, dp);
        put_min(s, p, mp, mp);
    }
}

INLINE void block_q4_k(block_rows *r, sink *s) {
    UNROLL for (int part = 0; part < 8; part++) { /* 16 bytes: half of two panels */
        const int c = part / 2, g = part % 2 * 4;
        ints t[4];
        transpose(r, offsetof(ws_q4_k, qs) + 16 * (size_t)part, t);
        UNROLL for (int k = 0; k < 4; k++) put(s, 2 * c, g + k, field(t[k], 0, 15));
        UNROLL for (int k = 0; k < 4; k++) put(s, 2 * c + 1, g + k, field(t[k], 4, 15));
    }
    scales_q4_k(r, s);
}

INLINE void block_q5_k(block_rows *r, sink *s) {
    UNROLL for (int half = 0; half < 2; half++) {
        ints high[4];
        transpose(r, offsetof(ws_q5_k, qh) + 16 * (size_t)half, high);
        UNROLL for (int c = 0; c < 4; c++) {
            ints t[4];
            transpose(r, offsetof(ws_q5_k, qs) + 32 * (size_t)c + 16 * (size_t)half, t);
            UNROLL for (int k = 0; k < 4; k++) {
                const int g = 4 * half + k;
                put(s, 2 * c, g, _mm512_or_si512(field(t[k], 0, 15), move_bit(high[k], 2 * c, 4)));
                put(s, 2 * c + 1, g, _mm512_or_si512(field(t[k], 4, 15), move_bit(high[k], 2 * c + 1, 4)));
            }
        }
    }
    scales_q4_k(r, s);
}

/* d times the signed bytes of the words: scale i in byte i % 4 of words[i / 4]. */
INLINE void put_scales(const ints words[4], floats d, sink *s) {
    UNROLL for (int p = 0; p < 8; p++) put_d(s, p, _mm512_mul_ps(d, signed_to_float(words[p / 2], 2 * p % 4)),
                                             _mm512_mul_ps(d, signed_to_float(words[p / 2], 2 * p % 4 + 1)));
}

INLINE void block_q2_k(block_rows *r, sink *s) {
    put_two_bits(r, offsetof(ws_q2_k, qs), s);
    ints t[4];
    const ints dm = gather_32(r, offsetof(ws_q2_k, d));
    const floats d = low_f16(dm), neg = _mm512_sub_ps(_mm512_setzero_ps(), high_f16(dm));
    transpose(r, offsetof(ws_q2_k, scales), t);
    UNROLL for (int p = 0; p < 8; p++) {
        const ints scale = field(t[p / 2], 0, 15), min = field(t[p / 2], 4, 15);
        const int i = 2 * p % 4;
        put_d(s, p, _mm512_mul_ps(d, byte_to_float(scale, i)), _mm512_mul_ps(d, byte_to_float(scale, i + 1)));
        put_min(s, p, _mm512_mul_ps(neg, byte_to_float(min, i)), _mm512_mul_ps(neg, byte_to_float(min, i + 1)));
    }
}

INLINE void scales_q3_k(block_rows *r, sink *s) {
    ints t[4], scale[4];
    transpose(r, offsetof(ws_q3_k, scales) - 4, t); /* 12 bytes: words 1 to 3 */
    scale[0] = _mm512_or_si512(field(t[1], 0, 15), _mm512_slli_epi16(field(t[3], 0, 3), 4));
    scale[1] = _mm512_or_si512(field(t[2], 0, 15), _mm512_slli_epi16(field(t[3], 2, 3), 4));
    scale[2] = _mm512_or_si512(field(t[1], 4, 15), _mm512_slli_epi16(field(t[3], 4, 3), 4));
    scale[3] = _mm512_or_si512(field(t[2], 4, 15), _mm512_slli_epi16(field(t[3], 6, 3), 4));
    UNROLL for (int k = 0; k < 4; k++) scale[k] = _mm512_sub_epi8(scale[k], BYTES(32));
    put_scales(scale, gather_f16(r, offsetof(ws_q3_k, d)), s);
}

INLINE void block_q3_k(block_rows *r, sink *s) {
    UNROLL for (int part = 0; part < 4; part++) {
        ints t[4], high[4];
        transpose(r, offsetof(ws_q3_k, hmask) + 16 * (size_t)(part % 2), high);
        transpose(r, offsetof(ws_q3_k, qs) + 16 * (size_t)part, t);
        UNROLL for (int k = 0; k < 4; k++) UNROLL for (int i = 0; i < 4; i++) {
            const int p = part / 2 * 4 + i;
            put(s, p, part % 2 * 4 + k, _mm512_or_si512(field(t[k], 2 * i, 3), move_bit(high[k], p, 2)));
        }
    }
    scales_q3_k(r, s);
}

/* The four panels of half h: the low nibbles of ql's first and second 32 bytes, then their high nibbles. */
INLINE void half_q6_k(block_rows *r, const int h, sink *s) {
    UNROLL for (int part = 0; part < 2; part++) {
        ints low[4], more[4], high[4];
        transpose(r, offsetof(ws_q6_k, qh) + 32 * (size_t)h + 16 * (size_t)part, high);
        transpose(r, offsetof(ws_q6_k, ql) + 64 * (size_t)h + 16 * (size_t)part, low);
        transpose(r, offsetof(ws_q6_k, ql) + 64 * (size_t)h + 32 + 16 * (size_t)part, more);
        UNROLL for (int k = 0; k < 4; k++) {
            const int g = 4 * part + k;
            const ints up0 = _mm512_slli_epi16(field(high[k], 0, 3), 4),
                       up1 = _mm512_slli_epi16(field(high[k], 0, 12), 2);
            const ints up2 = field(high[k], 0, 48), up3 = field(high[k], 2, 48);
            put(s, 4 * h + 0, g, _mm512_or_si512(field(low[k], 0, 15), up0));
            put(s, 4 * h + 1, g, _mm512_or_si512(field(more[k], 0, 15), up1));
            put(s, 4 * h + 2, g, _mm512_or_si512(field(low[k], 4, 15), up2));
            put(s, 4 * h + 3, g, _mm512_or_si512(field(more[k], 4, 15), up3));
        }
    }
}

INLINE void block_q6_k(block_rows *r, sink *s) {
    half_q6_k(r, 0, s);
    half_q6_k(r, 1, s);
    ints scale[4];
    transpose(r, offsetof(ws_q6_k, scales), scale);
    put_scales(scale, gather_f16(r, offsetof(ws_q6_k, d)), s);
}

/* ---- rows of blocks ---- */

typedef void block_fn(block_rows *r, sink *s);

INLINE block_rows rows_from(const ws_block_rows *rows) {
    block_rows r = {.stride = rows->stride, .stride3 = 3 * rows->stride};
    UNROLL for (int i = 0; i < 4; i++) r.b[i] = rows->base + 4 * (size_t)i * rows->stride;
    return r;
}

INLINE void next_block(block_rows *r, size_t bytes) { UNROLL for (int i = 0; i < 4; i++) r->b[i] += bytes; }

INLINE void decode(const ws_block_rows *rows, size_t n_blocks, ws_panel *out, block_fn *block, const size_t bytes,
                   const int n_panels, const bool halves, const int low) {
    block_rows r = rows_from(rows);
    for (size_t b = 0; b < n_blocks; b++, out += n_panels) {
        sink s = {.out = out, .halves = halves, .low = low};
        block(&r, &s);
        next_block(&r, bytes);
    }
}

/* A single token waits for memory: ask for what is AHEAD bytes (in whole groups of 16 rows) further on. */
enum { AHEAD = 16384 };
INLINE const char *first_ahead(const ws_block_rows *rows) {
    const size_t group = WS_LANES * rows->stride;
    return (const char *)rows->base + (AHEAD / group + 1) * group;
}

INLINE void mul_one(const ws_block_rows *rows, const ws_q8 *x, float *y, block_fn *block, const size_t bytes,
                    const int n_panels, const bool halves, const int low) {
    const size_t n_blocks = x->n_cols / WS_GROUP / (size_t)n_panels;
    block_rows r = rows_from(rows);
    const char *ahead = first_ahead(rows);
    sink s = {.x = x->cells, .y = _mm512_setzero_ps(), .halves = halves, .low = low};
    for (size_t b = 0; b < n_blocks; b++, s.x += n_panels * WS_Q8_CELLS) {
        r.ahead = ahead, ahead += WS_LANES * bytes;
        open_block(&s, n_panels);
        block(&r, &s);
        while (r.ahead < ahead) fetch(&r, 64); /* what has not come with transposing */
        next_block(&r, bytes);
    }
    _mm512_storeu_ps(y, s.y);
}

/* ---- products of panels ---- */

/* Sums of quant times activation over columns 16 first to 16 end, as floats. */
INLINE void sum_panel(const ws_panel *panel, const ws_q8_cell *x, const int first, const int end, const int bias,
                      floats out[], const int n, const int tile) {
    ints sum[WS_TILE];
    UNROLL for (int t = 0; t < n; t++) sum[t] = all_32(x + bias * tile + t);
    UNROLL for (int g = 4 * first; g < 4 * end; g++) {
        const ints w = _mm512_loadu_si512(panel->q[g]);
        UNROLL for (int t = 0; t < n; t++) sum[t] = _mm512_dpbusd_epi32(sum[t], w, all_32(x + g * tile + t));
    }
    UNROLL for (int t = 0; t < n; t++) out[t] = _mm512_cvtepi32_ps(sum[t]);
}

INLINE void add_min(const float *min, const ws_q8_cell *sums, floats y[], const int n) {
    const floats m = _mm512_loadu_ps(min);
    UNROLL for (int t = 0; t < n; t++) y[t] = _mm512_fmadd_ps(m, all_f(sums + t), y[t]);
}

INLINE void mul_panel(const ws_panel *panel, const ws_q8_cell *x, floats y[], const int n, const int tile,
                      const bool halves, const bool min) {
    floats s0[WS_TILE], s1[WS_TILE];
    sum_panel(panel, x, 0, halves ? 1 : 2, halves ? WS_Q8_BIAS16 : WS_Q8_BIAS, s0, n, tile);
    const floats d0 = _mm512_loadu_ps(panel->d[0]);
    if (halves) {
        UNROLL for (int t = 0; t < n; t++) s0[t] = _mm512_mul_ps(s0[t], d0);
        sum_panel(panel, x, 1, 2, WS_Q8_BIAS16 + 1, s1, n, tile);
        const floats d1 = _mm512_loadu_ps(panel->d[1]);
        UNROLL for (int t = 0; t < n; t++) s0[t] = _mm512_fmadd_ps(s1[t], d1, s0[t]);
    } else
        UNROLL for (int t = 0; t < n; t++) s0[t] = _mm512_mul_ps(s0[t], d0);
    UNROLL for (int t = 0; t < n; t++) y[t] = _mm512_fmadd_ps(s0[t], all_f(x + WS_Q8_D * tile + t), y[t]);
    if (min) add_min(panel->min[0], x + (halves ? WS_Q8_SUM16 : WS_Q8_SUM) * tile, y, n);
    if (min && halves) add_min(panel->min[1], x + (WS_Q8_SUM16 + 1) * tile, y, n);
}

/* Tokens t0 .. t0 + n - 1 of a job, in one tile. */
INLINE void mul_tile(const ws_panel_job *job, size_t t0, const int n, const int tile, const bool halves,
                     const bool min) {
    floats y[WS_TILE];
    UNROLL for (int t = 0; t < n; t++) y[t] =
        job->add ? _mm512_loadu_ps(job->y + (t0 + t) * job->y_stride) : _mm512_setzero_ps();
    const ws_q8_cell *x = ws_q8_at(job->x, t0, job->first_panel);
    for (size_t p = 0; p < job->n_panels; p++, x += WS_Q8_CELLS * tile)
        mul_panel(job->panels + p, x, y, n, tile, halves, min);
    UNROLL for (int t = 0; t < n; t++) _mm512_storeu_ps(job->y + (t0 + t) * job->y_stride, y[t]);
}

INLINE void mul_all(const ws_panel_job *job, const bool halves, const bool min) {
    size_t t = 0;
    if (job->x->tile == 1) {
        for (; t < job->n_tokens; t++) mul_tile(job, t, 1, 1, halves, min);
        return;
    }
    for (; t + WS_TILE <= job->n_tokens; t += WS_TILE) mul_tile(job, t, WS_TILE, WS_TILE, halves, min);
    for (; t + 4 <= job->n_tokens; t += 4) mul_tile(job, t, 4, WS_TILE, halves, min);
    for (; t < job->n_tokens; t++) mul_tile(job, t, 1, WS_TILE, halves, min);
}

static void mul_whole(const ws_panel_job *job) { mul_all(job, false, false); }
static void mul_whole_min(const ws_panel_job *job) { mul_all(job, false, true); }
static void mul_halves(const ws_panel_job *job) { mul_all(job, true, false); }
static void mul_halves_min(const ws_panel_job *job) { mul_all(job, true, true); }

/* ---- the table ---- */

/* X(prefix, ID, halves, low) */
#define EACH_TYPE(X)                                                                                                   \
    X(q4_0, Q4_0, false, -8)                                                                                           \
    X(q4_1, Q4_1, false, 0)                                                                                            \
    X(q5_0, Q5_0, false, -16)                                                                                          \
    X(q5_1, Q5_1, false, 0)                                                                                            \
    X(q8_0, Q8_0, false, -128)                                                                                         \
    X(q2_k, Q2_K, true, 0)                                                                                             \
    X(q3_k, Q3_K, true, -4)                                                                                            \
    X(q4_k, Q4_K, false, 0)                                                                                            \
    X(q5_k, Q5_K, false, 0)                                                                                            \
    X(q6_k, Q6_K, true, -32)                                                                                           \
    X(iq4_nl, IQ4_NL, false, -128)                                                                                     \
    X(iq4_xs, IQ4_XS, false, -128)                                                                                     \
    X(mxfp4, MXFP4, false, -16)                                                                                        \
    X(nvfp4, NVFP4, true, -16)                                                                                         \
    X(q1_0, Q1_0, false, -1)                                                                                           \
    X(q2_0, Q2_0, false, -1)                                                                                           \
    X(tq1_0, TQ1_0, false, -1)                                                                                         \
    X(tq2_0, TQ2_0, false, -1)                                                                                         \
    X(iq2_xxs, IQ2_XXS, false, -64)                                                                                    \
    X(iq2_xs, IQ2_XS, true, -64)                                                                                       \
    X(iq2_s, IQ2_S, true, -64)                                                                                         \
    X(iq3_xxs, IQ3_XXS, false, -64)                                                                                    \
    X(iq3_s, IQ3_S, false, -16)                                                                                        \
    X(iq1_s, IQ1_S, false, -16)                                                                                        \
    X(iq1_m, IQ1_M, true, -16)

#define TYPE(name, ID, halves, low)                                                                                    \
    static void decode_##name(const ws_block_rows *rows, size_t n_blocks, ws_panel *out) {                             \
        decode(rows, n_blocks, out, block_##name, WS_BYTES_##ID, WS_ELEMENTS_##ID / WS_GROUP, halves, low);            \
    }                                                                                                                  \
    static void one_##name(const ws_block_rows *rows, const ws_q8 *x, float *y) {                                      \
        mul_one(rows, x, y, block_##name, WS_BYTES_##ID, WS_ELEMENTS_##ID / WS_GROUP, halves, low);                    \
    }
EACH_TYPE(TYPE)
#undef TYPE

void ws_kernels_init_vnni(ws_kernels *k) {
    static void (*const mul[2][2])(const ws_panel_job *) = {{mul_whole, mul_whole_min}, {mul_halves, mul_halves_min}};
    for (int type = 0; type < WS_TYPE_COUNT; type++) {
        ws_panel_kernel *p = &k->panel[type];
        if (p->decode) p->mul = mul[p->form.halves][p->form.min];
    }
#define ROW(name, ID, halves, low)                                                                                     \
    k->panel[WS_TYPE_##ID].decode = decode_##name;                                                                     \
    k->panel[WS_TYPE_##ID].mul_one = one_##name;
    EACH_TYPE(ROW)
#undef ROW
}
