/* perplexity.h - how well a model predicts a text, and how far a quantized model's predictions lie from its
 * source's. The rule is llama-perplexity's: the text's tokens are cut into chunks of `ctx`; the first token of
 * each chunk gives way to BOS where the model uses one; predictions in the second half of a chunk are scored. */
#ifndef WS_PERPLEXITY_H
#define WS_PERPLEXITY_H

#include "dtype.h"
#include "error.h"
#include "model.h"

#include <stddef.h>
#include <stdint.h>

/* Quantiles that are reported, from the largest value to the smallest. */
enum { WS_AT_MAX, WS_AT_999, WS_AT_99, WS_AT_95, WS_AT_90, WS_AT_MEDIAN, WS_SHARES = 11, WS_AT_MIN = WS_SHARES - 1 };
extern const double ws_shares[WS_SHARES]; /* 1, 0.999, ..., 0 */

typedef struct {
    uint64_t chunks; /* evaluated */
    uint64_t tokens; /* predictions scored */
    double ppl, ppl_error;

    /* Only when two models are compared. A KL divergence is the base's distribution against the model's, in nats,
     * one per scored prediction; dp is the difference of the probabilities of the text's token (the model's less the
     * base's). */
    double ppl_base, ppl_base_error;
    double correlation;              /* of the two mean log probabilities */
    double ln_ratio, ln_ratio_error; /* ln(ppl / ppl_base) */
    double mean_kld, mean_kld_error, kld[WS_SHARES];
    double top1, top1_error; /* share of predictions whose most probable token is the same, 0..1 */
    double top5, top5_error; /* share of the base's five most probable tokens that are among the model's five, 0..1 */
    double mean_dp, mean_dp_error, rms_dp, rms_dp_error, dp[WS_SHARES];
} ws_eval_result;

/* Called after every chunk with the result so far (quantiles of the KL divergence: at the end only). */
typedef void ws_eval_progress(void *arg, uint64_t n_chunks, const ws_eval_result *so_far);

typedef struct {
    uint64_t ctx;               /* tokens per chunk, at least 4 */
    uint64_t chunks;            /* evaluate at most so many; 0: all that the text fills */
    int threads;                /* 0: ws_cpu_count() */
    ws_dtype kv_type;           /* ws_cache_can_hold() */
    ws_eval_progress *progress; /* may be NULL */
    ws_problem_fn *problem;     /* for tensors that do not fit (model.h); may be NULL */
    void *arg;                  /* of both */
} ws_eval_options;

/* ctx 512, all chunks, all processors, F16. */
ws_eval_options ws_eval_defaults(void);

/* Perplexity of the model at `path` on `n` bytes of text. A text that fills no chunk is WS_FORMAT, a NaN among the
 * logits too. The kernels are chosen by ws_cpu_flags(). */
WS_MUST_CHECK ws_status ws_perplexity_run(const char *path, const char *text, size_t n, const ws_eval_options *o,
                                          ws_eval_result *r, ws_error *err);

/* Both models side by side over the same chunks; their vocabularies must agree. */
WS_MUST_CHECK ws_status ws_perplexity_compare(const char *base_path, const char *quant_path, const char *text, size_t n,
                                              const ws_eval_options *o, ws_eval_result *r, ws_error *err);

#endif
