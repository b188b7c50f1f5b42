/* Every conversion of every instruction set at hand against the definition (one lane, plain C), byte for byte; the
 * definition against known answers. */
#include "formats_isas.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float input[DATA_FLOATS], weights[DATA_FLOATS], floats[DATA_FLOATS], expected_floats[DATA_FLOATS];
static uint8_t bytes[DATA_BYTES], expected_bytes[DATA_BYTES];

/* A quantizer under test: of a type, with or without importance matrix. */
typedef struct {
    ws_dtype type;
    bool weighted;
    const ws_dtype_info *info;
    const ws_format *c;
    size_t n_blocks; /* in `input` */
    uint64_t checksum;
    char name[32];
} test_case;

static test_case cases[2 * DATA_CHECKSUMS];

static size_t find_cases(void) {
    size_t n = 0;
    for (int i = 0; i < 2 * DATA_CHECKSUMS; i++) {
        const ws_dtype type = data_checksums[i / 2].type;
        const ws_dtype_info *info = ws_dtype_get(type);
        const ws_format *c = ws_format_get(type, 0);
        const bool weighted = i % 2;
        if (!c || (weighted ? !c->from_float_weighted : !c->from_float)) continue;
        cases[n] = (test_case){.type = type,
                               .weighted = weighted,
                               .info = info,
                               .c = c,
                               .n_blocks = DATA_FLOATS / info->block_elements,
                               .checksum = weighted ? data_checksums[i / 2].weighted : data_checksums[i / 2].plain};
        if (weighted) cases[n].n_blocks -= cases[n].n_blocks % DATA_ROW_BLOCKS;
        snprintf(cases[n].name, sizeof cases[n].name, "%s%s", info->name, weighted ? " with weights" : "");
        n++;
    }
    return n;
}

/* n blocks; with weights in rows of 7, where those are filled, else in one row. */
static void quantize(const test_case *t, const ws_format *f, const float *x, void *y, size_t n) {
    const bool rows = n % DATA_ROW_BLOCKS == 0;
    if (t->weighted)
        f->from_float_weighted(x, weights, y, rows ? n / DATA_ROW_BLOCKS : 1, rows ? DATA_ROW_BLOCKS : n);
    else
        f->from_float(x, y, n);
}

static void fill(int pattern) {
    data_fill(input, DATA_FLOATS, pattern);
    data_fill_weights(weights, DATA_FLOATS, pattern);
}

Test(formats, known_answers) {
    for (size_t i = 0, n = find_cases(); i < n; i++) {
        const uint64_t sum = data_checksum(cases[i].c, cases[i].info, cases[i].weighted, input, floats, bytes);
        cr_expect_eq(sum, cases[i].checksum, "%s: 0x%016llx", cases[i].name, (unsigned long long)sum);
    }
}

static void check_pattern(const test_case *t, const ws_format *f, const char *isa, int pattern) {
    fill(pattern);
    quantize(t, t->c, input, expected_bytes, t->n_blocks);
    quantize(t, f, input, bytes, t->n_blocks);
    cr_expect_arr_eq(bytes, expected_bytes, t->n_blocks * t->info->block_bytes, "%s %s, %s: bytes differ", t->name, isa,
                     data_patterns[pattern].name);
    t->c->to_float(expected_bytes, expected_floats, t->n_blocks);
    f->to_float(expected_bytes, floats, t->n_blocks);
    cr_expect_arr_eq(floats, expected_floats, t->n_blocks * t->info->block_elements * sizeof *floats,
                     "%s %s, %s: floats differ", t->name, isa, data_patterns[pattern].name);
}

Test(formats, every_isa_equals_c) {
    const size_t n_cases = find_cases();
    for (size_t isa = 0; isa < N_ISAS; isa++) {
        if (!at_hand(isa)) {
            printf("formats: %s is not on this machine, not tested\n", isas[isa].name);
            continue;
        }
        for (size_t i = 0; i < n_cases; i++)
            for (int pattern = 0; pattern < DATA_PATTERNS; pattern++)
                if (data_fits(pattern, cases[i].info))
                    check_pattern(&cases[i], isas[isa].get(cases[i].type), isas[isa].name, pattern);
    }
}

/* Any bytes are valid blocks, with any scale but infinity and NaN. */
Test(formats, every_isa_reads_any_bytes_as_c_does) {
    uint64_t state = 12345;
    for (size_t i = 0, n_cases = find_cases(); i < n_cases; i++) {
        const ws_dtype_info *info = cases[i].info;
        const size_t n_blocks = DATA_FLOATS / info->block_elements;
        for (size_t k = 0; k < n_blocks * info->block_bytes; k++) bytes[k] = (uint8_t)(data_random(&state) >> 24);
        cases[i].c->to_float(bytes, expected_floats, n_blocks);
        for (size_t isa = 0; isa < N_ISAS; isa++) {
            if (!at_hand(isa)) continue;
            isas[isa].get(cases[i].type)->to_float(bytes, floats, n_blocks);
            for (size_t k = 0; k < DATA_FLOATS; k++)
                if (!(isnan(floats[k]) && isnan(expected_floats[k])))
                    cr_assert_eq(ws_f32_bits(floats[k]), ws_f32_bits(expected_floats[k]), "%s %s, element %zu",
                                 info->name, isas[isa].name, k);
        }
    }
}

/* n blocks, source and target against the guard pages at one end. */
static void check_bounds(const test_case *t, const ws_format *f, size_t n, bool at_end, const char *isa) {
    const size_t n_floats = n * t->info->block_elements, n_bytes = n * t->info->block_bytes;
    guarded x = guarded_new(n_floats * sizeof(float), at_end);
    guarded y = guarded_new(n_bytes, at_end);
    memcpy(x.data, input, n_floats * sizeof(float));
    quantize(t, f, (const float *)(const void *)x.data, y.data, n);
    cr_expect(memcmp(y.data, expected_bytes, n_bytes) == 0, "%s %s, %zu blocks", t->name, isa, n);
    memset(x.data, 0xaa, n_floats * sizeof(float));
    f->to_float(y.data, (float *)(void *)x.data, n);
    cr_expect(memcmp(x.data, expected_floats, n_floats * sizeof(float)) == 0, "%s %s, %zu blocks", t->name, isa, n);
    guarded_free(&x);
    guarded_free(&y);
}

Test(formats, every_count_of_blocks_stays_in_bounds) {
    for (size_t i = 0, n_cases = find_cases(); i < n_cases; i++) {
        const test_case *t = &cases[i];
        fill(0);
        for (size_t n = 0; n <= 37; n++) {
            quantize(t, t->c, input, expected_bytes, n);
            t->c->to_float(expected_bytes, expected_floats, n);
            check_bounds(t, t->c, n, n % 2, "c");
            for (size_t isa = 0; isa < N_ISAS; isa++)
                if (at_hand(isa)) check_bounds(t, isas[isa].get(t->type), n, (n + isa) % 2, isas[isa].name);
        }
    }
}

static void check_unaligned(const test_case *t, const ws_format *f, const char *isa) {
    static uint8_t x[sizeof input + 8], y[sizeof bytes + 8];
    const size_t n = 34; /* two vectors and a bit */
    for (size_t shift = 1; shift < 4; shift++) {
        memcpy(x + shift, input, n * t->info->block_elements * sizeof *input);
        quantize(t, f, (const float *)(const void *)(x + shift), y + 3, n);
        cr_expect(memcmp(y + 3, expected_bytes, n * t->info->block_bytes) == 0, "%s %s", t->name, isa);
        f->to_float(y + 3, (float *)(void *)(x + shift), n);
        cr_expect(memcmp(x + shift, expected_floats, n * t->info->block_elements * sizeof *floats) == 0, "%s %s",
                  t->name, isa);
    }
}

Test(formats, no_alignment_is_needed) {
    for (size_t i = 0, n_cases = find_cases(); i < n_cases; i++) {
        const test_case *t = &cases[i];
        fill(0);
        quantize(t, t->c, input, expected_bytes, 34);
        t->c->to_float(expected_bytes, expected_floats, 34);
        check_unaligned(t, t->c, "c");
        for (size_t isa = 0; isa < N_ISAS; isa++)
            if (at_hand(isa)) check_unaligned(t, isas[isa].get(t->type), isas[isa].name);
    }
}

/* What comes out is not defined; that it comes out is (and the sanitizers watch). */
Test(formats, nan_and_infinity_are_survived) {
    static const uint32_t odd[] = {0x7fc00000, 0xffc00000, 0x7f800001, 0x7f800000, 0xff800000, 0x7fffffff, 0x7f7fffff};
    uint64_t state = 99;
    data_fill(input, DATA_FLOATS, 0);
    for (size_t i = 0; i < DATA_FLOATS; i++) /* super-blocks with one, some, only odd values */
        if (i / 256 % 3 == 0 ? i % 256 == 7 : i / 256 % 3 == 1 ? data_random(&state) % 8 == 0 : true)
            input[i] = ws_f32_from_bits(odd[data_random(&state) >> 16 & 3 ? i % 7 : i / 256 % 7]);
    data_fill_weights(weights, DATA_FLOATS, 0);
    for (size_t i = 0, n_cases = find_cases(); i < n_cases; i++) {
        const test_case *t = &cases[i];
        quantize(t, t->c, input, bytes, t->n_blocks);
        t->c->to_float(bytes, floats, t->n_blocks);
        for (size_t isa = 0; isa < N_ISAS; isa++) {
            if (!at_hand(isa)) continue;
            quantize(t, isas[isa].get(t->type), input, bytes, t->n_blocks);
            isas[isa].get(t->type)->to_float(bytes, floats, t->n_blocks);
        }
    }
}

/* All halves, what lies just beside them and half-way between them, NaNs with payloads. */
static size_t edge_floats(float *x) {
    size_t n = 0;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float f = ws_f16_to_f32((uint16_t)h), next = ws_f16_to_f32((uint16_t)(h + 1));
        const uint32_t middle = ws_f32_bits(isfinite(next) ? f / 2 + next / 2 : f);
        for (uint32_t step = 0; step < 3; step++) {
            x[n++] = ws_f32_from_bits(ws_f32_bits(f) + step - 1);
            x[n++] = ws_f32_from_bits(middle + step - 1);
        }
        x[n++] = ws_f32_from_bits(h << 16 | 0x7fff), x[n++] = ws_f32_from_bits(h << 16 | 0x8000); /* bfloat16's */
        x[n++] = ws_f32_from_bits(h << 16 | 0x8001), x[n++] = ws_f32_from_bits(h * 0x10001u);
    }
    return n;
}

Test(formats, small_floats_are_those_of_the_software_definition) {
    enum { N = 0x10000 };
    const size_t capacity = 10 * N;
    float *x = malloc(capacity * sizeof *x), *y = malloc(N * sizeof *y);
    uint16_t *small = malloc(capacity * sizeof *small);
    cr_assert(x && y && small);
    for (size_t isa = 0; isa <= N_ISAS; isa++) { /* the last is c */
        if (isa < N_ISAS && !at_hand(isa)) continue;
        const ws_format *(*get)(ws_dtype) = isa < N_ISAS ? isas[isa].get : get_c;
        const size_t n = edge_floats(x);
        cr_assert_eq(n, capacity);
        get(WS_TYPE_F16)->from_float(x, small, n);
        for (size_t i = 0; i < n; i++) cr_assert_eq(small[i], ws_f32_to_f16(x[i]), "f16 of 0x%08x", ws_f32_bits(x[i]));
        get(WS_TYPE_BF16)->from_float(x, small, n);
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(small[i], ws_f32_to_bf16(x[i]), "bf16 of 0x%08x", ws_f32_bits(x[i]));
        for (uint32_t h = 0; h < N; h++) small[h] = (uint16_t)h;
        get(WS_TYPE_F16)->to_float(small, y, N);
        for (uint32_t h = 0; h < N; h++)
            cr_assert_eq(ws_f32_bits(y[h]), ws_f32_bits(ws_f16_to_f32((uint16_t)h)), "half 0x%04x", h);
        get(WS_TYPE_BF16)->to_float(small, y, N);
        for (uint32_t h = 0; h < N; h++)
            cr_assert_eq(ws_f32_bits(y[h]), ws_f32_bits(ws_bf16_to_f32((uint16_t)h)), "bfloat16 0x%04x", h);
    }
    free(x), free(y), free(small);
}

/* Scale 1, so that quants are the rounded values: halves go away from zero, their neighbours to the nearest. */
static void check_q8_0_rounding(const ws_format *f, const char *isa) {
    static float x[128 * 32];
    static int8_t block[128][34]; /* the scale's two bytes, 32 quants */
    for (int k = 0; k < 127; k++) {
        const float half = (float)k + 0.5f;
        const float values[] = {127, half, nextafterf(half, 0), nextafterf(half, 127), (float)k};
        for (int i = 0; i < 32; i++) x[32 * k + i] = i % 10 < 5 ? values[i % 5] : -values[i % 5];
    }
    f->from_float(x, block, 127);
    for (int k = 0; k < 127; k++)
        for (int i = 0; i < 32; i++)
            cr_expect_eq(block[k][2 + i], (int)roundf(x[32 * k + i]), "%s: %a", isa, x[32 * k + i]);
}

Test(formats, q8_0_rounds_halves_away_from_zero) {
    check_q8_0_rounding(ws_format_get(WS_TYPE_Q8_0, 0), "c");
    for (size_t isa = 0; isa < N_ISAS; isa++)
        if (at_hand(isa)) check_q8_0_rounding(isas[isa].get(WS_TYPE_Q8_0), isas[isa].name);
}

/* A check with meaning rather than bytes: more bits, less error. */
Test(formats, error_falls_as_bits_rise) {
    static const ws_dtype types[] = {WS_TYPE_Q2_K, WS_TYPE_Q3_K, WS_TYPE_Q4_K, WS_TYPE_Q5_K,
                                     WS_TYPE_Q6_K, WS_TYPE_Q8_0, WS_TYPE_F16,  WS_TYPE_F32};
    data_fill(input, DATA_FLOATS, 0);
    double previous = INFINITY;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        const ws_format *c = ws_format_get(types[t], 0);
        const size_t n = DATA_FLOATS / ws_dtype_get(types[t])->block_elements;
        c->from_float(input, bytes, n);
        c->to_float(bytes, floats, n);
        double error = 0, power = 0;
        for (size_t i = 0; i < DATA_FLOATS; i++) {
            error += ((double)floats[i] - input[i]) * ((double)floats[i] - input[i]);
            power += (double)input[i] * input[i];
        }
        cr_expect_lt(error, 0.1 * power, "%s", ws_dtype_name(types[t]));
        cr_expect_lt(error, 0.4 * previous, "%s", ws_dtype_name(types[t]));
        previous = error;
    }
    cr_expect_eq(previous, 0, "F32 is exact");
}

Test(formats, types_have_the_conversions_that_their_row_says) {
    static const struct {
        ws_dtype type;
        bool implemented;
        ws_imatrix_use imatrix;
    } rows[] = {
#define WS_DTYPE(ID, number, elements, n_bytes, impl, imatrix)                                                         \
    {WS_TYPE_##ID, strcmp(#impl, "none") != 0, WS_IMATRIX_##imatrix},
#include "dtypes.def"
#undef WS_DTYPE
    };
    static const uint32_t flags[] = {0, WS_CPU_AVX2, WS_CPU_AVX2 | WS_CPU_AVX512, WS_CPU_NEON, UINT32_MAX};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
            const ws_format *f = ws_format_get(rows[i].type, flags[k]);
            cr_expect_eq(f != NULL, rows[i].implemented, "%s", ws_dtype_name(rows[i].type));
            if (!f) continue;
            cr_expect(f->to_float, "%s", ws_dtype_name(rows[i].type));
            cr_expect_eq(f->from_float != NULL, rows[i].imatrix != WS_IMATRIX_needs, "%s", ws_dtype_name(rows[i].type));
            cr_expect_eq(f->from_float_weighted != NULL, rows[i].imatrix != WS_IMATRIX_ignores, "%s",
                         ws_dtype_name(rows[i].type));
        }
    cr_expect_null(ws_format_get((ws_dtype)4, 0), "a number that no type has");
    cr_expect_null(ws_format_get(WS_TYPE_COUNT, 0));
    cr_expect_null(ws_format_get((ws_dtype)-1, 0));
}

Test(formats, flags_choose_the_widest_allowed) {
    const ws_format *c = ws_format_get(WS_TYPE_Q4_K, 0);
    cr_expect_eq(ws_format_get(WS_TYPE_Q4_K, 0), c, "pure");
    cr_expect_eq(ws_format_get(WS_TYPE_Q4_K, WS_CPU_AVX512), ws_format_get(WS_TYPE_Q4_K, 0), "AVX-512 includes AVX2");
#ifdef __x86_64__
    const ws_format *avx2 = ws_format_get(WS_TYPE_Q4_K, WS_CPU_AVX2);
    const ws_format *avx512 = ws_format_get(WS_TYPE_Q4_K, WS_CPU_AVX2 | WS_CPU_AVX512);
    cr_expect_neq(avx2->from_float, c->from_float);
    cr_expect_neq(avx512->from_float, avx2->from_float);
    cr_expect_eq(ws_format_get(WS_TYPE_Q4_K, WS_CPU_NEON), c);
#endif
}
