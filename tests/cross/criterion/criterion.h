/* criterion.h - as much of Criterion as tests of kernels use, for programs that run in an emulator without any library:
 * each Test runs when the program starts, in its process; the first assertion that fails ends it. main() is the
 * includer's. */
#ifndef WS_CROSS_CRITERION_H
#define WS_CROSS_CRITERION_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define Test(suite, name)                                                                                              \
    static void suite##_##name(void);                                                                                  \
    __attribute__((constructor)) static void run_##suite##_##name(void) {                                              \
        suite##_##name();                                                                                              \
        printf("ok  %s: %s\n", #suite, #name);                                                                         \
        fflush(stdout);                                                                                                \
    }                                                                                                                  \
    static void suite##_##name(void)

#define cr_assert(condition, ...)                                                                                      \
    do {                                                                                                               \
        if (condition) break;                                                                                          \
        printf("WRONG  %s:%d: %s;", __FILE__, __LINE__, #condition);                                                   \
        printf(" " __VA_ARGS__);                                                                                       \
        printf("\n");                                                                                                  \
        exit(1);                                                                                                       \
    } while (0)
#define cr_assert_eq(a, b, ...)              cr_assert((a) == (b), __VA_ARGS__)
#define cr_assert_neq(a, b, ...)             cr_assert((a) != (b), __VA_ARGS__)
#define cr_assert_leq(a, b, ...)             cr_assert((a) <= (b), __VA_ARGS__)
#define cr_assert_geq(a, b, ...)             cr_assert((a) >= (b), __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...)       cr_assert(memcmp(a, b, n) == 0, __VA_ARGS__)
#define cr_assert_float_eq(a, b, error, ...) cr_assert(fabs((double)(a) - (double)(b)) <= (error), __VA_ARGS__)

#endif
