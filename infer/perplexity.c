#include "perplexity.h"

#include "alloc.h"
#include "cpu.h"
#include "runner.h"
#include "score.h"
#include "tokenizer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_BATCH = 512,
    MIN_CTX = 4,
};

typedef struct {
    const ws_eval_options *o;
    int n_threads;
    size_t n_batch;
    ws_kernels k;
    ws_runner quant, base; /* base.model == NULL: only perplexity */
    ws_ids ids;
    int32_t bos; /* -1: chunks keep their first token */
    ws_tally tally;
    ws_score *scores; /* of all predictions */
    size_t n_scores;
} evaluation;

ws_eval_options ws_eval_defaults(void) { return (ws_eval_options){.ctx = 512, .kv_type = WS_TYPE_F16}; }

/* ---- opening ---- */

static ws_status open_runner(ws_runner *r, const evaluation *e, const char *path, uint32_t flags, ws_error *err) {
    WS_TRY(ws_model_open(&r->model, path, e->o->problem, e->o->arg, err));
    return ws_runner_start(r,
                           &(ws_session_options){.n_ctx = e->o->ctx,
                                                 .n_batch = e->n_batch,
                                                 .n_threads = e->n_threads,
                                                 .kv_type = e->o->kv_type,
                                                 .cpu_flags = flags},
                           err);
}

static ws_status tokenize(evaluation *e, const char *text, size_t n, ws_error *err) {
    ws_tokenizer *t;
    WS_TRY(ws_tokenizer_open(&t, e->quant.model->gguf, err));
    const ws_status st = ws_tokenize(t, &e->ids, text, n, true, false, err);
    e->bos = ws_tokenizer_adds_bos(t) ? ws_tokenizer_bos(t) : -1;
    ws_tokenizer_close(t);
    WS_TRY(st);
    if (e->ids.n < e->o->ctx)
        return ws_fail(err, WS_FORMAT, "the text has %zu tokens, which do not fill one chunk of %" PRIu64, e->ids.n,
                       e->o->ctx);
    return WS_OK;
}

/* Same tokens in the same order? */
static ws_status check_same_vocabulary(const evaluation *e, ws_error *err) {
    const char *key = "tokenizer.ggml.tokens";
    const ws_kv *a = ws_gguf_kv(e->quant.model->gguf, key), *b = ws_gguf_kv(e->base.model->gguf, key);
    const uint64_t n = e->quant.model->hp.n_vocab, n_base = e->base.model->hp.n_vocab;
    if (n != n_base)
        return ws_fail(err, WS_FORMAT, "the models' vocabularies differ: %" PRIu64 " and %" PRIu64 " tokens", n,
                       n_base);
    if (a && b && (a->raw_bytes != b->raw_bytes || memcmp(a->raw, b->raw, a->raw_bytes) != 0))
        return ws_fail(err, WS_FORMAT,
                       "the models' vocabularies differ: both have %" PRIu64 " tokens, but not the same", n);
    return WS_OK;
}

static ws_status open_models(evaluation *e, const char *path, const char *base_path, ws_error *err) {
    uint32_t flags;
    WS_TRY(ws_cpu_flags(&flags, err));
    ws_kernels_init(&e->k, flags);
    WS_TRY(open_runner(&e->quant, e, path, flags, err));
    if (!base_path) return WS_OK;
    WS_TRY(open_runner(&e->base, e, base_path, flags, err));
    return check_same_vocabulary(e, err);
}

/* ---- running ---- */

/* The rows of logits at hand: scores of the text's tokens from next[0] on. */
typedef struct {
    evaluation *e;
    const int32_t *next;
} scoring;

static void score_rows(void *ctx, size_t begin, size_t end, int thread) {
    const scoring *s = ctx;
    evaluation *e = s->e;
    const size_t n = e->quant.model->hp.n_vocab, stride = e->quant.stride;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t best;
        ws_base_row base = {0};
        if (e->base.model) {
            base.x = e->base.logits + i * stride;
            base.lse = e->k.log_sum_exp(base.x, n, &best);
            base.nll = base.lse - (double)base.x[s->next[i]];
        }
        e->scores[e->n_scores + i] =
            ws_score_row(&e->k, e->quant.logits + i * stride, base.x ? &base : NULL, n, s->next[i]);
    }
}

/* Score the rows [first, end) of the batch just fed, which predict tokens next[first], ... */
static ws_status score_batch(evaluation *e, size_t first, size_t end, const int32_t *next, ws_error *err) {
    for (size_t row = first; row < end; row += e->quant.n_rows) {
        const size_t n = end - row < e->quant.n_rows ? end - row : e->quant.n_rows;
        WS_TRY(ws_session_logits(e->quant.session, row, n, e->quant.logits, err));
        if (e->base.model) WS_TRY(ws_session_logits(e->base.session, row, n, e->base.logits, err));
        ws_team_for(ws_session_team(e->quant.session), n, 1, score_rows, &(scoring){e, next + row});
        for (size_t i = 0; i < n; i++) ws_tally_add(&e->tally, &e->scores[e->n_scores++]);
    }
    return WS_OK;
}

/* The last token of a chunk is only ever predicted, so it is not fed. */
static ws_status run_chunk(evaluation *e, int32_t *tokens, ws_error *err) {
    const size_t ctx = e->o->ctx, first = ctx / 2;
    const int32_t kept = tokens[0];
    ws_status st = WS_OK;
    if (e->bos >= 0) tokens[0] = e->bos;
    ws_session_rewind(e->quant.session, 0);
    if (e->base.model) ws_session_rewind(e->base.session, 0);
    for (size_t at = 0; at < ctx - 1 && !st; at += e->n_batch) {
        const size_t n = ctx - 1 - at < e->n_batch ? ctx - 1 - at : e->n_batch;
        st = ws_session_feed(e->quant.session, tokens + at, n, err);
        if (!st && e->base.model) st = ws_session_feed(e->base.session, tokens + at, n, err);
        if (!st && at + n > first) st = score_batch(e, first > at ? first - at : 0, n, tokens + at + 1, err);
    }
    tokens[0] = kept;
    return st;
}

static ws_status run_chunks(evaluation *e, ws_eval_result *r, ws_error *err) {
    const uint64_t full = e->ids.n / e->o->ctx, n = e->o->chunks && e->o->chunks < full ? e->o->chunks : full;
    e->scores = ws_alloc(n * (e->o->ctx - 1 - e->o->ctx / 2), sizeof *e->scores, "scores", err);
    if (!e->scores) return WS_NOMEM;
    for (r->chunks = 0; r->chunks < n;) {
        WS_TRY(run_chunk(e, e->ids.id + r->chunks * e->o->ctx, err));
        r->chunks++;
        ws_tally_result(&e->tally, e->base.model, r);
        if (e->o->progress) e->o->progress(e->o->arg, n, r);
    }
    return WS_OK;
}

static ws_status evaluate(evaluation *e, const char *path, const char *base_path, const char *text, size_t n,
                          ws_eval_result *r, ws_error *err) {
    WS_TRY(open_models(e, path, base_path, err));
    WS_TRY(tokenize(e, text, n, err));
    WS_TRY(run_chunks(e, r, err));
    return base_path ? ws_score_quantiles(e->scores, e->n_scores, r, err) : WS_OK;
}

static ws_status run(const char *path, const char *base_path, const char *text, size_t n, const ws_eval_options *o,
                     ws_eval_result *r, ws_error *err) {
    *r = (ws_eval_result){0};
    if (o->ctx < MIN_CTX)
        return ws_fail(err, WS_USAGE, "chunks of %" PRIu64 " tokens, expected at least %d", o->ctx, MIN_CTX);
    evaluation e = {
        .o = o,
        .n_threads = o->threads > 0 ? o->threads : ws_cpu_count(),
        .n_batch = o->ctx < MAX_BATCH ? o->ctx : MAX_BATCH,
    };
    const ws_status st = evaluate(&e, path, base_path, text, n, r, err);
    ws_runner_close(&e.quant);
    ws_runner_close(&e.base);
    free(e.ids.id);
    free(e.scores);
    return st;
}

ws_status ws_perplexity_run(const char *path, const char *text, size_t n, const ws_eval_options *o, ws_eval_result *r,
                            ws_error *err) {
    return run(path, NULL, text, n, o, r, err);
}

ws_status ws_perplexity_compare(const char *base_path, const char *quant_path, const char *text, size_t n,
                                const ws_eval_options *o, ws_eval_result *r, ws_error *err) {
    return run(quant_path, base_path, text, n, o, r, err);
}
