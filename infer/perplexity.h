/* perplexity.h - how well a model predicts texts, and how far a quantized model's predictions lie from its source's.
 * The rules are llama-perplexity's. A text's tokens are cut into chunks of `ctx`; the first token of each chunk gives
 * way to BOS where the model uses one; predictions in the second half of a chunk are scored. With a stride, each chunk
 * begins `stride` tokens after the one before and its last `stride` tokens are scored, so that every token but the
 * first ones is scored once, with a long context. */
#ifndef WS_PERPLEXITY_H
#define WS_PERPLEXITY_H

#include "dtype.h"
#include "error.h"
#include "model.h"
#include "tokenizer.h"

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

enum { WS_TOP = 5 };

/* One prediction. */
typedef struct {
    double nll;      /* -log of the probability of the token that came */
    double nll_base; /* from here on only with a base */
    double kld;      /* of the base's distribution against the model's */
    int same_top;    /* is the most probable token the same? 0 or 1 */
    int shared;      /* tokens that are among the WS_TOP most probable of both */
} ws_score;

/* Called after every chunk with the result so far (quantiles of the KL divergence: at the end only). */
typedef void ws_eval_progress(void *arg, uint64_t n_chunks, const ws_eval_result *so_far);

typedef struct {
    uint64_t ctx;               /* tokens per chunk, at least 4; a base of logits says it */
    uint64_t stride;            /* 0: chunks follow one another. Else they have ctx + stride / 2 tokens, rounded up to
                                   a multiple of 256: what llama-perplexity makes of them where its -b is its -c */
    uint64_t chunks;            /* evaluate at most so many of each text; 0: all that it fills */
    int threads;                /* 0: ws_cpu_count() */
    ws_dtype kv_type;           /* ws_cache_can_hold() */
    const char *save_logits;    /* write llama.cpp's file of logits (logits_file.h): one text, no base, no stride */
    const char *state;          /* keep what is done in this file and go on from it (score_log.h); removed at the end */
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

/* ---- several texts, and all that is known in the end ---- */

typedef struct {
    const char *name, *text;
    size_t n; /* bytes */
} ws_document;

typedef struct {
    ws_eval_result result; /* of this text alone */
    ws_ids ids;            /* its tokens */
    size_t first_score;    /* of the measurement's scores; n_scored of each chunk follow */
} ws_document_result;

/* How texts are cut: chunk c begins at token c * step, and tokens first + 1, ..., first + n_scored of it are scored. */
typedef struct {
    size_t length, step, first, n_scored;
    bool bos; /* in place of the first token */
} ws_chunk_rule;

typedef struct {
    ws_eval_result total; /* over all predictions; chunks of all texts */
    ws_chunk_rule rule;
    ws_document_result *documents;
    size_t n_documents;
    ws_score *scores;
    size_t n_scores;
} ws_measurement;

/* Measure the model at `path` on texts, each cut into chunks for itself. `base`: NULL, another model, or a file of
 * logits, which brings its own tokens (then there are no documents, and the result has one). Release *m with
 * ws_measurement_free(), on failure, too. */
WS_MUST_CHECK ws_status ws_measure(ws_measurement *m, const char *path, const char *base, const ws_document *documents,
                                   size_t n_documents, const ws_eval_options *o, ws_error *err);
void ws_measurement_free(ws_measurement *m);

#endif
