/* score.h - statistics of predictions: how probable a model found each token of a text, and how its distribution
 * differs from another model's. Formulas as in llama-perplexity. */
#ifndef WS_SCORE_H
#define WS_SCORE_H

#include "kernels.h"
#include "perplexity.h"

/* What another model made of the same position. */
typedef struct {
    const float *x; /* n logits, or logs of probabilities */
    double lse;     /* log of the sum of their exponentials */
    double nll;     /* of the token that came */
} ws_base_row;

/* Score the logits of n tokens; base may be NULL. */
ws_score ws_score_row(const ws_kernels *k, const float *logits, const ws_base_row *base, size_t n, int32_t token);

/* The most probable tokens, best first, of equal ones the first; -1 where there are fewer. */
void ws_top_tokens(const float *logits, size_t n, int32_t top[WS_TOP]);

/* Sums over predictions; starts as {0}. Scores are added one after the other, in the order of the text. */
typedef struct {
    uint64_t n;
    double nll, nll2, base, base2, cross, kld, kld2, dp, dp2, dp4;
    uint64_t same, shared, shared2;
} ws_tally;

void ws_tally_add(ws_tally *t, const ws_score *score);

/* Means and their errors, into r; those of a comparison only if `compared`. Chunks and quantiles are left alone. */
void ws_tally_result(const ws_tally *t, bool compared, ws_eval_result *r);

/* Quantiles of n >= 1 predictions of a comparison, into r. */
WS_MUST_CHECK ws_status ws_score_quantiles(const ws_score *scores, size_t n, ws_eval_result *r, ws_error *err);

/* The value below which `share` of n sorted values lie, interpolated. */
double ws_quantile(const double *sorted, size_t n, double share);

#endif
