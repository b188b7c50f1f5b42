/* cpu.h - which instructions this processor (and its operating system) allows, or WS_CPU tells us to pretend. */
#ifndef WS_CPU_H
#define WS_CPU_H

#include "error.h"

#include <stdint.h>

enum {
    WS_CPU_AVX2 = 1,     /* AVX2, FMA and F16C together (every AVX2 processor has all three) */
    WS_CPU_AVX512 = 2,   /* F, BW, DQ, VL (Skylake-X and later) */
    WS_CPU_NEON = 4,     /* every 64-bit ARM processor */
    WS_CPU_VNNI = 8,     /* AVX-512's 8-bit products (Ice Lake, Zen 4 and later) */
    WS_CPU_BF16 = 16,    /* AVX-512's products of BF16 (Cooper Lake, Sapphire Rapids, Zen 4 and later) */
    WS_CPU_AVXVNNI = 32, /* the same 8-bit products in registers of AVX2 (Alder Lake and later, Zen 5) */
    WS_CPU_DOTPROD = 64, /* ARM's 8-bit products (Cortex-A75, Apple A13 and later) */
    WS_CPU_I8MM = 128,   /* ARM's 8-bit products of matrices (Neoverse V1, Apple M2 and later) */
};

/* What is there, narrowed by the environment variable WS_CPU, a level of ws_cpu_name(). Asking for more than the
 * processor has, or for an unknown name, is WS_USAGE. */
WS_MUST_CHECK ws_status ws_cpu_flags(uint32_t *flags, ws_error *err);

uint32_t ws_cpu_detect(void); /* without the environment */
/* The best level in `flags`: "c"; "avx2", "avxvnni", "avx512", "vnni", "bf16"; "neon", "dotprod", "i8mm". */
const char *ws_cpu_name(uint32_t flags);
int ws_cpu_count(void); /* processors this process may use (affinity honoured), >= 1 */

#endif
