/* Rows, types and slices of a tensor on its way. */
#include "cpu.h"
#include "fp16.h"
#include "transform.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint8_t *data;
    size_t n, largest;
} collected;

static ws_status collect(void *ctx, const void *data, size_t bytes, ws_error *err) {
    collected *c = ctx;
    (void)err;
    c->data = realloc(c->data, c->n + bytes);
    cr_assert_not_null(c->data);
    memcpy(c->data + c->n, data, bytes);
    c->n += bytes;
    if (bytes > c->largest) c->largest = bytes;
    return WS_OK;
}

static collected run(const ws_plan_item *item, uint64_t *overflows) {
    collected c = {0};
    ws_map map = {item->source->data, item->source->bytes};
    const ws_safetensors weights = {.n_parts = 1, .parts = &map};
    const ws_transform_options opt = {&weights, ws_cpu_detect(), 3, collect, &c};
    ws_error err = {0};
    cr_assert_eq(ws_transform_run(item, &opt, overflows, &err), WS_OK, "%s", err.msg);
    return c;
}

/* Two heads of four rows: halves (0 1 | 2 3) become pairs (0 2, 1 3). */
Test(transform, halves_become_pairs) {
    static const uint64_t want[] = {0, 2, 1, 3, 4, 6, 5, 7};
    for (uint64_t r = 0; r < 8; r++) {
        cr_expect_eq(ws_transform_source_row(WS_PERMUTE_HEADS, r, 8, 2), want[r]);
        cr_expect_eq(ws_transform_source_row(WS_COPY, r, 8, 2), r);
    }
    static const uint64_t one_head[] = {0, 3, 1, 4, 2, 5};
    for (uint64_t r = 0; r < 6; r++) cr_expect_eq(ws_transform_source_row(WS_PERMUTE_KV_HEADS, r, 6, 1), one_head[r]);
}

Test(transform, biases_are_permuted_too) {
    const float values[] = {0, 1, 2, 3, 4, 5, 6, 7}, want[] = {0, 2, 1, 3, 4, 6, 5, 7};
    const ws_st_tensor src = {
        .dtype = WS_ST_F32, .n_dims = 1, .shape = {8}, .bytes = sizeof values, .data = (const uint8_t *)values};
    const ws_plan_item item = {.source = &src,
                               .transform = WS_PERMUTE_HEADS,
                               .n_heads = 2,
                               .type = WS_TYPE_F32,
                               .n_dims = 1,
                               .ne = {8, 1, 1, 1}};
    uint64_t overflows;
    const collected c = run(&item, &overflows);
    cr_assert_eq(c.n, sizeof want);
    cr_expect_eq(memcmp(c.data, want, sizeof want), 0);
    free(c.data);
}

/* Rows longer than a piece and tensors longer than a slice arrive whole and in order. */
static void check_big(ws_st_dtype from, ws_dtype to, uint64_t columns, uint64_t rows) {
    const size_t n = columns * rows, bytes = n * ws_st_dtype_bits(from) / 8;
    float *values = malloc(n * sizeof *values);
    uint16_t *halves = malloc(n * sizeof *halves);
    for (size_t i = 0; i < n; i++) {
        values[i] = (float)(i % 1021) / 16;
        halves[i] = ws_f32_to_f16(values[i]);
    }
    const ws_st_tensor src = {.dtype = from,
                              .n_dims = 2,
                              .shape = {rows, columns},
                              .bytes = bytes,
                              .data = from == WS_ST_F32 ? (const uint8_t *)values : (const uint8_t *)halves};
    const ws_plan_item item = {
        .source = &src, .transform = WS_COPY, .type = to, .n_dims = 2, .ne = {columns, rows, 1, 1}};
    uint64_t overflows;
    const collected c = run(&item, &overflows);
    const void *want = to == WS_TYPE_F32 ? (const void *)values : halves;
    cr_expect_eq(c.n, n * (to == WS_TYPE_F32 ? 4 : 2));
    cr_expect_eq(memcmp(c.data, want, c.n), 0, "%llu x %llu", (unsigned long long)columns, (unsigned long long)rows);
    cr_expect_leq(c.largest, (size_t)8 << 20);
    free(values);
    free(halves);
    free(c.data);
}

Test(transform, slices_are_bounded_and_in_order) {
    check_big(WS_ST_F32, WS_TYPE_F16, 20000, 70);
    check_big(WS_ST_F16, WS_TYPE_F32, 3, 400001);
    check_big(WS_ST_F16, WS_TYPE_F16, 8192, 300);
    check_big(WS_ST_F32, WS_TYPE_F32, 1500000, 1);
}

Test(transform, doubles_are_rounded) {
    const double values[] = {1.0 / 3, 1e300, -0.0, 1e-50};
    const ws_st_tensor src = {
        .dtype = WS_ST_F64, .n_dims = 1, .shape = {4}, .bytes = sizeof values, .data = (const uint8_t *)values};
    const ws_plan_item item = {
        .source = &src, .transform = WS_COPY, .type = WS_TYPE_F32, .n_dims = 1, .ne = {4, 1, 1, 1}};
    uint64_t overflows;
    const collected c = run(&item, &overflows);
    float have[4];
    memcpy(have, c.data, sizeof have);
    cr_expect(have[0] == 1.0f / 3 && isinf(have[1]) && have[2] == 0 && signbit(have[2]) && have[3] == 0);
    free(c.data);
}

Test(transform, values_beyond_f16_are_counted) {
    const float values[] = {65519.9f, 65520.0f, -1e9f, INFINITY, NAN, 0};
    const ws_st_tensor src = {
        .dtype = WS_ST_F32, .n_dims = 2, .shape = {1, 6}, .bytes = sizeof values, .data = (const uint8_t *)values};
    ws_plan_item item = {.source = &src, .transform = WS_COPY, .type = WS_TYPE_F16, .n_dims = 2, .ne = {6, 1, 1, 1}};
    uint64_t overflows;
    const collected c = run(&item, &overflows);
    cr_expect_eq(overflows, 2);
    free(c.data);
    item.type = WS_TYPE_BF16;
    free(run(&item, &overflows).data);
    cr_expect_eq(overflows, 0);
}

/* A bfloat16 NaN of the signalling kind leaves quiet, like the reference's, which goes through arithmetic. */
Test(transform, signalling_nans_become_quiet) {
    const uint16_t values[] = {0x7f81, 0xff80, 0x3f80, 0xffc1};
    const ws_st_tensor src = {
        .dtype = WS_ST_BF16, .n_dims = 2, .shape = {1, 4}, .bytes = sizeof values, .data = (const uint8_t *)values};
    const ws_plan_item item = {
        .source = &src, .transform = WS_COPY, .type = WS_TYPE_BF16, .n_dims = 2, .ne = {4, 1, 1, 1}};
    uint64_t overflows;
    const collected c = run(&item, &overflows);
    const uint16_t want[] = {0x7fc1, 0xff80, 0x3f80, 0xffc1};
    cr_expect_eq(memcmp(c.data, want, sizeof want), 0);
    free(c.data);
}
