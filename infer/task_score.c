#include "task_score.h"

#include "alloc.h"
#include "runner.h"
#include "tokenizer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_BEHIND = 3 }; /* Winogrande: more tokens than that have to follow the common beginning */

/* The tokens of one answer with its context. */
typedef struct {
    ws_ids ids;
    size_t first, end; /* tokens that count */
    int32_t beyond;    /* a token whose probability behind the last one is needed, or -1 */
} sequence;

typedef struct {
    sequence s[WS_MAX_ANSWERS];
    size_t n, common; /* sequences; tokens that they all begin with */
} question;

typedef struct {
    const ws_tasks *tasks;
    const ws_task_options *o;
    ws_tokenizer *tokenizer;
    ws_runner r;
    ws_kernels k;
    question q;
    char *text;
    size_t text_cap;
    double *logp; /* of each token of a sequence */
    size_t logp_cap;
} scorer;

/* ---- tokens ---- */

static ws_status tokenize(scorer *s, ws_ids *ids, ws_str a, const char *between, ws_str b, ws_str c, ws_error *err) {
    const size_t gap = strlen(between), n = a.len + gap + b.len + c.len;
    const ws_str parts[] = {a, {between, gap}, b, c};
    char *to;
    ids->n = 0;
    WS_TRY(ws_grow(&s->text, &s->text_cap, n + 1, 1, err));
    to = s->text;
    for (size_t i = 0; i < 4; i++) {
        if (parts[i].len) memcpy(to, parts[i].data, parts[i].len);
        to += parts[i].len;
    }
    return ws_tokenize(s->tokenizer, ids, s->text, n, true, false, err);
}

/* Each sequence keeps a token of its own, even where one is the beginning of another. */
static size_t common_beginning(const question *q) {
    size_t n = 0, least = SIZE_MAX;
    for (size_t i = 0; i < q->n; i++)
        if (q->s[i].ids.n < least) least = q->s[i].ids.n;
    for (; n + 1 < least; n++)
        for (size_t i = 1; i < q->n; i++)
            if (q->s[i].ids.id[n] != q->s[0].ids.id[n]) return n;
    return n;
}

/* Which tokens of a Winogrande sequence count. llama-perplexity takes the probability of the second sequence's first
 * token behind the first sequence where the answer counts, too; so that scores are equal, this does, too. */
static ws_status choose_winogrande(scorer *s, const ws_task *task, ws_error *err) {
    question *q = &s->q;
    ws_ids begin = {0};
    ws_status st = WS_OK;
    const bool skip = q->s[0].ids.n > q->common + LEAST_BEHIND && q->s[1].ids.n > q->common + LEAST_BEHIND;
    for (size_t i = 0; i < q->n && !st; i++) {
        sequence *x = &q->s[i];
        if (skip)
            st = tokenize(s, &begin, task->context, "", s->tasks->answers[task->first + i].text, (ws_str){0}, err);
        if (skip && begin.n > x->first) x->first = begin.n < x->ids.n ? begin.n : x->ids.n - 1;
        if (x->ids.n - x->first > 1) x->end--;
    }
    if (!skip && q->common > 0) q->s[0].beyond = q->s[1].ids.id[q->common];
    free(begin.id);
    return st;
}

static ws_status prepare(scorer *s, size_t index, ws_error *err) {
    const ws_tasks *t = s->tasks;
    const ws_task *task = &t->tasks[index];
    const char *between = t->kind == WS_WINOGRANDE ? "" : " ";
    question *q = &s->q;
    q->n = task->n_answers;
    for (size_t i = 0; i < q->n; i++) {
        WS_TRY(tokenize(s, &q->s[i].ids, task->context, between, t->answers[task->first + i].text, task->after, err));
        if (q->s[i].ids.n == 0) return ws_fail(err, WS_FORMAT, "task %zu: answer %zu has no tokens", index + 1, i + 1);
    }
    q->common = common_beginning(q);
    for (size_t i = 0; i < q->n; i++) {
        q->s[i].first = q->common > 0 ? q->common : 1; /* nothing predicts a text's first token */
        q->s[i].end = q->s[i].ids.n;
        q->s[i].beyond = -1;
    }
    return t->kind == WS_WINOGRANDE ? choose_winogrande(s, task, err) : WS_OK;
}

/* ---- probabilities ---- */

/* Rows of logits, and the token that each of them is asked for. */
typedef struct {
    const scorer *s;
    const int32_t *next;
    double *logp;
} asking;

static void ask(void *ctx, size_t begin, size_t end, int thread) {
    const asking *a = ctx;
    const ws_runner *r = &a->s->r;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t best;
        const float *x = r->logits + i * r->stride;
        a->logp[i] = (double)x[a->next[i]] - a->s->k.log_sum_exp(x, r->model->hp.n_vocab, &best);
    }
}

/* Run ids[at, end); logp[i + 1] becomes the log probability of ids[i + 1] for those i that are at least `first`. */
static ws_status run(scorer *s, const int32_t *ids, size_t at, size_t end, size_t first, ws_error *err) {
    const ws_runner *r = &s->r;
    for (size_t n; at < end; at += n) {
        n = end - at < r->n_batch ? end - at : r->n_batch;
        WS_TRY(ws_session_feed(r->session, ids + at, n, err));
        for (size_t row = at < first ? first - at : 0, rows; row < n; row += rows) {
            rows = n - row < r->n_rows ? n - row : r->n_rows;
            WS_TRY(ws_session_logits(r->session, row, rows, r->logits, err));
            const asking a = {s, ids + at + row + 1, s->logp + at + row + 1};
            ws_team_for(ws_session_team(r->session), rows, 1, ask, (void *)&a);
        }
    }
    return WS_OK;
}

/* The common beginning, and from its last row the log probability of every answer's first token. */
static ws_status run_common(scorer *s, double *first, ws_error *err) {
    const question *q = &s->q;
    const ws_runner *r = &s->r;
    size_t best;
    ws_session_rewind(r->session, 0);
    if (q->common == 0) return WS_OK;
    WS_TRY(run(s, q->s[0].ids.id, 0, q->common, SIZE_MAX, err));
    WS_TRY(ws_session_logits(r->session, (q->common - 1) % r->n_batch, 1, r->logits, err));
    const double lse = s->k.log_sum_exp(r->logits, r->model->hp.n_vocab, &best);
    for (size_t i = 0; i < q->n; i++) first[i] = (double)r->logits[q->s[i].ids.id[q->common]] - lse;
    return WS_OK;
}

/* Mean log probability of the tokens that count. *beyond: that of the token `beyond`. */
static ws_status run_sequence(scorer *s, size_t index, double first, double *mean, double *beyond, ws_error *err) {
    sequence *x = &s->q.s[index];
    const size_t common = s->q.common, n = x->ids.n;
    double sum = 0;
    WS_TRY(ws_grow(&x->ids.id, &x->ids.cap, n + 1, sizeof *x->ids.id, err));
    WS_TRY(ws_grow(&s->logp, &s->logp_cap, n + 1, sizeof *s->logp, err));
    x->ids.id[n] = x->beyond;
    ws_session_rewind(s->r.session, common);
    WS_TRY(run(s, x->ids.id, common, x->beyond >= 0 ? n : n - 1, x->first > common ? x->first - 1 : common, err));
    if (common > 0) s->logp[common] = first;
    if (x->beyond >= 0) *beyond = s->logp[n];
    for (size_t i = x->first; i < x->end; i++) sum += s->logp[i];
    *mean = x->end > x->first ? sum / (double)(x->end - x->first) : -INFINITY;
    return WS_OK;
}

/* The answer that the model gives: the first of equally probable ones, of two in Winogrande the second. */
static ws_status answer(scorer *s, size_t *chosen, ws_error *err) {
    double first[WS_MAX_ANSWERS], mean[WS_MAX_ANSWERS], beyond = 0;
    const bool later = s->tasks->kind == WS_WINOGRANDE;
    WS_TRY(run_common(s, first, err));
    *chosen = 0;
    for (size_t i = 0; i < s->q.n; i++) {
        if (i == 1 && s->q.s[0].beyond >= 0) first[1] = beyond;
        WS_TRY(run_sequence(s, i, first[i], &mean[i], &beyond, err));
        if (mean[i] > mean[*chosen] || (later && mean[i] == mean[*chosen])) *chosen = i;
    }
    return WS_OK;
}

/* ---- all tasks ---- */

void ws_task_statistics(ws_task_result *r) {
    const double n = (double)r->tasks, p = n > 0 ? (double)r->correct / n : 0, z2 = 1.95996398454 * 1.95996398454 / n;
    const double half = sqrt(z2 * (4 * p * (1 - p) + z2)) / 2;
    r->accuracy = p;
    r->error = n > 1 ? sqrt(p * (1 - p) / (n - 1)) : 0;
    r->low = (p + z2 / 2 - half) / (1 + z2);
    r->high = (p + z2 / 2 + half) / (1 + z2);
    r->chance = n / (double)r->answers;
}

static ws_status longest(scorer *s, uint64_t *n, ws_error *err) {
    *n = s->o->ctx;
    for (size_t i = 0; i < s->tasks->n && !s->o->ctx; i++) {
        WS_TRY(prepare(s, i, err));
        for (size_t k = 0; k < s->q.n; k++)
            if (s->q.s[k].ids.n > *n) *n = s->q.s[k].ids.n;
    }
    return WS_OK;
}

static ws_status open_scorer(scorer *s, const char *path, ws_error *err) {
    uint64_t n_ctx;
    WS_TRY(ws_model_open(&s->r.model, path, s->o->problem, s->o->arg, err));
    WS_TRY(ws_tokenizer_open(&s->tokenizer, s->r.model->gguf, err));
    WS_TRY(longest(s, &n_ctx, err));
    ws_kernels_init(&s->k, s->o->cpu_flags);
    return ws_runner_start(&s->r,
                           &(ws_session_options){.n_ctx = n_ctx,
                                                 .n_batch = s->o->n_batch < n_ctx ? s->o->n_batch : n_ctx,
                                                 .n_threads = s->o->n_threads,
                                                 .kv_type = s->o->kv_type,
                                                 .cpu_flags = s->o->cpu_flags},
                           err);
}

static ws_status score(scorer *s, ws_task_result *r, ws_error *err) {
    for (size_t i = 0; i < s->tasks->n; i++) {
        const ws_task *task = &s->tasks->tasks[i];
        size_t chosen;
        WS_TRY(prepare(s, i, err));
        if (answer(s, &chosen, err)) return ws_fail_in(err, "task %zu", i + 1);
        r->tasks++;
        r->answers += task->n_answers;
        r->correct += s->tasks->answers[task->first + chosen].right;
        ws_task_statistics(r);
        if (s->o->progress) s->o->progress(s->o->arg, s->tasks->n, r);
    }
    return WS_OK;
}

static void close_scorer(scorer *s) {
    for (size_t i = 0; i < WS_MAX_ANSWERS; i++) free(s->q.s[i].ids.id);
    ws_tokenizer_close(s->tokenizer);
    ws_runner_close(&s->r);
    free(s->text);
    free(s->logp);
    free(s);
}

ws_status ws_task_score(const char *path, const ws_tasks *t, const ws_task_options *o, ws_task_result *r,
                        ws_error *err) {
    *r = (ws_task_result){0};
    scorer *s = ws_alloc(1, sizeof *s, "scores", err);
    if (!s) return WS_NOMEM;
    s->tasks = t, s->o = o;
    ws_status st = open_scorer(s, path, err);
    if (!st) st = score(s, r, err);
    close_scorer(s);
    return st;
}
