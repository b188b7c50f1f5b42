/* Compiled without instruction-set flags: this code must run on every processor of the family. */
#include "cpu.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif
#ifdef __x86_64__
#include <cpuid.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

/* Slowest first; a level includes those before it on the same processor family. */
static const struct {
    const char *name;
    uint32_t flags;
} levels[] = {
    {"c", 0},
    {"avx2", WS_CPU_AVX2},
    {"avxvnni", WS_CPU_AVX2 | WS_CPU_AVXVNNI},
    {"avx512", WS_CPU_AVX2 | WS_CPU_AVX512},
    {"vnni", WS_CPU_AVX2 | WS_CPU_AVX512 | WS_CPU_VNNI},
    {"bf16", WS_CPU_AVX2 | WS_CPU_AVX512 | WS_CPU_VNNI | WS_CPU_BF16},
    {"neon", WS_CPU_NEON},
    {"dotprod", WS_CPU_NEON | WS_CPU_DOTPROD},
    {"i8mm", WS_CPU_NEON | WS_CPU_DOTPROD | WS_CPU_I8MM},
};
enum { N_LEVELS = sizeof levels / sizeof levels[0] };

#ifdef __x86_64__
/* clang 14 refuses __builtin_cpu_supports("f16c"): CPUID leaf 1, ECX bit 29. The builtin for AVX2 has already
 * asked whether the operating system saves the registers. */
static int has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}

/* CPUID leaf 7, sub-leaf 1, EAX bit 4; compilers of today have no name for it yet. */
static int has_avxvnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
#endif

#if defined(__aarch64__) && defined(__linux__)
/* Bits of the kernel's interface (arch/arm64/include/uapi/asm/hwcap.h), which old headers lack. */
static int has_dotprod(void) { return getauxval(AT_HWCAP) >> 20 & 1; }
static int has_i8mm(void) { return getauxval(AT_HWCAP2) >> 13 & 1; }
#elif defined(__aarch64__) && defined(__APPLE__)
static int has_feature(const char *name) {
    int has = 0;
    size_t size = sizeof has;
    return sysctlbyname(name, &has, &size, NULL, 0) == 0 && has;
}
static int has_dotprod(void) { return has_feature("hw.optional.arm.FEAT_DotProd"); }
static int has_i8mm(void) { return has_feature("hw.optional.arm.FEAT_I8MM"); }
#elif defined(__aarch64__)
static int has_dotprod(void) { return 0; }
static int has_i8mm(void) { return 0; }
#endif

uint32_t ws_cpu_detect(void) {
    uint32_t flags = 0;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c()) flags |= WS_CPU_AVX2;
    if (flags && has_avxvnni()) flags |= WS_CPU_AVXVNNI;
    if (flags && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        flags |= WS_CPU_AVX512;
    if ((flags & WS_CPU_AVX512) && __builtin_cpu_supports("avx512vnni")) flags |= WS_CPU_VNNI;
    if ((flags & WS_CPU_VNNI) && __builtin_cpu_supports("avx512bf16")) flags |= WS_CPU_BF16;
#elif defined(__aarch64__)
    flags |= WS_CPU_NEON; /* part of the base architecture */
    if (has_dotprod()) flags |= WS_CPU_DOTPROD;
    if ((flags & WS_CPU_DOTPROD) && has_i8mm()) flags |= WS_CPU_I8MM;
#endif
    return flags;
}

ws_status ws_cpu_flags(uint32_t *flags, ws_error *err) {
    *flags = ws_cpu_detect();
    const char *forced = getenv("WS_CPU");
    if (!forced || !*forced) return WS_OK;
    for (size_t i = 0; i < N_LEVELS; i++) {
        if (strcmp(forced, levels[i].name) != 0) continue;
        if ((levels[i].flags & *flags) != levels[i].flags)
            return ws_fail(err, WS_USAGE, "WS_CPU=%s: this processor has %s only", forced, ws_cpu_name(*flags));
        *flags = levels[i].flags;
        return WS_OK;
    }
    return ws_fail(err, WS_USAGE,
                   "WS_CPU=%s is unknown; use c, avx2, avxvnni, avx512, vnni, bf16, neon, dotprod or i8mm", forced);
}

const char *ws_cpu_name(uint32_t flags) {
    const char *name = levels[0].name;
    for (size_t i = 0; i < N_LEVELS; i++)
        if ((levels[i].flags & flags) == levels[i].flags && levels[i].flags) name = levels[i].name;
    return name;
}

int ws_cpu_count(void) {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}
