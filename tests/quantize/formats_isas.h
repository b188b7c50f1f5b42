/* formats_isas.h - the instruction sets that the formats are tested in, and buffers between guard pages. */
#ifndef WS_TESTS_FORMATS_ISAS_H
#define WS_TESTS_FORMATS_ISAS_H

#include "cpu.h"
#include "formats_data.h"

#include <criterion/criterion.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef WS_HAVE_wide
extern const ws_format ws_formats_wide[WS_TYPE_COUNT];
#endif

static inline const ws_format *get_c(ws_dtype type) { return ws_format_get(type, 0); }
static inline const ws_format *get_avx2(ws_dtype type) { return ws_format_get(type, WS_CPU_AVX2); }
static inline const ws_format *get_avx512(ws_dtype type) { return ws_format_get(type, WS_CPU_AVX2 | WS_CPU_AVX512); }
static inline const ws_format *get_neon(ws_dtype type) { return ws_format_get(type, WS_CPU_NEON); }
#ifdef WS_HAVE_wide
/* Sixteen lanes in operators: runs everywhere. */
static inline const ws_format *get_wide(ws_dtype type) { return &ws_formats_wide[type]; }
#endif

static const struct {
    const char *name;
    const ws_format *(*get)(ws_dtype type);
    uint32_t needs;
} isas[] = {
#ifdef WS_HAVE_wide
    {"wide", get_wide, 0},
#endif
    {"avx2", get_avx2, WS_CPU_AVX2},
    {"avx512", get_avx512, WS_CPU_AVX2 | WS_CPU_AVX512},
    {"neon", get_neon, WS_CPU_NEON},
};
enum { N_ISAS = sizeof isas / sizeof *isas };

static inline bool at_hand(size_t isa) { return (isas[isa].needs & ws_cpu_detect()) == isas[isa].needs; }

/* `size` bytes between two pages that cannot be touched, at the very end or the very beginning of what is between. */
typedef struct {
    uint8_t *base, *data;
    size_t mapped;
} guarded;

static inline guarded guarded_new(size_t size, bool at_end) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (size + page - 1) / page * page;
    guarded g = {.mapped = inner + 2 * page};
    g.base = mmap(NULL, g.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(g.base, (uint8_t *)MAP_FAILED);
    cr_assert_eq(mprotect(g.base + page, inner ? inner : page, inner ? PROT_READ | PROT_WRITE : PROT_NONE), 0);
    g.data = g.base + page + (at_end ? inner - size : 0);
    return g;
}

static inline void guarded_free(guarded *g) { munmap(g->base, g->mapped); }

#endif
