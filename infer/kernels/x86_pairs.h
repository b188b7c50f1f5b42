/* x86_pairs.h - products of panels by maddubs: one text, included by x86_avx2.c and x86_avx512.c with V (the prefix of
 * the intrinsics), VI, VF (register types), LOAD_I, ZERO_I, WITH_SIGN, N_VEC (registers for 16 lanes), VEC_ROWS (rows
 * in one) and TILE (tokens at a time) defined. Functions with constant arguments are inlined and unrolled, so that sums
 * stay in registers. */
#ifndef WS_X86_PAIRS_H
#define WS_X86_PAIRS_H

#include "inline.h"
#include "kernels.h"

#include <immintrin.h>
#include <string.h>

INLINE VI broadcast_32(const void *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return V(set1_epi32)(v);
}

/* maddubs adds two products of an unsigned and a signed byte, at most 2 * q * 127 in magnitude, and saturates at
 * 32767. `adds` such sums fit 16 bits: 8 of q <= 15 (30480), 4 of q <= 31 (31496), 2 of q <= 63 (32004), 1 of q <= 127.
 * Quants are shifted to 0..high - low for it, which their sums are corrected for by low * (sum of activations). Wider
 * quants are multiplied as magnitudes with signed activations: two products of 128 * 127 fit 16 bits, a third does not.
 */

typedef struct {
    bool halves, min;
    int low, adds; /* low is 0 or minus a power of two; adds = 0: wide quants */
} sum_form;

/* low * (sum of activations), of n tokens: the bias that they come with is -WS_BIAS * (that sum). */
INLINE VI first_sum(const ws_q8_cell *bias, const sum_form f) {
    return f.low == 0 ? ZERO_I : V(srai_epi32)(broadcast_32(bias), 7 - __builtin_ctz((unsigned)-f.low));
}

/* sum[t][v] = quant * activation over columns 16 first to 16 end of the panel. */
INLINE void sum_narrow(const ws_panel *panel, const ws_q8_cell *x, const int tile, const int first, const int end,
                       VI sum[][N_VEC], const int n, const sum_form f) {
    VI part[TILE][N_VEC];
    const VI ones = V(set1_epi16)(1), shift = V(set1_epi8)((char)(WS_BIAS + f.low));
    const int bias = f.halves ? WS_Q8_BIAS16 + first : WS_Q8_BIAS;
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) sum[t][v] =
        first_sum(x + bias * tile + t, f);
    UNROLL for (int g = 4 * first; g < 4 * end; g++) {
        VI w[N_VEC];
        UNROLL for (int v = 0; v < N_VEC; v++) w[v] = V(sub_epi8)(LOAD_I(panel->q[g][v * VEC_ROWS]), shift);
        UNROLL for (int t = 0; t < n; t++) {
            const VI xs = broadcast_32(x + g * tile + t);
            UNROLL for (int v = 0; v < N_VEC; v++) {
                const VI product = V(maddubs_epi16)(w[v], xs);
                part[t][v] = g % f.adds == 0 ? product : V(add_epi16)(part[t][v], product);
                if (g % f.adds == f.adds - 1) sum[t][v] = V(add_epi32)(sum[t][v], V(madd_epi16)(part[t][v], ones));
            }
        }
    }
}

INLINE void sum_wide(const ws_panel *panel, const ws_q8_cell *x, const int tile, const int first, const int end,
                     VI sum[][N_VEC], const int n) {
    const VI ones = V(set1_epi16)(1);
    UNROLL for (int g = 4 * first; g < 4 * end; g++) {
        VI w[N_VEC];
        UNROLL for (int v = 0; v < N_VEC; v++) w[v] =
            V(sub_epi8)(LOAD_I(panel->q[g][v * VEC_ROWS]), V(set1_epi8)((char)WS_BIAS));
        UNROLL for (int t = 0; t < n; t++) {
            const VI xs = broadcast_32(x + g * tile + t);
            UNROLL for (int v = 0; v < N_VEC; v++) {
                const VI product = V(maddubs_epi16)(V(abs_epi8)(w[v]), WITH_SIGN(xs, w[v]));
                const VI wide = V(madd_epi16)(product, ones);
                sum[t][v] = g == 4 * first ? wide : V(add_epi32)(sum[t][v], wide);
            }
        }
    }
}

/* The sums as floats. */
INLINE void sum_panel(const ws_panel *panel, const ws_q8_cell *x, const int tile, const int first, const int end,
                      VF out[][N_VEC], const int n, const sum_form f) {
    VI sum[TILE][N_VEC];
    if (f.adds)
        sum_narrow(panel, x, tile, first, end, sum, n, f);
    else
        sum_wide(panel, x, tile, first, end, sum, n);
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) out[t][v] = V(cvtepi32_ps)(sum[t][v]);
}

#include "x86_panels.h"

enum { ADDS_4_BIT = 8, ADDS_5_BIT = 4, ADDS_6_BIT = 2, ADDS_7_BIT = 1 };
#define MUL(name, halves, min, low, adds)                                                                              \
    static void name(const ws_panel_job *job) { mul_all(job, (sum_form){halves, min, low, adds}); }
MUL(mul_whole_8, false, false, -8, ADDS_4_BIT)
MUL(mul_whole_16, false, false, -16, ADDS_5_BIT)
MUL(mul_whole_64, false, false, -64, ADDS_7_BIT)
MUL(mul_whole_wide, false, false, 0, 0)
MUL(mul_min_4, false, true, 0, ADDS_4_BIT)
MUL(mul_min_5, false, true, 0, ADDS_5_BIT)
MUL(mul_halves_4, true, false, -4, ADDS_5_BIT)
MUL(mul_halves_32, true, false, -32, ADDS_6_BIT)
MUL(mul_halves_64, true, false, -64, ADDS_7_BIT)
MUL(mul_halves_wide, true, false, 0, 0)
MUL(mul_halves_min, true, true, 0, ADDS_5_BIT)
#undef MUL

/* The product for a form: the first row whose range holds the type's quants. */
static void (*panel_product(ws_panel_form form))(const ws_panel_job *job) {
    static const struct {
        ws_panel_form form;
        void (*mul)(const ws_panel_job *job);
    } products[] = {
        {{false, false, -8, 7}, mul_whole_8},    {{false, false, -16, 15}, mul_whole_16},
        {{false, false, -64, 63}, mul_whole_64}, {{false, false, -128, 127}, mul_whole_wide},
        {{false, true, 0, 15}, mul_min_4},       {{false, true, 0, 31}, mul_min_5},
        {{true, false, -4, 27}, mul_halves_4},   {{true, false, -32, 31}, mul_halves_32},
        {{true, false, -64, 63}, mul_halves_64}, {{true, false, -128, 127}, mul_halves_wide},
        {{true, true, 0, 31}, mul_halves_min},
    };
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        const ws_panel_form *f = &products[i].form;
        if (f->halves == form.halves && f->min == form.min && f->low <= form.low && f->high >= form.high)
            return products[i].mul;
    }
    return NULL;
}

static void panels_init(ws_kernels *k) {
    for (int type = 0; type < WS_TYPE_COUNT; type++)
        if (k->panel[type].decode) k->panel[type].mul = panel_product(k->panel[type].form);
}

#endif
