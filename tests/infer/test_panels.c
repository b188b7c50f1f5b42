/* Decoding and products of quantized rows: plain C against the formats' own definition, every instruction set against
 * plain C, bit for bit. */
#include "blocks_data.h"
#include "formats.h"
#include "fp16.h"

#include <float.h>
#include <math.h>

enum { N_COLS = 768, N_PANELS = N_COLS / WS_GROUP, MAX_TOKENS = 9 };

typedef struct {
    ws_block_rows rows;
    size_t n_blocks;
    ws_panel *panels;
} test_rows;

/* 16 rows of blocks; the last byte of the last touches the guard. */
static test_rows make_rows(const test_type *t, bit_pattern pattern, test_random *r) {
    test_rows rows = {.n_blocks = N_COLS / t->block_elements};
    const size_t row_bytes = rows.n_blocks * t->block_bytes;
    uint8_t *data = guarded(WS_LANES * row_bytes);
    fill_blocks(t, pattern, data, WS_LANES * rows.n_blocks, r);
    rows.rows = (ws_block_rows){data, row_bytes, WS_LANES};
    rows.panels = guarded(N_PANELS * sizeof *rows.panels);
    memset(rows.panels, 0, N_PANELS * sizeof *rows.panels);
    return rows;
}

/* Activations: all +127, all -127, alternating, then random. */
static ws_q8 make_input(const ws_kernels *c, size_t tile, test_random *r) {
    const ws_q8 x = guarded_q8((MAX_TOKENS + tile - 1) / tile * tile, N_COLS, tile);
    float row[N_COLS];
    for (size_t t = 0; t < MAX_TOKENS; t++) {
        for (size_t i = 0; i < N_COLS; i++)
            row[i] = t == 0 ? 1 : t == 1 ? -1 : t == 2 ? (i % 2 ? 1 : -1) : 4 * random_float(r);
        c->quantize(row, &x, t);
    }
    return x;
}

/* Element (row, column) of a decoded panel, as kernels.h says. */
static double panel_element(ws_panel_form form, const ws_panel *p, size_t r, size_t column) {
    const size_t h = form.halves ? column / 16 : 0;
    const int q = p->q[column / 4][r][column % 4] - WS_BIAS;
    cr_assert(q >= form.low && q <= form.high);
    return (double)p->d[h][r] * q + (form.min ? (double)p->min[h][r] : 0);
}

Test(panels, decoding_agrees_with_the_format) {
    test_random r = {1};
    ws_kernels c;
    ws_kernels_init(&c, 0);
    for (size_t i = 0; i < N_TEST_TYPES; i++)
        for (bit_pattern pattern = 0; pattern < N_PATTERNS; pattern++) {
            const test_type *t = &test_types[i];
            test_rows rows = make_rows(t, pattern, &r);
            float want[N_COLS];
            c.panel[t->type].decode(&rows.rows, rows.n_blocks, rows.panels);
            for (size_t row = 0; row < WS_LANES; row++) {
                ws_format_get(t->type, 0)->to_float(rows.rows.base + row * rows.rows.stride, want, rows.n_blocks);
                for (size_t col = 0; col < N_COLS; col++) {
                    const double got = panel_element(c.panel[t->type].form, &rows.panels[col / 32], row, col % 32);
                    /* the format rounds d * scale * q and the difference to float; terms are below 2 * 128 * 64 */
                    cr_assert_float_eq(got, want[col], 2 * 128 * 64 * FLT_EPSILON, "%s pattern %d row %zu column %zu",
                                       ws_dtype_name(t->type), pattern, row, col);
                }
            }
        }
}

static void compare_decoding(const ws_kernels *c, const ws_kernels *k, const char *name) {
    test_random r = {2};
    for (size_t i = 0; i < N_TEST_TYPES; i++)
        for (bit_pattern pattern = 0; pattern < N_PATTERNS; pattern++) {
            const test_type *t = &test_types[i];
            test_rows rows = make_rows(t, pattern, &r);
            ws_panel *got = guarded(N_PANELS * sizeof *got);
            memset(got, 0, N_PANELS * sizeof *got);
            c->panel[t->type].decode(&rows.rows, rows.n_blocks, rows.panels);
            k->panel[t->type].decode(&rows.rows, rows.n_blocks, got);
            cr_assert_arr_eq(got, rows.panels, N_PANELS * sizeof *got, "%s %s pattern %d", name, ws_dtype_name(t->type),
                             pattern);
        }
}

Test(panels, every_instruction_set_decodes_the_same_bits) { each_level(compare_decoding); }

/* One product in two parts, as matmul.c cuts it. */
static void multiply(const ws_kernels *k, ws_dtype type, const test_rows *rows, const ws_q8 *x, size_t n_tokens,
                     float *y) {
    ws_panel_job job = {
        .panels = rows->panels, .n_panels = 7, .x = x, .n_tokens = n_tokens, .y = y, .y_stride = WS_LANES};
    k->panel[type].mul(&job);
    job.panels += 7, job.first_panel = 7, job.n_panels = N_PANELS - 7, job.add = true;
    k->panel[type].mul(&job);
}

static void compare_products(const ws_kernels *c, const ws_kernels *k, const char *name) {
    test_random r = {3};
    const ws_q8 x = make_input(c, WS_TILE, &r);
    for (size_t i = 0; i < N_TEST_TYPES; i++)
        for (bit_pattern pattern = 0; pattern < N_PATTERNS; pattern++)
            for (size_t n = 1; n <= MAX_TOKENS; n++) {
                const ws_dtype type = test_types[i].type;
                float want[MAX_TOKENS * WS_LANES], *got = guarded(n * WS_LANES * sizeof *got);
                test_rows rows = make_rows(&test_types[i], pattern, &r);
                c->panel[type].decode(&rows.rows, rows.n_blocks, rows.panels);
                multiply(c, type, &rows, &x, n, want);
                multiply(k, type, &rows, &x, n, got);
                cr_assert_arr_eq(got, want, n * WS_LANES * sizeof *got, "%s %s pattern %d, %zu tokens", name,
                                 ws_dtype_name(type), pattern, n);
            }
}

Test(panels, every_instruction_set_gives_the_same_products) { each_level(compare_products); }

/* A single token's activations lie by themselves; kernels may decode and multiply in one. */
static void compare_single(const ws_kernels *c, const ws_kernels *k, const char *name) {
    test_random r = {3};
    const ws_q8 x = make_input(c, 1, &r);
    for (size_t i = 0; i < N_TEST_TYPES; i++)
        for (bit_pattern pattern = 0; pattern < N_PATTERNS; pattern++)
            for (size_t t = 0; t < MAX_TOKENS; t++) {
                const ws_dtype type = test_types[i].type;
                const ws_q8 one = {N_COLS, 1, ws_q8_at(&x, t, 0)};
                float want[WS_LANES], *got = guarded(sizeof want);
                test_rows rows = make_rows(&test_types[i], pattern, &r);
                c->panel[type].decode(&rows.rows, rows.n_blocks, rows.panels);
                multiply(c, type, &rows, &one, 1, want);
                multiply(k, type, &rows, &one, 1, got);
                cr_assert_arr_eq(got, want, sizeof want, "%s %s pattern %d", name, ws_dtype_name(type), pattern);
                if (!k->panel[type].mul_one) continue;
                k->panel[type].mul_one(&rows.rows, &one, got);
                cr_assert_arr_eq(got, want, sizeof want, "%s %s pattern %d, in one", name, ws_dtype_name(type),
                                 pattern);
            }
}

Test(panels, every_instruction_set_gives_the_same_product_of_one_token) { each_level(compare_single); }

/* Rows that there are not decode as the last one; nothing is read beyond it. */
static void check_few_rows(const ws_kernels *k, const char *name) {
    test_random r = {12};
    for (size_t i = 0; i < N_TEST_TYPES; i++) {
        const test_type *t = &test_types[i];
        test_rows rows = make_rows(t, RANDOM_BITS, &r);
        ws_panel *few = guarded(N_PANELS * sizeof *few);
        const size_t n = 3;
        k->panel[t->type].decode(&rows.rows, rows.n_blocks, rows.panels);
        ws_block_rows last = {rows.rows.base + (WS_LANES - n) * rows.rows.stride, rows.rows.stride, n};
        k->panel[t->type].decode_few(&last, rows.n_blocks, few);
        for (size_t p = 0; p < N_PANELS; p++)
            for (size_t g = 0; g < WS_GROUP / 4; g++)
                for (size_t row = 0; row < WS_LANES; row++)
                    cr_assert_arr_eq(few[p].q[g][row], rows.panels[p].q[g][WS_LANES - n + (row < n ? row : n - 1)], 4,
                                     "%s %s", name, ws_dtype_name(t->type));
    }
}

static void check_few_rows_level(const ws_kernels *c, const ws_kernels *k, const char *name) {
    check_few_rows(c, "c");
    check_few_rows(k, name);
}

Test(panels, rows_that_there_are_not_decode_as_the_last) { each_level(check_few_rows_level); }

/* Sums of floats differ from the exact sum by less than n roundings of the terms' magnitudes. */
Test(panels, products_agree_with_exact_arithmetic) {
    test_random r = {4};
    ws_kernels c;
    ws_kernels_init(&c, 0);
    const ws_q8 x = make_input(&c, WS_TILE, &r);
    for (size_t i = 0; i < N_TEST_TYPES; i++) {
        const test_type *t = &test_types[i];
        const ws_panel_form form = c.panel[t->type].form;
        test_rows rows = make_rows(t, RANDOM_BITS, &r);
        float y[MAX_TOKENS * WS_LANES];
        c.panel[t->type].decode(&rows.rows, rows.n_blocks, rows.panels);
        multiply(&c, t->type, &rows, &x, MAX_TOKENS, y);
        for (size_t at = 0; at < MAX_TOKENS * WS_LANES; at++) {
            const size_t token = at / WS_LANES, row = at % WS_LANES;
            double want = 0, size = 0;
            for (size_t col = 0; col < N_COLS; col++) {
                const ws_q8_cell *group = ws_q8_at(&x, token, col / 32);
                const double xi = (double)group[WS_Q8_D * WS_TILE].f * group[col % 32 / 4 * WS_TILE].q[col % 4];
                const ws_panel *p = &rows.panels[col / 32];
                const double w = panel_element(form, p, row, col % 32);
                const double min = form.min ? fabs((double)p->min[0][row]) + fabs((double)p->min[1][row]) : 0;
                want += w * xi, size += (fabs(w) + 2 * min) * fabs(xi);
            }
            cr_assert_leq(fabs(y[at] - want), 4 * N_PANELS * FLT_EPSILON * size, "%s token %zu row %zu",
                          ws_dtype_name(t->type), token, row);
        }
    }
}
