/* main_quantize.h - what the files of the quantize program share: its options, and the job that they describe. */
#ifndef WS_MAIN_QUANTIZE_H
#define WS_MAIN_QUANTIZE_H

#include "input_checkpoint.h"
#include "options.h"
#include "output.h"
#include "perplexity.h"
#include "progress.h"
#include "reproduce.h"

typedef struct {
    ws_common_options common;
    ws_option_texts texts;
    const char *check; /* NULL: no check; "": the installed text */
    double max_ppl_increase;
    int64_t check_chunks;
    ws_given_list outs; /* --out TYPE:FILE */
    const char *reproduce, *report, *progress;
    bool resume, allow_nonfinite;
} ws_job_options;

/* One file to be made, or one to be compared with. */
typedef struct {
    char *path;
    const ws_recipe *recipe;
    ws_quantize_plan plan;
    ws_sink sink;
    ws_damage *damage; /* NULL: no report */
    bool checked;
    ws_eval_result check;
} ws_job_output;

typedef struct {
    const ws_job_options *o;
    ws_settings settings;
    uint32_t cpu_flags;
    int n_threads;
    bool quiet, drop;
    char *in;
    ws_gguf *file;            /* the input, when it is a GGUF file */
    ws_conversion checkpoint; /* when it is a folder */
    ws_input input;
    const ws_gguf *g; /* what either holds */
    ws_job_output *outputs;
    size_t n_outputs;
    ws_outfile *report; /* open before the work begins: it can be written */
    ws_gguf *quantized; /* --reproduce */
    ws_reproduction reproduction;
    char *fingerprint;
    double seconds, sync_seconds; /* seconds: of the whole, with those of waiting for the disk */
} ws_job;

/* Set the job up from the command line; run it; release it (in every case). */
WS_MUST_CHECK ws_status ws_job_read(ws_job *j, const ws_args *args, ws_job_options *o, ws_error *err);
WS_MUST_CHECK ws_status ws_job_run(ws_job *j, ws_error *err);
void ws_job_free(ws_job *j);

/* Results on standard output. */
void ws_job_print(const ws_job *j);
WS_MUST_CHECK ws_status ws_job_print_json(const ws_job *j, ws_error *err);

/* Lines of JSON on standard error, at most six a second: {"event": "progress", "bytes", "of", "weights", "seconds"}. */
typedef struct {
    ws_progress bar;
    bool events;
    double weights_per_byte, last;
} ws_job_progress;

void ws_job_progress_start(ws_job_progress *p, const ws_job *j);
void ws_job_progress_add(void *progress, uint64_t bytes);
void ws_job_progress_finish(ws_job_progress *p);

#endif
