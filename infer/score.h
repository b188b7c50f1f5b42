/* score.h - statistics of predictions: how probable a model found each token of a text, and how its distribution
 * differs from another model's. Formulas as in llama-perplexity. */
#ifndef WS_SCORE_H
#define WS_SCORE_H

#include "kernels.h"
#include "perplexity.h"

/* One prediction. */
typedef struct {
    double nll;      /* -log of the probability of the token that came */
    double nll_base; /* from here on only with base logits */
    double kld;      /* of the base's distribution against the model's */
    bool same_top;
} ws_score;

/* Score the logits of n tokens; base may be NULL. */
ws_score ws_score_row(const ws_kernels *k, const float *logits, const float *base, size_t n, int32_t token);

/* Sums over predictions; starts as {0}. Scores are added one after the other, in the order of the text. */
typedef struct {
    uint64_t n;
    double nll, nll2, base, base2, cross, kld, kld2, dp, dp2;
    uint64_t n_same;
} ws_tally;

void ws_tally_add(ws_tally *t, const ws_score *score);

/* Means and their errors, into r; those of a comparison only if `compared`. Chunks and quantiles are left alone. */
void ws_tally_result(const ws_tally *t, bool compared, ws_eval_result *r);

/* The value below which `share` of n sorted values lie, interpolated. */
double ws_quantile(const double *sorted, size_t n, double share);

#endif
