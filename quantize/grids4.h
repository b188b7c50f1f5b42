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

enum { WS_GRID4_CELLS = 4096 };

typedef struct {
    uint16_t first, count;    /* of `neighbours` */
    uint16_t is_point, place; /* or, where is_point is 1, the place in the list */
} ws_grid4_cell;

typedef struct {
    const ws_grid4_cell *cells;
    const uint16_t *neighbours; /* codes */
} ws_grid4;

const ws_grid4 *ws_grid4_get_iq3_xxs(void);
const ws_grid4 *ws_grid4_get_iq3_s(void);

#endif
