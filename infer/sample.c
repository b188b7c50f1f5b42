#include "sample.h"

#include "alloc.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    int32_t token;
    float logit;
} candidate;

struct ws_sampler {
    ws_sample_options o;
    uint64_t state;
    size_t n;
    candidate *c;
};

ws_status ws_sampler_open(ws_sampler **out, const ws_sample_options *o, size_t n, ws_error *err) {
    *out = NULL;
    if (n < 1) return ws_fail(err, WS_USAGE, "a sampler needs a vocabulary");
    ws_sampler *s = ws_alloc(1, sizeof *s, "the sampler", err);
    candidate *c = ws_alloc(n, sizeof *c, "the sampler's candidates", err);
    if (!s || !c) {
        free(s);
        free(c);
        return WS_NOMEM;
    }
    *s = (ws_sampler){.o = *o, .state = o->seed, .n = n, .c = c};
    *out = s;
    return WS_OK;
}

void ws_sampler_close(ws_sampler *s) {
    if (!s) return;
    free(s->c);
    free(s);
}

/* SplitMix64 (Steele, Lea and Flood 2014); the top 53 bits as a number in [0, 1). */
static double next_uniform(ws_sampler *s) {
    uint64_t z = s->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static int32_t most_probable(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

static int by_logit(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

/* How many of the n sorted candidates stay under top_p: the first ones up to that share of the probability. */
static size_t keep_top_p(const candidate *c, size_t n, double top_p) {
    double total = 0, sum = 0;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) total += exp(c[i].logit - c[0].logit);
    while (kept < n && (kept == 0 || sum < top_p * total)) sum += exp(c[kept].logit - c[0].logit), kept++;
    return kept;
}

static size_t keep_min_p(const candidate *c, size_t n, double min_p) {
    size_t kept = 1;
    while (kept < n && exp(c[kept].logit - c[0].logit) >= min_p) kept++;
    return kept;
}

static int32_t draw(ws_sampler *s, size_t n) {
    double total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) total += exp((s->c[i].logit - s->c[0].logit) / s->o.temp);
    const double at = next_uniform(s) * total;
    for (size_t i = 0; i < n; i++) {
        sum += exp((s->c[i].logit - s->c[0].logit) / s->o.temp);
        if (at < sum) return s->c[i].token;
    }
    return s->c[n - 1].token;
}

/* The k most probable tokens, sorted: each token is put in its place among the best so far. */
static void collect_best(ws_sampler *s, const float *logits, size_t k) {
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (kept == k && logits[i] <= s->c[k - 1].logit) continue;
        size_t at = kept < k ? kept++ : k - 1;
        for (; at > 0 && s->c[at - 1].logit < logits[i]; at--) s->c[at] = s->c[at - 1];
        s->c[at] = (candidate){(int32_t)i, logits[i]};
    }
}

static void collect_all(ws_sampler *s, const float *logits) {
    for (size_t i = 0; i < s->n; i++) s->c[i] = (candidate){(int32_t)i, logits[i]};
    qsort(s->c, s->n, sizeof *s->c, by_logit);
}

int32_t ws_sample(ws_sampler *s, const float *logits) {
    enum { FEW = 512 }; /* so many are quicker inserted than all sorted */
    if (s->o.temp <= 0) return most_probable(logits, s->n);
    size_t n = s->o.top_k > 0 && s->o.top_k < s->n ? s->o.top_k : s->n;
    if (n <= FEW)
        collect_best(s, logits, n);
    else
        collect_all(s, logits);
    if (s->o.top_p < 1) n = keep_top_p(s->c, n, s->o.top_p);
    if (s->o.min_p > 0) n = keep_min_p(s->c, n, s->o.min_p);
    return draw(s, n);
}
