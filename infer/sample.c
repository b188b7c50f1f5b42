#include "sample.h"

#include "alloc.h"

#include <math.h>
#include <stdlib.h>

struct ws_sampler {
    ws_sample_options o;
    uint64_t state;
    size_t n;
    ws_candidate *c;
    /* Of the penalty; NULL without one. */
    uint32_t *seen;          /* how often each token is among the last */
    int32_t *last;           /* a ring of repeat_last_n of them, if not all count */
    size_t n_last, n_tokens; /* its size, and how many there were */
};

static ws_status open_penalty(ws_sampler *s, ws_error *err) {
    if (s->o.repeat_penalty <= 0 || s->o.repeat_penalty == 1 || s->o.repeat_last_n == 0) return WS_OK;
    s->n_last = s->o.repeat_last_n == WS_REPEAT_ALL ? 0 : s->o.repeat_last_n;
    s->seen = ws_alloc(s->n, sizeof *s->seen, "the sampler's counts", err);
    s->last = ws_alloc(s->n_last, sizeof *s->last, "the sampler's tokens", err);
    return s->seen && s->last ? WS_OK : WS_NOMEM;
}

ws_status ws_sampler_open(ws_sampler **out, const ws_sample_options *o, size_t n, ws_error *err) {
    *out = NULL;
    if (n < 1) return ws_fail(err, WS_USAGE, "a sampler needs a vocabulary");
    ws_sampler *s = ws_alloc(1, sizeof *s, "the sampler", err);
    if (!s) return WS_NOMEM;
    *s = (ws_sampler){.o = *o, .state = o->seed, .n = n};
    s->c = ws_alloc(n, sizeof *s->c, "the sampler's candidates", err);
    const ws_status st = s->c ? open_penalty(s, err) : WS_NOMEM;
    if (st)
        ws_sampler_close(s);
    else
        *out = s;
    return st;
}

void ws_sampler_close(ws_sampler *s) {
    if (!s) return;
    free(s->c);
    free(s->seen);
    free(s->last);
    free(s);
}

void ws_sampler_saw(ws_sampler *s, int32_t token) {
    if (!s->seen || token < 0 || (size_t)token >= s->n) return;
    if (s->n_last) {
        int32_t *place = &s->last[s->n_tokens % s->n_last];
        if (s->n_tokens >= s->n_last) s->seen[*place]--;
        *place = token;
    }
    s->n_tokens++;
    s->seen[token]++;
}

static void penalize(const ws_sampler *s, float *logits) {
    const double by = s->o.repeat_penalty;
    for (size_t i = 0; s->seen && i < s->n; i++)
        if (s->seen[i]) logits[i] = (float)((double)logits[i] * (logits[i] > 0 ? 1 / by : by));
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
    const ws_candidate *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

/* How many of the n sorted candidates stay under top_p: the first ones up to that share of the probability. */
static size_t keep_top_p(const ws_candidate *c, size_t n, double top_p) {
    double total = 0, sum = 0;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) total += exp(c[i].logit - c[0].logit);
    while (kept < n && (kept == 0 || sum < top_p * total)) sum += exp(c[kept].logit - c[0].logit), kept++;
    return kept;
}

static size_t keep_min_p(const ws_candidate *c, size_t n, double min_p) {
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

/* Each token is put in its place among the best so far. */
void ws_best_candidates(const float *logits, size_t n, size_t k, ws_candidate *out) {
    size_t kept = 0;
    for (size_t i = 0; i < n && k > 0; i++) {
        if (kept == k && logits[i] <= out[k - 1].logit) continue;
        size_t at = kept < k ? kept++ : k - 1;
        for (; at > 0 && out[at - 1].logit < logits[i]; at--) out[at] = out[at - 1];
        out[at] = (ws_candidate){(int32_t)i, logits[i]};
    }
}

static void collect_all(ws_sampler *s, const float *logits) {
    for (size_t i = 0; i < s->n; i++) s->c[i] = (ws_candidate){(int32_t)i, logits[i]};
    qsort(s->c, s->n, sizeof *s->c, by_logit);
}

int32_t ws_sample(ws_sampler *s, float *logits) {
    enum { FEW = 512 }; /* so many are quicker inserted than all sorted */
    penalize(s, logits);
    if (s->o.temp <= 0) return most_probable(logits, s->n);
    size_t n = s->o.top_k > 0 && s->o.top_k < s->n ? s->o.top_k : s->n;
    if (n <= FEW)
        ws_best_candidates(logits, s->n, n, s->c);
    else
        collect_all(s, logits);
    if (s->o.top_p < 1) n = keep_top_p(s->c, n, s->o.top_p);
    if (s->o.min_p > 0) n = keep_min_p(s->c, n, s->o.min_p);
    return draw(s, n);
}
