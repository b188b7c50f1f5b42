#include "any_model.h"
#include "collect.h"
#include "cpu.h"
#include "forward.h"
#include "tiny_model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { N = 12 };

static const int32_t ids[N] = {1, 7, 9, 30, 7, 2, 40, 41, 3, 3, 60, 5};

/* Collect over the tokens in batches of `batch`. */
static ws_collector *collect(const ws_model *m, size_t batch, int threads) {
    const ws_session_options so = {
        .n_ctx = N, .n_batch = batch, .n_threads = threads, .kv_type = WS_TYPE_F32, .cpu_flags = ws_cpu_detect()};
    ws_error err = {0};
    ws_collector *c;
    ws_session *s;
    cr_assert_eq(ws_collector_open(&c, m, true, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_session_open(&s, m, &so, &err), WS_OK, "%s", err.msg);
    ws_session_collect(s, c);
    for (size_t at = 0; at < N; at += batch)
        cr_assert_eq(ws_session_feed(s, ids + at, N - at < batch ? N - at : batch, &err), WS_OK, "%s", err.msg);
    ws_session_close(s);
    return c;
}

static void same(const ws_gguf *g, const ws_collector *a, const ws_collector *b) {
    for (size_t i = 0; i < g->n_tensors; i++)
        for (uint64_t k = 0; k < g->tensors[i].ne[2]; k++) {
            uint64_t n, n_b;
            const double *x = ws_collected(a, g->tensors[i].name, k, &n), *y;
            y = ws_collected(b, g->tensors[i].name, k, &n_b);
            cr_assert_eq(n, n_b, "%s", g->tensors[i].name);
            cr_assert_eq(!x, !y);
            if (x) cr_assert_arr_eq(x, y, g->tensors[i].ne[0] * sizeof *x, "%s", g->tensors[i].name);
        }
}

static uint64_t tokens_of(const ws_collector *c, const char *tensor, uint64_t i) {
    uint64_t n;
    ws_collected(c, tensor, i, &n);
    return n;
}

/* The first block's input is the normed embedding, which a few lines compute. */
Test(collect, sums_are_squares_of_the_input) {
    char path[64];
    ws_error err = {0};
    ws_model *m;
    tiny_options o = tiny_defaults();
    o.untied = true;
    tiny_write(&o, path);
    cr_assert_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_OK, "%s", err.msg);
    ws_collector *c = collect(m, N, 2), *odd = collect(m, 5, 1);
    double want[4096] = {0};
    const float *embd = (const float *)(const void *)m->embd.data;
    for (size_t t = 0; t < N; t++) {
        const float *x = embd + (size_t)ids[t] * o.n_embd;
        double mean = 0;
        for (size_t i = 0; i < o.n_embd; i++) mean += (double)x[i] * (double)x[i] / o.n_embd;
        for (size_t i = 0; i < o.n_embd; i++)
            want[i] +=
                pow((double)x[i] * (double)m->layers[0].attn_norm.weight[i], 2) / (mean + (double)m->hp.norm_eps);
    }
    uint64_t n;
    const double *q = ws_collected(c, "blk.0.attn_q.weight", 0, &n);
    cr_assert_eq(n, N);
    for (size_t i = 0; i < o.n_embd; i++) cr_assert_lt(fabs(q[i] - want[i]), 1e-5 * (want[i] + 1), "column %zu", i);
    cr_assert_eq(tokens_of(c, "output.weight", 0), N);
    cr_assert_null(ws_collected(c, "token_embd.weight", 0, &n));
    same(m->gguf, c, odd);
    ws_collector_close(c);
    ws_collector_close(odd);
    ws_model_close(m);
    unlink(path);
}

/* Every matrix of every architecture is met, a token counts once for each expert that it uses, and batches and
 * threads change no bit. */
Test(collect, every_architecture) {
    for (const ws_arch *const *a = ws_arch_all(); *a; a++) {
        char path[64];
        ws_error err = {0};
        ws_model *m;
        any_write(*a, &(any_options){0}, path);
        cr_assert_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_OK, "%s", err.msg);
        ws_collector *c = collect(m, N, 1);
        for (size_t i = 0; i < m->gguf->n_tensors; i++) {
            const ws_tensor *t = &m->gguf->tensors[i];
            const char *end = strrchr(t->name, '.');
            uint64_t n = 0;
            if (strncmp(t->name, "blk.", 4) != 0 || t->ne[1] == 1 || strcmp(end, ".weight") != 0 ||
                strstr(t->name, "_norm."))
                continue;
            for (uint64_t k = 0; k < t->ne[2]; k++) n += tokens_of(c, t->name, k);
            const uint64_t each = strstr(t->name, "_exps") ? m->hp.n_expert_used : t->ne[2];
            cr_assert_eq(n, N * each, "%s: '%s' met %llu tokens", (*a)->name, t->name, (unsigned long long)n);
        }
        if (!((*a)->traits & WS_ENCODER)) {
            ws_collector *odd = collect(m, 5, 2);
            same(m->gguf, c, odd);
            ws_collector_close(odd);
        }
        ws_collector_close(c);
        ws_model_close(m);
        unlink(path);
    }
}

Test(collect, what_does_not_fit_f32_is_refused) {
    char path[64];
    ws_error err = {0};
    ws_model *m;
    ws_collector *c;
    const tiny_options o = tiny_defaults();
    tiny_write(&o, path);
    cr_assert_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_collector_open(&c, m, false, &err), WS_OK, "%s", err.msg);
    float x[256] = {[3] = 1e30f};
    ws_team *team;
    cr_assert_eq(ws_team_open(&team, 1, &err), WS_OK, "%s", err.msg);
    ws_collect_rows(c, team, &m->layers[0].q.w, &(ws_rows){.x = x, .stride = 256}, 1);
    const ws_str text = {"text", 4};
    const ws_collect_info info = {&text, 1, 1, 512, false};
    cr_assert_eq(ws_collector_write(c, "/dev/null", &info, &err), WS_FORMAT);
    cr_assert(strstr(err.msg, "'blk.0.attn_q.weight'") && strstr(err.msg, "column 3"), "%s", err.msg);
    ws_team_close(team);
    ws_collector_close(c);
    ws_model_close(m);
    unlink(path);
}

/* What was written and merged twice is twice as much; files of other models are refused. */
Test(collect, merging_adds) {
    const char *names[] = {"llama", "deepseek2"};
    for (size_t k = 0; k < 2; k++) {
        char path[64], file[80], other[64];
        ws_error err = {0};
        ws_model *m;
        ws_collector *twice;
        ws_imatrix *matrix;
        any_write(ws_arch_by_name(names[k], strlen(names[k])), &(any_options){0}, path);
        snprintf(file, sizeof file, "%s.imatrix", path);
        cr_assert_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_OK, "%s", err.msg);
        ws_collector *c = collect(m, N, 1);
        const ws_str text = {"text", 4};
        const ws_collect_info info = {&text, 1, 1, N, false};
        cr_assert_eq(ws_collector_write(c, file, &info, &err), WS_OK, "%s", err.msg);
        cr_assert_eq(ws_imatrix_open(&matrix, file, &(ws_imatrix_filter){0}, &err), WS_OK, "%s", err.msg);
        cr_assert_eq(ws_collector_open(&twice, m, false, &err), WS_OK);
        for (int i = 0; i < 2; i++)
            cr_assert_eq(ws_collector_merge(twice, matrix, file, N, &err), WS_OK, "%s", err.msg);
        cr_expect_eq(ws_collector_tokens(twice), 2 * ws_collector_tokens(c));
        for (size_t i = 0; i < m->gguf->n_tensors; i++) {
            const ws_tensor *t = &m->gguf->tensors[i];
            uint64_t n, n_once;
            const double *x = ws_collected(twice, t->name, 0, &n), *once = ws_collected(c, t->name, 0, &n_once);
            if (!once || n_once == 0) continue;
            cr_assert_eq(n, 2 * n_once, "%s", t->name);
            for (uint64_t j = 0; j < t->ne[0]; j++) cr_assert_eq(x[j], (double)(2 * (float)once[j]), "%s", t->name);
        }
        ws_str dataset[2];
        cr_assert_eq(ws_imatrix_datasets(matrix, dataset, 2), 1);
        cr_expect(dataset[0].len == 4 && memcmp(dataset[0].data, "text", 4) == 0);
        ws_model *stranger;
        ws_collector *empty;
        any_write(ws_arch_by_name("gpt2", 4), &(any_options){0}, other);
        cr_assert_eq(ws_model_open(&stranger, other, NULL, NULL, &err), WS_OK, "%s", err.msg);
        cr_assert_eq(ws_collector_open(&empty, stranger, false, &err), WS_OK);
        cr_expect_eq(ws_collector_merge(empty, matrix, file, N, &err), WS_FORMAT);
        ws_collector_close(empty);
        ws_model_close(stranger);
        ws_imatrix_close(matrix);
        ws_collector_close(twice);
        ws_collector_close(c);
        ws_model_close(m);
        unlink(other);
        unlink(file);
        unlink(path);
    }
}
