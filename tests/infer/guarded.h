/* guarded.h - memory whose end touches a page that cannot be read, numbers from a seed, and the levels of kernels. */
#ifndef WS_TEST_GUARDED_H
#define WS_TEST_GUARDED_H

#include "cpu.h"
#include "kernels.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* n bytes; the byte after them faults. Never freed: tests are short processes. */
static inline void *guarded(size_t n) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (n + page - 1) / page * page;
    uint8_t *p = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(p, MAP_FAILED);
    cr_assert_eq(mprotect(p + whole, page, PROT_NONE), 0);
    return p + whole - n;
}

typedef struct {
    uint64_t state;
} test_random;

static inline uint32_t random_u32(test_random *r) {
    r->state ^= r->state << 13, r->state ^= r->state >> 7, r->state ^= r->state << 17;
    return (uint32_t)(r->state >> 32);
}

/* Uniform in [-1, 1). */
static inline float random_float(test_random *r) { return (float)(int32_t)random_u32(r) * 0x1p-31f; }

static inline void random_floats(test_random *r, float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = random_float(r);
}

/* x86_avxvnni.c compiled for AVX-512 (tests/CMakeLists.txt), where its instruction has another encoding. */
void ws_kernels_init_avxvnni_as_avx512(ws_kernels *k);

/* Levels of kernels that this machine has beyond plain C; calls fn for each. */
static inline void each_level(void (*fn)(const ws_kernels *c, const ws_kernels *k, const char *name)) {
    static const uint32_t levels[] = {WS_CPU_AVX2,
                                      WS_CPU_AVX2 | WS_CPU_AVXVNNI,
                                      WS_CPU_AVX2 | WS_CPU_AVX512,
                                      WS_CPU_AVX2 | WS_CPU_AVX512 | WS_CPU_VNNI,
                                      WS_CPU_AVX2 | WS_CPU_AVX512 | WS_CPU_VNNI | WS_CPU_BF16,
                                      WS_CPU_NEON,
                                      WS_CPU_NEON | WS_CPU_DOTPROD,
                                      WS_CPU_NEON | WS_CPU_DOTPROD | WS_CPU_I8MM};
    const uint32_t have = ws_cpu_detect();
    ws_kernels c, k;
    ws_kernels_init(&c, 0);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if ((levels[i] & have) != levels[i]) continue;
        ws_kernels_init(&k, levels[i]);
        fn(&c, &k, ws_cpu_name(levels[i]));
    }
#ifdef __x86_64__
    if (!(have & WS_CPU_VNNI)) return;
    ws_kernels_init(&k, WS_CPU_AVX2);
    ws_kernels_init_avxvnni_as_avx512(&k);
    fn(&c, &k, "avxvnni, as AVX-512");
#endif
}

#endif
