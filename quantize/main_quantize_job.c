/* The job: from the command line to files that are made, checked, compared. */
#include "alloc.h"
#include "cpu.h"
#include "data_file.h"
#include "main_quantize.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TEXT_BYTES = 1 << 30, CHECK_CONTEXT = 512 };
static const double JOURNAL_SECONDS = 2;

/* ---- from the command line ---- */

/* "q4_k_m:a.gguf" */
static ws_status read_out(const ws_job *j, ws_job_output *out, const char *text, ws_error *err) {
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || !colon[1])
        return ws_fail(err, WS_USAGE, "--out: '%s' is not TYPE:FILE, as q4_k_m:model-q4.gguf", text);
    char *type = ws_strndup(text, (size_t)(colon - text), err);
    if (!type) return WS_NOMEM;
    ws_status status = ws_recipe_need(&out->recipe, &j->settings, type, err);
    free(type);
    if (status) return status;
    out->path = ws_strndup(colon + 1, strlen(colon + 1), err);
    return out->path ? WS_OK : WS_NOMEM;
}

static ws_status read_outs(ws_job *j, const ws_args *args, ws_error *err) {
    const ws_given_list *outs = &j->o->outs;
    if (args->n_args != 1) return ws_fail(err, WS_USAGE, "with --out the input is the only argument");
    if (!(j->outputs = ws_alloc(outs->n, sizeof *j->outputs, "outputs", err))) return WS_NOMEM;
    j->n_outputs = outs->n;
    for (size_t i = 0; i < outs->n; i++) {
        WS_TRY(read_out(j, &j->outputs[i], outs->list[i].value, err));
        for (size_t k = 0; k < i; k++)
            if (ws_same_file(j->outputs[k].path, j->outputs[i].path))
                return ws_fail(err, WS_USAGE, "--out: '%s' is given twice", j->outputs[i].path);
    }
    return WS_OK;
}

/* IN [TYPE]: without a type it is what the quantized file says of itself. */
static ws_status read_reproduce(ws_job *j, const ws_args *args, ws_error *err) {
    if (args->n_args > 2) return ws_fail(err, WS_USAGE, "with --reproduce the arguments are IN.gguf [TYPE]");
    if (!(j->outputs = ws_alloc(1, sizeof *j->outputs, "outputs", err))) return WS_NOMEM;
    j->n_outputs = 1;
    return args->n_args == 2 ? ws_recipe_need(&j->outputs[0].recipe, &j->settings, args->arg[1], err) : WS_OK;
}

static ws_status read_plain(ws_job *j, const ws_args *args, ws_error *err) {
    ws_quantize_arguments a;
    ws_status status = ws_quantize_arguments_read(&a, args, &j->settings, err);
    if (!status && !(j->outputs = ws_alloc(1, sizeof *j->outputs, "outputs", err))) status = WS_NOMEM;
    if (status) {
        free(a.out);
        return status;
    }
    j->n_outputs = 1;
    j->outputs[0] = (ws_job_output){.path = a.out, .recipe = a.recipe};
    if (a.threads) j->n_threads = (int)a.threads;
    return WS_OK;
}

static ws_status check_options(const ws_job_options *o, ws_error *err) {
    if (o->max_ppl_increase >= 0 && !o->check) return ws_fail(err, WS_USAGE, "--max-ppl-increase needs --check");
    if (o->reproduce && (o->check || o->resume || o->report || o->outs.n || o->texts.dry_run))
        return ws_fail(err, WS_USAGE,
                       "--reproduce writes nothing: --out, --check, --resume, --report and --dry-run don't go with it");
    return WS_OK;
}

ws_status ws_job_read(ws_job *j, const ws_args *args, ws_job_options *o, ws_error *err) {
    *j = (ws_job){.o = o, .n_threads = (int)o->common.threads, .quiet = o->common.quiet || o->common.json};
    if (!args->n_args) return ws_fail(err, WS_USAGE, "no input given");
    WS_TRY(check_options(o, err));
    WS_TRY(ws_settings_read(&j->settings, &o->texts, err));
    if (!(j->in = ws_strndup(args->arg[0], strlen(args->arg[0]), err))) return WS_NOMEM;
    WS_TRY(o->outs.n      ? read_outs(j, args, err)
           : o->reproduce ? read_reproduce(j, args, err)
                          : read_plain(j, args, err));
    return ws_cpu_flags(&j->cpu_flags, err);
}

/* ---- input ---- */

static void warn(void *ctx, const char *text) {
    const ws_job *j = ctx;
    if (!j->quiet) fprintf(stderr, "quantize: %s\n", text);
}

/* A folder gives what `convert FOLDER --type auto` would write. */
static ws_status open_input(ws_job *j, ws_error *err) {
    if (!ws_is_dir(j->in)) {
        WS_TRY(ws_gguf_open(&j->file, j->in, err));
        j->g = j->file;
        return WS_OK;
    }
    if (j->o->check) return ws_fail(err, WS_USAGE, "--check needs a GGUF file as its input: convert '%s' first", j->in);
    const ws_convert_options opt = {.warn = warn, .problem = warn, .ctx = j};
    WS_TRY(ws_conversion_open(&j->checkpoint, j->in, &opt, err));
    WS_TRY(ws_input_open_checkpoint(&j->input, &j->checkpoint, j->cpu_flags, err));
    j->g = j->input.g;
    return WS_OK;
}

static void close_input(ws_job *j) {
    if (j->file)
        ws_input_close_gguf(&j->input);
    else
        ws_input_close_checkpoint(&j->input);
    ws_gguf_close(j->file);
    ws_conversion_close(&j->checkpoint);
}

/* ---- plans ---- */

static ws_status make_plan(ws_job *j, ws_job_output *out, ws_error *err) {
    ws_plan_options o = j->settings.plan;
    o.recipe = out->recipe;
    o.cpu_flags = j->cpu_flags;
    return ws_quantize_plan_make(&out->plan, j->g, &o, err);
}

/* A source that would fill much of the memory with pages that nobody wants again leaves none behind. */
static void set_drop(ws_job *j) {
    const uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t bytes = j->outputs[0].plan.bytes_from;
    for (size_t i = 0; i < j->n_outputs; i++) bytes += j->outputs[i].plan.bytes_to;
    j->drop = bytes > memory / 4;
}

/* ---- what the data depends on beside the plan, to know whether a partial output can be gone on with ---- */

static void print_identity(FILE *f, const char *path) {
    struct stat st;
    if (stat(path, &st) == 0)
        fprintf(f, "%" PRId64 "/%" PRId64 ".%09ld ", (int64_t)st.st_size, (int64_t)st.st_mtim.tv_sec,
                (long)st.st_mtim.tv_nsec);
}

static void print_names(FILE *f, const char *what, const ws_given_list *names) {
    for (size_t i = 0; i < names->n; i++)
        fprintf(f, "%s=%zu:%s ", what, strlen(names->list[i].value), names->list[i].value);
}

static ws_status make_fingerprint(ws_job *j, ws_error *err) {
    size_t n;
    FILE *f = open_memstream(&j->fingerprint, &n);
    if (!f) return ws_fail(err, WS_NOMEM, "out of memory: a description of the source");
    fprintf(f, "source ");
    for (size_t i = 0; j->file && i < j->file->n_parts; i++) print_identity(f, j->file->part_paths[i]);
    const ws_safetensors *weights = j->file ? NULL : j->checkpoint.source->weights;
    for (size_t i = 0; weights && i < weights->n_parts; i++) print_identity(f, weights->part_paths[i]);
    if (j->o->texts.imatrix) {
        fprintf(f, "imatrix ");
        print_identity(f, j->o->texts.imatrix);
    }
    print_names(f, "include", &j->o->texts.include);
    print_names(f, "exclude", &j->o->texts.exclude);
    if (fclose(f) != 0) return ws_fail(err, WS_NOMEM, "out of memory: a description of the source");
    for (char *c = j->fingerprint; *c; c++)
        if (*c == '\n') *c = ' ';
    return WS_OK;
}

/* ---- the stream ---- */

static ws_status open_sink(ws_job *j, ws_job_output *out, ws_error *err) {
    if (j->o->reproduce) {
        WS_TRY(ws_reproduction_make(&j->reproduction, &out->plan, j->g, j->quantized, err));
        ws_reproduction_sink(&out->sink, &j->reproduction);
        return WS_OK;
    }
    if (j->o->report && !(out->damage = ws_alloc(out->plan.n, sizeof *out->damage, "the report", err))) return WS_NOMEM;
    return ws_output_open(&out->sink,
                          &(ws_output_request){.path = out->path,
                                               .plan = &out->plan,
                                               .source = j->g,
                                               .fingerprint = j->fingerprint,
                                               .split = j->settings.split,
                                               .resume = j->o->resume,
                                               .drop = j->drop,
                                               .journal_seconds = JOURNAL_SECONDS},
                          err);
}

static ws_status stream(ws_job *j, ws_error *err) {
    ws_job_progress progress;
    const ws_run_options o = {.allow_nonfinite = j->o->allow_nonfinite,
                              .n_threads = j->n_threads,
                              .cpu_flags = j->cpu_flags,
                              .progress = ws_job_progress_add,
                              .progress_ctx = &progress};
    ws_target *targets = ws_alloc(j->n_outputs, sizeof *targets, "outputs", err);
    if (!targets) return WS_NOMEM;
    for (size_t i = 0; i < j->n_outputs; i++) {
        ws_job_output *out = &j->outputs[i];
        targets[i] = (ws_target){&out->plan, &out->sink, out->damage};
    }
    ws_job_progress_start(&progress, j);
    const ws_status status = ws_quantize_run(&j->input, targets, j->n_outputs, &o, err);
    ws_job_progress_finish(&progress);
    for (size_t i = 0; i < j->n_outputs; i++) j->sync_seconds += j->outputs[i].sink.sync_seconds;
    free(targets);
    return status;
}

static ws_status write_report(ws_job *j, ws_error *err) {
    ws_quant_report *reports = ws_alloc(j->n_outputs, sizeof *reports, "the report", err);
    if (!reports) return WS_NOMEM;
    for (size_t i = 0; i < j->n_outputs; i++)
        reports[i] = (ws_quant_report){j->in, j->outputs[i].path, &j->outputs[i].plan, j->outputs[i].damage};
    const ws_status status = ws_quant_report_write(j->report, j->o->report, reports, j->n_outputs, err);
    free(reports);
    WS_TRY(status);
    ws_outfile *whole = j->report;
    j->report = NULL;
    return ws_outfile_finish(whole, err);
}

/* ---- the check ---- */

static void show_chunks(void *arg, uint64_t n_chunks, const ws_eval_result *so_far) {
    ws_progress *bar = arg;
    bar->total = n_chunks;
    ws_progress_add(bar, so_far->chunks - bar->done);
}

static ws_status check_output(ws_job *j, ws_job_output *out, ws_error *err) {
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
    if (!status) status = ws_perplexity_compare(j->in, out->path, text, n, &eval, &out->check, err);
    ws_progress_finish(&bar);
    out->checked = !status;
    free(text);
    free(path);
    return status;
}

/* The output stays: a file that was asked for and a judgement on it are two things. */
static ws_status judge(const ws_job *j, ws_error *err) {
    if (j->o->reproduce && !ws_reproduction_holds(&j->reproduction))
        return ws_fail(err, WS_LIMIT, "'%s' is not what '%s' gives", j->o->reproduce, j->in);
    for (size_t i = 0; i < j->n_outputs; i++) {
        const ws_job_output *out = &j->outputs[i];
        if (!out->checked || j->o->max_ppl_increase < 0) continue;
        const double increase = 100 * (out->check.ppl / out->check.ppl_base - 1);
        if (!(increase <= j->o->max_ppl_increase))
            return ws_fail(err, WS_LIMIT,
                           "perplexity rises by %.3f %%, more than the %g %% allowed; '%s' is complete and stays",
                           increase, j->o->max_ppl_increase, out->path);
    }
    return WS_OK;
}

/* ---- all of it ---- */

/* The recipe that a quantized file names. */
static ws_status open_quantized(ws_job *j, ws_error *err) {
    uint64_t number;
    ws_job_output *out = &j->outputs[0];
    WS_TRY(ws_gguf_open(&j->quantized, j->o->reproduce, err));
    if (out->recipe) return WS_OK;
    char text[24];
    WS_TRY(ws_gguf_need_u64(j->quantized, "general.file_type", &number, err));
    snprintf(text, sizeof text, "%" PRIu64, number);
    if ((out->recipe = ws_recipe_by_name(text))) return WS_OK;
    return ws_fail(err, WS_UNSUPPORTED,
                   "'%s': its general.file_type %s is of no known recipe; name one behind the source", j->o->reproduce,
                   text);
}

static ws_status make_outputs(ws_job *j, ws_error *err) {
    const double start = ws_now();
    set_drop(j);
    WS_TRY(make_fingerprint(j, err));
    if (j->file) WS_TRY(ws_input_open_gguf(&j->input, j->file, j->drop, err));
    if (j->o->report) WS_TRY(ws_outfile_open(&j->report, j->o->report, err));
    for (size_t i = 0; i < j->n_outputs; i++) WS_TRY(open_sink(j, &j->outputs[i], err));
    WS_TRY(stream(j, err));
    j->seconds = ws_now() - start;
    if (j->o->report) WS_TRY(write_report(j, err));
    for (size_t i = 0; i < j->n_outputs && j->o->check; i++) WS_TRY(check_output(j, &j->outputs[i], err));
    return WS_OK;
}

ws_status ws_job_run(ws_job *j, ws_error *err) {
    WS_TRY(open_input(j, err));
    if (j->o->reproduce) WS_TRY(open_quantized(j, err));
    for (size_t i = 0; i < j->n_outputs; i++) WS_TRY(make_plan(j, &j->outputs[i], err));
    if (!j->o->texts.dry_run) WS_TRY(make_outputs(j, err));
    if (j->o->common.json)
        WS_TRY(ws_job_print_json(j, err));
    else if (!j->o->common.quiet)
        ws_job_print(j);
    return judge(j, err);
}

void ws_job_free(ws_job *j) {
    for (size_t i = 0; i < j->n_outputs; i++) {
        ws_job_output *out = &j->outputs[i];
        if (out->sink.close) out->sink.close(out->sink.ctx);
        ws_quantize_plan_free(&out->plan);
        free(out->damage);
        free(out->path);
    }
    free(j->outputs);
    ws_outfile_discard(j->report);
    ws_reproduction_free(&j->reproduction);
    ws_gguf_close(j->quantized);
    close_input(j);
    ws_settings_free(&j->settings);
    free(j->fingerprint);
    free(j->in);
}
