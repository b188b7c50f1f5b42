/* sample.h - choosing the next token from logits. */
#ifndef WS_SAMPLE_H
#define WS_SAMPLE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    double temp;    /* 0: always the most probable token; the rest is then without effect */
    uint64_t top_k; /* only the k most probable tokens; 0: all */
    double top_p;   /* of those, the fewest that together have this probability; 1: all */
    double min_p;   /* of those, the ones with at least this share of the best one's probability; 0: all */
    uint64_t seed;
    /* Positive logits of the tokens last seen are divided by this, negative ones multiplied (Keskar et al. 2019, arXiv
     * 1909.05858, section 4.1); 0 or 1: left as they are. */
    double repeat_penalty;
    uint64_t repeat_last_n; /* so many tokens; WS_REPEAT_ALL: all */
} ws_sample_options;

#define WS_REPEAT_ALL UINT64_MAX

typedef struct {
    int32_t token;
    float logit;
} ws_candidate;

typedef struct ws_sampler ws_sampler;

/* A sampler for vocabularies of n tokens. The same options and logits give the same tokens. */
WS_MUST_CHECK ws_status ws_sampler_open(ws_sampler **out, const ws_sample_options *o, size_t n, ws_error *err);
void ws_sampler_close(ws_sampler *s); /* NULL is fine */

/* This token is in the text, behind all that were named before: the penalty is for those. */
void ws_sampler_saw(ws_sampler *s, int32_t token);

/* The next token. Logits are finite, and changed by the penalty; of equal ones the lowest token counts as the more
 * probable. */
int32_t ws_sample(ws_sampler *s, float *logits);

/* The k <= n most probable tokens, sorted. */
void ws_best_candidates(const float *logits, size_t n, size_t k, ws_candidate *out);

#endif
