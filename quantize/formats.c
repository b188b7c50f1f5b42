/* formats.c - picks the conversions of the widest instruction set that is compiled in and allowed. */
#include "formats.h"

#include "cpu.h"

/* The tables that formats/table.c makes in each build. */
extern const ws_format ws_formats_c[WS_TYPE_COUNT], ws_formats_avx2[WS_TYPE_COUNT], ws_formats_avx512[WS_TYPE_COUNT],
    ws_formats_neon[WS_TYPE_COUNT];

/* Widest first. */
static const struct {
    uint32_t needs;
    const ws_format *formats;
} isas[] = {
#ifdef WS_HAVE_avx512
    {WS_CPU_AVX2 | WS_CPU_AVX512, ws_formats_avx512},
#endif
#ifdef WS_HAVE_avx2
    {WS_CPU_AVX2, ws_formats_avx2},
#endif
#ifdef WS_HAVE_neon
    {WS_CPU_NEON, ws_formats_neon},
#endif
    {0, ws_formats_c},
};

const ws_format *ws_format_get(ws_dtype type, uint32_t cpu_flags) {
    if ((unsigned)type >= WS_TYPE_COUNT) return NULL;
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        const ws_format *format = &isas[i].formats[type];
        if ((isas[i].needs & cpu_flags) == isas[i].needs && format->to_float) return format;
    }
    return NULL;
}
