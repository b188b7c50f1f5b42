/* quantize - a GGUF file with smaller weights. */
#include "alloc.h"
#include "cli.h"
#include "cpu.h"
#include "data_file.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "perplexity.h"
#include "progress.h"
#include "quantize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT_BYTES = 1 << 30, CHECK_CONTEXT = 512 };

typedef struct {
    ws_common_options common;
    ws_option_texts texts;
    const char *check; /* NULL: no check; "": the installed text */
    double max_ppl_increase;
    int64_t check_chunks;
} options;

typedef struct {
    const char *in, *out;
    const options *o;
    ws_quantize_arguments args;
    ws_settings settings;
    ws_plan_options p;
    ws_quantize_plan plan;
    ws_gguf *g;
    ws_input input;
    ws_sink sink;
    int n_threads;
    bool quiet;
    double seconds;
    bool checked;
    ws_eval_result check;
} job;

/* ---- reports ---- */

static double bits_per_weight(const job *j, uint64_t bytes) {
    return j->plan.n_elements ? (double)bytes * 8 / (double)j->plan.n_elements : 0;
}

static void print_tensors(const job *j) {
    for (size_t i = 0; i < j->plan.n; i++) {
        const ws_choice *c = &j->plan.choices[i];
        char size[24];
        uint64_t bytes = 0;
        ws_dtype_bytes(c->type, c->tensor->n_elements, &bytes);
        printf("%-44s %5s -> %-5s %12s%s\n", c->tensor->name, ws_dtype_name(c->tensor->type), ws_dtype_name(c->type),
               ws_format_bytes(size, (double)bytes), c->fallback ? "  (rows do not suit the recipe's type)" : "");
    }
}

static void print_types(const job *j) {
    uint64_t bytes[WS_TYPE_COUNT] = {0}, n[WS_TYPE_COUNT] = {0};
    for (size_t i = 0; i < j->plan.n; i++) {
        const ws_choice *c = &j->plan.choices[i];
        uint64_t b = 0;
        ws_dtype_bytes(c->type, c->tensor->n_elements, &b);
        bytes[c->type] += b, n[c->type]++;
    }
    for (uint32_t t = 0; t < WS_TYPE_COUNT; t++) {
        char size[24];
        if (n[t])
            printf("  %-6s %5llu tensor%s %12s\n", ws_dtype_name((ws_dtype)t), (unsigned long long)n[t],
                   n[t] == 1 ? " " : "s", ws_format_bytes(size, (double)bytes[t]));
    }
}

static void print_check(const ws_eval_result *r) {
    printf("check over %zu chunks of %d tokens:\n", (size_t)r->chunks, CHECK_CONTEXT);
    printf("  perplexity before   %.4f\n  perplexity after    %.4f  (%+.2f %%)\n", r->ppl_base, r->ppl,
           100 * (r->ppl / r->ppl_base - 1));
    printf("  KL divergence       mean %.6f, 99.9 %% %.4f\n  same top token      %.2f %%\n", r->mean_kld, r->kld_999,
           100 * r->top1);
}

static void print_summary(const job *j) {
    char from[24], to[24], seconds[24];
    if (j->o->texts.dry_run) print_tensors(j);
    printf("%s -> %s as %s\n", j->in, j->out, j->p.recipe->name);
    print_types(j);
    printf("%s (%.2f bits per weight) -> %s (%.2f bits per weight)", ws_format_bytes(from, (double)j->plan.bytes_from),
           bits_per_weight(j, j->plan.bytes_from), ws_format_bytes(to, (double)j->plan.bytes_to),
           bits_per_weight(j, j->plan.bytes_to));
    if (j->o->texts.dry_run)
        printf(", nothing written\n");
    else
        printf(" in %s\n", ws_format_seconds(seconds, j->seconds));
    if (j->plan.n_fallback)
        printf("%zu tensors have rows that do not suit the recipe's type and got a similar one\n", j->plan.n_fallback);
    if (j->checked) print_check(&j->check);
}

static cJSON *tensors_json(const job *j) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < j->plan.n; i++) {
        const ws_choice *c = &j->plan.choices[i];
        uint64_t bytes = 0;
        ws_dtype_bytes(c->type, c->tensor->n_elements, &bytes);
        cJSON *t = cJSON_CreateObject();
        cJSON_AddItemToObject(t, "name", ws_json_bytes(c->tensor->name, strlen(c->tensor->name)));
        cJSON_AddStringToObject(t, "from", ws_dtype_name(c->tensor->type));
        cJSON_AddStringToObject(t, "to", ws_dtype_name(c->type));
        ws_json_add_u64(t, "bytes", bytes);
        if (c->fallback) cJSON_AddTrueToObject(t, "fallback");
        cJSON_AddItemToArray(list, t);
    }
    return list;
}

static cJSON *check_json(const ws_eval_result *r) {
    cJSON *c = cJSON_CreateObject();
    cJSON_AddNumberToObject(c, "ppl_base", r->ppl_base);
    cJSON_AddNumberToObject(c, "ppl", r->ppl);
    cJSON_AddNumberToObject(c, "mean_kld", r->mean_kld);
    cJSON_AddNumberToObject(c, "kld_999", r->kld_999);
    cJSON_AddNumberToObject(c, "max_kld", r->max_kld);
    cJSON_AddNumberToObject(c, "top1", r->top1);
    ws_json_add_u64(c, "chunks", r->chunks);
    ws_json_add_u64(c, "tokens", r->tokens);
    return c;
}

static ws_status print_json(const job *j, ws_error *err) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "schema", 1);
    cJSON_AddItemToObject(root, "input", ws_json_bytes(j->in, strlen(j->in)));
    cJSON_AddItemToObject(root, "output", ws_json_bytes(j->out, strlen(j->out)));
    cJSON_AddStringToObject(root, "type", j->p.recipe->name);
    cJSON_AddNumberToObject(root, "file_type", j->p.recipe->file_type);
    cJSON_AddBoolToObject(root, "dry_run", j->o->texts.dry_run);
    cJSON_AddItemToObject(root, "tensors", tensors_json(j));
    ws_json_add_u64(root, "n_fallback", j->plan.n_fallback);
    ws_json_add_u64(root, "bytes_from", j->plan.bytes_from);
    ws_json_add_u64(root, "bytes_to", j->plan.bytes_to);
    cJSON_AddNumberToObject(root, "bits_per_weight", bits_per_weight(j, j->plan.bytes_to));
    cJSON_AddNumberToObject(root, "seconds", j->seconds);
    if (j->checked) cJSON_AddItemToObject(root, "check", check_json(&j->check));
    return ws_json_print(root, stdout, err);
}

/* ---- the work ---- */

static void show_chunks(void *arg, uint64_t n_chunks, const ws_eval_result *so_far) {
    ws_progress *bar = arg;
    bar->total = n_chunks;
    ws_progress_add(bar, so_far->chunks - bar->done);
}

static ws_status run_check(job *j, ws_error *err) {
    char *path = *j->o->check ? ws_strndup(j->o->check, strlen(j->o->check), err) : ws_data_file("heldout.txt", err);
    if (!path) return WS_IO;
    char *text = NULL;
    size_t n;
    ws_progress bar;
    ws_progress_start(&bar, "checking", "chunks", 0, j->quiet);
    ws_eval_options eval = ws_eval_defaults();
    eval.ctx = CHECK_CONTEXT;
    eval.chunks = (uint64_t)j->o->check_chunks;
    eval.threads = j->n_threads;
    eval.progress = show_chunks;
    eval.arg = &bar;
    ws_status status = ws_file_read(&text, &n, path, MAX_TEXT_BYTES, err);
    if (!status) status = ws_perplexity_compare(j->in, j->out, text, n, &eval, &j->check, err);
    ws_progress_finish(&bar);
    j->checked = !status;
    free(text);
    free(path);
    return status;
}

/* The output stays: a file that was asked for and a judgement on it are two things. */
static ws_status judge(const job *j, ws_error *err) {
    if (!j->checked || j->o->max_ppl_increase < 0) return WS_OK;
    const double increase = 100 * (j->check.ppl / j->check.ppl_base - 1);
    if (increase <= j->o->max_ppl_increase) return WS_OK;
    return ws_fail(err, WS_LIMIT,
                   "perplexity rises by %.3f %%, more than the %g %% allowed; '%s' is complete and stays", increase,
                   j->o->max_ppl_increase, j->out);
}

static void show_bytes(void *ctx, uint64_t bytes) { ws_progress_add(ctx, bytes); }

static ws_status quantize(job *j, ws_error *err) {
    ws_progress bar;
    const ws_output_request request = {
        .path = j->out, .plan = &j->plan, .source = j->g, .split = j->settings.split, .fingerprint = "x"};
    const ws_run_options o = {
        .n_threads = j->n_threads, .cpu_flags = j->p.cpu_flags, .progress = show_bytes, .progress_ctx = &bar};
    WS_TRY(ws_input_open_gguf(&j->input, j->g, false, err));
    WS_TRY(ws_output_open(&j->sink, &request, err));
    ws_progress_start(&bar, "quantizing", NULL, j->plan.bytes_from, j->quiet);
    const ws_status status = ws_quantize_run(&j->input, &(ws_target){&j->plan, &j->sink, NULL}, 1, &o, err);
    ws_progress_finish(&bar);
    return status;
}

static ws_status run_job(job *j, ws_error *err) {
    WS_TRY(ws_cpu_flags(&j->p.cpu_flags, err));
    WS_TRY(ws_gguf_open(&j->g, j->in, err));
    WS_TRY(ws_quantize_plan_make(&j->plan, j->g, &j->p, err));
    const double start = ws_now();
    if (!j->o->texts.dry_run) {
        WS_TRY(quantize(j, err));
        j->seconds = ws_now() - start;
        if (j->o->check) WS_TRY(run_check(j, err));
    }
    if (j->o->common.json)
        WS_TRY(print_json(j, err));
    else if (!j->o->common.quiet)
        print_summary(j);
    return judge(j, err);
}

static ws_status read_arguments(job *j, const ws_args *args, options *o, ws_error *err) {
    j->o = o;
    WS_TRY(ws_quantize_arguments_read(&j->args, args, err));
    WS_TRY(ws_settings_read(&j->settings, &o->texts, err));
    j->in = j->args.in, j->out = j->args.out;
    if (j->args.threads) o->common.threads = j->args.threads;
    if (o->max_ppl_increase >= 0 && !o->check) return ws_fail(err, WS_USAGE, "--max-ppl-increase needs --check");
    j->p = j->settings.plan;
    j->p.recipe = j->args.recipe;
    j->quiet = o->common.quiet || o->common.json;
    j->n_threads = (int)o->common.threads;
    return WS_OK;
}

int main(int argc, char **argv) {
    options o = {.max_ppl_increase = -1};
    ws_option rows[WS_OPTION_ROWS + 4];
    const ws_option ours[] = {
        {"check", 0, WS_OPT_MAYBE, &o.check, "FILE",
         "measure perplexity and KL divergence, before and after, on a text (default: the one installed)", 0, 0, NULL},
        {"check-chunks", 0, WS_OPT_INT, &o.check_chunks, "N", "check on the first N chunks only", 1, 1e9, NULL},
        {"max-ppl-increase", 0, WS_OPT_REAL, &o.max_ppl_increase, "PCT",
         "exit with 1 when --check finds perplexity to rise by more", 0, 1e9, NULL},
        {0},
    };
    ws_option_rows(rows, &o.texts);
    memcpy(rows + WS_OPTION_ROWS, ours, sizeof ours);
    const ws_command cmd = {
        .tool = "quantize",
        .synopsis = "IN.gguf [OUT.gguf] TYPE [THREADS] [options]",
        .summary = "Write a GGUF file with its weights in another type. The result is the same, byte for byte, as\n"
                   "llama-quantize's.",
        .notes =
            "TYPE: F32 F16 BF16 Q8_0 Q6_K Q5_K_M (q5_k) Q5_K_S Q5_1 Q5_0 Q4_K_M (q4_k) Q4_K_S IQ4_NL IQ4_XS Q4_1\n"
            "Q4_0 MXFP4_MOE Q3_K_L Q3_K_M (q3_k) Q3_K_S IQ3_M IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS\n"
            "IQ2_XXS Q2_0 TQ2_0 TQ1_0 IQ1_M IQ1_S Q1_0 COPY, in any case, or the number of the file type. Without\n"
            "OUT.gguf: ggml-model-TYPE.gguf beside the source.",
        .examples = "  quantize model.gguf model-q4.gguf q4_k\n"
                    "  quantize model.gguf model-q4.gguf q4_k --check --max-ppl-increase 3\n"
                    "  quantize model.gguf model-iq2.gguf iq2_m --imatrix imatrix.gguf\n"
                    "  quantize model.gguf q6_k --dry-run",
        .options = rows,
        .min_args = 2,
        .max_args = 4,
    };
    ws_error err = {0};
    ws_args args;
    ws_status status = ws_cli_parse(&cmd, argc, argv, &o.common, &args, &err);
    job j = {0};
    if (!status && !args.done) {
        status = read_arguments(&j, &args, &o, &err);
        if (!status) status = run_job(&j, &err);
    }
    if (j.sink.close) j.sink.close(j.sink.ctx);
    ws_input_close_gguf(&j.input);
    ws_quantize_plan_free(&j.plan);
    ws_gguf_close(j.g);
    ws_settings_free(&j.settings);
    ws_option_texts_free(&o.texts);
    free(j.args.out);
    return ws_cli_finish(&cmd, status, &err);
}
