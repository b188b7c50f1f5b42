/* The codebooks' cells against their definition, by brute force. */
#include "grids8.h"

#include <criterion/criterion.h>
#include <stddef.h>

static const struct {
    ws_grid8_id id;
    size_t n_points;
    int distances;
} grids[] = {
    {WS_GRID8_IQ2_XXS, 256, 2},
    {WS_GRID8_IQ2_XS, 512, 2},
    {WS_GRID8_IQ2_S, 1024, 1},
    {WS_GRID8_IQ1, 2048, 3},
};

static int digit(uint32_t code, int i) { return (int)(code >> 2 * i & 3); }

static int distance(uint32_t a, uint32_t b) {
    int sum = 0;
    for (int i = 0; i < 8; i++) sum += (digit(a, i) - digit(b, i)) * (digit(a, i) - digit(b, i));
    return sum;
}

static uint32_t code_of(uint32_t cell) {
    uint32_t code = 0;
    for (int i = 0; i < 8; i++, cell /= 3) code |= cell % 3 << 2 * i;
    return code;
}

/* Every neighbour that should be there is, in its place: those at each of the nearest distances, in list order. */
static size_t expect_neighbours(const ws_grid8 *g, size_t k, uint32_t code, const uint16_t *list) {
    size_t n = 0;
    for (int d = 1, found = 0; found < grids[k].distances && d <= 32; d++) {
        const size_t before = n;
        for (size_t p = 0; p < grids[k].n_points; p++)
            if (distance(g->points[p], code) == d) cr_assert_eq(list[n++], g->points[p]);
        found += n > before;
    }
    return n;
}

Test(grids8, numbers_of_cells) {
    for (uint32_t cell = 0; cell < WS_GRID8_CELLS; cell++) cr_assert_eq(ws_grid8_cell_of(code_of(cell)), cell);
}

Test(grids8, points_are_ascending_and_in_their_own_cells) {
    for (size_t k = 0; k < sizeof grids / sizeof *grids; k++) {
        const ws_grid8 *g = ws_grid8_get(grids[k].id);
        size_t on_grid = 0;
        for (size_t p = 0; p < grids[k].n_points; p++) {
            for (int i = 0; i < 8; i++) cr_assert_lt(digit(g->points[p], i), 3);
            cr_assert(p == 0 || g->points[p] > g->points[p - 1]);
            const ws_grid8_cell *cell = &g->cells[ws_grid8_cell_of(g->points[p])];
            cr_assert_eq(cell->count, 0);
            cr_assert_eq(cell->place, p);
        }
        for (size_t c = 0; c < WS_GRID8_CELLS; c++) on_grid += g->cells[c].count == 0;
        cr_expect_eq(on_grid, grids[k].n_points);
    }
}

Test(grids8, cells_list_the_nearest_points) {
    for (size_t k = 0; k < sizeof grids / sizeof *grids; k++) {
        const ws_grid8 *g = ws_grid8_get(grids[k].id);
        uint32_t next = 0;
        for (uint32_t c = 0; c < WS_GRID8_CELLS; c++) {
            const ws_grid8_cell *cell = &g->cells[c];
            if (cell->count == 0) continue;
            const uint16_t *list = g->neighbours + cell->first;
            cr_assert_eq(cell->first, next, "lists follow each other");
            if (c % 7 == 0) cr_assert_eq(expect_neighbours(g, k, code_of(c), list), cell->count);
            for (next += cell->count; next % WS_GRID8_PAD; next++)
                cr_assert_eq(g->neighbours[next], WS_GRID8_FILLER);
        }
    }
}
