/* Decoding and products of quantized rows: plain C against the formats' own definition, every instruction set against
 * plain C, bit for bit. */
#include "blocks_data.h"
#include "formats.h"
#include "fp16.h"

#include <float.h>
#include <math.h>

enum { N_COLS = 768, N_PANELS = N_COLS / WS_GROUP, MAX_TOKENS = 9 };

typedef struct {
    const uint8_t *rows[WS_LANES];
    size_t n_blocks;
    ws_panel *panels;
} test_rows;

/* 16 rows of blocks; the last byte of the last touches the guard. */
static test_rows make_rows(const test_type *t, bit_pattern pattern, test_random *r) {
    test_rows rows = {.n_blocks = N_COLS / t->block_elements};
    const size_t row_bytes = rows.n_blocks * t->block_bytes;
    uint8_t *data = guarded(WS_LANES * row_bytes);
    fill_blocks(t, pattern, data, WS_LANES * rows.n_blocks, r);
    for (size_t i = 0; i < WS_LANES; i++) rows.rows[i] = data + i * row_bytes;
    rows.panels = guarded(N_PANELS * sizeof *rows.panels);
    memset(rows.panels, 0, N_PANELS * sizeof *rows.panels);
    return rows;
}

/* Activations: all +127, all -127, alternating, then random. */
static ws_q8 make_input(const ws_kernels *c, test_random *r) {
    ws_q8 x = guarded_q8(MAX_TOKENS, N_COLS);
    float row[N_COLS];
    for (size_t t = 0; t < MAX_TOKENS; t++) {
        for (size_t i = 0; i < N_COLS; i++)
            row[i] = t == 0 ? 1 : t == 1 ? -1 : t == 2 ? (i % 2 ? 1 : -1) : 4 * random_float(r);
        c->quantize(row, &x, t);
    }
    return x;
}

/* Element (row, column) of a decoded panel, as kernels.h says. */
static double panel_element(ws_dtype type, const ws_panel *p, size_t r, size_t column) {
    const size_t h = column / 16;
    if (type == WS_TYPE_Q8_0) return (double)p->d[r] * (int8_t)p->q[column / 4][r][column % 4];
    const bool halves = type == WS_TYPE_Q2_K || type == WS_TYPE_Q3_K || type == WS_TYPE_Q6_K;
    const double scale = halves ? p->scale[h][r][0] : 1;
    return p->d[r] * scale * p->q[column / 4][r][column % 4] + (double)p->min[halves ? h : 0][r];
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
            c.panel[t->type].decode(rows.rows, rows.n_blocks, rows.rows[0], rows.panels);
            for (size_t row = 0; row < WS_LANES; row++) {
                ws_format_get(t->type, 0)->to_float(rows.rows[row], want, rows.n_blocks);
                for (size_t col = 0; col < N_COLS; col++) {
                    const double got = panel_element(t->type, &rows.panels[col / 32], row, col % 32);
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
            c->panel[t->type].decode(rows.rows, rows.n_blocks, rows.rows[0], rows.panels);
            k->panel[t->type].decode(rows.rows, rows.n_blocks, rows.rows[0], got);
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
    const ws_q8 x = make_input(c, &r);
    for (size_t i = 0; i < N_TEST_TYPES; i++)
        for (bit_pattern pattern = 0; pattern < N_PATTERNS; pattern++)
            for (size_t n = 1; n <= MAX_TOKENS; n++) {
                const ws_dtype type = test_types[i].type;
                float want[MAX_TOKENS * WS_LANES], *got = guarded(n * WS_LANES * sizeof *got);
                test_rows rows = make_rows(&test_types[i], pattern, &r);
                c->panel[type].decode(rows.rows, rows.n_blocks, rows.rows[0], rows.panels);
                multiply(c, type, &rows, &x, n, want);
                multiply(k, type, &rows, &x, n, got);
                cr_assert_arr_eq(got, want, n * WS_LANES * sizeof *got, "%s %s pattern %d, %zu tokens", name,
                                 ws_dtype_name(type), pattern, n);
            }
}

Test(panels, every_instruction_set_gives_the_same_products) { each_level(compare_products); }

/* Sums of floats differ from the exact sum by less than n roundings of the terms' magnitudes. */
Test(panels, products_agree_with_exact_arithmetic) {
    test_random r = {4};
    ws_kernels c;
    ws_kernels_init(&c, 0);
    const ws_q8 x = make_input(&c, &r);
    for (size_t i = 0; i < N_TEST_TYPES; i++) {
        const test_type *t = &test_types[i];
        test_rows rows = make_rows(t, RANDOM_BITS, &r);
        float y[MAX_TOKENS * WS_LANES];
        c.panel[t->type].decode(rows.rows, rows.n_blocks, rows.rows[0], rows.panels);
        multiply(&c, t->type, &rows, &x, MAX_TOKENS, y);
        for (size_t at = 0; at < MAX_TOKENS * WS_LANES; at++) {
            const size_t token = at / WS_LANES, row = at % WS_LANES;
            double want = 0, size = 0;
            for (size_t col = 0; col < N_COLS; col++) {
                const double xi = (double)x.d[token * N_PANELS + col / 32] * x.q[token * N_COLS + col];
                const ws_panel *p = &rows.panels[col / 32];
                want += panel_element(t->type, p, row, col % 32) * xi;
                size +=
                    (fabs(panel_element(t->type, p, row, col % 32)) +
                     (t->type == WS_TYPE_Q8_0 ? 0
                                              : 2 * fabs((double)p->min[0][row]) + 2 * fabs((double)p->min[1][row]))) *
                    fabs(xi);
            }
            cr_assert_leq(fabs(y[at] - want), 4 * N_PANELS * FLT_EPSILON * size, "%s token %zu row %zu",
                          ws_dtype_name(t->type), token, row);
        }
    }
}
