/* grids8.c - the cells of the codebooks. */
#include "grids8.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

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

enum { HALF = 81, MAX_POINTS = 2048, MAX_DISTANCES = 3, FAR = 127 };

/* Squared distances between every four digits (numbers of base 3) and the low or high four of every point. */
typedef uint8_t half_distances[HALF][MAX_POINTS];

static void fill_half_distances(half_distances table, const recipe *r, int shift) {
    for (int number = 0; number < HALF; number++)
        for (size_t p = 0; p < r->n_points; p++) {
            const int code = r->points[p] >> shift;
            int sum = 0;
            for (int i = 0, rest = number; i < 4; i++, rest /= 3) {
                const int step = rest % 3 - (code >> 2 * i & 3);
                sum += step * step;
            }
            table[number][p] = (uint8_t)sum;
        }
}

/* The smallest distance from `from` on, or FAR. */
static int next_distance(const uint8_t *distance, size_t n, int from) {
    uint8_t least = FAR;
    for (size_t i = 0; i < n; i++) {
        const uint8_t d = distance[i] >= from ? distance[i] : FAR;
        least = d < least ? d : least;
    }
    return least;
}

/* Puts the points at the wanted distances (ascending) into the list, those at each in order; returns how many. Eight
 * points are looked at together: adding 127 - the last distance to each byte sets the top bits of those farther away.
 */
static size_t collect(uint16_t *list, const recipe *r, const uint8_t *distance, const int *wanted, int n_wanted) {
    static const uint64_t ones = 0x0101010101010101u;
    uint16_t found[MAX_DISTANCES][MAX_POINTS];
    size_t counts[MAX_DISTANCES] = {0}, count = 0;
    for (size_t i = 0; i < r->n_points; i += 8) {
        uint64_t eight;
        memcpy(&eight, distance + i, sizeof eight);
        uint64_t near = ~(eight + ones * (uint64_t)(127 - wanted[n_wanted - 1])) & 0x80 * ones;
        for (; near; near &= near - 1) {
            const size_t p = i + (size_t)__builtin_ctzll(near) / 8;
            int k = 0;
            while (wanted[k] != distance[p]) k++;
            found[k][counts[k]++] = r->points[p];
        }
    }
    for (int k = 0; k < n_wanted; k++) {
        memcpy(list + count, found[k], counts[k] * sizeof *list);
        count += counts[k];
    }
    return count;
}

/* The list for the cell at these distances; returns how many neighbours it has. */
static size_t fill_list(uint16_t *list, const recipe *r, const uint8_t *distance) {
    int wanted[MAX_DISTANCES], n = 0;
    for (int d = 1; n < r->distances; d++) {
        d = next_distance(distance, r->n_points, d);
        if (d == FAR) break;
        wanted[n++] = d;
    }
    return collect(list, r, distance, wanted, n);
}

static void fill_cells(const recipe *r) {
    half_distances low, high;
    fill_half_distances(low, r, 0);
    fill_half_distances(high, r, 8);
    for (size_t p = 0; p < r->n_points; p++) r->cells[ws_grid8_cell_of(r->points[p])].place = (uint16_t)p;
    size_t used = 0;
    for (int number = 0; number < WS_GRID8_CELLS; number++) {
        uint8_t distance[MAX_POINTS];
        const uint8_t *a = low[number % HALF], *b = high[number / HALF];
        for (size_t p = 0; p < r->n_points; p++) distance[p] = (uint8_t)(a[p] + b[p]);
        ws_grid8_cell *cell = &r->cells[number];
        cell->first = (uint32_t)used;
        if (next_distance(distance, r->n_points, 0) == 0) continue;
        cell->count = (uint16_t)fill_list(r->neighbours + used, r, distance);
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
