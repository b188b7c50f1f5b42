#include "logits_file.h"
#include "perplexity.h"
#include "score_log.h"
#include "tiny_model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 301, CTX = 32, TEXT_BYTES = 200 };

static double log_sum(const float *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += exp((double)x[i]);
    return log(sum);
}

Test(logits_file, a_row_comes_back_to_half_a_level) {
    float x[N], back[N];
    uint8_t *row = malloc(ws_logits_row_bytes(N));
    for (int i = 0; i < N; i++) x[i] = (float)(i * 37 % N) * 0.1f - 3;
    const double lse = log_sum(x, N), level = 16.0 / 65535;
    ws_logits_pack(x, N, lse, row);
    for (int32_t i = 0; i < N; i += 7) {
        const double want = (double)x[i] - lse, nll = ws_logits_unpack(row, N, i, back);
        if (back[i] > -16) cr_assert_float_eq(-nll, want, level, "%d", i);
        cr_assert(back[i] > -16 ? back[i] == (float)-nll : want < -15.9 && back[i] < -1000, "%d", i);
    }
    cr_assert_eq(ws_logits_row_bytes(N), 8 + 2 * (N + 1));
    memset(x, 0, sizeof x);
    ws_logits_pack(x, N, log(N), row);
    cr_assert_float_eq(ws_logits_unpack(row, N, 5, back), log(N), 1e-6);
    row[3] = row[2] = 0xff; /* scale becomes NaN */
    cr_assert(isnan(ws_logits_unpack(row, N, 5, back)));
    free(row);
}

static void make_text(char *text) {
    for (int i = 0; i < TEXT_BYTES; i++) text[i] = (char)('a' + i * i % 23);
}

static void temporary(char path[64]) {
    snprintf(path, 64, "/tmp/ws-measure-XXXXXX");
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    unlink(path);
}

static ws_eval_options options(void) {
    ws_eval_options o = ws_eval_defaults();
    o.ctx = CTX, o.threads = 2;
    return o;
}

/* A comparison with a saved file finds what the comparison of the models finds. */
Test(logits_file, stands_for_the_model_it_was_made_with) {
    char base[64], quant[64], logits[64], text[TEXT_BYTES];
    ws_error err = {0};
    ws_measurement direct, saved, alone;
    tiny_options t = tiny_defaults();
    ws_eval_options o = options();
    tiny_write(&t, base);
    t.type = WS_TYPE_Q4_0;
    tiny_write(&t, quant);
    make_text(text);
    temporary(logits);
    const ws_document d = {"text", text, TEXT_BYTES};
    cr_assert_eq(ws_measure(&direct, quant, base, &d, 1, &o, &err), WS_OK, "%s", err.msg);
    o.save_logits = logits;
    cr_assert_eq(ws_measure(&alone, base, NULL, &d, 1, &o, &err), WS_OK, "%s", err.msg);
    o.save_logits = NULL, o.ctx = 512;
    cr_assert(ws_is_logits_file(logits) && !ws_is_logits_file(base) && !ws_is_logits_file("/nonexistent"));
    cr_assert_eq(ws_measure(&saved, quant, logits, NULL, 0, &o, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(saved.total.ppl, direct.total.ppl);
    cr_assert_float_eq(saved.total.ppl_base, alone.total.ppl, 1e-3 * alone.total.ppl);
    cr_assert_float_eq(saved.total.mean_kld, direct.total.mean_kld, 1e-3 * direct.total.mean_kld);
    cr_assert_eq(saved.total.tokens, direct.total.tokens);
    ws_measurement_free(&saved);
    cr_assert_eq(ws_measure(&saved, quant, logits, &d, 1, &o, &err), WS_USAGE);
    ws_measurement_free(&saved);
    ws_measurement_free(&direct);
    ws_measurement_free(&alone);
    unlink(base), unlink(quant), unlink(logits);
}

Test(logits_file, sizes_are_checked) {
    uint8_t data[8 + 12 + 4 * 4 + 2 * 0 + 16] = "_logits_";
    const uint32_t numbers[] = {4, 3, 1}; /* one row of 8 + 2 * 4 bytes */
    ws_logits_file f;
    ws_error err = {0};
    memcpy(data + 8, numbers, sizeof numbers);
    cr_assert_eq(ws_logits_file_bytes(&f, data, sizeof data, "f", &err), WS_OK, "%s", err.msg);
    cr_assert(f.n_rows == 1 && f.row_bytes == 16 && f.rows == data + 36);
    for (size_t n = 0; n < sizeof data; n++) cr_assert_eq(ws_logits_file_bytes(&f, data, n, "f", &err), WS_FORMAT);
    data[20] = 3; /* a token beyond the vocabulary */
    cr_assert_eq(ws_logits_file_bytes(&f, data, sizeof data, "f", &err), WS_FORMAT);
    cr_assert(strstr(err.msg, "vocabulary"), "%s", err.msg);
    const uint32_t huge[] = {0xffffffff, 0x7fffffff, 0xffffffff};
    memcpy(data + 8, huge, sizeof huge);
    cr_assert_eq(ws_logits_file_bytes(&f, data, sizeof data, "f", &err), WS_FORMAT);
}

Test(measure, texts_count_for_themselves_and_together) {
    char path[64], text[TEXT_BYTES];
    ws_error err = {0};
    ws_measurement a, both;
    const tiny_options t = tiny_defaults();
    const ws_eval_options o = options();
    tiny_write(&t, path);
    make_text(text);
    const ws_document d[] = {{"one", text, TEXT_BYTES}, {"two", text + 50, 100}};
    cr_assert_eq(ws_measure(&a, path, NULL, d + 1, 1, &o, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_measure(&both, path, NULL, d, 2, &o, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(both.documents[1].result.ppl, a.total.ppl);
    cr_assert_eq(both.documents[1].first_score, both.documents[0].result.tokens);
    cr_assert_eq(both.total.chunks, 6 + 3);
    const double n[] = {6, 3};
    const double mean = (n[0] * log(both.documents[0].result.ppl) + n[1] * log(a.total.ppl)) / 9;
    cr_assert_float_eq(log(both.total.ppl), mean, 1e-12);
    ws_measurement_free(&a);
    ws_measurement_free(&both);
    cr_assert_eq(ws_measure(&a, path, NULL, NULL, 0, &o, &err), WS_USAGE);
    ws_measurement_free(&a);
    unlink(path);
}

/* Windows of 256 tokens that move on by 16: those after tokens 239 .. 254 of each are scored. */
Test(measure, stride) {
    enum { LONG = 700 };
    char path[64], text[LONG];
    static double logits[256 * TINY_VOCAB];
    ws_error err = {0};
    ws_measurement m;
    const tiny_options t = tiny_defaults();
    ws_eval_options o = options();
    o.stride = 16, o.chunks = 3, o.kv_type = WS_TYPE_F32;
    tiny_write(&t, path);
    for (int i = 0; i < LONG; i++) text[i] = (char)('a' + i * i % 23);
    const ws_document d = {"text", text, LONG};
    cr_assert_eq(ws_measure(&m, path, NULL, &d, 1, &o, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(m.total.tokens, 3 * 16);
    for (size_t c = 0; c < 3; c++) {
        const int32_t *ids = m.documents[0].ids.id + c * 16;
        tiny_reference(&t, path, ids, 256, logits);
        for (size_t i = 0; i < 16; i++) {
            double total = 0;
            const double *x = logits + (239 + i) * TINY_VOCAB;
            for (int k = 0; k < TINY_VOCAB; k++) total += exp(x[k]);
            cr_assert_float_eq(m.scores[c * 16 + i].nll, log(total) - x[ids[240 + i]], 1e-3);
        }
    }
    ws_measurement_free(&m);
    o.stride = 64;
    cr_assert_eq(ws_measure(&m, path, NULL, &d, 1, &o, &err), WS_USAGE); /* more than a chunk */
    ws_measurement_free(&m);
    unlink(path);
}

/* ---- going on ---- */

Test(score_log, goes_on_behind_whole_records_only) {
    enum { RECORD = 3 };
    char path[64];
    ws_error err = {0};
    ws_score_log *l;
    ws_score s[RECORD] = {{.nll = 1}, {.nll = 2}, {.nll = 3, .same_top = 1}}, got[RECORD];
    temporary(path);
    cr_assert_eq(ws_score_log_open(&l, path, "this", RECORD, &err), WS_OK, "%s", err.msg);
    cr_assert(!ws_score_log_next(l, got));
    for (int i = 0; i < 3; i++) {
        s[0].nll = i;
        cr_assert_eq(ws_score_log_add(l, s, &err), WS_OK);
    }
    ws_score_log *second;
    cr_assert_eq(ws_score_log_open(&second, path, "this", RECORD, &err), WS_IO); /* in use */
    ws_score_log_close(l, false);
    cr_assert_eq(ws_score_log_open(&l, path, "that", RECORD, &err), WS_FORMAT);
    cr_assert(strstr(err.msg, "another run"), "%s", err.msg);
    cr_assert_eq(truncate(path, (off_t)(strlen("weightsmith scores 1\nthis\n") + 3 * (sizeof s + 4) - 5)), 0);
    for (int round = 0; round < 2; round++) { /* the record that is added behind the whole ones is found again */
        cr_assert_eq(ws_score_log_open(&l, path, "this", RECORD, &err), WS_OK, "%s", err.msg);
        for (int i = 0; i < 2 + round; i++) {
            cr_assert(ws_score_log_next(l, got), "%d", i);
            cr_assert(got[0].nll == i && got[2].same_top == 1);
        }
        cr_assert(!ws_score_log_next(l, got));
        s[0].nll = 2;
        cr_assert_eq(ws_score_log_add(l, s, &err), WS_OK);
        ws_score_log_close(l, false);
    }
    FILE *f = fopen(path, "r+"); /* a damaged record ends what is recalled */
    cr_assert(f);
    fseek(f, (long)strlen("weightsmith scores 1\nthis\n") + 3, SEEK_SET);
    fputc(99, f);
    fclose(f);
    cr_assert_eq(ws_score_log_open(&l, path, "this", RECORD, &err), WS_OK);
    cr_assert(!ws_score_log_next(l, got));
    ws_score_log_close(l, true);
    cr_assert_neq(access(path, F_OK), 0);
}
