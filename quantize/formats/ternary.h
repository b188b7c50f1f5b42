/* ternary.h - quants that are x over the largest magnitude, rounded to -1, 0, 1 (halves away from zero), plus 1. */
#ifndef WS_TERNARY_H
#define WS_TERNARY_H

#include "kernels.h"

/* A sum of quants, with that of `scaled` times `place` added. The first bound is the float below 0.5. */
V_INLINE vu32 ternary_add(vu32 sum, vf32 scaled, uint32_t place) {
    return vu_add_lt(vu_add_lt(sum, v_set(0x1.fffffep-2f), scaled, place), v_set(-0.5f), scaled, place);
}

#endif
