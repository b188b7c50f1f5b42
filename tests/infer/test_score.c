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
Test(score, means_and_errors) {
    static const ws_score scores[] = {{1, 0.5, 0.1, true}, {2, 2, 0.2, false}, {3, 2, 0.6, true}};
    ws_tally t = {0};
    ws_eval_result r = {0};
    for (int i = 0; i < 3; i++) ws_tally_add(&t, &scores[i]);
    ws_tally_result(&t, true, &r);
    cr_assert_float_eq(r.ppl, exp(2), 1e-12);
    cr_assert_float_eq(r.ppl_error, exp(2) * sqrt(2.0 / 3 / 2), 1e-12); /* variance 2/3, over n - 1 */
    cr_assert_float_eq(r.ppl_base, exp(1.5), 1e-12);
    cr_assert_float_eq(r.ln_ratio, 0.5, 1e-12);
    /* differences 0.5, 0, 1: variance 1/6 */
    cr_assert_float_eq(r.ln_ratio_error, sqrt(1.0 / 6 / 2), 1e-12);
    cr_assert_float_eq(r.mean_kld, 0.3, 1e-12);
    cr_assert_float_eq(r.mean_kld_error, sqrt(0.14 / 3 / 2), 1e-12);
    cr_assert_float_eq(r.top1, 2.0 / 3, 1e-12);
    const double dp[] = {exp(-1) - exp(-0.5), 0, exp(-3) - exp(-2)};
    cr_assert_float_eq(r.mean_dp, (dp[0] + dp[2]) / 3, 1e-12);
    cr_assert_float_eq(r.rms_dp, sqrt((dp[0] * dp[0] + dp[2] * dp[2]) / 3), 1e-12);
}

Test(score, compares_with_a_base) {
    static const float a[4] = {1, 2, 3, 0}, b[4] = {3, 2, 1, 0};
    ws_kernels k;
    ws_kernels_init(&k, 0);
    const ws_score same = ws_score_row(&k, a, a, 4, 1), other = ws_score_row(&k, a, b, 4, 1);
    cr_assert(same.same_top && !other.same_top);
    cr_assert_float_eq(same.kld, 0, 1e-7);
    cr_assert_eq(same.nll, same.nll_base);
    cr_assert_gt(other.kld, 0.5);
}

Test(score, quantiles_are_interpolated) {
    static const double x[] = {1, 2, 4, 8};
    cr_assert_float_eq(ws_quantile(x, 4, 0), 1, 1e-12);
    cr_assert_float_eq(ws_quantile(x, 4, 0.5), 3, 1e-12);
    cr_assert_float_eq(ws_quantile(x, 4, 1), 8, 1e-12);
    cr_assert_float_eq(ws_quantile(x, 1, 0.999), 1, 1e-12);
}
