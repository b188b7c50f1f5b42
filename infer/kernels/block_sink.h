/* block_sink.h - what becomes of blocks that block_types.h takes apart: panels, which many tokens will be multiplied
 * with, or the product with a single token on the spot, so that nothing but sums is ever kept.
 *
 * Included after a header of registers (lanes.h and its kind) and a definition of products:
 *     dots                 sums of quant times activation in every lane
 *     open_dots(bias, low) sums that begin with low times the activations' sum; `bias` is -WS_BIAS times that
 *     add_dots(sums, quants, x, adds)            quants 0.. or, if adds is 0, any less WIDE_LOW; `adds`: how many
 *                                                products of four may be added in 16 bits (x86_vectors.h)
 *     add_signed_dots(sums, magnitudes, minus, x, adds)   quants that are negative where bytes of `minus` are 255
 *     close_dots(sums)     as floats */
#ifndef WS_BLOCK_SINK_H
#define WS_BLOCK_SINK_H

enum { MAX_PANELS = 8 }; /* of a block */

typedef struct {
    bool halves;
    int low, adds; /* quants are put as q - low, 0 or minus a power of two */
    bool keeps;    /* panels; else: multiplies with x */
    ws_panel *out;
    int r0; /* the first of the rows in `out` */
    const ws_q8_cell *x;
    dots sum[MAX_PANELS][2];
    f32s y;
} sink;

/* Start a block of n panels. */
INLINE void open_block(sink *s, const int n) {
    if (s->keeps) return;
    UNROLL for (int p = 0; p < n; p++) UNROLL for (int h = 0; h <= s->halves; h++) s->sum[p][h] =
        open_dots(s->x + p * WS_Q8_CELLS + (s->halves ? WS_Q8_BIAS16 + h : WS_Q8_BIAS), s->low);
}

INLINE void keep_quants(const sink *s, const int p, const int g, u8s biased) {
    memcpy(s->out[p].q[g][s->r0], &biased, sizeof biased);
}

INLINE dots *dots_at(sink *s, const int p, const int g) { return &s->sum[p][s->halves ? g / 4 : 0]; }

/* Columns 4 g .. 4 g + 3 of panel p. */
INLINE void put(sink *s, const int p, const int g, u8s q) {
    if (s->keeps)
        keep_quants(s, p, g, q + BYTES(WS_BIAS + s->low));
    else
        add_dots(dots_at(s, p, g), q, s->x + p * WS_Q8_CELLS + g, s->adds);
}

/* The same as magnitudes, negative where `minus` is 255; not for types with a `low`. */
INLINE void put_signed(sink *s, const int p, const int g, u8s magnitudes, u8s minus) {
    if (s->keeps)
        keep_quants(s, p, g, ((magnitudes ^ minus) - minus) ^ BYTES(WS_BIAS));
    else
        add_signed_dots(dots_at(s, p, g), magnitudes, minus, s->x + p * WS_Q8_CELLS + g, s->adds);
}

INLINE void keep_floats(const sink *s, float to[2][WS_LANES], f32s first, f32s second) {
    memcpy(to[0] + s->r0, &first, sizeof first);
    if (s->halves) memcpy(to[1] + s->r0, &second, sizeof second);
}

/* When all of panel p has been put, in the order of panels: its scales. */
INLINE void put_d(sink *s, const int p, f32s d0, f32s d1) {
    if (s->keeps) {
        keep_floats(s, s->out[p].d, d0, d1);
        return;
    }
    f32s scaled = close_dots(&s->sum[p][0]) * d0;
    if (s->halves) scaled = fused(close_dots(&s->sum[p][1]), d1, scaled);
    s->y = fused(scaled, all_f(s->x + p * WS_Q8_CELLS + WS_Q8_D), s->y);
}

/* ... and after them its minimums, where the type has some. */
INLINE void put_min(sink *s, const int p, f32s min0, f32s min1) {
    if (s->keeps) {
        keep_floats(s, s->out[p].min, min0, min1);
        return;
    }
    const ws_q8_cell *x = s->x + p * WS_Q8_CELLS + (s->halves ? WS_Q8_SUM16 : WS_Q8_SUM);
    s->y = fused(min0, all_f(x), s->y);
    if (s->halves) s->y = fused(min1, all_f(x + 1), s->y);
}

/* ---- rows of blocks ---- */

typedef void block_fn(const block_rows *r, sink *s);

INLINE void decode(const ws_block_rows *rows, size_t n_blocks, ws_panel *out, block_fn *block, const size_t bytes,
                   const int n_panels, const bool halves, const int low, const int adds) {
    UNROLL for (int r0 = 0; r0 < WS_LANES; r0 += ROWS) {
        block_rows r = rows_from(rows->base + (size_t)r0 * rows->stride, rows->stride);
        for (size_t b = 0; b < n_blocks; b++) {
            sink s = {
                .halves = halves, .low = low, .adds = adds, .keeps = true, .out = out + b * (size_t)n_panels, .r0 = r0};
            block(&r, &s);
            next_block(&r, bytes);
        }
    }
}

/* A single token waits for memory: ask for what is AHEAD bytes (in whole groups of 16 rows) further on. */
enum { BLOCKS_AHEAD = 16384 };

INLINE void mul_one(const ws_block_rows *rows, const ws_q8 *x, float *y, block_fn *block, const size_t bytes,
                    const int n_panels, const bool halves, const int low, const int adds) {
    const size_t n_blocks = x->n_cols / WS_GROUP / (size_t)n_panels, group = WS_LANES * rows->stride;
    const char *ahead = (const char *)rows->base + (BLOCKS_AHEAD / group + 1) * group;
    for (int r0 = 0; r0 < WS_LANES; r0 += ROWS) {
        block_rows r = rows_from(rows->base + (size_t)r0 * rows->stride, rows->stride);
        sink s = {.halves = halves, .low = low, .adds = adds, .x = x->cells, .y = FLOATS(0)};
        for (size_t b = 0; b < n_blocks; b++, s.x += n_panels * WS_Q8_CELLS) {
            for (size_t i = 0; i < ROWS * bytes; i += 64) prefetch(ahead + i);
            ahead += ROWS * bytes;
            open_block(&s, n_panels);
            block(&r, &s);
            next_block(&r, bytes);
        }
        memcpy(y + r0, &s.y, sizeof s.y);
    }
}

#endif
