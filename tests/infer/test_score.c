#include "score.h"

#include <criterion/criterion.h>
#include <math.h>

Test(score, uniform_predictions_have_the_vocabularys_size_as_perplexity) {
    enum { N = 300 };
    static const float logits[N];
    ws_kernels k;
    ws_tally t = {0};
    ws_eval_result r = {0};
    ws_kernels_init(&k, 0);
    for (int32_t i = 0; i < 20; i++) {
        const ws_score s = ws_score_row(&k, logits, NULL, N, i * 7);
        ws_tally_add(&t, &s);
    }
    ws_tally_result(&t, false, &r);
    cr_assert_float_eq(r.ppl, N, 1e-6);
    cr_assert_float_eq(r.ppl_error, 0, 1e-4);
    cr_assert_eq(r.tokens, 20);
    cr_assert_eq(r.ppl_base, 0);
}

/* Three predictions whose statistics were worked out by hand. */
static const ws_score three[] = {{1, 0.5, 0.1, 1, 5}, {2, 2, 0.2, 0, 2}, {3, 2, 0.6, 1, 5}};

Test(score, means_and_errors) {
    ws_tally t = {0};
    ws_eval_result r = {0};
    for (int i = 0; i < 3; i++) ws_tally_add(&t, &three[i]);
    ws_tally_result(&t, true, &r);
    cr_assert_float_eq(r.ppl, exp(2), 1e-12);
    cr_assert_float_eq(r.ppl_error, exp(2) * sqrt(2.0 / 3 / 2), 1e-12); /* variance 2/3, over n - 1 */
    cr_assert_float_eq(r.ppl_base, exp(1.5), 1e-12);
    cr_assert_float_eq(r.ln_ratio, 0.5, 1e-12);
    /* differences 0.5, 0, 1: variance 1/6 */
    cr_assert_float_eq(r.ln_ratio_error, sqrt(1.0 / 6 / 2), 1e-12);
    cr_assert_float_eq(r.correlation, 0.5 / sqrt(2.0 / 3 * 0.5),
                       1e-12); /* covariance 1/2, variance of the base's 1/2 */
    cr_assert_float_eq(r.mean_kld, 0.3, 1e-12);
    cr_assert_float_eq(r.mean_kld_error, sqrt(0.14 / 3 / 2), 1e-12);
    cr_assert_float_eq(r.top1, 2.0 / 3, 1e-12);
    cr_assert_float_eq(r.top1_error, sqrt(2.0 / 9 / 2), 1e-12);
    cr_assert_float_eq(r.top5, 12.0 / 15, 1e-12);
    cr_assert_float_eq(r.top5_error, sqrt(2.0 / 2) / 5, 1e-12); /* 5, 2, 5: variance 2 */
    const double dp[] = {exp(-1) - exp(-0.5), 0, exp(-3) - exp(-2)};
    const double squares[] = {dp[0] * dp[0], dp[2] * dp[2]}, mean = (squares[0] + squares[1]) / 3;
    cr_assert_float_eq(r.mean_dp, (dp[0] + dp[2]) / 3, 1e-12);
    cr_assert_float_eq(r.rms_dp, sqrt(mean), 1e-12);
    const double var = (squares[0] * squares[0] + squares[1] * squares[1]) / 3 - mean * mean;
    cr_assert_float_eq(r.rms_dp_error, sqrt(var / 2) / 2 / sqrt(mean), 1e-12);
}

Test(score, quantiles_of_a_comparison) {
    ws_error err = {0};
    ws_eval_result r = {0};
    cr_assert_eq(ws_score_quantiles(three, 3, &r, &err), WS_OK);
    cr_assert_eq(r.kld[WS_AT_MAX], 0.6);
    cr_assert_eq(r.kld[WS_AT_MEDIAN], 0.2);
    cr_assert_eq(r.kld[WS_AT_MIN], 0.1);
    cr_assert_float_eq(r.kld[WS_AT_90], 0.2 + 0.8 * 0.4, 1e-12);
    cr_assert_eq(r.dp[WS_AT_MAX], 0);
    cr_assert_float_eq(r.dp[WS_AT_MIN], exp(-1) - exp(-0.5), 1e-12);
}

static ws_score compare(const float *logits, const float *base, size_t n, int32_t token) {
    ws_kernels k;
    size_t best;
    ws_base_row row = {.x = base};
    ws_kernels_init(&k, 0);
    row.lse = k.log_sum_exp(base, n, &best);
    row.nll = row.lse - (double)base[token];
    return ws_score_row(&k, logits, &row, n, token);
}

Test(score, compares_with_a_base) {
    static const float a[4] = {1, 2, 3, 0}, b[4] = {3, 2, 1, 0};
    const ws_score same = compare(a, a, 4, 1), other = compare(a, b, 4, 1);
    cr_assert(same.same_top && !other.same_top);
    cr_assert_eq(same.shared, 4);
    cr_assert_float_eq(same.kld, 0, 1e-7);
    cr_assert_eq(same.nll, same.nll_base);
    cr_assert_gt(other.kld, 0.5);
}

/* Against the definition: sorted by value, then by index. */
Test(score, the_most_probable_tokens) {
    float x[1000];
    int32_t top[WS_TOP];
    for (size_t n = 1; n <= 1000; n += n < 70 ? 1 : 93) {
        for (size_t i = 0; i < n; i++) x[i] = (float)((i * 7919 + n * 31) % 97) - 50;
        ws_top_tokens(x, n, top);
        for (size_t i = 0; i < WS_TOP; i++) {
            size_t ahead = 0;
            for (size_t j = 0; top[i] >= 0 && j < n; j++)
                ahead += x[j] > x[top[i]] || (x[j] == x[top[i]] && (int32_t)j < top[i]);
            cr_assert(top[i] >= 0 ? ahead == i : i >= n, "%zu of %zu", i, n);
        }
    }
}

Test(score, quantiles_are_interpolated) {
    static const double x[] = {1, 2, 4, 8};
    cr_assert_float_eq(ws_quantile(x, 4, 0), 1, 1e-12);
    cr_assert_float_eq(ws_quantile(x, 4, 0.5), 3, 1e-12);
    cr_assert_float_eq(ws_quantile(x, 4, 1), 8, 1e-12);
    cr_assert_float_eq(ws_quantile(x, 1, 0.999), 1, 1e-12);
}
