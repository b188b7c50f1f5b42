/* main_infer.h - what the files of the infer program share. */
#ifndef WS_MAIN_INFER_H
#define WS_MAIN_INFER_H

#include "cli.h"
#include "model.h"

typedef struct {
    ws_common_options common;
    const char *prompt, *prompt_file, *perplexity, *kld_base, *logits, *embed, *kv_type, *output, *imatrix,
        *output_format;
    const char *save_logits, *resume, *html, *hellaswag, *winogrande, *multiple_choice;
    int64_t stride, hellaswag_tasks, winogrande_tasks, multiple_choice_tasks;
    int64_t n_predict, ctx, chunks, batch, top_k, seed, rounds, repeat_last_n, logprobs;
    double temp, top_p, min_p, repeat_penalty;
    bool bench, process_output;
    ws_given_list in_files; /* of importance matrices */
} ws_infer_options;

/* What the command line asks for, and what all modes need. */
typedef struct {
    const ws_infer_options *o;
    const char *model;
    const char *const *texts; /* files beside the model */
    size_t n_texts;
    ws_dtype kv_type;
    uint32_t cpu_flags;
} ws_infer_job;

enum { WS_INFER_MAX_TEXT = 1 << 30 }; /* bytes of a text that is read whole */

/* Lines about what is wrong with a model go to standard error. */
void ws_infer_problem(void *arg, const char *line);

/* A whole text file ("-": standard input); like llama.cpp's tools, without the newline that ends it. Release with
 * free(). */
WS_MUST_CHECK ws_status ws_infer_read_text(char **text, size_t *n, const char *path, ws_error *err);

/* --prompt, --file, or what a pipe brings */
WS_MUST_CHECK ws_status ws_infer_generate(const ws_infer_job *j, ws_error *err);

/* --perplexity, --kld-base */
WS_MUST_CHECK ws_status ws_infer_perplexity(const ws_infer_job *j, ws_error *err);
WS_MUST_CHECK ws_status ws_infer_divergence(const ws_infer_job *j, ws_error *err);

/* --hellaswag, --winogrande, --multiple-choice */
WS_MUST_CHECK ws_status ws_infer_tasks(const ws_infer_job *j, ws_error *err);

/* --embed */
WS_MUST_CHECK ws_status ws_infer_embed(const ws_infer_job *j, ws_error *err);

/* --imatrix */
WS_MUST_CHECK ws_status ws_infer_imatrix(const ws_infer_job *j, ws_error *err);

/* --bench */
WS_MUST_CHECK ws_status ws_infer_bench(const ws_infer_job *j, ws_error *err);

#endif
