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

/* `steps` times WS_GRID4_STEP neighbours, from WS_GRID4_STEP * first on. */
typedef struct {
    uint16_t first, steps;
} ws_grid4_list;

/* A neighbour is left out of the shorter list when one before it is nearer, or as near, in every digit: to all numbers
 * that round to this cell, not to its middle only. */
typedef struct {
    ws_grid4_list all, unshadowed;
    uint16_t is_point, place; /* where is_point is 1, the place in the list of points; there are no neighbours then */
} ws_grid4_cell;

typedef struct {
    const ws_grid4_cell *cells;
    const uint16_t *neighbours; /* codes */
} ws_grid4;

const ws_grid4 *ws_grid4_get_iq3_xxs(void);
const ws_grid4 *ws_grid4_get_iq3_s(void);

#endif
