/* treemap.h - rectangles whose areas are proportional to sizes, as near to squares as they can be. */
#ifndef WS_TREEMAP_H
#define WS_TREEMAP_H

#include <stddef.h>

typedef struct {
    double x, y, w, h;
} ws_rect;

/* n positive sizes, the largest first, into `area`; out has n entries. Squarified treemaps (Bruls, Huizing and van
 * Wijk, 2000): rows along the shorter side, each as long as that makes its worst rectangle better. */
void ws_treemap(const double *sizes, size_t n, ws_rect area, ws_rect *out);

#endif
