/* grids8.h - the codebooks of IQ2_XXS, IQ2_XS, IQ2_S and IQ1_*: sets of points of eight digits 0, 1, 2.
 *
 * A point is written as 16 bits, digit i in bits 2 i and 2 i + 1 (its code). In files a point is its place in the list.
 * Every one of the 3^8 codes has a cell that tells its place in the list or, if it has none, which points of the list
 * the quantizers may choose instead: those at the smallest one, two or three different distances from it, nearest
 * first, equals in list order. Those cells are computed on first use, once for all threads. */
#ifndef WS_GRIDS8_H
#define WS_GRIDS8_H

#include <stdint.h>

extern const uint16_t ws_grid8_iq2_xxs[256], ws_grid8_iq2_xs[512], ws_grid8_iq2_s[1024], ws_grid8_iq1[2048];

enum {
    WS_GRID8_CELLS = 6561,    /* 3^8 */
    WS_GRID8_PAD = 16,        /* each list of neighbours is filled up to a multiple of this */
    WS_GRID8_FILLER = 0xffff, /* with this, whose digits are all 3 */
};

typedef struct {
    uint32_t first; /* in `neighbours`, a multiple of WS_GRID8_PAD */
    uint16_t count; /* of neighbours; 0: the code itself is a point of the list */
    uint16_t place; /* then: where */
} ws_grid8_cell;

typedef struct {
    const uint16_t *points;
    const ws_grid8_cell *cells;
    const uint16_t *neighbours; /* codes */
} ws_grid8;

typedef enum { WS_GRID8_IQ2_XXS, WS_GRID8_IQ2_XS, WS_GRID8_IQ2_S, WS_GRID8_IQ1, WS_GRID8_COUNT } ws_grid8_id;

const ws_grid8 *ws_grid8_get(ws_grid8_id id);

/* The number of a code's cell: its digits as a number of base 3, digit 0 the lowest. Pairs of digits, then of pairs. */
static inline uint32_t ws_grid8_cell_of(uint32_t code) {
    code -= code >> 2 & 0x3333u;       /* 4 a + b to 3 a + b */
    code -= 7 * (code >> 4 & 0x0f0fu); /* 16 a + b to 9 a + b */
    return code - 175 * (code >> 8);   /* 256 a + b to 81 a + b */
}

#endif
