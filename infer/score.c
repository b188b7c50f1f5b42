#include "score.h"

#include "alloc.h"

#include <math.h>
#include <stdlib.h>

enum { BLOCK = 32 }; /* logits that are looked at in one go */

const double ws_shares[WS_SHARES] = {1, 0.999, 0.99, 0.95, 0.9, 0.5, 0.1, 0.05, 0.01, 0.001, 0};

static void insert(const float *x, int32_t token, int32_t top[WS_TOP]) {
    size_t i = WS_TOP - 1;
    for (; i > 0 && (top[i - 1] < 0 || x[token] > x[top[i - 1]]); i--) top[i] = top[i - 1];
    top[i] = token;
}

void ws_top_tokens(const float *x, size_t n, int32_t top[WS_TOP]) {
    float least = -INFINITY; /* of the list, once it is full */
    for (size_t i = 0; i < WS_TOP; i++) top[i] = -1;
    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t end = n - i < BLOCK ? n : i + BLOCK;
        int any = 0;
        for (size_t j = i; j < end; j++) any |= x[j] > least;
        for (size_t j = i; any && j < end; j++) {
            if (x[j] > least || top[WS_TOP - 1] < 0) insert(x, (int32_t)j, top);
            if (top[WS_TOP - 1] >= 0) least = x[top[WS_TOP - 1]];
        }
    }
}

static int count_shared(const int32_t *a, const int32_t *b) {
    int n = 0;
    for (size_t i = 0; i < WS_TOP; i++)
        for (size_t j = 0; j < WS_TOP; j++) n += a[i] >= 0 && a[i] == b[j];
    return n;
}

ws_score ws_score_row(const ws_kernels *k, const float *logits, const ws_base_row *base, size_t n, int32_t token) {
    size_t best;
    int32_t top[WS_TOP], top_base[WS_TOP];
    const double lse = k->log_sum_exp(logits, n, &best);
    ws_score s = {.nll = lse - (double)logits[token]};
    if (!base) return s;
    ws_top_tokens(logits, n, top);
    ws_top_tokens(base->x, n, top_base);
    s.nll_base = base->nll;
    s.kld = k->divergence(base->x, base->lse, logits, lse, n);
    s.same_top = top[0] == top_base[0];
    s.shared = count_shared(top, top_base);
    return s;
}

static double difference(const ws_score *s) { return exp(-s->nll) - exp(-s->nll_base); }

void ws_tally_add(ws_tally *t, const ws_score *s) {
    const double dp = difference(s), dp2 = dp * dp;
    t->n++;
    t->nll += s->nll;
    t->nll2 += s->nll * s->nll;
    t->base += s->nll_base;
    t->base2 += s->nll_base * s->nll_base;
    t->cross += s->nll * s->nll_base;
    t->kld += s->kld;
    t->kld2 += s->kld * s->kld;
    t->dp += dp;
    t->dp2 += dp2;
    t->dp4 += dp2 * dp2;
    t->same += (uint64_t)s->same_top;
    t->shared += (uint64_t)s->shared;
    t->shared2 += (uint64_t)(s->shared * s->shared);
}

/* Covariance of two means over n values, from the sums of a, b and a * b; of a mean with itself: its variance. */
static double covariance(double a, double b, double ab, double n) {
    return n > 1 ? (ab / n - a / n * (b / n)) / (n - 1) : 0;
}

static double error(double variance) { return variance > 0 ? sqrt(variance) : 0; }

void ws_tally_result(const ws_tally *t, bool compared, ws_eval_result *r) {
    const double n = (double)t->n;
    if (t->n == 0) return;
    const double var = covariance(t->nll, t->nll, t->nll2, n);
    r->tokens = t->n;
    r->ppl = exp(t->nll / n);
    r->ppl_error = r->ppl * error(var);
    if (!compared) return;
    const double var_base = covariance(t->base, t->base, t->base2, n);
    const double cov = covariance(t->nll, t->base, t->cross, n), same = (double)t->same, shared = (double)t->shared;
    r->ppl_base = exp(t->base / n);
    r->ppl_base_error = r->ppl_base * error(var_base);
    r->correlation = var > 0 && var_base > 0 ? cov / sqrt(var * var_base) : 1;
    r->ln_ratio = (t->nll - t->base) / n;
    r->ln_ratio_error = error(var + var_base - 2 * cov);
    r->mean_kld = t->kld / n;
    r->mean_kld_error = error(covariance(t->kld, t->kld, t->kld2, n));
    r->top1 = same / n;
    r->top1_error = error(covariance(same, same, same, n));
    r->top5 = shared / n / WS_TOP;
    r->top5_error = error(covariance(shared, shared, (double)t->shared2, n)) / WS_TOP;
    r->mean_dp = t->dp / n;
    r->mean_dp_error = error(covariance(t->dp, t->dp, t->dp2, n));
    r->rms_dp = sqrt(t->dp2 / n);
    if (r->rms_dp > 0) r->rms_dp_error = 0.5 / r->rms_dp * error(covariance(t->dp2, t->dp2, t->dp4, n));
}

double ws_quantile(const double *sorted, size_t n, double share) {
    const double at = share * (double)(n - 1);
    const size_t i = (size_t)at;
    const double next = sorted[i + 1 < n ? i + 1 : i];
    return sorted[i] + (at - (double)i) * (next - sorted[i]);
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void quantiles(double *values, size_t n, double out[WS_SHARES]) {
    qsort(values, n, sizeof *values, by_value);
    for (size_t i = 0; i < WS_SHARES; i++) out[i] = ws_quantile(values, n, ws_shares[i]);
}

ws_status ws_score_quantiles(const ws_score *scores, size_t n, ws_eval_result *r, ws_error *err) {
    double *values = ws_alloc(n, sizeof *values, "quantiles", err);
    if (!values) return WS_NOMEM;
    for (size_t i = 0; i < n; i++) values[i] = scores[i].kld;
    quantiles(values, n, r->kld);
    for (size_t i = 0; i < n; i++) values[i] = difference(&scores[i]);
    quantiles(values, n, r->dp);
    free(values);
    return WS_OK;
}
