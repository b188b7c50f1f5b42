/* Errors, checked allocation, half precision, dtype facts, CPU levels, work sharing. */
#include "alloc.h"
#include "cpu.h"
#include "dtype.h"
#include "error.h"
#include "fp16.h"
#include "parallel.h"
#include "progress.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(error, carries_code_message_and_cause) {
    ws_error err = {0};
    cr_assert_eq(ws_fail(&err, WS_FORMAT, "tensor '%s' has %d dimensions", "x", 9), WS_FORMAT);
    cr_assert_str_eq(err.msg, "tensor 'x' has 9 dimensions");
    cr_assert_eq(ws_fail_in(&err, "'%s'", "a.gguf"), WS_FORMAT);
    cr_assert_str_eq(err.msg, "'a.gguf': tensor 'x' has 9 dimensions");
    errno = ENOENT;
    cr_assert_eq(ws_fail_errno(&err, "cannot open '%s'", "b"), WS_IO);
    cr_assert_str_eq(err.msg, "cannot open 'b': No such file or directory");
    cr_assert_eq(ws_fail(NULL, WS_NOMEM, "no place to write"), WS_NOMEM);
}

Test(error, long_messages_are_cut) {
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    ws_error err = {0};
    (void)ws_fail(&err, WS_IO, "%s", text);
    (void)ws_fail_in(&err, "%s", text);
    cr_assert_lt(strlen(err.msg), sizeof err.msg);
}

Test(error, exit_codes) {
    cr_assert_eq(ws_exit_code(WS_OK), 0);
    cr_assert_eq(ws_exit_code(WS_USAGE), 2);
    cr_assert_eq(ws_exit_code(WS_FORMAT), 1);
    cr_assert_eq(ws_exit_code(WS_LIMIT), 1);
}

Test(alloc, refuses_what_does_not_fit) {
    ws_error err = {0};
    cr_assert_null(ws_alloc(SIZE_MAX / 2, 4, "a test", &err));
    cr_assert_eq(err.code, WS_NOMEM);
    cr_assert_null(ws_alloc_aligned(SIZE_MAX / 2, 4, "a test", &err));
    void *none = ws_alloc(0, 4, "nothing", &err);
    cr_assert_not_null(none);
    free(none);
}

Test(alloc, grow_keeps_content) {
    ws_error err = {0};
    int *a = NULL;
    size_t cap = 0;
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(ws_grow(&a, &cap, (size_t)i + 1, sizeof *a, &err), WS_OK);
        a[i] = i;
    }
    for (int i = 0; i < 1000; i++) cr_assert_eq(a[i], i);
    cr_assert_eq(ws_grow(&a, &cap, SIZE_MAX / 2, sizeof *a, &err), WS_NOMEM);
    free(a);
}

Test(fp16, every_half_survives_the_round_trip) {
    for (uint32_t h = 0; h < 65536; h++) {
        const float f = ws_f16_to_f32((uint16_t)h);
        const uint16_t back = ws_f32_to_f16(f);
        if (isnan(f))
            cr_assert_eq(back & 0x7e00, 0x7e00);
        else
            cr_assert_eq(back, h, "half %04x came back as %04x", h, back);
    }
}

/* Halfway between two halves goes to the even one; a hair beside it to the nearer. */
Test(fp16, rounds_to_nearest_even) {
    for (uint32_t h = 0; h < 0x7c00; h++) {
        const float a = ws_f16_to_f32((uint16_t)h);
        const float b = h == 0x7bff ? 65536.0f : ws_f16_to_f32((uint16_t)(h + 1));
        const float middle = a + (b - a) / 2;
        cr_assert_eq(ws_f32_to_f16(middle), h & 1 ? h + 1 : h);
        cr_assert_eq(ws_f32_to_f16(nextafterf(middle, 0)), h);
        cr_assert_eq(ws_f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
    }
}

Test(fp16, bfloat16_rounds_to_nearest_even) {
    cr_assert_eq(ws_f32_to_bf16(1.0f), 0x3f80);
    cr_assert_eq(ws_f32_to_bf16(ws_f32_from_bits(0x3f808000)), 0x3f80);
    cr_assert_eq(ws_f32_to_bf16(ws_f32_from_bits(0x3f818000)), 0x3f82);
    cr_assert_eq(ws_f32_to_bf16(ws_f32_from_bits(0x3f808001)), 0x3f81);
    cr_assert(isnan(ws_bf16_to_f32(ws_f32_to_bf16(NAN))));
    cr_assert_eq(ws_f32_to_bf16(3.4e38f), 0x7f80, "rounds up to infinity");
}

Test(dtype, facts) {
    ws_dtype t;
    uint64_t bytes;
    cr_assert(ws_dtype_by_name(&t, "q4_k") && t == WS_TYPE_Q4_K);
    cr_assert_not(ws_dtype_by_name(&t, "q4_k_m"));
    cr_assert(ws_dtype_bytes(WS_TYPE_Q6_K, 512, &bytes) && bytes == 420);
    cr_assert_not(ws_dtype_bytes(WS_TYPE_Q6_K, 100, &bytes), "no whole block");
    cr_assert_not(ws_dtype_bytes(WS_TYPE_F64, UINT64_MAX, &bytes), "overflow");
    cr_assert_null(ws_dtype_get(4), "a number that the format no longer uses");
    cr_assert_null(ws_dtype_get(UINT32_MAX));
}

Test(cpu, environment_narrows_and_never_widens) {
    ws_error err = {0};
    uint32_t flags;
    setenv("WS_CPU", "c", 1);
    cr_assert_eq(ws_cpu_flags(&flags, &err), WS_OK);
    cr_assert_eq(flags, 0);
    setenv("WS_CPU", "pentium", 1);
    cr_assert_eq(ws_cpu_flags(&flags, &err), WS_USAGE);
    if (!(ws_cpu_detect() & WS_CPU_NEON)) {
        setenv("WS_CPU", "neon", 1);
        cr_assert_eq(ws_cpu_flags(&flags, &err), WS_USAGE);
    }
    unsetenv("WS_CPU");
    cr_assert_eq(ws_cpu_flags(&flags, &err), WS_OK);
    cr_assert_eq(flags, ws_cpu_detect());
}

typedef struct {
    int seen[1000];
    int max_thread;
} visits;

static void visit(void *ctx, size_t begin, size_t end, int thread) {
    visits *v = ctx;
    for (size_t i = begin; i < end; i++) v->seen[i]++;
    if (thread >= 3) v->max_thread = thread;
}

Test(parallel, every_item_once) {
    for (size_t n = 0; n <= 1000; n += 37)
        for (size_t grain = 1; grain < 300; grain *= 7) {
            visits v = {0};
            ws_parallel_for(n, grain, 3, visit, &v);
            for (size_t i = 0; i < 1000; i++) cr_assert_eq(v.seen[i], i < n);
            cr_assert_eq(v.max_thread, 0, "a thread number beyond the team");
        }
}

Test(progress, units) {
    char buf[24];
    cr_assert_str_eq(ws_format_bytes(buf, 12), "12 B");
    cr_assert_str_eq(ws_format_bytes(buf, 1536), "1.50 KiB");
    cr_assert_str_eq(ws_format_bytes(buf, 5.5 * (1 << 30)), "5.50 GiB");
    cr_assert_str_eq(ws_format_seconds(buf, 0.127), "0.13 s");
    cr_assert_str_eq(ws_format_seconds(buf, 59.2), "59 s");
    cr_assert_str_eq(ws_format_seconds(buf, 61), "1:01");
    cr_assert_str_eq(ws_format_seconds(buf, 3723), "1:02:03");
}
