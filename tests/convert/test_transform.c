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

/* Rows of a matrix, as they are. */
static ws_view plain(uint64_t columns) { return (ws_view){.row = columns, .column = 1}; }

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
    static const uint64_t want[] = {0, 2, 1, 3, 4, 6, 5, 7}, one_head[] = {0, 3, 1, 4, 2, 5};
    for (uint64_t r = 0; r < 8; r++) cr_expect_eq(ws_view_permuted_row(r, 8, 2), want[r]);
    for (uint64_t r = 0; r < 6; r++) cr_expect_eq(ws_view_permuted_row(r, 6, 1), one_head[r]);
}

/* The numbers 0, 1, 2, ... of a source of the shape that the transform asks for, transformed. */
static collected run_numbers(ws_transform transform, const uint64_t ne[WS_MAX_DIMS], uint32_t n_dims, ws_st_dtype dtype,
                             const ws_hparams *hp) {
    static float values[64];
    static uint16_t halves[64];
    ws_plan_item item = {.transform = transform, .type = WS_TYPE_F32, .n_dims = n_dims};
    memcpy(item.ne, ne, sizeof item.ne);
    const ws_view_source want = ws_view_make(transform, ne, n_dims, hp);
    ws_st_tensor src = {.dtype = dtype, .n_dims = want.n_dims};
    uint64_t n = 1, overflows;
    for (uint32_t d = 0; d < want.n_dims; d++) n *= src.shape[d] = want.shape[d];
    cr_assert_leq(n, 64);
    for (size_t i = 0; i < n; i++) values[i] = (float)i, halves[i] = ws_f32_to_f16((float)i / 2048);
    src.data = dtype == WS_ST_F16 ? (const uint8_t *)halves : (const uint8_t *)values;
    src.bytes = n * ws_st_dtype_bits(dtype) / 8;
    item.source = &src, item.view = want.view;
    return run(&item, &overflows);
}

/* Two matrices (of experts or heads) of two rows and three columns, unless said otherwise. MLA: of three rows of a
 * head's kv_b, two make keys and one its value. */
static const struct {
    const char *what;
    ws_transform transform;
    uint32_t n_dims;
    uint64_t ne[WS_MAX_DIMS];
    float want[12];
} numbers[] = {
    {"copy", WS_COPY, 3, {3, 2, 2, 1}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
    {"a permuted bias", WS_PERMUTE_HEADS, 1, {8, 1, 1, 1}, {0, 2, 1, 3, 4, 6, 5, 7}},
    {"permuted rows", WS_PERMUTE_KV_HEADS, 2, {2, 4, 1, 1}, {0, 1, 4, 5, 2, 3, 6, 7}},
    {"one is added", WS_ADD_ONE, 1, {4, 1, 1, 1}, {1, 2, 3, 4}},
    {"transposed", WS_TRANSPOSE, 2, {3, 2, 1, 1}, {0, 2, 4, 1, 3, 5}},
    {"a transposed stack", WS_TRANSPOSE, 3, {3, 2, 2, 1}, {0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11}},
    {"first half", WS_FIRST_HALF, 3, {3, 2, 2, 1}, {0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17}},
    {"second half", WS_SECOND_HALF, 3, {3, 2, 2, 1}, {6, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22, 23}},
    {"even", WS_EVEN_COLUMNS, 2, {3, 2, 1, 1}, {0, 2, 4, 6, 8, 10}},
    {"odd", WS_ODD_COLUMNS, 2, {3, 2, 1, 1}, {1, 3, 5, 7, 9, 11}},
    {"even rows", WS_TRANSPOSE_EVEN, 3, {3, 2, 2, 1}, {0, 4, 8, 2, 6, 10, 12, 16, 20, 14, 18, 22}},
    {"odd rows", WS_TRANSPOSE_ODD, 3, {3, 2, 2, 1}, {1, 5, 9, 3, 7, 11, 13, 17, 21, 15, 19, 23}},
    {"keys", WS_LATENT_KEYS, 3, {2, 3, 2, 1}, {0, 3, 1, 4, 2, 5, 9, 12, 10, 13, 11, 14}},
    {"values", WS_LATENT_VALUES, 3, {3, 1, 2, 1}, {6, 7, 8, 15, 16, 17}},
};

Test(transform, every_transform_moves_numbers_to_their_place) {
    const ws_hparams hp = {.n_head = 2, .n_head_kv = 1, .kv_latent = 3, .n_rot = 4, .head_k_mla = 6, .head_v_mla = 1};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const uint64_t *ne = numbers[i].ne;
        const collected c = run_numbers(numbers[i].transform, ne, numbers[i].n_dims, WS_ST_F32, &hp);
        cr_assert_eq(c.n, ne[0] * ne[1] * ne[2] * sizeof(float), "%s", numbers[i].what);
        cr_expect_eq(memcmp(c.data, numbers[i].want, c.n), 0, "%s", numbers[i].what);
        free(c.data);
    }
}

/* Beyond 1, F16 has steps of 1/1024: sums are rounded to the next even one, as the reference's addition does. */
Test(transform, one_is_added_in_the_type_of_the_source) {
    const ws_hparams hp = {0};
    const collected c = run_numbers(WS_ADD_ONE, (const uint64_t[]){4, 1, 1, 1}, 1, WS_ST_F16, &hp);
    const float want[] = {1, 1, 1 + 1.0f / 1024, 1 + 2.0f / 1024};
    cr_expect_eq(memcmp(c.data, want, sizeof want), 0);
    free(c.data);
}

/* Two experts of two rows (the odd ones of four) and 64 columns: number i of a block is (row + i) % 16. */
Test(transform, packed_blocks_get_the_order_of_gguf) {
    enum { BLOCKS = 2 * 4 * 2 };
    uint8_t blocks[BLOCKS][16], scales[BLOCKS];
    for (unsigned b = 0; b < BLOCKS; b++) {
        scales[b] = (uint8_t)(100 + b);
        for (unsigned i = 0; i < 16; i++) blocks[b][i] = (uint8_t)((b + 2 * i) % 16 | (b + 2 * i + 1) % 16 << 4);
    }
    const ws_st_tensor source = {
        .dtype = WS_ST_U8, .n_dims = 4, .shape = {2, 4, 2, 16}, .bytes = sizeof blocks, .data = blocks[0]};
    const ws_st_tensor scale = {
        .dtype = WS_ST_U8, .n_dims = 3, .shape = {2, 4, 2}, .bytes = sizeof scales, .data = scales};
    ws_plan_item item = {.source = &source, .scales = &scale, .type = WS_TYPE_MXFP4, .n_dims = 3, .ne = {64, 2, 2, 1}};
    const ws_view_source want = ws_view_make(WS_MXFP4_ODD, item.ne, 3, &(ws_hparams){0});
    cr_assert_arr_eq(want.shape, source.shape, sizeof want.shape);
    item.view = want.view;
    uint64_t overflows;
    const collected c = run(&item, &overflows);
    static const unsigned from[] = {2, 3, 6, 7, 10, 11, 14, 15}; /* blocks of odd rows */
    cr_assert_eq(c.n, 8 * 17);
    for (unsigned k = 0; k < 8; k++) {
        const uint8_t *to = (const uint8_t *)c.data + k * 17;
        cr_expect_eq(to[0], 100 + from[k]);
        for (unsigned i = 0; i < 16; i++) cr_expect_eq(to[1 + i], (from[k] + i) % 16 | (from[k] + i + 16) % 16 << 4);
    }
    uint8_t part[17];
    ws_transform_part(&item, 0, 5 * 32, 32, part);
    cr_expect_arr_eq(part, (const uint8_t *)c.data + 5 * 17, 17);
    free(c.data);
}

Test(transform, experts_follow_each_other) {
    const float first[] = {0, 1, 2, 3}, second[] = {4, 5, 6, 7};
    const ws_st_tensor sources[] = {
        {.dtype = WS_ST_F32, .n_dims = 2, .shape = {2, 2}, .bytes = sizeof first, .data = (const uint8_t *)first},
        {.dtype = WS_ST_F32, .n_dims = 2, .shape = {2, 2}, .bytes = sizeof second, .data = (const uint8_t *)second}};
    const ws_st_tensor *experts[] = {&sources[1], &sources[0]};
    ws_plan_item item = {
        .source = experts[0], .experts = experts, .type = WS_TYPE_F32, .n_dims = 3, .ne = {2, 2, 2, 1}};
    item.view = ws_view_make(WS_STACK, item.ne, 3, &(ws_hparams){0}).view;
    uint64_t overflows;
    const collected c = run(&item, &overflows);
    cr_assert_eq(c.n, sizeof first + sizeof second);
    cr_expect_eq(memcmp(c.data, second, sizeof second), 0);
    cr_expect_eq(memcmp(c.data + sizeof second, first, sizeof first), 0);
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
        .source = &src, .view = plain(columns), .type = to, .n_dims = 2, .ne = {columns, rows, 1, 1}};
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
    const ws_plan_item item = {.source = &src, .view = plain(4), .type = WS_TYPE_F32, .n_dims = 1, .ne = {4, 1, 1, 1}};
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
    ws_plan_item item = {.source = &src, .view = plain(6), .type = WS_TYPE_F16, .n_dims = 2, .ne = {6, 1, 1, 1}};
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
    const ws_plan_item item = {.source = &src, .view = plain(4), .type = WS_TYPE_BF16, .n_dims = 2, .ne = {4, 1, 1, 1}};
    uint64_t overflows;
    const collected c = run(&item, &overflows);
    const uint16_t want[] = {0x7fc1, 0xff80, 0x3f80, 0xffc1};
    cr_expect_eq(memcmp(c.data, want, sizeof want), 0);
    free(c.data);
}
