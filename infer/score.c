#include "score.h"

#include <math.h>

ws_score ws_score_row(const ws_kernels *k, const float *logits, const float *base, size_t n, int32_t token) {
    size_t top, top_base;
    const double lse = k->log_sum_exp(logits, n, &top);
    ws_score s = {.nll = lse - (double)logits[token]};
    if (!base) return s;
    const double lse_base = k->log_sum_exp(base, n, &top_base);
    s.nll_base = lse_base - (double)base[token];
    s.kld = k->divergence(base, lse_base, logits, lse, n);
    s.same_top = top == top_base;
    return s;
}

void ws_tally_add(ws_tally *t, const ws_score *s) {
    const double dp = exp(-s->nll) - exp(-s->nll_base);
    t->n++;
    t->nll += s->nll;
    t->nll2 += s->nll * s->nll;
    t->base += s->nll_base;
    t->base2 += s->nll_base * s->nll_base;
    t->cross += s->nll * s->nll_base;
    t->kld += s->kld;
    t->kld2 += s->kld * s->kld;
    t->dp += dp;
    t->dp2 += dp * dp;
    t->n_same += s->same_top;
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
    r->ppl_base = exp(t->base / n);
    r->ppl_base_error = r->ppl_base * error(var_base);
    r->ln_ratio = (t->nll - t->base) / n;
    r->ln_ratio_error = error(var + var_base - 2 * covariance(t->nll, t->base, t->cross, n));
    r->mean_kld = t->kld / n;
    r->mean_kld_error = error(covariance(t->kld, t->kld, t->kld2, n));
    r->top1 = (double)t->n_same / n;
    r->mean_dp = t->dp / n;
    r->rms_dp = sqrt(t->dp2 / n);
}

double ws_quantile(const double *sorted, size_t n, double share) {
    const double at = share * (double)(n - 1);
    const size_t i = (size_t)at;
    const double next = sorted[i + 1 < n ? i + 1 : i];
    return sorted[i] + (at - (double)i) * (next - sorted[i]);
}
