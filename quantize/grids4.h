/* grids4.h - the codebooks of IQ3_XXS and IQ3_S: lists of points of four digits 0..7.
 *
 * A point is written as 12 bits, digit i in bits 3 i to 3 i + 2 (its code). In files a point is its place in the list.
 * Every code has a cell, which tells its place in the list or, if it has none, which points of the list the quantizers
 * may choose instead: those at the two (IQ3_XXS) or three (IQ3_S) smallest distances from it, nearest first, equals in
 * list order. The cells are computed on first use, once for all threads. */
#ifndef WS_GRIDS4_H
#define WS_GRIDS4_H

#include <stdint.h>

extern const uint16_t ws_grid4_iq3_xxs[256], ws_grid4_iq3_s[512];

enum {
    WS_GRID4_CELLS = 4096,
    WS_GRID4_STEP = 4, /* lists of neighbours are filled up to a multiple of this with their last */
};

/* Lists of neighbours: the number of the first, over WS_GRID4_STEP, times 256, plus the number of steps of
 * WS_GRID4_STEP; 0 for a cell that is a point. From the first list those are left out that one before them shadows: one
 * that is nearer, or as near, in every digit, to all numbers that round to this cell and not to its middle only. */
typedef struct {
    uint32_t unshadowed_and_all[2];
} ws_grid4_cell;

typedef struct {
    const ws_grid4_cell *cells;
    const uint32_t *neighbours; /* in byte i 8 * (8 i + digit i): the row of a table by element and digit, times 8 */
    const uint16_t *places;     /* by code, of the points */
} ws_grid4;

const ws_grid4 *ws_grid4_get_iq3_xxs(void);
const ws_grid4 *ws_grid4_get_iq3_s(void);

#endif
