#include "perplexity.h"
#include "tiny_model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES = 200 };

static void make_text(char *text) {
    for (int i = 0; i < TEXT_BYTES; i++) text[i] = (char)('a' + i * i % 23);
}

static ws_eval_options small(uint64_t ctx) {
    ws_eval_options o = ws_eval_defaults();
    o.ctx = ctx, o.threads = 2;
    return o;
}

Test(perplexity, a_model_that_knows_nothing_has_its_vocabularys_size) {
    char path[64], text[TEXT_BYTES];
    ws_error err = {0};
    ws_eval_result r;
    tiny_options o = tiny_defaults();
    const ws_eval_options e = small(32);
    o.untied = o.zero_output = true;
    tiny_write(&o, path);
    make_text(text);
    cr_assert_eq(ws_perplexity_run(path, text, TEXT_BYTES, &e, &r, &err), WS_OK, "%s", err.msg);
    cr_assert_float_eq(r.ppl, TINY_VOCAB, 1e-4);
    cr_assert_eq(r.chunks, 6); /* 201 tokens with BOS */
    cr_assert_eq(r.tokens, 6 * 15);
    unlink(path);
}

/* The rule worked out by hand: chunk c holds tokens [c ctx, (c + 1) ctx), its first token gives way to BOS, and the
 * predictions after tokens ctx / 2 .. ctx - 2 are scored. */
static void check_rule(bool bos) {
    enum { CTX = 20, CHUNKS = 3 };
    static double logits[CTX * TINY_VOCAB];
    char path[64], text[TEXT_BYTES];
    ws_error err = {0};
    ws_eval_result r;
    tiny_options o = tiny_defaults();
    ws_eval_options e = small(CTX);
    double sum = 0, squares = 0;
    int n = 0;
    o.no_bos = !bos;
    e.chunks = CHUNKS, e.kv_type = WS_TYPE_F32;
    tiny_write(&o, path);
    make_text(text);
    for (int c = 0; c < CHUNKS; c++) {
        int32_t ids[CTX];
        for (int i = 0; i < CTX; i++) {
            const int at = c * CTX + i - bos;
            ids[i] = at < 0 ? TINY_BOS : 3 + text[at];
        }
        if (bos) ids[0] = TINY_BOS;
        tiny_reference(&o, path, ids, CTX, logits);
        for (int i = CTX / 2; i < CTX - 1; i++, n++) {
            double total = 0;
            for (int t = 0; t < TINY_VOCAB; t++) total += exp(logits[i * TINY_VOCAB + t]);
            const double nll = log(total) - logits[i * TINY_VOCAB + ids[i + 1]];
            sum += nll, squares += nll * nll;
        }
    }
    cr_assert_eq(ws_perplexity_run(path, text, TEXT_BYTES, &e, &r, &err), WS_OK, "%s", err.msg);
    cr_assert_eq((int)r.tokens, n);
    cr_assert_float_eq(r.ppl / exp(sum / n), 1, 1e-5);
    cr_assert_float_eq(r.ppl_error / (exp(sum / n) * sqrt((squares / n - sum / n * (sum / n)) / (n - 1))), 1, 1e-4);
    unlink(path);
}

Test(perplexity, scores_the_second_half_of_each_chunk_after_bos) { check_rule(true); }
Test(perplexity, scores_the_second_half_of_each_chunk_without_bos) { check_rule(false); }

Test(perplexity, comparison_with_itself_finds_nothing) {
    char path[64], text[TEXT_BYTES];
    ws_error err = {0};
    ws_eval_result r;
    const tiny_options o = tiny_defaults();
    const ws_eval_options e = small(48);
    tiny_write(&o, path);
    make_text(text);
    cr_assert_eq(ws_perplexity_compare(path, path, text, TEXT_BYTES, &e, &r, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(r.ppl, r.ppl_base);
    cr_assert_eq(r.top1, 1);
    cr_assert_eq(r.top5, 1);
    cr_assert_float_eq(r.correlation, 1, 1e-9);
    cr_assert_eq(r.rms_dp, 0);
    cr_assert_float_eq(r.kld[WS_AT_MAX], 0, 1e-6);
    unlink(path);
}

Test(perplexity, comparison_measures_what_quantization_loses) {
    char base[64], fine[64], coarse[64], text[TEXT_BYTES];
    ws_error err = {0};
    ws_eval_result a, b, alone;
    tiny_options o = tiny_defaults();
    const ws_eval_options e = small(64);
    tiny_write(&o, base);
    o.type = WS_TYPE_Q8_0;
    tiny_write(&o, fine);
    o.type = WS_TYPE_Q3_K;
    tiny_write(&o, coarse);
    make_text(text);
    cr_assert_eq(ws_perplexity_compare(base, fine, text, TEXT_BYTES, &e, &a, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_perplexity_compare(base, coarse, text, TEXT_BYTES, &e, &b, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_perplexity_run(coarse, text, TEXT_BYTES, &e, &alone, &err), WS_OK, "%s", err.msg);
    cr_assert(a.mean_kld > 0 && a.mean_kld * 10 < b.mean_kld, "%g, %g", a.mean_kld, b.mean_kld);
    cr_assert(a.mean_kld <= a.kld[WS_AT_999]);
    for (int i = 1; i < WS_SHARES; i++) cr_assert(b.kld[i] <= b.kld[i - 1] && b.dp[i] <= b.dp[i - 1], "%d", i);
    cr_assert(b.top5 < a.top5 && b.top5 > 0.2);
    cr_assert(a.rms_dp < b.rms_dp && a.top1 >= b.top1);
    cr_assert_eq(alone.ppl, b.ppl);
    cr_assert_float_eq(b.ln_ratio, log(b.ppl / b.ppl_base), 1e-9);
    unlink(base), unlink(fine), unlink(coarse);
}

Test(perplexity, bad_input_is_refused) {
    char path[64], other[64], text[TEXT_BYTES];
    ws_error err = {0};
    ws_eval_result r;
    tiny_options o = tiny_defaults();
    ws_eval_options e = small(512);
    tiny_write(&o, path);
    make_text(text);
    cr_assert_eq(ws_perplexity_run(path, text, TEXT_BYTES, &e, &r, &err), WS_FORMAT);
    cr_assert(strstr(err.msg, "201 tokens, which do not fill one chunk of 512"), "%s", err.msg);
    e.ctx = 3;
    cr_assert_eq(ws_perplexity_run(path, text, TEXT_BYTES, &e, &r, &err), WS_USAGE);
    e.ctx = 32;
    o.poison = "output_norm.weight";
    tiny_write(&o, other);
    cr_assert_eq(ws_perplexity_run(other, text, TEXT_BYTES, &e, &r, &err), WS_FORMAT);
    cr_assert(strstr(err.msg, "NaN"), "%s", err.msg);
    cr_assert_eq(ws_perplexity_compare("/nonexistent", path, text, TEXT_BYTES, &e, &r, &err), WS_IO);
    unlink(path), unlink(other);
}
