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
        place = v_select_less(sum, least, v_iota() + j, place);
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
    const float *scale; /* that of try t is scale[t * WS_LANES]; and 1/scale likewise */
    const float *inverse;
    uint32_t *code; /* that of try t is code[t * code_step]: in the digits that rounding gives, out the point's */
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

#ifdef V_HAS_WIDE_LOOKUP
enum { GRID8_DIGITS = 2 /* that one look-up takes */ };
V_INLINE vf32 grid8_lookup(vf32 table, vu32 code) { return v_wide_lookup(table, code); }
#else
enum { GRID8_DIGITS = 1 };
V_INLINE vf32 grid8_lookup(vf32 table, vu32 code) { return v_quad_lookup(table, code); }
#endif

enum { GRID8_TABLES = 8 / GRID8_DIGITS };

/* The terms of A and of B. */
typedef struct {
    vf32 a[GRID8_TABLES], b[GRID8_TABLES];
} grid8_terms;

/* Tables for one or two digits each from terms for every element and digit. */
V_INLINE void grid8_combine(vf32 *tables, const vf32 *terms) {
    float flat[32];
    memcpy(flat, terms, sizeof flat);
    for (int i = 0; i < GRID8_TABLES; i++) {
        tables[i] = v_quad(flat + 4 * GRID8_DIGITS * i);
        if (GRID8_DIGITS == 2) tables[i] += v_each_quad(flat + 8 * i + 4);
    }
}

V_INLINE void grid8_make_terms(grid8_terms *terms, const grid8_group *g) {
    const vf32 value = v_quad(g->values);
    const vi32 filler = grid8_filler();
    vf32 a[8 / GRID8_PER_VECTOR], b[8 / GRID8_PER_VECTOR];
    for (int i = 0; i < 8 / GRID8_PER_VECTOR; i++) {
        const vf32 w = v_each_quad(g->w + i * GRID8_PER_VECTOR), x = v_each_quad(g->x + i * GRID8_PER_VECTOR);
        a[i] = v_select(filler, v_set(INFINITY), w * value * value);
        b[i] = w * (x + x) * value;
    }
    grid8_combine(terms->a, a);
    grid8_combine(terms->b, b);
}

/* A of the neighbours with these codes, or B. */
V_INLINE vf32 grid8_line(const vf32 *table, vu32 code) {
    vf32 even = grid8_lookup(table[0], code), odd = grid8_lookup(table[1], code >> 2 * GRID8_DIGITS);
    for (int i = 2; i < GRID8_TABLES; i += 2) {
        even += grid8_lookup(table[i], code >> 2 * GRID8_DIGITS * i);
        odd += grid8_lookup(table[i + 1], code >> 2 * GRID8_DIGITS * (i + 1));
    }
    return even + odd;
}

enum { GRID8_MAX_NEIGHBOURS = 304 /* of IQ2_XS, whose lists are the longest that come here: 292, and fillers */ };

/* The lines of one cell's neighbours, lane by lane. */
typedef struct {
    const uint16_t *list;
    uint32_t n; /* vectors */
    vf32 a[GRID8_MAX_NEIGHBOURS / WS_LANES], b[GRID8_MAX_NEIGHBOURS / WS_LANES];
} grid8_lines;

static inline void grid8_draw(grid8_lines *lines, const ws_grid8 *grid, const ws_grid8_cell *cell,
                              const grid8_terms *terms) {
    lines->list = grid->neighbours + cell->first;
    lines->n = (cell->count + WS_LANES - 1u) / WS_LANES;
    for (uint32_t j = 0; j < lines->n; j++) {
        const vu32 code = v_load_u16(lines->list + j * WS_LANES);
        lines->a[j] = grid8_line(terms->a, code);
        lines->b[j] = grid8_line(terms->b, code);
    }
}

/* The code of the lowest line at this scale, or WS_GRID8_FILLER when rounding might have it otherwise. */
static inline uint32_t grid8_lowest(const grid8_lines *lines, float scale, float inverse, float power) {
    vf32 lowest = v_set(INFINITY), second = v_set(INFINITY);
    vu32 vector = vu_set(0);
    for (uint32_t j = 0; j < lines->n; j++) {
        const vf32 height = scale * lines->a[j] - lines->b[j];
        vector = v_select_less(height, lowest, vu_set(j), vector);
        second = v_min(v_max(height, lowest), second);
        lowest = v_min(height, lowest);
    }
    const float least = v_least(lowest), doubt = 320 * 0x1p-24f;
    const vf32 limit = v_set(least + doubt * (1.5f * power * inverse + 0.5f * least));
    const uint32_t near = v_bits_le(lowest, limit);
    if (near == 0 || (near & (near - 1)) || v_bits_le(second, limit)) return WS_GRID8_FILLER;
    uint32_t vectors[WS_LANES];
    memcpy(vectors, &vector, sizeof vectors);
    const uint32_t lane = (uint32_t)__builtin_ctz(near);
    return lines->list[vectors[lane] * WS_LANES + lane];
}

static inline uint32_t grid8_lowest_of_try(const grid8_tries *q, const grid8_lines *lines, int t) {
    return grid8_lowest(lines, q->scale[(size_t)t * WS_LANES], q->inverse[(size_t)t * WS_LANES], q->power);
}

static inline void grid8_put(const grid8_tries *q, const ws_grid8_cell *cell, int t, uint32_t code) {
    q->code[(size_t)t * q->code_step] =
        code == WS_GRID8_FILLER ? grid8_nearest(q->grid, cell, &q->group, q->scale[(size_t)t * WS_LANES]) : code;
}

/* Tries `first` to `last`, whose digits are the same. */
static inline void grid8_choose_run(const grid8_tries *q, const grid8_terms *terms, int first, int last) {
    const ws_grid8_cell *cell = &q->grid->cells[ws_grid8_cell_of(q->code[(size_t)first * q->code_step])];
    if (cell->count == 0) return;
    grid8_lines lines;
    grid8_draw(&lines, q->grid, cell, terms);
    const uint32_t at_first = grid8_lowest_of_try(q, &lines, first);
    grid8_put(q, cell, first, at_first);
    if (first == last) return;
    const uint32_t at_last = grid8_lowest_of_try(q, &lines, last);
    grid8_put(q, cell, last, at_last);
    const bool same = at_first == at_last && at_first != WS_GRID8_FILLER;
    for (int t = first + 1; t < last; t++) grid8_put(q, cell, t, same ? at_first : grid8_lowest_of_try(q, &lines, t));
}

/* For every try the point that the reference finds. Larger tries have smaller scales, so equal digits are neighbours.
 */
static inline void grid8_choose(const grid8_tries *q, int n_tries) {
    grid8_terms terms;
    grid8_make_terms(&terms, &q->group);
    for (int first = 0, last; first < n_tries; first = last + 1) {
        const uint32_t code = q->code[(size_t)first * q->code_step];
        for (last = first; last + 1 < n_tries && q->code[(size_t)(last + 1) * q->code_step] == code;) last++;
        grid8_choose_run(q, &terms, first, last);
    }
}

#endif

#endif
