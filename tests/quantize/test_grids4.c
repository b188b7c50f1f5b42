/* The cells of IQ3's codebooks against their definition, and the claim that the quantizers rest on: that no shadowed
 * neighbour is ever the best for numbers inside the cell, in float arithmetic as it is done there. */
#include "formats_data.h"
#include "grids4.h"

#include <criterion/criterion.h>
#include <float.h>
#include <stdlib.h>

typedef const ws_grid4 *get_grid(void);

static const struct {
    const char *name;
    get_grid *get;
    const uint16_t *points;
    int n, wanted;
} grids[] = {{"IQ3_XXS", ws_grid4_get_iq3_xxs, ws_grid4_iq3_xxs, 256, 2},
             {"IQ3_S", ws_grid4_get_iq3_s, ws_grid4_iq3_s, 512, 3}};

static int digit(uint32_t code, int i) { return (int)(code >> 3 * i & 7); }

/* A neighbour's code from its rows. */
static uint32_t code_of(uint32_t rows) {
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        const uint32_t row = rows >> 8 * i & 255;
        cr_assert(row % 8 == 0 && row / 64 == (uint32_t)i);
        code |= row / 8 % 8 << 3 * i;
    }
    return code;
}

static int distance(uint32_t a, uint32_t b) {
    int sum = 0;
    for (int i = 0; i < 4; i++) sum += (digit(a, i) - digit(b, i)) * (digit(a, i) - digit(b, i));
    return sum;
}

/* The neighbours by definition; returns their number. */
static size_t expected_list(uint32_t *list, uint32_t code, const uint16_t *points, int n, int wanted) {
    size_t found = 0;
    for (int d = 1; d <= 196 && wanted; d++) {
        const size_t before = found;
        for (int k = 0; k < n; k++)
            if (distance(points[k], code) == d) list[found++] = points[k];
        wanted -= found > before;
    }
    return found;
}

Test(grids4, cells_are_as_defined) {
    for (size_t g = 0; g < 2; g++) {
        const ws_grid4 *grid = grids[g].get();
        for (int k = 0; k < grids[g].n; k++) {
            cr_assert_eq(grid->places[grids[g].points[k]], k, "%s", grids[g].name);
            cr_assert_eq(grid->cells[grids[g].points[k]].unshadowed_and_all[0], 0);
            cr_assert_eq(grid->cells[grids[g].points[k]].unshadowed_and_all[1], 0);
        }
        int points = 0;
        for (uint32_t code = 0; code < WS_GRID4_CELLS; code++) {
            const uint32_t list = grid->cells[code].unshadowed_and_all[1];
            points += list == 0;
            if (!list) continue;
            uint32_t expected[512];
            const size_t n = expected_list(expected, code, grids[g].points, grids[g].n, grids[g].wanted);
            cr_assert_eq((list & 255) * WS_GRID4_STEP, (n + WS_GRID4_STEP - 1) / WS_GRID4_STEP * WS_GRID4_STEP);
            for (size_t k = 0; k < (list & 255) * WS_GRID4_STEP; k++)
                cr_assert_eq(code_of(grid->neighbours[(list >> 8) * WS_GRID4_STEP + k]), expected[k < n ? k : n - 1],
                             "%s, cell %04o, neighbour %zu", grids[g].name, code, k);
        }
        cr_assert_eq(points, grids[g].n);
    }
}

static uint32_t best(const ws_grid4 *grid, uint32_t list, float scale, const float *x, const float *root) {
    const uint32_t *neighbours = grid->neighbours + (list >> 8) * WS_GRID4_STEP;
    float least = FLT_MAX;
    uint32_t found = UINT32_MAX;
    for (uint32_t k = 0; k < (list & 255) * WS_GRID4_STEP; k++) {
        const uint32_t code = code_of(neighbours[k]);
        float sum = 0;
        for (int i = 0; i < 4; i++) {
            const float diff = scale * (float)(2 * digit(code, i) + 1) - x[i];
            sum += root[i] * diff * diff;
        }
        if (sum < least) {
            least = sum;
            found = code;
        }
    }
    return found;
}

/* Up to 0.4999 from the middle of a cell, often just there; beyond the last cell; weights of which some are 0. */
Test(grids4, the_best_is_never_shadowed) {
    uint64_t state = 4711;
    for (int round = 0; round < 400000; round++) {
        const ws_grid4 *grid = grids[round % 2].get();
        const uint32_t code = (uint32_t)(data_random(&state) >> 20) % WS_GRID4_CELLS;
        const uint32_t *lists = grid->cells[code].unshadowed_and_all;
        if (!lists[0]) continue;
        const float inverse = ((float)(data_random(&state) >> 40 & 0xffff) + 1.0f) * data_power(round % 60 - 30);
        const float scale = 1.0f / inverse;
        float x[4], root[4];
        for (int i = 0; i < 4; i++) {
            const uint64_t bits = data_random(&state) >> 16;
            const float inside = bits & 3 ? (float)(bits >> 8 & 0xfff) / 4096.0f : 1.0f;
            const float offset = digit(code, i) == 7 && bits & 4 ? inside : inside * 0.4999f;
            x[i] = (2.0f * ((float)digit(code, i) + (bits & 8 ? offset : -inside * 0.4999f)) + 1.0f) * scale;
            root[i] = bits & 48 ? data_normal(&state) * data_normal(&state) : 0.0f;
            root[i] = root[i] < 0 ? -root[i] : root[i];
        }
        cr_assert_eq(best(grid, lists[0], scale, x, root), best(grid, lists[1], scale, x, root), "cell %04o", code);
    }
}
