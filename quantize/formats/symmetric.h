/* symmetric.h - sub-blocks of 16 of the form x = scale * (q - qmax), q in 0..2 qmax - 1 (Q3_K, Q6_K). */
#ifndef WS_SYMMETRIC_H
#define WS_SYMMETRIC_H

#include "kernels.h"

/* A sub-block whose largest magnitude is below this counts as zero: scale 0, q = 0. */
#define WS_ZERO_BELOW 1e-15f

/* q - qmax for an element divided by its scale. */
V_INLINE vi32 symmetric_quant(vf32 scaled, int qmax) { return vi_clamp(v_nearest(scaled), -qmax, qmax - 1); }

/* What an assignment to int8_t leaves of an int. */
V_INLINE vi32 v_int8(vi32 v) { return (vi32)((vu32)v << 24) >> 24; }

#endif
