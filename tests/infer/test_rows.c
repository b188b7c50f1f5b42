/* Work on rows of floats: the same bits on every instruction set, and close to the mathematical functions. */
#include "guarded.h"

#include <float.h>
#include <math.h>

enum { MAX_N = 1100 };

static const size_t lengths[] = {1, 2, 15, 16, 17, 64, 100, 513, MAX_N};
enum { N_LENGTHS = sizeof lengths / sizeof *lengths };

/* Values over many magnitudes and the edges of the exponential. */
static void fill(test_random *r, float *x, size_t n) {
    static const float edges[] = {0, -0.0f, 88, 89, -87.3f, -87.4f, -104, 1e30f, -1e30f, 1e-40f, 0.5f};
    for (size_t i = 0; i < n; i++) {
        x[i] = random_float(r) * ldexpf(1, (int)(random_u32(r) % 8));
        if (random_u32(r) % 50 == 0) x[i] = edges[random_u32(r) % (sizeof edges / sizeof *edges)];
    }
}

static float *filled(test_random *r, size_t n) {
    float *x = guarded(n * sizeof *x);
    fill(r, x, n);
    return x;
}

static float *copy_of(const float *x, size_t n) {
    float *y = guarded(n * sizeof *y);
    memcpy(y, x, n * sizeof *y);
    return y;
}

typedef void step(const ws_kernels *k, test_random *r, float *y, size_t n);

static void do_norm(const ws_kernels *k, test_random *r, float *y, size_t n) {
    k->rms_norm(y, filled(r, n), 1e-5f, y, n);
}
static void do_add(const ws_kernels *k, test_random *r, float *y, size_t n) { k->add(y, filled(r, n), n); }
static void do_layer_norm(const ws_kernels *k, test_random *r, float *y, size_t n) {
    k->layer_norm(y, filled(r, n), n % 2 ? filled(r, n) : NULL, 1e-5f, y, n);
}
static void do_scaled(const ws_kernels *k, test_random *r, float *y, size_t n) {
    k->add_scaled(y, filled(r, n), 0.3f, n);
    k->scale(y, 1.7f, n);
}
static void do_soft_cap(const ws_kernels *k, test_random *r, float *y, size_t n) {
    (void)r;
    k->soft_cap(y, 0.25f, 30, n);
}
static void do_gelu(const ws_kernels *k, test_random *r, float *y, size_t n) {
    k->gelu_mul(y, n % 2 ? filled(r, n) : NULL, n);
    k->gelu_exact_mul(y, n % 2 ? filled(r, n) : NULL, n);
}
static void do_clamped(const ws_kernels *k, test_random *r, float *y, size_t n) {
    k->swiglu_clamped(y, filled(r, n), n);
}
static void do_silu(const ws_kernels *k, test_random *r, float *y, size_t n) { k->silu_mul(y, filled(r, n), n); }
static void do_interleaved(const ws_kernels *k, test_random *r, float *y, size_t n) {
    k->rope_interleaved(y, filled(r, n / 2), filled(r, n / 2), n / 2 * 2);
}
static void do_neox(const ws_kernels *k, test_random *r, float *y, size_t n) {
    k->rope_neox(y, filled(r, n / 2), filled(r, n / 2), n / 2 * 2);
}
static void do_softmax(const ws_kernels *k, test_random *r, float *y, size_t n) {
    ws_softmax s = {.max = -INFINITY};
    float *acc = filled(r, 32);
    const size_t half = n / 2;
    if (half) k->softmax(y, half, 0.1f, &s, acc, 32);
    k->softmax(y + half, n - half, 0.1f, &s, acc, 32);
    y[0] += s.max + s.sum[3] + s.sum[15] + acc[7];
}
static void do_sums(const ws_kernels *k, test_random *r, float *y, size_t n) {
    size_t top;
    float *x = filled(r, n);
    const double a = k->log_sum_exp(y, n, &top), b = k->log_sum_exp(x, n, &top);
    const double d = k->divergence(y, a, x, b, n);
    memcpy(y, &d, n > 1 ? sizeof d : sizeof *y);
}

static void compare(const ws_kernels *c, const ws_kernels *k, const char *name) {
    step *const steps[] = {do_norm, do_layer_norm, do_add,         do_scaled, do_soft_cap, do_silu,
                           do_gelu, do_clamped,    do_interleaved, do_neox,   do_softmax,  do_sums};
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
        for (size_t i = 0; i < N_LENGTHS; i++) {
            const size_t n = lengths[i];
            test_random r = {7 + i}, same;
            float *want = filled(&r, n), *got = copy_of(want, n);
            same = r;
            steps[s](c, &r, want, n);
            steps[s](k, &same, got, n);
            cr_assert_arr_eq(got, want, n * sizeof *got, "%s step %zu, length %zu", name, s, n);
        }
}

Test(rows, every_instruction_set_gives_the_same_bits) { each_level(compare); }

static void compare_quantize(const ws_kernels *c, const ws_kernels *k, const char *name) {
    enum { N = 1024 };
    test_random r = {8};
    const float *x = filled(&r, N);
    const ws_kernels *const both[] = {c, k};
    for (size_t tile = 1; tile <= WS_TILE; tile += WS_TILE - 1) {
        ws_q8_cell *q[2];
        const size_t cells = N / WS_GROUP * WS_Q8_CELLS * tile;
        for (int i = 0; i < 2; i++) {
            q[i] = guarded(cells * sizeof *q[i]);
            memset(q[i], 0, cells * sizeof *q[i]);
            both[i]->quantize(x, &(ws_q8){N, tile, q[i]}, tile - 1);
        }
        cr_assert_arr_eq(q[0], q[1], cells * sizeof *q[0], "%s", name);
    }
}

Test(rows, every_instruction_set_quantizes_the_same) { each_level(compare_quantize); }

static ws_kernels plain(void) {
    ws_kernels c;
    ws_kernels_init(&c, 0);
    return c;
}

Test(rows, quantized_values_are_within_half_a_step) {
    enum { N = 1024 };
    const ws_kernels k = plain();
    test_random r = {9};
    float x[N];
    ws_q8_cell cells[N / WS_GROUP][WS_Q8_CELLS];
    random_floats(&r, x, N);
    memset(x + 64, 0, 32 * sizeof *x);
    k.quantize(x, &(ws_q8){N, 1, cells[0]}, 0);
    for (size_t g = 0; g < N / WS_GROUP; g++) {
        const ws_q8_cell *c = cells[g];
        const float d = c[WS_Q8_D].f;
        int sum[2] = {0, 0};
        for (size_t i = 0; i < WS_GROUP; i++) {
            const int q = c[i / 4].q[i % 4];
            cr_assert_leq(fabs(x[g * WS_GROUP + i] - (double)d * q), 0.50001 * d);
            cr_assert_geq(q, -127);
            sum[i / 16] += q;
        }
        cr_assert_eq(c[WS_Q8_SUM].f, d * (float)(sum[0] + sum[1]));
        cr_assert_eq(c[WS_Q8_BIAS].i, -128 * (sum[0] + sum[1]));
        for (int h = 0; h < 2; h++) {
            cr_assert_eq(c[WS_Q8_SUM16 + h].f, d * (float)sum[h]);
            cr_assert_eq(c[WS_Q8_BIAS16 + h].i, -128 * sum[h]);
        }
    }
}

Test(rows, what_is_not_finite_stays_visible_when_quantized) {
    const ws_kernels k = plain();
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        float x[32] = {1, 2, 3};
        ws_q8_cell c[WS_Q8_CELLS];
        x[17] = bad[i];
        k.quantize(x, &(ws_q8){32, 1, c}, 0);
        cr_assert(isnan(c[WS_Q8_D].f) && isnan(c[WS_Q8_SUM].f) && isnan(c[WS_Q8_SUM16 + 1].f));
    }
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

Test(rows, activations_are_close_to_the_exact_ones) {
    const ws_kernels k = plain();
    for (double x = -100; x < 100; x += 0.01) {
        float silu = (float)x, gelu = (float)x, both = (float)x, clamped = (float)x, cap = (float)x, one = 1, up = -9;
        float exact = (float)x;
        const double v = (double)(float)x, u = sqrt(2 / acos(-1)) * (v + 0.044715 * v * v * v), low = fmin(v, 7);
        k.silu_mul(&silu, &one, 1);
        k.gelu_mul(&gelu, NULL, 1);
        k.gelu_mul(&both, &up, 1);
        k.swiglu_clamped(&clamped, &up, 1);
        k.soft_cap(&cap, 0.5f, 30, 1);
        k.gelu_exact_mul(&exact, NULL, 1);
        const struct {
            double have, want, slack;
        } rows[] = {
            {silu, v * sigmoid(v), 1e-36},         {gelu, v * sigmoid(2 * u), 2e-6},
            {both, -9 * v * sigmoid(2 * u), 2e-5}, {clamped, -6 * low * sigmoid(1.702 * low), 2e-6},
            {cap, 30 * tanh(v / 60), 1e-5},        {exact, v / 2 * (1 + erf(v / sqrt(2))), 1e-6},
        };
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            cr_assert_leq(fabs(rows[i].have - rows[i].want), 4 * FLT_EPSILON * fabs(rows[i].want) + rows[i].slack,
                          "%zu at %g: %g, expected %g", i, x, rows[i].have, rows[i].want);
    }
}

Test(rows, norm_is_close_to_the_exact_one) {
    const ws_kernels k = plain();
    test_random r = {10};
    float x[100], w[100], y[100];
    double squares = 0;
    random_floats(&r, x, 100);
    random_floats(&r, w, 100);
    for (int i = 0; i < 100; i++) squares += (double)x[i] * x[i];
    k.rms_norm(x, w, 1e-3f, y, 100);
    for (int i = 0; i < 100; i++) {
        const double want = x[i] / sqrt(squares / 100 + (double)1e-3f) * w[i];
        cr_assert_leq(fabs(y[i] - want), 20 * FLT_EPSILON * fabs(want));
    }
}

Test(rows, layer_norm_is_close_to_the_exact_one) {
    const ws_kernels k = plain();
    test_random r = {12};
    float x[100], w[100], bias[100], y[100];
    double sum = 0, squares = 0;
    random_floats(&r, x, 100);
    random_floats(&r, w, 100);
    random_floats(&r, bias, 100);
    for (int i = 0; i < 100; i++) sum += x[i];
    for (int i = 0; i < 100; i++) squares += (x[i] - sum / 100) * (x[i] - sum / 100);
    k.layer_norm(x, w, bias, 1e-3f, y, 100);
    for (int i = 0; i < 100; i++) {
        const double want = (x[i] - sum / 100) / sqrt(squares / 100 + (double)1e-3f) * w[i] + bias[i];
        cr_assert_leq(fabs(y[i] - want), 1e-6);
    }
}

Test(rows, rotation_keeps_to_its_pairs) {
    const ws_kernels k = plain();
    const float cos[] = {0, 1}, sin[] = {1, 0}; /* a quarter turn, no turn */
    float a[] = {1, 2, 3, 4}, b[] = {1, 2, 3, 4};
    k.rope_interleaved(a, cos, sin, 4);
    k.rope_neox(b, cos, sin, 4);
    cr_assert(a[0] == -2 && a[1] == 1 && a[2] == 3 && a[3] == 4);
    cr_assert(b[0] == -3 && b[2] == 1 && b[1] == 2 && b[3] == 4);
}

Test(rows, log_sum_exp_of_equal_logits_is_the_log_of_their_number) {
    const ws_kernels k = plain();
    float x[MAX_N];
    size_t top;
    for (size_t i = 0; i < MAX_N; i++) x[i] = -3;
    cr_assert_float_eq(k.log_sum_exp(x, MAX_N, &top), log(MAX_N) - 3, 1e-9);
    x[700] = 5;
    k.log_sum_exp(x, MAX_N, &top);
    cr_assert_eq(top, 700);
    x[3] = NAN;
    cr_assert(isnan(k.log_sum_exp(x, MAX_N, &top)));
}

Test(rows, divergence_is_that_of_the_distributions) {
    const ws_kernels k = plain();
    test_random r = {11};
    float a[MAX_N], b[MAX_N];
    double sum_a = 0, sum_b = 0, want = 0;
    size_t top;
    for (size_t i = 0; i < MAX_N; i++) a[i] = 3 * random_float(&r), b[i] = a[i] + 0.1f * random_float(&r);
    for (size_t i = 0; i < MAX_N; i++) sum_a += exp(a[i]), sum_b += exp(b[i]);
    for (size_t i = 0; i < MAX_N; i++) want += exp(a[i]) / sum_a * (a[i] - log(sum_a) - b[i] + log(sum_b));
    const double lse_a = k.log_sum_exp(a, MAX_N, &top), lse_b = k.log_sum_exp(b, MAX_N, &top);
    cr_assert_float_eq(k.divergence(a, lse_a, b, lse_b, MAX_N), want, 1e-6);
    cr_assert_float_eq(k.divergence(a, lse_a, a, lse_a, MAX_N), 0, 1e-9);
}
