#include "kernels.h"

#include "cpu.h"

/* Slowest first; a later row overwrites what it improves. */
static const struct {
    uint32_t needs;
    void (*init)(ws_kernels *k);
} isas[] = {
    {0, ws_kernels_init_c},
#ifdef WS_HAVE_avx2
    {WS_CPU_AVX2, ws_kernels_init_avx2},
#endif
#ifdef WS_HAVE_avxvnni
    {WS_CPU_AVX2 | WS_CPU_AVXVNNI, ws_kernels_init_avxvnni},
#endif
#ifdef WS_HAVE_avx512
    {WS_CPU_AVX2 | WS_CPU_AVX512, ws_kernels_init_avx512},
#endif
#ifdef WS_HAVE_vnni
    {WS_CPU_AVX2 | WS_CPU_AVX512 | WS_CPU_VNNI, ws_kernels_init_vnni},
#endif
#ifdef WS_HAVE_bf16
    {WS_CPU_AVX2 | WS_CPU_AVX512 | WS_CPU_BF16, ws_kernels_init_bf16},
#endif
#ifdef WS_HAVE_neon
    {WS_CPU_NEON, ws_kernels_init_neon},
#endif
#ifdef WS_HAVE_dotprod
    {WS_CPU_NEON | WS_CPU_DOTPROD, ws_kernels_init_dotprod},
#endif
#ifdef WS_HAVE_i8mm
    {WS_CPU_NEON | WS_CPU_DOTPROD | WS_CPU_I8MM, ws_kernels_init_i8mm},
#endif
};

void ws_kernels_init(ws_kernels *k, uint32_t cpu_flags) {
    *k = (ws_kernels){.cpu_flags = cpu_flags};
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        if ((isas[i].needs & cpu_flags) == isas[i].needs) isas[i].init(k);
}
