/* x86_avxvnni.c - quantized rows for vpdpbusd in registers of 8 lanes (AVX-VNNI: processors that have it without
 * AVX-512), which adds four products of an unsigned and a signed byte to each of 8 sums. Decoding is AVX2's. Compiled
 * for AVX-512 with VNNI and VL, the same instruction has another name and encoding: the tests run it so. */
#include "x86_lanes256.h"

#ifdef __AVXVNNI__
#define DPBUSD(sum, w, x) _mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(w), (__m256i)(x))
#else
#define DPBUSD(sum, w, x) _mm256_dpbusd_epi32((__m256i)(sum), (__m256i)(w), (__m256i)(x))
#endif

/* ---- products of panels ---- */

#define V(op) _mm256_##op
#define VF    __m256
#define N_VEC 2
enum { VEC_ROWS = WS_LANES / N_VEC, TILE = 4 };

typedef struct {
    bool halves, min;
} sum_form;

/* Sums of quant times activation over columns 16 first to 16 end, as floats. */
INLINE void sum_panel(const ws_panel *panel, const ws_q8_cell *x, const int tile, const int first, const int end,
                      VF out[][N_VEC], const int n, const sum_form f) {
    u32s sum[TILE][N_VEC];
    const ws_q8_cell *bias = x + (f.halves ? WS_Q8_BIAS16 + first : WS_Q8_BIAS) * tile;
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) sum[t][v] = all_32(bias + t);
    UNROLL for (int g = 4 * first; g < 4 * end; g++) {
        u8s w[N_VEC];
        memcpy(w, panel->q[g], sizeof w);
        UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) sum[t][v] =
            (u32s)DPBUSD(sum[t][v], w[v], all_32(x + g * tile + t));
    }
    UNROLL for (int t = 0; t < n; t++) UNROLL for (int v = 0; v < N_VEC; v++) out[t][v] =
        _mm256_cvtepi32_ps((__m256i)sum[t][v]);
}

#include "x86_panels.h"

static void mul_whole(const ws_panel_job *job) { mul_all(job, (sum_form){false, false}); }
static void mul_whole_min(const ws_panel_job *job) { mul_all(job, (sum_form){false, true}); }
static void mul_halves(const ws_panel_job *job) { mul_all(job, (sum_form){true, false}); }
static void mul_halves_min(const ws_panel_job *job) { mul_all(job, (sum_form){true, true}); }

/* ---- blocks of quantized rows ---- */

enum { WIDE_LOW = -WS_BIAS };

typedef struct {
    u32s sum;
} dots;

INLINE dots open_dots(const ws_q8_cell *bias, const int low) {
    return (dots){low ? (u32s)((i32s)all_32(bias) >> (7 - __builtin_ctz((unsigned)-low))) : WORDS(0)};
}

INLINE void add_dots(dots *d, u8s q, const ws_q8_cell *x, const int adds) {
    (void)adds;
    d->sum = (u32s)DPBUSD(d->sum, q, all_32(x));
}

INLINE void add_signed_dots(dots *d, u8s magnitudes, u8s minus, const ws_q8_cell *x, const int adds) {
    (void)adds;
    d->sum = (u32s)DPBUSD(d->sum, magnitudes, _mm256_sign_epi8((__m256i)all_32(x), (__m256i)(minus | BYTES(1))));
}

INLINE f32s close_dots(dots *d) { return __builtin_convertvector((i32s)d->sum, f32s); }

#include "block_table.h"

void ws_kernels_init_avxvnni(ws_kernels *k) {
    static void (*const mul[2][2])(const ws_panel_job *) = {{mul_whole, mul_whole_min}, {mul_halves, mul_halves_min}};
    for (int type = 0; type < WS_TYPE_COUNT; type++) {
        ws_panel_kernel *p = &k->panel[type];
        if (p->decode) p->mul = mul[p->form.halves][p->form.min];
    }
    singles_init(k);
}
