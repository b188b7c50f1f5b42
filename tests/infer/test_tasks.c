#include "mt19937.h"
#include "task_score.h"
#include "tiny_model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static ws_status parse(ws_tasks *t, ws_task_kind kind, const char *text, uint64_t n, ws_error *err) {
    *err = (ws_error){0};
    return ws_tasks_parse(t, kind, (const uint8_t *)text, strlen(text), n, "tasks", err);
}

static bool is(ws_str s, const char *text) { return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0; }

/* The standard says what the ten thousandth number is. */
Test(tasks, mersenne_twister) {
    ws_mt19937 r;
    uint32_t x = 0;
    ws_mt19937_seed(&r, 5489);
    for (int i = 0; i < 10000; i++) x = ws_mt19937_next(&r);
    cr_assert_eq(x, 4123659995u);
    size_t n[3] = {0};
    for (int i = 0; i < 30000; i++) n[ws_mt19937_below(&r, 3)]++;
    for (int i = 0; i < 3; i++) cr_assert(n[i] > 9700 && n[i] < 10300, "%zu", n[i]);
}

Test(tasks, hellaswag) {
    ws_tasks t;
    ws_error err;
    cr_assert_eq(parse(&t, WS_HELLASWAG, "c\n2\na\nb\nc d\ne\n", 0, &err), WS_OK, "%s", err.msg);
    cr_assert(t.n == 1 && t.tasks[0].n_answers == 4 && is(t.tasks[0].context, "c"));
    for (int i = 0; i < 4; i++) cr_assert_eq(t.answers[i].right, i == 2);
    cr_assert(is(t.answers[2].text, "c d") && is(t.answers[3].text, "e"));
    ws_tasks_free(&t);
    cr_assert_eq(parse(&t, WS_HELLASWAG, "c\n2\na\nb\nc\n", 0, &err), WS_FORMAT);
    cr_assert(strstr(err.msg, "5 lines"), "%s", err.msg);
    ws_tasks_free(&t);
    cr_assert_eq(parse(&t, WS_HELLASWAG, "c\n4\na\nb\nc\nd", 0, &err), WS_FORMAT);
    cr_assert(strstr(err.msg, "line 2"), "%s", err.msg);
    ws_tasks_free(&t);
    cr_assert_eq(parse(&t, WS_HELLASWAG, "", 0, &err), WS_FORMAT);
    ws_tasks_free(&t);
}

Test(tasks, a_choice_takes_each_task_once) {
    char text[4096] = "";
    ws_error err;
    for (int i = 0; i < 20; i++) snprintf(text + strlen(text), 200, "%d\n0\na\nb\nc\nd\n", 100 + i);
    for (uint64_t n = 1; n <= 20; n++) {
        ws_tasks t;
        uint32_t seen = 0;
        cr_assert_eq(parse(&t, WS_HELLASWAG, text, n, &err), WS_OK, "%s", err.msg);
        cr_assert_eq(t.n, n);
        for (size_t i = 0; i < t.n; i++)
            seen |= 1u << (10 * (t.tasks[i].context.data[1] - '0') + t.tasks[i].context.data[2] - '0');
        cr_assert_eq((uint64_t)__builtin_popcount(seen), n);
        ws_tasks_free(&t);
    }
}

Test(tasks, winogrande) {
    ws_tasks t;
    ws_error err;
    const char *text = "0,\"A, _ b.\",x,y z,2\nno task\n1,\"\"_ c,p,q, 1\r\n2,_ d,p,q,3\n3,_,p,q,1";
    cr_assert_eq(parse(&t, WS_WINOGRANDE, text, 0, &err), WS_OK, "%s", err.msg);
    cr_assert(t.n == 2 && t.n_bad == 2 && t.cut_off);
    cr_assert(is(t.tasks[0].context, "A, ") && is(t.tasks[0].after, " b."));
    cr_assert(is(t.answers[0].text, "x") && is(t.answers[1].text, "y z"));
    cr_assert(!t.answers[0].right && t.answers[1].right && t.answers[t.tasks[1].first].right);
    ws_tasks_free(&t);
    cr_assert_eq(parse(&t, WS_WINOGRANDE, text, 1, &err), WS_OK);
    cr_assert_eq(t.n, 1);
    ws_tasks_free(&t);
    cr_assert_eq(parse(&t, WS_WINOGRANDE, "nothing\n", 0, &err), WS_FORMAT);
    ws_tasks_free(&t);
}

Test(tasks, multiple_choice) {
    static const uint8_t data[] = {1, 0,   0, 0, 8, 0, 0,   0,   1, 0, 0, 0, 'q', 2, 0, 0, 0, 1, 0, 0,
                                   0, 'a', 2, 0, 0, 0, 'b', 'c', 0, 0, 0, 0, 1,   0, 0, 0, 0, 0, 0, 0};
    ws_tasks t;
    ws_error err = {0};
    cr_assert_eq(ws_tasks_parse(&t, WS_MULTIPLE_CHOICE, data, sizeof data, 0, "tasks", &err), WS_OK, "%s", err.msg);
    cr_assert(t.n == 1 && t.tasks[0].n_answers == 2 && is(t.tasks[0].context, "q"));
    cr_assert(is(t.answers[1].text, "bc") && t.answers[1].right && !t.answers[0].right);
    ws_tasks_free(&t);
    for (size_t n = 0; n < sizeof data; n++) {
        cr_assert_eq(ws_tasks_parse(&t, WS_MULTIPLE_CHOICE, data, n, 0, "tasks", &err), WS_FORMAT, "%zu", n);
        ws_tasks_free(&t);
    }
}

Test(tasks, statistics) {
    ws_task_result r = {.tasks = 10, .correct = 7, .answers = 40};
    ws_task_statistics(&r);
    cr_assert_float_eq(r.accuracy, 0.7, 1e-12);
    cr_assert_float_eq(r.error, sqrt(0.21 / 9), 1e-12);
    cr_assert_float_eq(r.low, 0.396778, 1e-6); /* Wilson's interval of 7 of 10 */
    cr_assert_float_eq(r.high, 0.892209, 1e-6);
    cr_assert_float_eq(r.chance, 0.25, 1e-12);
}

/* Mean log probability by the naive decoder, after BOS, of what follows the first `skip` bytes of the text. Bytes are
 * tokens; a space is U+2581, three of them. */
static double mean_logp(const tiny_options *o, const char *path, const char *text, size_t skip) {
    static double logits[64 * TINY_VOCAB];
    int32_t ids[64] = {TINY_BOS};
    size_t n = 1, first = 0;
    double sum = 0;
    for (size_t i = 0; text[i]; i++) {
        const char *bytes = text[i] == ' ' ? "\xe2\x96\x81" : (char[]){text[i], 0};
        if (i == skip) first = n;
        for (; *bytes; bytes++) ids[n++] = 3 + (uint8_t)*bytes;
    }
    tiny_reference(o, path, ids, n, logits);
    for (size_t i = first; i < n; i++) {
        double total = 0;
        for (int t = 0; t < TINY_VOCAB; t++) total += exp(logits[(i - 1) * TINY_VOCAB + (size_t)t]);
        sum += logits[(i - 1) * TINY_VOCAB + (size_t)ids[i]] - log(total);
    }
    return sum / (double)(n - first);
}

/* The answer whose own tokens have the highest mean log probability, whatever the batches; one ending is another's
 * beginning, which leaves it its last token. */
Test(tasks, the_most_probable_ending_is_the_answer) {
    static const char *const endings[] = {"abc", "abcd", "xyz", "a quick one"};
    char path[64], text[256];
    ws_error err = {0};
    tiny_options o = tiny_defaults();
    tiny_write(&o, path);
    int best = 0;
    double mean[4];
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "so it %s", endings[i]);
        mean[i] = mean_logp(&o, path, text, strlen("so it "));
        if (mean[i] > mean[best]) best = i;
    }
    for (int right = 0; right < 4; right++)
        for (uint64_t batch = 1; batch <= 64; batch *= 4) {
            ws_tasks t;
            ws_task_result r;
            const ws_task_options options = {.n_batch = batch, .n_threads = 2, .kv_type = WS_TYPE_F32};
            snprintf(text, sizeof text, "so it\n%d\n%s\n%s\n%s\n%s", right, endings[0], endings[1], endings[2],
                     endings[3]);
            cr_assert_eq(parse(&t, WS_HELLASWAG, text, 0, &err), WS_OK, "%s", err.msg);
            cr_assert_eq(ws_task_score(path, &t, &options, &r, &err), WS_OK, "%s", err.msg);
            cr_assert_eq(r.correct, right == best, "%d, best %d", right, best);
            ws_tasks_free(&t);
        }
    unlink(path);
}

Test(tasks, a_sequence_beyond_the_context_is_named) {
    char path[64];
    ws_tasks t;
    ws_task_result r;
    ws_error err = {0};
    const tiny_options o = tiny_defaults();
    const ws_task_options options = {.ctx = 8, .n_batch = 8, .n_threads = 1, .kv_type = WS_TYPE_F16};
    tiny_write(&o, path);
    cr_assert_eq(parse(&t, WS_WINOGRANDE, "0,A long _ sentence.,one,two,1\n", 0, &err), WS_OK);
    cr_assert_eq(ws_task_score(path, &t, &options, &r, &err), WS_LIMIT);
    cr_assert(strstr(err.msg, "task 1"), "%s", err.msg);
    ws_tasks_free(&t);
    unlink(path);
}
