/* grids8.c - the cells of the codebooks. */
#include "grids8.h"

#include <pthread.h>
#include <stddef.h>

/* The lists' lengths together, fillers included: facts of the points, checked by the tests. */
enum { ROOM_IQ2_XXS = 161136, ROOM_IQ2_XS = 230560, ROOM_IQ2_S = 100576, ROOM_IQ1 = 362352 };

static ws_grid8_cell cells[WS_GRID8_COUNT][WS_GRID8_CELLS];
static uint16_t neighbours_iq2_xxs[ROOM_IQ2_XXS], neighbours_iq2_xs[ROOM_IQ2_XS], neighbours_iq2_s[ROOM_IQ2_S],
    neighbours_iq1[ROOM_IQ1];

/* What one codebook's cells are made from and into. `distances` is how many different distances are near enough. */
typedef struct {
    const uint16_t *points;
    size_t n_points;
    int distances;
    ws_grid8_cell *cells;
    uint16_t *neighbours;
} recipe;

enum { HALF = 81, MAX_DISTANCE = 8 * 2 * 2 };

/* Squared distances between four digits (numbers of base 3) and four digits (codes). */
typedef uint8_t half_distances[HALF][256];

static void fill_half_distances(half_distances table) {
    for (int number = 0; number < HALF; number++)
        for (int code = 0; code < 256; code++) {
            int sum = 0;
            for (int i = 0, rest = number; i < 4; i++, rest /= 3) {
                const int step = rest % 3 - (code >> 2 * i & 3);
                sum += step * step;
            }
            table[number][code] = (uint8_t)sum;
        }
}

/* Puts the points at the nearest distances into the list, in order; returns how many. */
static size_t collect(uint16_t *list, const recipe *r, const uint8_t *distance, uint64_t present) {
    size_t count = 0;
    for (int k = 0; k < r->distances && present; k++, present &= present - 1) {
        const int wanted = __builtin_ctzll(present);
        for (size_t i = 0; i < r->n_points; i++)
            if (distance[i] == wanted) list[count++] = r->points[i];
    }
    return count;
}

static void fill_cells(const recipe *r) {
    half_distances half;
    fill_half_distances(half);
    size_t used = 0;
    for (int number = 0; number < WS_GRID8_CELLS; number++) {
        const uint8_t *low = half[number % HALF], *high = half[number / HALF];
        uint8_t distance[2048];
        uint64_t present = 0;
        size_t place = 0;
        for (size_t i = 0; i < r->n_points; i++) {
            distance[i] = (uint8_t)(low[r->points[i] & 255] + high[r->points[i] >> 8]);
            present |= (uint64_t)1 << distance[i];
            if (distance[i] == 0) place = i;
        }
        ws_grid8_cell *cell = &r->cells[number];
        *cell = (ws_grid8_cell){.first = (uint32_t)used, .place = (uint16_t)place};
        if (present & 1) continue;
        cell->count = (uint16_t)collect(r->neighbours + used, r, distance, present);
        for (used += cell->count; used % WS_GRID8_PAD; used++) r->neighbours[used] = WS_GRID8_FILLER;
    }
}

/* One function for each codebook, because pthread_once() passes nothing on. */
#define MAKER(name, ID, n_distances)                                                                                   \
    static void make_##name(void) {                                                                                    \
        fill_cells(&(recipe){.points = ws_grid8_##name,                                                                \
                             .n_points = sizeof ws_grid8_##name / sizeof *ws_grid8_##name,                             \
                             .distances = n_distances,                                                                 \
                             .cells = cells[ID],                                                                       \
                             .neighbours = neighbours_##name});                                                        \
    }
MAKER(iq2_xxs, WS_GRID8_IQ2_XXS, 2)
MAKER(iq2_xs, WS_GRID8_IQ2_XS, 2)
MAKER(iq2_s, WS_GRID8_IQ2_S, 1)
MAKER(iq1, WS_GRID8_IQ1, 3)

const ws_grid8 *ws_grid8_get(ws_grid8_id id) {
    static pthread_once_t made[WS_GRID8_COUNT] = {PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT,
                                                  PTHREAD_ONCE_INIT};
    static void (*const make[WS_GRID8_COUNT])(void) = {make_iq2_xxs, make_iq2_xs, make_iq2_s, make_iq1};
    static const ws_grid8 grids[WS_GRID8_COUNT] = {
        {ws_grid8_iq2_xxs, cells[WS_GRID8_IQ2_XXS], neighbours_iq2_xxs},
        {ws_grid8_iq2_xs, cells[WS_GRID8_IQ2_XS], neighbours_iq2_xs},
        {ws_grid8_iq2_s, cells[WS_GRID8_IQ2_S], neighbours_iq2_s},
        {ws_grid8_iq1, cells[WS_GRID8_IQ1], neighbours_iq1},
    };
    pthread_once(&made[id], make[id]);
    return &grids[id];
}
