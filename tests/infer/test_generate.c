#include "cpu.h"
#include "generate.h"
#include "tiny_model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(generate, characters_are_not_cut) {
    static const struct {
        const char *text;
        size_t whole;
    } cases[] = {
        {"abc", 3},
        {"", 0},
        {"a\xc3", 1},             /* 2 bytes, 1 there */
        {"a\xc3\xa9", 3},         /* complete */
        {"\xe2\x82", 0},          /* 3 bytes, 2 there */
        {"\xe2\x82\xac", 3},      /* complete */
        {"x\xf0\x9f\x98", 1},     /* 4 bytes, 3 there */
        {"x\xf0\x9f\x98\x80", 5}, /* complete */
        {"\x80\x80\x80\x80", 4},  /* can never become a character */
        {"a\xff", 2},             /* nor can this */
        {"\xc3"
         "b",
         2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq(ws_utf8_whole(cases[i].text, strlen(cases[i].text)), cases[i].whole, "case %zu", i);
}

typedef struct {
    char text[4000];
    size_t n;
    bool cut; /* some piece was not whole characters */
    bool full;
} collected;

static ws_status collect(void *arg, const char *text, size_t n, ws_error *err) {
    collected *c = arg;
    if (c->full) return ws_fail(err, WS_IO, "full");
    c->cut |= ws_utf8_whole(text, n) != n;
    memcpy(c->text + c->n, text, n);
    c->n += n;
    return WS_OK;
}

static ws_status generate(const ws_generate_options *g, ws_generated *out, ws_error *err) {
    char path[64];
    ws_model *m;
    ws_tokenizer *t;
    const tiny_options o = tiny_defaults();
    tiny_write(&o, path);
    cr_assert_eq(ws_model_open(&m, path, NULL, NULL, err), WS_OK, "%s", err->msg);
    cr_assert_eq(ws_tokenizer_open(&t, m->gguf, err), WS_OK, "%s", err->msg);
    const ws_status st = ws_generate(m, t, g, out, err);
    ws_tokenizer_close(t);
    ws_model_close(m);
    unlink(path);
    return st;
}

static ws_generate_options defaults(collected *c) {
    return (ws_generate_options){.prompt = "hello",
                                 .prompt_bytes = 5,
                                 .n_predict = 50,
                                 .n_batch = 4,
                                 .n_threads = 2,
                                 .kv_type = WS_TYPE_F16,
                                 .cpu_flags = ws_cpu_detect(),
                                 .sample = {.temp = 5, .top_p = 1, .seed = 4},
                                 .emit = collect,
                                 .arg = c};
}

Test(generate, a_receiver_that_fails_ends_it) {
    collected c = {.full = true};
    ws_generated x;
    ws_error err = {0};
    const ws_generate_options g = defaults(&c);
    cr_assert_eq(generate(&g, &x, &err), WS_IO);
    cr_expect_str_eq(err.msg, "full");
    cr_expect_eq(x.ids.n, 0);
}

/* The model is random, so its bytes are mostly no text: pieces must be whole all the same. */
Test(generate, a_seed_repeats_the_text) {
    collected a = {0}, b = {0};
    ws_generated x, y;
    ws_error err = {0};
    ws_generate_options g = defaults(&a);
    cr_assert_eq(generate(&g, &x, &err), WS_OK, "%s", err.msg);
    g.arg = &b, g.n_batch = 512, g.n_threads = 1;
    cr_assert_eq(generate(&g, &y, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(x.n_prompt, 6);
    cr_assert(!a.cut && x.ids.n > 0);
    cr_assert_eq(x.ids.n, y.ids.n);
    cr_assert_arr_eq(x.ids.id, y.ids.id, x.ids.n * sizeof *x.ids.id);
    cr_assert(a.n == b.n && memcmp(a.text, b.text, a.n) == 0);
    free(x.ids.id), free(y.ids.id);
}

Test(generate, stops_at_the_count_and_at_the_contexts_end) {
    collected c = {0};
    ws_generated r;
    ws_error err = {0};
    ws_generate_options g = defaults(&c);
    g.sample.temp = 0, g.n_predict = 3;
    cr_assert_eq(generate(&g, &r, &err), WS_OK, "%s", err.msg);
    cr_assert(r.stop == WS_STOP_COUNT && r.ids.n == 3 && r.n_decoded == 2);
    free(r.ids.id);
    g.n_predict = 50, g.ctx = 10;
    cr_assert_eq(generate(&g, &r, &err), WS_OK, "%s", err.msg);
    cr_assert(r.stop == WS_STOP_CONTEXT || r.stop == WS_STOP_END);
    cr_assert(r.stop != WS_STOP_CONTEXT || r.ids.n == 5, "%zu tokens", r.ids.n); /* 6 + 5: the last is not fed */
    free(r.ids.id);
}

Test(generate, a_prompt_that_fills_the_context_is_refused) {
    collected c = {0};
    ws_generated r;
    ws_error err = {0};
    ws_generate_options g = defaults(&c);
    g.ctx = 6;
    cr_assert_eq(generate(&g, &r, &err), WS_LIMIT);
    cr_assert(strstr(err.msg, "6 tokens, which leave no room in a context of 6"), "%s", err.msg);
    cr_assert_null(r.ids.id);
}

/* Probabilities are those of all tokens together, the best ones come first, and the penalty does not touch them. */
Test(generate, logprobs) {
    collected a = {0};
    ws_generated x;
    ws_error err = {0};
    ws_generate_options g = defaults(&a);
    g.logprobs = true, g.n_logprobs = 1000, g.sample.repeat_penalty = 3, g.sample.repeat_last_n = WS_REPEAT_ALL;
    cr_assert_eq(generate(&g, &x, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(x.n_best, TINY_VOCAB);
    for (size_t i = 0; i < x.ids.n; i++) {
        const ws_logprob *p = x.logprobs + i * (1 + x.n_best), *own = NULL;
        double sum = 0;
        for (size_t k = 1; k <= x.n_best; k++) {
            sum += exp(p[k].logprob);
            cr_assert(k == 1 || p[k].logprob <= p[k - 1].logprob);
            if (p[k].token == x.ids.id[i]) own = &p[k];
        }
        cr_assert_float_eq(sum, 1, 1e-6);
        cr_assert_eq(p->token, x.ids.id[i]);
        cr_assert(own && own->logprob == p->logprob);
    }
    free(x.ids.id);
    free(x.logprobs);
}
