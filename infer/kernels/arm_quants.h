/* arm_quants.h - a panel's quants in registers of NEON, and sums by dot(), for arm_blocks.h. */
#ifndef WS_ARM_QUANTS_H
#define WS_ARM_QUANTS_H

#include "arm_lanes.h"

#define N_VEC 4 /* registers of a panel's rows */
enum { VEC_ROWS = WS_LANES / N_VEC, TOKENS = 4 };

/* Columns 4 g .. 4 g + 3 of the rows of register v. */
INLINE int8x16_t panel_quants(const ws_panel *p, const int g, const int v) {
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p->q[g][v * ROWS]), vdupq_n_u8(WS_BIAS)));
}

/* Columns 4 g .. 4 g + 3 of four tokens. */
INLINE int8x16_t four_tokens(const ws_q8_cell *x, const int g, const int tile) {
    return vreinterpretq_s8_s32(vld1q_s32(&x[g * tile].i));
}

#endif
