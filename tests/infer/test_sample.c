#include "sample.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { N = 6, DRAWS = 20000 };
static float logits[N] = {0, 2, 1, 2, -1, -30};

static void count_draws(ws_sample_options o, double share[N]) {
    ws_error err = {0};
    ws_sampler *s;
    cr_assert_eq(ws_sampler_open(&s, &o, N, &err), WS_OK);
    for (int i = 0; i < N; i++) share[i] = 0;
    for (int i = 0; i < DRAWS; i++) share[ws_sample(s, logits)] += 1.0 / DRAWS;
    ws_sampler_close(s);
}

Test(sample, temperature_zero_takes_the_first_of_the_best) {
    double share[N];
    count_draws((ws_sample_options){.temp = 0, .top_k = 3, .top_p = 0.5}, share);
    cr_assert_float_eq(share[1], 1, 1e-9);
}

Test(sample, draws_follow_the_distribution) {
    static const double temps[] = {0.5, 1, 2};
    for (int t = 0; t < 3; t++) {
        double share[N], total = 0;
        for (int i = 0; i < N; i++) total += exp(logits[i] / temps[t]);
        count_draws((ws_sample_options){.temp = temps[t], .top_p = 1, .seed = 3}, share);
        for (int i = 0; i < N; i++) cr_assert_float_eq(share[i], exp(logits[i] / temps[t]) / total, 0.015);
    }
}

Test(sample, cuts_leave_the_most_probable) {
    static const struct {
        ws_sample_options o;
        int kept; /* of the order 1 3 2 0 4 5 */
    } cases[] = {
        {{.temp = 1, .top_k = 1, .top_p = 1}, 1},
        {{.temp = 1, .top_k = 3, .top_p = 1}, 3},
        {{.temp = 1, .top_k = 100, .top_p = 1}, 6},
        {{.temp = 1, .top_p = 0}, 1},
        {{.temp = 1, .top_p = 0.5}, 2}, /* shares .397 .397 .146 .054 .020 */
        {{.temp = 1, .top_p = 0.9}, 3},
        {{.temp = 1, .top_p = 1, .min_p = 0.3}, 3}, /* relative: 1 1 .368 .135 .050 */
        {{.temp = 1, .top_p = 1, .min_p = 1}, 2},
    };
    static const int order[N] = {1, 3, 2, 0, 4, 5};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double share[N];
        count_draws(cases[c].o, share);
        for (int i = 0; i < 5; i++) cr_assert_eq(share[order[i]] > 0, i < cases[c].kept, "case %zu, rank %d", c, i);
    }
}

/* Vocabularies beyond what is sorted by insertion are sorted whole; both ways keep the same tokens. */
Test(sample, many_candidates_are_cut_the_same) {
    enum { MANY = 2000 };
    static float many[MANY];
    ws_error err = {0};
    for (int i = 0; i < MANY; i++) many[i] = (float)(i * 7919 % MANY) * 0.01f;
    static const uint64_t ks[] = {40, 512, 513, 0};
    for (int c = 0; c < 4; c++) {
        ws_sampler *s;
        const ws_sample_options o = {.temp = 1, .top_k = ks[c], .top_p = 1, .seed = 5};
        cr_assert_eq(ws_sampler_open(&s, &o, MANY, &err), WS_OK);
        for (int i = 0; i < 300; i++) {
            const float logit = many[ws_sample(s, many)];
            cr_assert(ks[c] == 0 || logit >= (float)(MANY - (int)ks[c]) * 0.01f - 1e-4f);
        }
        ws_sampler_close(s);
    }
}

Test(sample, a_seed_repeats_and_another_differs) {
    ws_error err = {0};
    int same = 0, other = 0;
    ws_sampler *a, *b, *c;
    const ws_sample_options one = {.temp = 1, .top_p = 1, .seed = 1}, two = {.temp = 1, .top_p = 1, .seed = 2};
    cr_assert_eq(ws_sampler_open(&a, &one, N, &err), WS_OK);
    cr_assert_eq(ws_sampler_open(&b, &one, N, &err), WS_OK);
    cr_assert_eq(ws_sampler_open(&c, &two, N, &err), WS_OK);
    for (int i = 0; i < 100; i++) {
        const int32_t t = ws_sample(a, logits);
        same += t == ws_sample(b, logits), other += t == ws_sample(c, logits);
    }
    cr_assert_eq(same, 100);
    cr_assert_lt(other, 80);
    ws_sampler_close(a), ws_sampler_close(b), ws_sampler_close(c);
}

/* The rule of llama.cpp: once per token, whatever its number of places among the last. */
Test(sample, repeated_tokens_are_penalized) {
    static const struct {
        int64_t last_n;
        float want[N];
    } cases[] = {
        {0, {0, 2, 1, 2, -1, -30}},
        {1, {0, 2, 1, 2, -2, -30}},     /* 4 */
        {3, {0, 1, 1, 2, -2, -30}},     /* 1 1 4 */
        {-1, {0, 1, 0.5f, 2, -2, -30}}, /* 2 1 1 4 */
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float x[N];
        ws_error err = {0};
        ws_sampler *s;
        const ws_sample_options o = {.repeat_penalty = 2, .repeat_last_n = (uint64_t)cases[c].last_n};
        cr_assert_eq(ws_sampler_open(&s, &o, N, &err), WS_OK);
        memcpy(x, logits, sizeof x);
        static const int32_t seen[] = {2, 1, 1, 4};
        for (int i = 0; i < 4; i++) ws_sampler_saw(s, seen[i]);
        ws_sample(s, x);
        for (int i = 0; i < N; i++) cr_assert_float_eq(x[i], cases[c].want[i], 1e-6, "case %zu, token %d", c, i);
        ws_sampler_close(s);
    }
}
