/* grid8.h - which point of a codebook (grids8.h) to take for eight elements whose own digits are not in it. */
#ifndef WS_GRID8_H
#define WS_GRID8_H

#include "grids8.h"
#include "kernels.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

/* Digits 0..2 of the code stand for values[0..2] (values[3] is any finite number). */
typedef struct {
    const float *x, *w; /* eight elements and their weights */
    const float *values;
} grid8_group;

/* Among the cell's neighbours the first with the least sum of w (scale value - x)^2, computed in the reference's
 * order; the first of all where no sum is finite. Returns its code. */
static inline uint32_t grid8_nearest(const ws_grid8 *grid, const ws_grid8_cell *cell, const grid8_group *g,
                                     float scale);

#if WS_LANES == 1

static inline uint32_t grid8_nearest(const ws_grid8 *grid, const ws_grid8_cell *cell, const grid8_group *g,
                                     float scale) {
    const uint16_t *list = grid->neighbours + cell->first;
    float term[8][4], least = FLT_MAX;
    uint32_t nearest = list[0];
    for (int i = 0; i < 8; i++)
        for (int digit = 0; digit < 3; digit++) {
            const float diff = scale * g->values[digit] - g->x[i];
            term[i][digit] = g->w[i] * diff * diff;
        }
    for (int j = 0; j < cell->count; j++) {
        float sum = term[0][list[j] & 3];
        for (int i = 1; i < 8; i++) sum += term[i][list[j] >> 2 * i & 3];
        if (sum < least) {
            least = sum;
            nearest = list[j];
        }
    }
    return nearest;
}

#else

/* Here lanes are neighbours: a term has three values, and a lane looks up that of its digit. */

/* One of eight tables of three: in every four lanes the terms of digits 0, 1, 2, and infinity for fillers. */
V_INLINE void grid8_spread(vf32 *tables, const vf32 *terms) {
    float flat[32];
    memcpy(flat, terms, sizeof flat);
    for (int i = 0; i < 8; i++) tables[i] = v_quad(flat + 4 * i);
}

enum { GRID8_PER_VECTOR = WS_LANES / 4 /* tables of four that one vector holds */ };

V_INLINE vi32 grid8_filler(void) {
    return (vi32)vu_add_lt(vu_set(0), v_set(2.5f), v_float((vi32)(v_iota() & 3u)), ~0u);
}

static inline uint32_t grid8_nearest(const ws_grid8 *grid, const ws_grid8_cell *cell, const grid8_group *g,
                                     float scale) {
    const uint16_t *list = grid->neighbours + cell->first;
    const vf32 scaled = scale * v_quad(g->values);
    const vi32 filler = grid8_filler();
    vf32 terms[8 / GRID8_PER_VECTOR], table[8], least = v_set(FLT_MAX);
    for (int i = 0; i < 8 / GRID8_PER_VECTOR; i++) {
        const vf32 diff = scaled - v_each_quad(g->x + i * GRID8_PER_VECTOR);
        terms[i] = v_select(filler, v_set(INFINITY), v_each_quad(g->w + i * GRID8_PER_VECTOR) * diff * diff);
    }
    grid8_spread(table, terms);
    vu32 place = v_iota();
    for (uint32_t j = 0; j < cell->count; j += WS_LANES) {
        const vu32 code = v_load_u16(list + j);
        vf32 sum = v_quad_lookup(table[0], code);
        for (int i = 1; i < 8; i++) sum += v_quad_lookup(table[i], code >> 2 * i);
        place = vu_select(v_lt(sum, least), v_iota() + j, place);
        least = v_min(sum, least);
    }
    uint32_t nearest = UINT32_MAX, places[WS_LANES];
    memcpy(places, &place, sizeof places);
    for (uint32_t ties = v_bits_le(least, v_set(v_least(least))); ties; ties &= ties - 1) {
        const uint32_t candidate = places[__builtin_ctz(ties)];
        if (candidate < nearest) nearest = candidate;
    }
    return list[nearest];
}

#endif

/* === several scales at once ===
 *
 * The reference searches anew for every scale s that it tries. But in exact arithmetic the sum is
 *
 *     sum of w (s v - x)^2  =  s (s A - B) + C,    A = sum of w v^2,  B = 2 * sum of w x v,  C = sum of w x^2,
 *
 * where C is the same for all neighbours: whichever has the least s A - B is the nearest. A and B do not depend on s;
 * and since s A - B is a straight line for each neighbour, one that is lowest at two scales is lowest between them.
 *
 * That decides, unless rounding could: with u = 2^-24 and D the sum, the reference's own value is within 13 u M of D,
 * where M = sum of w (s v + |x|)^2 <= 6 C + 3 D; s times the line as computed below is within 8 u M. So the lowest line
 * is the reference's choice if every other is higher by 2 * 21 u (6 C + 3 D) / s, D being that of the lowest; 252 u
 * (C + D / 2) / s, rounded up to 320. Where one is not (ties above all), grid8_nearest() decides. */

typedef struct {
    const ws_grid8 *grid;
    grid8_group group;
    float power;        /* C, or NaN where the bounds would not hold: grid8_power() */
    const float *scale; /* that of try t is scale[t * WS_LANES] */
    uint32_t *code;     /* that of try t is code[t * code_step]: in the digits that rounding gives, out the point's */
    size_t code_step;
} grid8_tries;

/* C of eight elements per lane, NaN where a product could leave the range of normal numbers: `reach` bounds |x| and
 * every scale times value. */
V_INLINE vf32 grid8_power(const vf32 *x, const vf32 *w, vf32 reach) {
    vf32 power = v_set(0), weight = v_set(0);
    for (int i = 0; i < 8; i++) {
        power += w[i] * x[i] * x[i];
        weight += w[i];
    }
    const vf32 floor = (1.0f + reach) * (1.0f + reach) * 0x1p-110f;
    const vi32 safe = v_lt(reach, v_set(0x1p30f)) & v_lt(weight, v_set(0x1p60f)) & v_lt(floor, power);
    return v_select(safe, power, v_set(NAN));
}

#if WS_LANES == 1

static inline void grid8_choose(const grid8_tries *q, int n_tries) {
    for (int t = 0; t < n_tries; t++) {
        uint32_t *code = &q->code[(size_t)t * q->code_step];
        const ws_grid8_cell *cell = &q->grid->cells[ws_grid8_cell_of(*code)];
        if (cell->count) *code = grid8_nearest(q->grid, cell, &q->group, q->scale[t]);
    }
}

#else

enum { GRID8_MAX_NEIGHBOURS = 304 /* of IQ2_XS, whose lists are the longest that come here: 292, and fillers */ };

/* The lines of one cell's neighbours, lane by lane. */
typedef struct {
    const uint16_t *list;
    uint32_t n; /* vectors */
    vf32 a[GRID8_MAX_NEIGHBOURS / WS_LANES], b[GRID8_MAX_NEIGHBOURS / WS_LANES];
} grid8_lines;

/* The terms of A and of B for every element and digit. */
V_INLINE void grid8_line_tables(vf32 *a, vf32 *b, const grid8_group *g) {
    const vf32 value = v_quad(g->values);
    const vi32 filler = grid8_filler();
    vf32 terms_a[8 / GRID8_PER_VECTOR], terms_b[8 / GRID8_PER_VECTOR];
    for (int i = 0; i < 8 / GRID8_PER_VECTOR; i++) {
        const vf32 w = v_each_quad(g->w + i * GRID8_PER_VECTOR), x = v_each_quad(g->x + i * GRID8_PER_VECTOR);
        terms_a[i] = v_select(filler, v_set(INFINITY), w * value * value);
        terms_b[i] = w * (x + x) * value;
    }
    grid8_spread(a, terms_a);
    grid8_spread(b, terms_b);
}

static inline void grid8_draw(grid8_lines *lines, const ws_grid8 *grid, const ws_grid8_cell *cell, const vf32 *a,
                              const vf32 *b) {
    lines->list = grid->neighbours + cell->first;
    lines->n = (cell->count + WS_LANES - 1u) / WS_LANES;
    for (uint32_t j = 0; j < lines->n; j++) {
        vu32 code = v_load_u16(lines->list + j * WS_LANES);
        vf32 even_a = v_quad_lookup(a[0], code), even_b = v_quad_lookup(b[0], code);
        vf32 odd_a = v_quad_lookup(a[1], code >> 2), odd_b = v_quad_lookup(b[1], code >> 2);
        for (int i = 2; i < 8; i += 2) {
            even_a += v_quad_lookup(a[i], code >> 2 * i);
            even_b += v_quad_lookup(b[i], code >> 2 * i);
            odd_a += v_quad_lookup(a[i + 1], code >> (2 * i + 2));
            odd_b += v_quad_lookup(b[i + 1], code >> (2 * i + 2));
        }
        lines->a[j] = even_a + odd_a;
        lines->b[j] = even_b + odd_b;
    }
}

/* The code of the lowest line at this scale, or WS_GRID8_FILLER when rounding might have it otherwise. */
static inline uint32_t grid8_lowest(const grid8_lines *lines, float scale, float power) {
    vf32 lowest = v_set(INFINITY), second = v_set(INFINITY);
    vu32 vector = vu_set(0);
    for (uint32_t j = 0; j < lines->n; j++) {
        const vf32 height = scale * lines->a[j] - lines->b[j];
        vector = vu_select(v_lt(height, lowest), vu_set(j), vector);
        second = v_min(v_max(height, lowest), second);
        lowest = v_min(height, lowest);
    }
    const float least = v_least(lowest), doubt = 320 * 0x1p-24f;
    const vf32 limit = v_set(least + doubt * (1.5f * power / scale + 0.5f * least));
    const uint32_t near = v_bits_le(lowest, limit);
    if (near == 0 || (near & (near - 1)) || v_bits_le(second, limit)) return WS_GRID8_FILLER;
    uint32_t vectors[WS_LANES];
    memcpy(vectors, &vector, sizeof vectors);
    const uint32_t lane = (uint32_t)__builtin_ctz(near);
    return lines->list[vectors[lane] * WS_LANES + lane];
}

static inline uint32_t grid8_choose_one(const grid8_tries *q, const grid8_lines *lines, const ws_grid8_cell *cell,
                                        int t) {
    const float scale = q->scale[(size_t)t * WS_LANES];
    const uint32_t code = grid8_lowest(lines, scale, q->power);
    return code == WS_GRID8_FILLER ? grid8_nearest(q->grid, cell, &q->group, scale) : code;
}

/* Tries `first` to `last`, whose digits are the same. */
static inline void grid8_choose_run(const grid8_tries *q, const vf32 *a, const vf32 *b, int first, int last) {
    uint32_t *code = q->code;
    const size_t step = q->code_step;
    const ws_grid8_cell *cell = &q->grid->cells[ws_grid8_cell_of(code[(size_t)first * step])];
    if (cell->count == 0) return;
    grid8_lines lines;
    grid8_draw(&lines, q->grid, cell, a, b);
    const float scale = q->scale[(size_t)first * WS_LANES];
    uint32_t at_first = grid8_lowest(&lines, scale, q->power), at_last = at_first;
    if (last > first) at_last = grid8_lowest(&lines, q->scale[(size_t)last * WS_LANES], q->power);
    if (at_first == at_last && at_first != WS_GRID8_FILLER)
        for (int t = first; t <= last; t++) code[(size_t)t * step] = at_first;
    else
        for (int t = first; t <= last; t++) code[(size_t)t * step] = grid8_choose_one(q, &lines, cell, t);
}

/* For every try the point that the reference finds. Larger tries have smaller scales, so equal digits are neighbours.
 */
static inline void grid8_choose(const grid8_tries *q, int n_tries) {
    vf32 a[8], b[8];
    grid8_line_tables(a, b, &q->group);
    for (int first = 0, last; first < n_tries; first = last + 1) {
        const uint32_t code = q->code[(size_t)first * q->code_step];
        for (last = first; last + 1 < n_tries && q->code[(size_t)(last + 1) * q->code_step] == code;) last++;
        grid8_choose_run(q, a, b, first, last);
    }
}

#endif

#endif
