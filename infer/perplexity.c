#include "perplexity.h"

#include "alloc.h"
#include "cpu.h"
#include "logits_file.h"
#include "runner.h"
#include "score.h"
#include "score_log.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum {
    MAX_BATCH = 512,
    MIN_CTX = 4,
    CTX_STEP = 256, /* llama.cpp rounds contexts up to it */
};

typedef struct {
    const ws_eval_options *o;
    ws_measurement *m;
    int n_threads;
    uint32_t cpu_flags;
    ws_kernels k;
    ws_runner quant, base; /* base.model == NULL: none, or a file */
    ws_logits_file file;   /* base; rows == NULL: none */
    float *file_rows;      /* its rows at hand, as quant.logits */
    bool compared;
    int32_t bos; /* -1: chunks keep their first token */
    ws_outfile *save;
    uint8_t *packed; /* rows at hand of the file that is written */
    ws_score_log *log;
    ws_tally total, tally; /* tally: of the document */
    uint64_t n_chunks;     /* of all documents */
} evaluation;

ws_eval_options ws_eval_defaults(void) { return (ws_eval_options){.ctx = 512, .kv_type = WS_TYPE_F16}; }

/* ---- how a text is cut ---- */

static ws_status make_rule(ws_chunk_rule *r, uint64_t ctx, uint64_t stride, ws_error *err) {
    if (ctx < MIN_CTX || ctx > UINT32_MAX || stride > ctx)
        return ws_fail(err, WS_USAGE,
                       "chunks of %" PRIu64 " tokens, stride %" PRIu64 ": expected at least %d, and no larger stride",
                       ctx, stride, MIN_CTX);
    *r = (ws_chunk_rule){.length = ctx, .step = ctx, .first = ctx / 2, .n_scored = ctx - 1 - ctx / 2, .bos = true};
    if (!stride) return WS_OK;
    const size_t length = (ctx + stride / 2 + CTX_STEP - 1) / CTX_STEP * CTX_STEP;
    *r = (ws_chunk_rule){.length = length, .step = stride, .first = length - stride - 1, .n_scored = stride};
    return WS_OK;
}

static uint64_t count_chunks(const evaluation *e, const ws_ids *ids) {
    const ws_chunk_rule *r = &e->m->rule;
    uint64_t n = r->bos ? ids->n / r->length : 0;
    if (!r->bos && ids->n > r->length) n = (ids->n - r->length + r->step - 1) / r->step;
    return e->o->chunks && e->o->chunks < n ? e->o->chunks : n;
}

/* ---- opening ---- */

static ws_status open_runner(ws_runner *r, const evaluation *e, const char *path, ws_error *err) {
    const size_t length = e->m->rule.length;
    WS_TRY(ws_model_open(&r->model, path, e->o->problem, e->o->arg, err));
    return ws_runner_start(r,
                           &(ws_session_options){.n_ctx = length,
                                                 .n_batch = length < MAX_BATCH ? length : MAX_BATCH,
                                                 .n_threads = e->n_threads,
                                                 .kv_type = e->o->kv_type,
                                                 .cpu_flags = e->cpu_flags},
                           err);
}

/* Same tokens in the same order? */
static ws_status check_same_vocabulary(const evaluation *e, ws_error *err) {
    const char *key = "tokenizer.ggml.tokens";
    const ws_kv *a = ws_gguf_kv(e->quant.model->gguf, key);
    const ws_kv *b = e->base.model ? ws_gguf_kv(e->base.model->gguf, key) : NULL;
    const uint64_t n = e->quant.model->hp.n_vocab, n_base = e->base.model ? e->base.model->hp.n_vocab : e->file.n_vocab;
    if (n != n_base)
        return ws_fail(err, WS_FORMAT, "the models' vocabularies differ: %" PRIu64 " and %" PRIu64 " tokens", n,
                       n_base);
    if (a && b && (a->raw_bytes != b->raw_bytes || memcmp(a->raw, b->raw, a->raw_bytes) != 0))
        return ws_fail(err, WS_FORMAT,
                       "the models' vocabularies differ: both have %" PRIu64 " tokens, but not the same", n);
    return WS_OK;
}

static ws_status open_models(evaluation *e, const char *path, const char *base, ws_error *err) {
    const bool file = base && ws_is_logits_file(base);
    WS_TRY(ws_cpu_flags(&e->cpu_flags, err));
    ws_kernels_init(&e->k, e->cpu_flags);
    if (file) WS_TRY(ws_logits_file_open(&e->file, base, err));
    if (file && e->o->stride) return ws_fail(err, WS_USAGE, "'%s' holds logits of chunks without a stride", base);
    WS_TRY(make_rule(&e->m->rule, file ? e->file.n_ctx : e->o->ctx, e->o->stride, err));
    WS_TRY(open_runner(&e->quant, e, path, err));
    if (!base) return WS_OK;
    e->compared = true;
    if (!file) WS_TRY(open_runner(&e->base, e, base, err));
    WS_TRY(check_same_vocabulary(e, err));
    if (!file) return WS_OK;
    e->file_rows = ws_alloc_aligned(e->quant.n_rows * e->quant.stride, sizeof *e->file_rows, "logits", err);
    return e->file_rows ? WS_OK : WS_NOMEM;
}

/* ---- texts ---- */

static ws_status tokens_of_file(evaluation *e, ws_error *err) {
    ws_ids *ids = &e->m->documents[0].ids;
    const size_t n = (size_t)e->file.n_chunks * e->file.n_ctx;
    WS_TRY(ws_grow(&ids->id, &ids->cap, n, sizeof *ids->id, err));
    memcpy(ids->id, e->file.tokens, n * sizeof *ids->id);
    ids->n = n;
    return WS_OK;
}

static ws_status tokenize(evaluation *e, const ws_tokenizer *t, const ws_document *documents, ws_error *err) {
    e->bos = e->m->rule.bos && ws_tokenizer_adds_bos(t) ? ws_tokenizer_bos(t) : -1;
    if (e->file.rows) return tokens_of_file(e, err);
    for (size_t i = 0; i < e->m->n_documents; i++) {
        ws_ids *ids = &e->m->documents[i].ids;
        WS_TRY(ws_tokenize(t, ids, documents[i].text, documents[i].n, true, false, err));
        if (count_chunks(e, ids) == 0)
            return ws_fail(err, WS_FORMAT, "'%s' has %zu tokens, which do not fill one chunk of %zu",
                           documents[i].name ? documents[i].name : "the text", ids->n, e->m->rule.length);
    }
    return WS_OK;
}

static ws_status read_texts(evaluation *e, const ws_document *documents, size_t n, ws_error *err) {
    ws_measurement *m = e->m;
    ws_tokenizer *t;
    if (e->file.rows ? n > 0 : n == 0)
        return ws_fail(err, WS_USAGE, e->file.rows ? "a file of logits brings its own text: give no other" : "no text");
    m->n_documents = e->file.rows ? 1 : n;
    m->documents = ws_alloc(m->n_documents, sizeof *m->documents, "texts", err);
    if (!m->documents) return WS_NOMEM;
    WS_TRY(ws_tokenizer_open(&t, e->quant.model->gguf, err));
    const ws_status st = tokenize(e, t, documents, err);
    ws_tokenizer_close(t);
    WS_TRY(st);
    for (size_t i = 0; i < m->n_documents; i++) e->n_chunks += count_chunks(e, &m->documents[i].ids);
    m->scores = ws_alloc(e->n_chunks, m->rule.n_scored * sizeof *m->scores, "scores", err);
    return m->scores ? WS_OK : WS_NOMEM;
}

/* ---- files beside ---- */

static ws_status begin_saving(evaluation *e, ws_error *err) {
    const uint64_t n_vocab = e->quant.model->hp.n_vocab;
    if (!e->o->save_logits) return WS_OK;
    if (e->compared || e->m->n_documents != 1 || e->o->stride || e->o->state)
        return ws_fail(err, WS_USAGE,
                       "logits are saved of one text, without a base, a stride or a state to resume from");
    if (e->n_chunks > INT32_MAX || n_vocab > INT32_MAX)
        return ws_fail(err, WS_LIMIT, "'%s': %" PRIu64 " chunks are too many", e->o->save_logits, e->n_chunks);
    e->packed = ws_alloc(e->quant.n_rows, ws_logits_row_bytes(n_vocab), "logits", err);
    if (!e->packed) return WS_NOMEM;
    WS_TRY(ws_outfile_open(&e->save, e->o->save_logits, err));
    return ws_logits_write_header(e->save, (uint32_t)e->m->rule.length, (uint32_t)n_vocab, (uint32_t)e->n_chunks,
                                  e->m->documents[0].ids.id, err);
}

/* Size and time of every part of a file: enough to know it again. */
static void identify(FILE *f, const char *what, const char *const *paths, size_t n) {
    struct stat st;
    fprintf(f, "%s", what);
    for (size_t i = 0; i < n; i++)
        if (stat(paths[i], &st) == 0)
            fprintf(f, " %" PRId64 "/%" PRId64 ".%09ld", (int64_t)st.st_size, (int64_t)st.st_mtim.tv_sec,
                    (long)st.st_mtim.tv_nsec);
}

static ws_status begin_log(evaluation *e, ws_error *err) {
    char *text = NULL;
    size_t n;
    if (!e->o->state) return WS_OK;
    FILE *f = open_memstream(&text, &n);
    if (!f) return ws_fail(err, WS_NOMEM, "out of memory: a description of the run");
    const ws_gguf *g = e->quant.model->gguf, *base = e->base.model ? e->base.model->gguf : NULL;
    identify(f, "model", (const char *const *)g->part_paths, g->n_parts);
    if (base) identify(f, " base", (const char *const *)base->part_paths, base->n_parts);
    if (e->file.rows) identify(f, " base", &e->file.path, 1);
    fprintf(f, " chunk %zu/%zu of %" PRIu64 " kv %s", e->m->rule.length, e->m->rule.step, e->o->chunks,
            ws_dtype_name(e->o->kv_type));
    for (size_t i = 0; i < e->m->n_documents; i++) {
        const ws_ids *ids = &e->m->documents[i].ids;
        fprintf(f, " text %zu/%08lx", ids->n, crc32_z(0, (const Bytef *)ids->id, ids->n * sizeof *ids->id));
    }
    ws_status st = fclose(f) == 0 ? WS_OK : ws_fail(err, WS_NOMEM, "out of memory: a description of the run");
    if (!st) st = ws_score_log_open(&e->log, e->o->state, text, e->m->rule.n_scored, err);
    free(text);
    return st;
}

/* ---- running ---- */

/* The rows of logits at hand: scores of the text's tokens from next[0] on. */
typedef struct {
    evaluation *e;
    const int32_t *next;
    const uint8_t *rows; /* of the file */
    ws_score *out;
} scoring;

static ws_base_row base_row(const scoring *s, size_t i) {
    const evaluation *e = s->e;
    const size_t n = e->quant.model->hp.n_vocab, at = i * e->quant.stride;
    ws_base_row b = {0};
    size_t best;
    if (e->file.rows) {
        b.x = e->file_rows + at;
        b.nll = ws_logits_unpack(s->rows + i * e->file.row_bytes, n, s->next[i], e->file_rows + at);
    } else if (e->base.model) {
        b.x = e->base.logits + at;
        b.lse = e->k.log_sum_exp(b.x, n, &best);
        b.nll = b.lse - (double)b.x[s->next[i]];
    }
    return b;
}

static void score_rows(void *ctx, size_t begin, size_t end, int thread) {
    const scoring *s = ctx;
    const evaluation *e = s->e;
    const size_t n = e->quant.model->hp.n_vocab;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const float *x = e->quant.logits + i * e->quant.stride;
        const ws_base_row base = base_row(s, i);
        s->out[i] = isnan(base.nll) ? (ws_score){.nll_base = NAN}
                                    : ws_score_row(&e->k, x, base.x ? &base : NULL, n, s->next[i]);
        if (e->packed)
            ws_logits_pack(x, n, s->out[i].nll + (double)x[s->next[i]], e->packed + i * ws_logits_row_bytes(n));
    }
}

/* Score the rows [first, end) of the batch just fed, which predict tokens next[first], ...; out and rows go on. */
static ws_status score_batch(evaluation *e, size_t first, size_t end, scoring *s, ws_error *err) {
    const int32_t *next = s->next;
    for (size_t row = first, n; row < end; row += n) {
        n = end - row < e->quant.n_rows ? end - row : e->quant.n_rows;
        s->next = next + row;
        WS_TRY(ws_session_logits(e->quant.session, row, n, e->quant.logits, err));
        if (e->base.model) WS_TRY(ws_session_logits(e->base.session, row, n, e->base.logits, err));
        ws_team_for(ws_session_team(e->quant.session), n, 1, score_rows, s);
        for (size_t i = 0; i < n; i++)
            if (isnan(s->out[i].nll_base))
                return ws_fail(err, WS_FORMAT, "'%s': a row holds a NaN or an infinity", e->file.path);
        if (e->save)
            WS_TRY(ws_outfile_write(e->save, e->packed, n * ws_logits_row_bytes(e->quant.model->hp.n_vocab), err));
        s->out += n;
        if (s->rows) s->rows += n * e->file.row_bytes;
    }
    return WS_OK;
}

/* The last token of a chunk is only ever predicted, so it is not fed. `index`: of the chunk in a file of logits. */
static ws_status run_chunk(evaluation *e, int32_t *tokens, uint64_t index, ws_score *out, ws_error *err) {
    const ws_chunk_rule *r = &e->m->rule;
    const int32_t kept = tokens[0];
    scoring s = {.e = e, .out = out, .rows = e->file.rows};
    ws_status st = WS_OK;
    if (s.rows) s.rows += index * e->file.n_rows * e->file.row_bytes;
    if (e->bos >= 0) tokens[0] = e->bos;
    ws_session_rewind(e->quant.session, 0);
    if (e->base.model) ws_session_rewind(e->base.session, 0);
    for (size_t at = 0, n; at < r->length - 1 && !st; at += n) {
        n = r->length - 1 - at < e->quant.n_batch ? r->length - 1 - at : e->quant.n_batch;
        st = ws_session_feed(e->quant.session, tokens + at, n, err);
        if (!st && e->base.model) st = ws_session_feed(e->base.session, tokens + at, n, err);
        s.next = tokens + at + 1;
        if (!st && at + n > r->first) st = score_batch(e, r->first > at ? r->first - at : 0, n, &s, err);
    }
    tokens[0] = kept;
    return st;
}

static ws_status run_or_recall(evaluation *e, int32_t *tokens, uint64_t index, ws_score *out, ws_error *err) {
    if (e->log && ws_score_log_next(e->log, out)) return WS_OK;
    WS_TRY(run_chunk(e, tokens, index, out, err));
    return e->log ? ws_score_log_add(e->log, out, err) : WS_OK;
}

static ws_status run_document(evaluation *e, ws_document_result *d, ws_error *err) {
    ws_measurement *m = e->m;
    const uint64_t n = count_chunks(e, &d->ids);
    const size_t n_scored = m->rule.n_scored;
    e->tally = (ws_tally){0};
    d->first_score = m->n_scores;
    for (uint64_t c = 0; c < n; c++, m->n_scores += n_scored) {
        ws_score *out = m->scores + m->n_scores;
        WS_TRY(run_or_recall(e, d->ids.id + c * m->rule.step, c, out, err));
        for (size_t i = 0; i < n_scored; i++) {
            ws_tally_add(&e->tally, &out[i]);
            ws_tally_add(&e->total, &out[i]);
        }
        d->result.chunks++;
        m->total.chunks++;
        ws_tally_result(&e->total, e->compared, &m->total);
        if (e->o->progress) e->o->progress(e->o->arg, e->n_chunks, &m->total);
    }
    ws_tally_result(&e->tally, e->compared, &d->result);
    return e->compared ? ws_score_quantiles(m->scores + d->first_score, n * n_scored, &d->result, err) : WS_OK;
}

static ws_status evaluate(evaluation *e, const char *path, const char *base, const ws_document *documents, size_t n,
                          ws_error *err) {
    ws_measurement *m = e->m;
    WS_TRY(open_models(e, path, base, err));
    WS_TRY(read_texts(e, documents, n, err));
    WS_TRY(begin_saving(e, err));
    WS_TRY(begin_log(e, err));
    for (size_t i = 0; i < m->n_documents; i++) WS_TRY(run_document(e, &m->documents[i], err));
    return e->compared ? ws_score_quantiles(m->scores, m->n_scores, &m->total, err) : WS_OK;
}

ws_status ws_measure(ws_measurement *m, const char *path, const char *base, const ws_document *documents,
                     size_t n_documents, const ws_eval_options *o, ws_error *err) {
    *m = (ws_measurement){0};
    evaluation e = {.o = o, .m = m, .n_threads = o->threads > 0 ? o->threads : ws_cpu_count()};
    ws_status st = evaluate(&e, path, base, documents, n_documents, err);
    if (!st && e.save) {
        st = ws_outfile_finish(e.save, err);
        e.save = NULL;
    }
    ws_outfile_discard(e.save);
    ws_score_log_close(e.log, !st);
    ws_runner_close(&e.quant);
    ws_runner_close(&e.base);
    ws_logits_file_close(&e.file);
    free(e.file_rows);
    free(e.packed);
    return st;
}

void ws_measurement_free(ws_measurement *m) {
    for (size_t i = 0; i < m->n_documents && m->documents; i++) free(m->documents[i].ids.id);
    free(m->documents);
    free(m->scores);
    *m = (ws_measurement){0};
}

/* ---- one text ---- */

ws_status ws_perplexity_compare(const char *base_path, const char *quant_path, const char *text, size_t n,
                                const ws_eval_options *o, ws_eval_result *r, ws_error *err) {
    ws_measurement m;
    const ws_status st = ws_measure(&m, quant_path, base_path, &(ws_document){.text = text, .n = n}, 1, o, err);
    *r = m.total;
    ws_measurement_free(&m);
    return st;
}

ws_status ws_perplexity_run(const char *path, const char *text, size_t n, const ws_eval_options *o, ws_eval_result *r,
                            ws_error *err) {
    return ws_perplexity_compare(NULL, path, text, n, o, r, err);
}
