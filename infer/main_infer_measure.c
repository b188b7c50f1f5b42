/* infer --perplexity and --kld-base: how well a text is predicted, and how far from another model. */
#include "json.h"
#include "main_infer.h"
#include "perplexity.h"
#include "progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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

static cJSON *perplexity_json(const ws_eval_result *r) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "perplexity", r->ppl);
    cJSON_AddNumberToObject(root, "error", r->ppl_error);
    ws_json_add_u64(root, "tokens", r->tokens);
    ws_json_add_u64(root, "chunks", r->chunks);
    return root;
}

static cJSON *divergence_json(const ws_eval_result *r) {
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
    cJSON *root = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) cJSON_AddNumberToObject(root, rows[i].key, rows[i].value);
    ws_json_add_u64(root, "tokens", r->tokens);
    ws_json_add_u64(root, "chunks", r->chunks);
    return root;
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

static ws_status print_result(const ws_infer_options *o, const ws_eval_result *r, ws_error *err) {
    if (o->common.json) return ws_json_print(o->kld_base ? divergence_json(r) : perplexity_json(r), stdout, err);
    if (o->kld_base)
        print_divergence(r);
    else
        printf("perplexity %.4f ± %.4f over %" PRIu64 " tokens of %" PRIu64 " chunks\n", r->ppl, r->ppl_error,
               r->tokens, r->chunks);
    return WS_OK;
}

/* ---- running ---- */

static ws_status evaluate(const ws_infer_job *j, const char *file, ws_error *err) {
    const ws_infer_options *o = j->o;
    reporter p = {.o = o, .compared = o->kld_base};
    ws_eval_options e = ws_eval_defaults();
    ws_eval_result r;
    char *text;
    size_t n;
    if (o->ctx) e.ctx = (uint64_t)o->ctx;
    e.chunks = (uint64_t)o->chunks, e.threads = (int)o->common.threads, e.kv_type = j->kv_type;
    e.progress = report_chunk, e.problem = ws_infer_problem, e.arg = &p;
    WS_TRY(ws_infer_read_text(&text, &n, file, err));
    const ws_status st = o->kld_base ? ws_perplexity_compare(o->kld_base, j->model, text, n, &e, &r, err)
                                     : ws_perplexity_run(j->model, text, n, &e, &r, err);
    free(text);
    if (p.begun) ws_progress_finish(&p.bar);
    return st ? st : print_result(o, &r, err);
}

ws_status ws_infer_perplexity(const ws_infer_job *j, ws_error *err) { return evaluate(j, j->o->perplexity, err); }

ws_status ws_infer_divergence(const ws_infer_job *j, ws_error *err) {
    if (j->n_texts != 1)
        return ws_fail(err, WS_USAGE, "--kld-base needs one text: infer MODEL.gguf --kld-base BASE.gguf FILE");
    return evaluate(j, j->texts[0], err);
}
