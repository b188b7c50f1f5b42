/* infer --perplexity and --kld-base: how well a text is predicted, and how far from another model. */
#include "alloc.h"
#include "escape.h"
#include "file.h"
#include "json.h"
#include "logits_file.h"
#include "main_infer.h"
#include "measure_html.h"
#include "perplexity.h"
#include "progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- while it runs ---- */

typedef struct {
    const ws_infer_options *o;
    ws_progress bar;
    bool compared, begun;
} reporter;

static void report_chunk(void *arg, uint64_t n_chunks, const ws_eval_result *r) {
    reporter *p = arg;
    if (p->o->common.json || p->o->common.quiet) {
        if (!p->begun) ws_progress_start(&p->bar, "chunks", "chunks", n_chunks, p->o->common.quiet);
        p->begun = true;
        ws_progress_add(&p->bar, 1);
    } else if (p->compared) {
        printf("chunk %4" PRIu64 "/%" PRIu64 "  perplexity %9.4f  base %9.4f  mean KLD %.6f  same top %6.2f %%\n",
               r->chunks, n_chunks, r->ppl, r->ppl_base, r->mean_kld, 100 * r->top1);
    } else {
        printf("chunk %4" PRIu64 "/%" PRIu64 "  perplexity %9.4f\n", r->chunks, n_chunks, r->ppl);
    }
    fflush(stdout);
}

/* ---- results ---- */

static void add_perplexity(cJSON *to, const ws_eval_result *r) {
    cJSON_AddNumberToObject(to, "perplexity", r->ppl);
    cJSON_AddNumberToObject(to, "error", r->ppl_error);
}

static void add_divergence(cJSON *to, const ws_eval_result *r) {
    const struct {
        const char *key;
        double value;
    } rows[] = {
        {"mean_kld", r->mean_kld},
        {"mean_kld_error", r->mean_kld_error},
        {"median_kld", r->kld[WS_AT_MEDIAN]},
        {"kld_99", r->kld[WS_AT_99]},
        {"kld_999", r->kld[WS_AT_999]},
        {"max_kld", r->kld[WS_AT_MAX]},
        {"top1", r->top1},
        {"top1_error", r->top1_error},
        {"top5", r->top5},
        {"top5_error", r->top5_error},
        {"rms_dp", r->rms_dp},
        {"rms_dp_error", r->rms_dp_error},
        {"mean_dp", r->mean_dp},
        {"mean_dp_error", r->mean_dp_error},
        {"ppl", r->ppl},
        {"ppl_error", r->ppl_error},
        {"ppl_base", r->ppl_base},
        {"ppl_base_error", r->ppl_base_error},
        {"correlation", r->correlation},
        {"ln_ratio", r->ln_ratio},
        {"ln_ratio_error", r->ln_ratio_error},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) cJSON_AddNumberToObject(to, rows[i].key, rows[i].value);
}

static void add_result(cJSON *to, const ws_eval_result *r, bool compared) {
    (compared ? add_divergence : add_perplexity)(to, r);
    ws_json_add_u64(to, "tokens", r->tokens);
    ws_json_add_u64(to, "chunks", r->chunks);
}

static ws_status print_json(const ws_measurement *m, const ws_document *documents, bool compared, ws_error *err) {
    cJSON *root = cJSON_CreateObject();
    add_result(root, &m->total, compared);
    cJSON *list = m->n_documents > 1 ? cJSON_AddArrayToObject(root, "documents") : NULL;
    for (size_t i = 0; list && i < m->n_documents; i++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToObject(item, "file", ws_json_bytes(documents[i].name, strlen(documents[i].name)));
        add_result(item, &m->documents[i].result, compared);
        cJSON_AddItemToArray(list, item);
    }
    return ws_json_print(root, stdout, err);
}

static void print_quantiles(const ws_eval_result *r) {
    printf("\nquantile  KL divergence          Δp\n");
    for (size_t i = 0; i < WS_SHARES; i++) {
        char share[16];
        snprintf(share, sizeof share, "%.1f %%", 100 * ws_shares[i]);
        const char *name = i == WS_AT_MAX      ? "maximum"
                           : i == WS_AT_MEDIAN ? "median"
                           : i == WS_AT_MIN    ? "minimum"
                                               : share;
        printf("%-8s  %13.6f  %8.3f %%\n", name, r->kld[i], 100 * r->dp[i]);
    }
}

static void print_divergence(const ws_eval_result *r) {
    const double ratio = exp(r->ln_ratio);
    const struct {
        const char *name, *unit;
        double value, error, factor;
        int digits;
    } rows[] = {
        {"PPL(Q)", "", r->ppl, r->ppl_error, 1, 4},
        {"PPL(base)", "", r->ppl_base, r->ppl_base_error, 1, 4},
        {"ln(PPL(Q)/PPL(base))", "", r->ln_ratio, r->ln_ratio_error, 1, 6},
        {"PPL(Q)/PPL(base)", "", ratio, ratio * r->ln_ratio_error, 1, 6},
        {"mean KL divergence", "", r->mean_kld, r->mean_kld_error, 1, 6},
        {"mean Δp ", " %", r->mean_dp, r->mean_dp_error, 100, 4}, /* printf counts bytes, and Δ is two */
        {"RMS Δp ", " %", r->rms_dp, r->rms_dp_error, 100, 4},
        {"same top token", " %", r->top1, r->top1_error, 100, 3},
        {"same of the top 5", " %", r->top5, r->top5_error, 100, 3},
    };
    printf("\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("%-20s  %12.*f ± %.*f%s\n", rows[i].name, rows[i].digits, rows[i].factor * rows[i].value, rows[i].digits,
               rows[i].factor * rows[i].error, rows[i].unit);
    printf("correlation           %12.2f %% of the log probabilities\n", 100 * r->correlation);
    print_quantiles(r);
    printf("\nover %" PRIu64 " tokens of %" PRIu64 " chunks\n", r->tokens, r->chunks);
}

static void print_perplexity(const ws_eval_result *r, const char *name) {
    printf("perplexity %.4f ± %.4f over %" PRIu64 " tokens of %" PRIu64 " chunks%s", r->ppl, r->ppl_error, r->tokens,
           r->chunks, name ? ": " : "\n");
    if (!name) return;
    ws_escape_put(stdout, name, strlen(name), SIZE_MAX);
    printf("\n");
}

static void print_text(const ws_measurement *m, const ws_document *documents, bool compared) {
    const bool several = m->n_documents > 1;
    for (size_t i = 0; several && i < m->n_documents; i++) {
        const ws_eval_result *r = &m->documents[i].result;
        print_perplexity(r, documents[i].name);
        if (compared)
            printf("    base %.4f, mean KLD %.6f ± %.6f, same top %.3f %%\n", r->ppl_base, r->mean_kld,
                   r->mean_kld_error, 100 * r->top1);
    }
    if (compared)
        print_divergence(&m->total);
    else
        print_perplexity(&m->total, several ? "all texts" : NULL);
}

/* ---- --html ---- */

static ws_status write_page(ws_outfile *out, const ws_measurement *m, const ws_measure_page *page, ws_error *err) {
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return ws_fail(err, WS_NOMEM, "out of memory: the page");
    ws_status st = ws_measure_html(f, m, page, err);
    const bool whole = !ferror(f);
    if ((fclose(f) != 0 || !whole) && !st) st = ws_fail(err, WS_NOMEM, "out of memory: the page");
    if (!st) st = ws_outfile_write(out, text, n, err);
    free(text);
    return st;
}

/* The tokens of the page are those of the model, whose file is opened once more for them. */
static ws_status fill_page(ws_outfile *out, const ws_infer_job *j, const ws_measurement *m,
                           const ws_document *documents, ws_error *err) {
    const char *names[WS_MAX_ARGS + 1] = {j->o->kld_base};
    ws_gguf *g;
    ws_tokenizer *t = NULL;
    for (size_t i = 0; documents[i].name; i++) names[i] = documents[i].name;
    WS_TRY(ws_gguf_open(&g, j->model, err));
    ws_status st = ws_tokenizer_open(&t, g, err);
    const ws_measure_page page = {.model = j->model, .base = j->o->kld_base, .names = names, .tokenizer = t};
    if (!st) st = write_page(out, m, &page, err);
    ws_tokenizer_close(t);
    ws_gguf_close(g);
    return st;
}

/* ---- running ---- */

static ws_status print_result(const ws_infer_job *j, const ws_measurement *m, const ws_document *documents,
                              ws_error *err) {
    if (j->o->common.json) return print_json(m, documents, j->o->kld_base, err);
    print_text(m, documents, j->o->kld_base);
    return WS_OK;
}

static ws_status measure(const ws_infer_job *j, const ws_document *documents, size_t n, ws_error *err) {
    const ws_infer_options *o = j->o;
    reporter p = {.o = o, .compared = o->kld_base};
    ws_eval_options e = ws_eval_defaults();
    ws_measurement m = {0};
    char *beside = o->resume && !*o->resume ? ws_sprintf(err, "%s.resume", j->model) : NULL;
    if (o->resume && !*o->resume && !beside) return WS_NOMEM;
    if (o->ctx) e.ctx = (uint64_t)o->ctx;
    e.chunks = (uint64_t)o->chunks, e.threads = (int)o->common.threads, e.kv_type = j->kv_type;
    e.stride = (uint64_t)o->stride, e.save_logits = o->save_logits, e.state = beside ? beside : o->resume;
    e.progress = report_chunk, e.problem = ws_infer_problem, e.arg = &p;
    ws_outfile *page = NULL; /* opened first, so that a name that cannot be written is known at once */
    ws_status st = o->html ? ws_outfile_open(&page, o->html, err) : WS_OK;
    if (!st) st = ws_measure(&m, j->model, o->kld_base, documents, n, &e, err);
    if (p.begun) ws_progress_finish(&p.bar);
    if (!st && page) st = fill_page(page, j, &m, documents, err);
    if (!st && page) {
        st = ws_outfile_finish(page, err);
        page = NULL;
    }
    if (!st) st = print_result(j, &m, documents, err);
    ws_outfile_discard(page);
    ws_measurement_free(&m);
    free(beside);
    return st;
}

/* Texts are the file of --perplexity and those that follow the model. */
static ws_status read_and_measure(const ws_infer_job *j, const char *first, ws_error *err) {
    const size_t n = j->n_texts + (first != NULL);
    ws_document documents[WS_MAX_ARGS + 2] = {0}; /* the one behind the last has no name */
    char *texts[WS_MAX_ARGS + 1] = {0};
    ws_status st = WS_OK;
    for (size_t i = 0; i < n && !st; i++) {
        documents[i].name = first && i == 0 ? first : j->texts[i - (first != NULL)];
        st = ws_infer_read_text(&texts[i], &documents[i].n, documents[i].name, err);
        documents[i].text = texts[i];
    }
    if (!st) st = measure(j, documents, n, err);
    for (size_t i = 0; i < n; i++) free(texts[i]);
    return st;
}

ws_status ws_infer_perplexity(const ws_infer_job *j, ws_error *err) {
    return read_and_measure(j, j->o->perplexity, err);
}

ws_status ws_infer_divergence(const ws_infer_job *j, ws_error *err) {
    if (j->n_texts == 0 && !ws_is_logits_file(j->o->kld_base))
        return ws_fail(err, WS_USAGE, "--kld-base needs a text: infer MODEL.gguf --kld-base BASE.gguf FILE");
    return read_and_measure(j, NULL, err);
}
