/* Products of float rows and attention: every instruction set against plain C bit for bit, both against double
 * precision within bounds computed from the data; and that a result does not depend on its neighbours. */
#include "formats.h"
#include "fp16.h"
#include "guarded.h"

#include <float.h>
#include <math.h>

enum { MAX_ROWS = 18, MAX_COLS = 79, MAX_TOKENS = 8 };

typedef struct {
    ws_dtype type;
    size_t bytes;
} float_type;

static const float_type float_types[] = {{WS_TYPE_F32, 4}, {WS_TYPE_F16, 2}, {WS_TYPE_BF16, 2}};

static float element(const float_type *t, const uint8_t *at) {
    uint16_t h;
    if (t->type == WS_TYPE_F32) {
        float f;
        memcpy(&f, at, sizeof f);
        return f;
    }
    memcpy(&h, at, sizeof h);
    return t->type == WS_TYPE_F16 ? ws_f16_to_f32(h) : ws_bf16_to_f32(h);
}

static void store(const float_type *t, uint8_t *at, float f) {
    const uint16_t h = t->type == WS_TYPE_F16 ? ws_f32_to_f16(f) : ws_f32_to_bf16(f);
    memcpy(at, t->type == WS_TYPE_F32 ? (void *)&f : (void *)&h, t->bytes);
}

static uint8_t *random_elements(const float_type *t, size_t n, test_random *r) {
    uint8_t *p = guarded(n * t->bytes);
    for (size_t i = 0; i < n; i++) store(t, p + i * t->bytes, random_float(r));
    return p;
}

/* Rows of activations as the type's weights are multiplied with; x are the numbers that they stand for. */
static void *make_input(const ws_kernels *k, const float_type *t, size_t cols, size_t tokens, float *x,
                        size_t *stride) {
    *stride = cols;
    if (t->type != WS_TYPE_BF16) return x;
    *stride = (cols + 31) / 32 * 32;
    uint16_t *halves = guarded(tokens * *stride * sizeof *halves);
    for (size_t i = 0; i < tokens; i++) {
        k->to_bf16(x + i * cols, halves + i * *stride, cols);
        for (size_t c = 0; c < cols; c++) x[i * cols + c] = ws_bf16_to_f32(halves[i * *stride + c]);
    }
    return halves;
}

static void check_product(const ws_kernels *c, const ws_kernels *k, const char *name, const float_type *t, size_t rows,
                          size_t cols, size_t tokens, test_random *r) {
    const uint8_t *w = random_elements(t, rows * cols, r);
    float *x = guarded(tokens * cols * sizeof *x), *y = guarded(tokens * rows * sizeof *y);
    random_floats(r, x, tokens * cols);
    ws_float_job job = {.w = w,
                        .w_bytes = cols * t->bytes,
                        .n_rows = rows,
                        .n_cols = cols,
                        .n_tokens = tokens,
                        .y = y,
                        .y_stride = rows};
    job.x = make_input(k, t, cols, tokens, x, &job.x_stride);
    k->mul_float[t->type](&job);
    ws_float_job plain = job;
    plain.y = guarded(tokens * rows * sizeof *y);
    c->mul_float[t->type](&plain);
    cr_assert_arr_eq(y, plain.y, tokens * rows * sizeof *y, "%s %s %zux%zu", name, ws_dtype_name(t->type), rows, cols);
    for (size_t i = 0; i < tokens * rows; i++) {
        double want = 0, size = 0;
        for (size_t col = 0; col < cols; col++) {
            const double term = (double)element(t, w + (i % rows * cols + col) * t->bytes) * x[i / rows * cols + col];
            want += term, size += fabs(term);
        }
        cr_assert_leq(fabs(y[i] - want), (double)(cols / 16 + 6) * FLT_EPSILON * size, "%s %s %zux%zu token %zu", name,
                      ws_dtype_name(t->type), rows, cols, i / rows);

        float alone; /* the same bits for this row and token on their own */
        ws_float_job one = job;
        one.w += i % rows * cols * t->bytes, one.y = &alone;
        one.x = (const uint8_t *)job.x + i / rows * job.x_stride * (t->type == WS_TYPE_BF16 ? 2 : 4);
        one.n_rows = one.n_tokens = 1;
        k->mul_float[t->type](&one);
        cr_assert_eq(memcmp(&alone, &y[i], sizeof alone), 0, "%s %s depends on its neighbours", name,
                     ws_dtype_name(t->type));
    }
}

static void check_products(const ws_kernels *c, const ws_kernels *k, const char *name) {
    static const size_t cols[] = {1, 15, 16, 17, 48, MAX_COLS}, rows[] = {1, 2, 5, 16, MAX_ROWS};
    test_random r = {5};
    for (size_t t = 0; t < 3; t++)
        for (size_t i = 0; i < sizeof cols / sizeof *cols; i++)
            for (size_t j = 0; j < sizeof rows / sizeof *rows; j++)
                for (size_t n = 1; n <= MAX_TOKENS; n++)
                    check_product(c, k, name, &float_types[t], rows[j], cols[i], n, &r);
}

Test(floats, products_in_c) {
    ws_kernels c;
    ws_kernels_init(&c, 0);
    check_products(&c, &c, "c");
}
Test(floats, products_on_every_instruction_set) { each_level(check_products); }

/* ---- attention ---- */

enum { HEAD_K = 24, HEAD_V = 20, V_STRIDE = 32, N_KEYS = 45, TILE_KEYS = 48, ATTN_ROWS = 11 };

typedef struct {
    ws_attn_job job;
    const uint8_t *k, *v;
} attention;

static attention make_attention(const float_type *t, size_t rows, test_random *r) {
    attention a;
    a.k = random_elements(t, TILE_KEYS * HEAD_K, r);
    a.v = random_elements(t, TILE_KEYS * V_STRIDE, r);
    float *q = guarded(rows * HEAD_K * sizeof *q), *acc = guarded(rows * V_STRIDE * sizeof *acc);
    float *p = guarded(rows * WS_SPAN * sizeof *p);
    random_floats(r, q, rows * HEAD_K);
    random_floats(r, acc, rows * V_STRIDE);
    a.job = (ws_attn_job){.q = q,
                          .n_rows = rows,
                          .head_k = HEAD_K,
                          .head_v = HEAD_V,
                          .k = a.k,
                          .v = a.v,
                          .n_keys = N_KEYS,
                          .k_stride = HEAD_K,
                          .v_stride = V_STRIDE,
                          .p = p,
                          .acc = acc,
                          .acc_stride = V_STRIDE};
    return a;
}

static void check_scores(const ws_kernels *k, const float_type *t, const attention *a) {
    k->attn[t->type].scores(&a->job);
    for (size_t i = 0; i < a->job.n_rows; i++)
        for (size_t key = 0; key < N_KEYS; key++) {
            double want = 0, size = 0;
            for (size_t c = 0; c < HEAD_K; c++) {
                const size_t at = (key / 16 * HEAD_K + c) * 16 + key % 16;
                const double term = (double)a->job.q[i * HEAD_K + c] * element(t, a->k + at * t->bytes);
                want += term, size += fabs(term);
            }
            cr_assert_leq(fabs(a->job.p[i * WS_SPAN + key] - want), (HEAD_K + 1) * FLT_EPSILON * size);
        }
}

static void check_values(const ws_kernels *k, const float_type *t, const attention *a, test_random *r) {
    float before[ATTN_ROWS * V_STRIDE];
    memcpy(before, a->job.acc, a->job.n_rows * V_STRIDE * sizeof *before);
    random_floats(r, a->job.p, a->job.n_rows * WS_SPAN);
    k->attn[t->type].values(&a->job);
    for (size_t i = 0; i < a->job.n_rows; i++)
        for (size_t c = 0; c < V_STRIDE; c++) {
            double want = before[i * V_STRIDE + c], size = fabs(want);
            for (size_t key = 0; key < N_KEYS; key++) {
                const double term =
                    (double)a->job.p[i * WS_SPAN + key] * element(t, a->v + (key * V_STRIDE + c) * t->bytes);
                want += term, size += fabs(term);
            }
            cr_assert_leq(fabs(a->job.acc[i * V_STRIDE + c] - want), (N_KEYS + 1) * FLT_EPSILON * size);
        }
}

/* The same bits from both. */
static void compare_attention(const ws_kernels *c, const ws_kernels *k, const float_type *t, attention a,
                              const char *name) {
    const size_t n = a.job.n_rows, n_p = n * WS_SPAN, n_acc = n * V_STRIDE;
    static float p[2][ATTN_ROWS * WS_SPAN], acc[2][ATTN_ROWS * V_STRIDE];
    const ws_kernels *const both[] = {c, k};
    for (int i = 0; i < 2; i++) {
        memcpy(p[i], a.job.p, n_p * sizeof(float));
        memcpy(acc[i], a.job.acc, n_acc * sizeof(float));
        ws_attn_job job = a.job;
        job.p = p[i], job.acc = acc[i];
        both[i]->attn[t->type].values(&job);
        both[i]->attn[t->type].scores(&job);
    }
    cr_assert_arr_eq(p[0], p[1], n_p * sizeof(float), "%s", name);
    cr_assert_arr_eq(acc[0], acc[1], n_acc * sizeof(float), "%s", name);
}

static void check_attention(const ws_kernels *c, const ws_kernels *k, const char *name) {
    test_random r = {6};
    for (size_t t = 0; t < 2; t++)
        for (size_t rows = 1; rows <= ATTN_ROWS; rows++) {
            const attention a = make_attention(&float_types[t], rows, &r);
            check_scores(k, &float_types[t], &a);
            check_values(k, &float_types[t], &a, &r);
            compare_attention(c, k, &float_types[t], a, name);
        }
}

Test(floats, attention_in_c) {
    ws_kernels c;
    ws_kernels_init(&c, 0);
    check_attention(&c, &c, "c");
}
Test(floats, attention_on_every_instruction_set) { each_level(check_attention); }

/* A tile of keys in blocks, laid out by hand from rows that the format has quantized. */
static void check_keys(const ws_kernels *k, const char *name) {
    enum { N_BLOCKS = 2, N_DIMS = 32 * N_BLOCKS };
    static const ws_dtype types[] = {WS_TYPE_Q8_0, WS_TYPE_Q4_0};
    test_random r = {13};
    for (size_t i = 0; i < 2; i++) {
        const size_t bytes = ws_dtype_get(types[i])->block_bytes;
        uint8_t *tile = guarded(WS_LANES * N_BLOCKS * bytes), row[N_BLOCKS * 34];
        float x[N_DIMS], want[WS_LANES][N_DIMS], *got = guarded(WS_LANES * N_DIMS * sizeof *got);
        for (size_t key = 0; key < WS_LANES; key++) {
            random_floats(&r, x, N_DIMS);
            ws_format_get(types[i], 0)->from_float(x, row, N_BLOCKS);
            ws_format_get(types[i], 0)->to_float(row, want[key], N_BLOCKS);
            for (size_t b = 0; b < N_BLOCKS; b++) {
                uint8_t *block = tile + b * WS_LANES * bytes;
                memcpy(block + 2 * key, row + b * bytes, 2);
                for (size_t j = 2; j < bytes; j++) block[WS_LANES * j + key] = row[b * bytes + j];
            }
        }
        k->expand_keys[types[i]](tile, N_BLOCKS, got);
        for (size_t key = 0; key < WS_LANES; key++)
            for (size_t d = 0; d < N_DIMS; d++)
                cr_assert_eq(got[d * WS_LANES + key], want[key][d], "%s %s", name, ws_dtype_name(types[i]));
    }
}

static void check_keys_level(const ws_kernels *c, const ws_kernels *k, const char *name) {
    check_keys(c, "c");
    check_keys(k, name);
}

Test(floats, keys_of_a_quantized_cache_are_the_formats_numbers) { each_level(check_keys_level); }
