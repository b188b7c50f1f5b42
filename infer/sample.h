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
} ws_sample_options;

typedef struct ws_sampler ws_sampler;

/* A sampler for vocabularies of n tokens. The same options and logits give the same tokens. */
WS_MUST_CHECK ws_status ws_sampler_open(ws_sampler **out, const ws_sample_options *o, size_t n, ws_error *err);
void ws_sampler_close(ws_sampler *s); /* NULL is fine */

/* The next token. Logits are finite; of equal ones the lowest token counts as the more probable. */
int32_t ws_sample(ws_sampler *s, const float *logits);

#endif
