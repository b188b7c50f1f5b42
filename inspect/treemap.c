#include "treemap.h"

/* The worst ratio of sides in a row along `side`, of rectangles from `most` down to `least` with `sum` in all (areas).
 */
static double worst(double side, double most, double least, double sum) {
    const double s2 = sum * sum, side2 = side * side;
    const double wide = side2 * most / s2, tall = s2 / (side2 * least);
    return wide > tall ? wide : tall;
}

/* How many of the first rectangles make the best row; *sum: their sizes. */
static size_t choose_row(const double *sizes, size_t n, double side, double scale, double *sum) {
    size_t k = 1;
    *sum = sizes[0];
    while (k < n) {
        const double now = worst(side, sizes[0] * scale, sizes[k - 1] * scale, *sum * scale);
        const double longer = worst(side, sizes[0] * scale, sizes[k] * scale, (*sum + sizes[k]) * scale);
        if (longer > now) break;
        *sum += sizes[k++];
    }
    return k;
}

/* Along the left or the upper side of *area, which shrinks by it. */
static void place_row(const double *sizes, size_t k, double sum, double scale, ws_rect *area, ws_rect *out) {
    const int upright = area->w >= area->h;
    const double side = upright ? area->h : area->w, depth = side > 0 ? sum * scale / side : 0;
    double at = 0;
    for (size_t i = 0; i < k; i++) {
        const double length = side * sizes[i] / sum;
        out[i] =
            upright ? (ws_rect){area->x, area->y + at, depth, length} : (ws_rect){area->x + at, area->y, length, depth};
        at += length;
    }
    if (upright)
        area->x += depth, area->w -= depth;
    else
        area->y += depth, area->h -= depth;
}

void ws_treemap(const double *sizes, size_t n, ws_rect area, ws_rect *out) {
    double total = 0;
    for (size_t i = 0; i < n; i++) total += sizes[i];
    const double scale = total > 0 ? area.w * area.h / total : 0;
    for (size_t i = 0; i < n;) {
        double sum;
        const size_t k = choose_row(sizes + i, n - i, area.w < area.h ? area.w : area.h, scale, &sum);
        place_row(sizes + i, k, sum, scale, &area, out + i);
        i += k;
    }
}
