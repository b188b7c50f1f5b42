/* infer - run a model: generate text, measure perplexity, compare with another model, print logits. */
#include "main_infer.h"

#include "alloc.h"
#include "cpu.h"
#include "file.h"
#include "forward.h"
#include "json.h"
#include "tokenizer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TOKENS = 1 << 30 };

void ws_infer_problem(void *arg, const char *line) {
    (void)arg;
    fprintf(stderr, "infer: %s\n", line);
}

ws_status ws_infer_read_text(char **text, size_t *n, const char *path, ws_error *err) {
    WS_TRY(strcmp(path, "-") == 0 ? ws_stream_read(text, n, stdin, "standard input", WS_INFER_MAX_TEXT, err)
                                  : ws_file_read(text, n, path, WS_INFER_MAX_TEXT, err));
    if (*n > 0 && (*text)[*n - 1] == '\n') --*n;
    return WS_OK;
}

/* ---- logits of given tokens ---- */

/* "1,2,3" -> ids */
static ws_status parse_ids(ws_ids *ids, const char *list, ws_error *err) {
    for (const char *at = list;; at++) {
        char *end;
        errno = 0;
        const long id = strtol(at, &end, 10);
        if (end == at || errno || id < 0 || id > INT32_MAX || (*end && *end != ','))
            return ws_fail(err, WS_USAGE, "--logits: '%s' is not a list of token ids like 1,2,3", list);
        WS_TRY(ws_grow(&ids->id, &ids->cap, ids->n + 1, sizeof *ids->id, err));
        ids->id[ids->n++] = (int32_t)id;
        if (!*end) return WS_OK;
        at = end;
    }
}

static ws_status print_logits(const float *logits, size_t n, bool json, ws_error *err) {
    for (size_t i = 0; !json && i < n; i++) printf("%.9g\n", (double)logits[i]);
    if (!json) return WS_OK;
    cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "logits");
    for (size_t i = 0; i < n; i++) cJSON_AddItemToArray(list, ws_json_float((double)logits[i]));
    return ws_json_print(root, stdout, err);
}

static ws_status last_logits(const ws_infer_job *j, ws_session *s, const ws_ids *ids, float *logits, ws_error *err) {
    const size_t batch = (size_t)j->o->batch;
    size_t n = 0;
    for (size_t at = 0; at < ids->n; at += n) {
        n = ids->n - at < batch ? ids->n - at : batch;
        WS_TRY(ws_session_feed(s, ids->id + at, n, err));
    }
    return ws_session_logits(s, n - 1, 1, logits, err);
}

static ws_status logits_of(const ws_infer_job *j, const ws_model *m, const ws_ids *ids, ws_error *err) {
    const ws_session_options so = {
        .n_ctx = j->o->ctx ? (uint64_t)j->o->ctx : ids->n,
        .n_batch = (uint64_t)j->o->batch,
        .n_threads = (int)j->o->common.threads,
        .kv_type = j->kv_type,
        .cpu_flags = j->cpu_flags,
    };
    ws_session *s;
    WS_TRY(ws_session_open(&s, m, &so, err));
    float *logits = ws_alloc_aligned(ws_logits_stride(m), sizeof *logits, "logits", err);
    ws_status st = logits ? last_logits(j, s, ids, logits, err) : WS_NOMEM;
    if (!st) st = print_logits(logits, m->hp.n_vocab, j->o->common.json, err);
    free(logits);
    ws_session_close(s);
    return st;
}

static ws_status run_logits(const ws_infer_job *j, ws_error *err) {
    ws_ids ids = {0};
    ws_model *m = NULL;
    ws_status st = parse_ids(&ids, j->o->logits, err);
    if (!st) st = ws_model_open(&m, j->model, ws_infer_problem, NULL, err);
    if (!st) st = logits_of(j, m, &ids, err);
    ws_model_close(m);
    free(ids.id);
    return st;
}

/* ---- command line ---- */

/* Is standard input a pipe or a file? */
static bool text_comes_in(void) {
    struct stat st;
    return fstat(STDIN_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode));
}

typedef ws_status run_fn(const ws_infer_job *j, ws_error *err);

static ws_status run(const ws_infer_options *o, const ws_args *args, ws_error *err) {
    const struct {
        const char *name;
        bool chosen, texts; /* texts: files may follow the model */
        run_fn *run;
    } modes[] = {
        {"prompt", o->prompt && !o->bench, false, ws_infer_generate},
        {"bench", o->bench, false, ws_infer_bench},
        {"file", o->prompt_file, false, ws_infer_generate},
        {"perplexity", o->perplexity, true, ws_infer_perplexity},
        {"kld-base", o->kld_base, true, ws_infer_divergence},
        {"hellaswag", o->hellaswag, false, ws_infer_tasks},
        {"winogrande", o->winogrande, false, ws_infer_tasks},
        {"multiple-choice", o->multiple_choice, false, ws_infer_tasks},
        {"imatrix", o->imatrix, true, ws_infer_imatrix},
        {"logits", o->logits, false, run_logits},
        {"embed", o->embed, false, ws_infer_embed},
    };
    size_t chosen = SIZE_MAX;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (!modes[i].chosen) continue;
        if (chosen != SIZE_MAX)
            return ws_fail(err, WS_USAGE, "give either --%s or --%s", modes[chosen].name, modes[i].name);
        chosen = i;
    }
    if (chosen == SIZE_MAX && text_comes_in()) chosen = 0; /* the prompt */
    if (chosen == SIZE_MAX)
        return ws_fail(err, WS_USAGE, "nothing to do: give --prompt, --perplexity or something else that --help lists");
    if (args->n_args > 1 && !modes[chosen].texts)
        return ws_fail(err, WS_USAGE, "unexpected argument '%s'", args->arg[1]);

    ws_infer_job j = {.o = o, .model = args->arg[0], .texts = args->arg + 1, .n_texts = (size_t)args->n_args - 1};
    if (!ws_dtype_by_name(&j.kv_type, o->kv_type)) return WS_USAGE;
    WS_TRY(ws_cpu_flags(&j.cpu_flags, err));
    return modes[chosen].run(&j, err);
}

/* ---- the command line ---- */

static const char *const outputs[] = {"md", "csv", "json", NULL};
static const char *const kv_types[] = {"f16", "f32", "q8_0", "q4_0", NULL};
static const char *const formats[] = {"gguf", "dat", NULL};
static ws_infer_options o = {.kv_type = "f16",
                             .output_format = "gguf",
                             .output = "md",
                             .rounds = 5,
                             .hellaswag_tasks = 400,
                             .n_predict = 128,
                             .batch = 512,
                             .top_k = 40,
                             .repeat_penalty = 1,
                             .repeat_last_n = 64,
                             .logprobs = -1,
                             .seed = -1,
                             .temp = 0.8,
                             .top_p = 0.95,
                             .min_p = 0.05};

static const ws_option rows[] = {
    {"prompt", 'p', WS_OPT_TEXT, &o.prompt, "TEXT", "continue this text", 0, 0, NULL},
    {"file", 'f', WS_OPT_TEXT, &o.prompt_file, "FILE",
     "continue the text in this file; -: standard input, also without -p and -f if it is a pipe or a file", 0, 0, NULL},
    {"predict", 'n', WS_OPT_INT, &o.n_predict, "N", "generate at most N tokens (default: 128)", 0, MAX_TOKENS, NULL},
    {"temp", 0, WS_OPT_REAL, &o.temp, "T", "temperature; 0: always the most probable token (default: 0.8)", 0, 1000,
     NULL},
    {"top-k", 0, WS_OPT_INT, &o.top_k, "K", "choose among the K most probable; 0: all (default: 40)", 0, MAX_TOKENS,
     NULL},
    {"top-p", 0, WS_OPT_REAL, &o.top_p, "P", "... that together have probability P (default: 0.95)", 0, 1, NULL},
    {"min-p", 0, WS_OPT_REAL, &o.min_p, "P", "... and each P times the best one's (default: 0.05)", 0, 1, NULL},
    {"repeat-penalty", 0, WS_OPT_REAL, &o.repeat_penalty, "P",
     "divide positive logits of recent tokens by P, multiply negative ones (default: 1, off)", 0.01, 100, NULL},
    {"repeat-last-n", 0, WS_OPT_INT, &o.repeat_last_n, "N", "... of the last N tokens; -1: all (default: 64)", -1,
     MAX_TOKENS, NULL},
    {"logprobs", 0, WS_OPT_INT, &o.logprobs, "N", "show ln p of each generated token and of the N most probable ones",
     0, MAX_TOKENS, NULL},
    {"seed", 0, WS_OPT_INT, &o.seed, "S", "of the random choices (default: -1, a new one each time)", -1, 4294967295.0,
     NULL},
    {"perplexity", 0, WS_OPT_TEXT, &o.perplexity, "FILE", "perplexity on the text in FILE (and others behind it)", 0, 0,
     NULL},
    {"kld-base", 0, WS_OPT_TEXT, &o.kld_base, "BASE",
     "KL divergence from BASE on texts; BASE is a model or a file of --save-all-logits", 0, 0, NULL},
    {"save-all-logits", 0, WS_OPT_TEXT, &o.save_logits, "OUT", "--perplexity: write llama.cpp's file of logits", 0, 0,
     NULL},
    {"html", 0, WS_OPT_TEXT, &o.html, "OUT", "write a page: plots, and the tokens that were predicted worst", 0, 0,
     NULL},
    {"stride", 0, WS_OPT_INT, &o.stride, "N", "score N tokens a time, each with most of a chunk before it", 1,
     MAX_TOKENS, NULL},
    {"resume", 0, WS_OPT_MAYBE, &o.resume, "STATE",
     "go on from where an earlier run was ended (default STATE: MODEL.resume)", 0, 0, NULL},
    {"imatrix", 0, WS_OPT_TEXT, &o.imatrix, "OUT", "write an importance matrix of texts, as llama-imatrix does", 0, 0,
     NULL},
    {"in-file", 0, WS_OPT_MANY, &o.in_files, "FILE", "... added to what is in FILE (repeatable, or a,b,...)", 0, 0,
     NULL},
    {"process-output", 0, WS_OPT_FLAG, &o.process_output, NULL, "... also of output.weight", 0, 0, NULL},
    {"output-format", 0, WS_OPT_CHOICE, &o.output_format, "FORM", "... as gguf (default) or as the older dat", 0, 0,
     formats},
    {"hellaswag", 0, WS_OPT_TEXT, &o.hellaswag, "FILE", "HellaSwag score of the tasks in FILE", 0, 0, NULL},
    {"winogrande", 0, WS_OPT_TEXT, &o.winogrande, "FILE", "Winogrande score", 0, 0, NULL},
    {"multiple-choice", 0, WS_OPT_TEXT, &o.multiple_choice, "FILE", "score of other tasks (ARC, MMLU, TruthfulQA)", 0,
     0, NULL},
    {"hellaswag-tasks", 0, WS_OPT_INT, &o.hellaswag_tasks, "N",
     "of so many tasks, chosen as llama-perplexity does; 0: all (default: 400)", 0, MAX_TOKENS, NULL},
    {"winogrande-tasks", 0, WS_OPT_INT, &o.winogrande_tasks, "N", "the same (default: all)", 0, MAX_TOKENS, NULL},
    {"multiple-choice-tasks", 0, WS_OPT_INT, &o.multiple_choice_tasks, "N", "the same (default: all)", 0, MAX_TOKENS,
     NULL},
    {"chunks", 0, WS_OPT_INT, &o.chunks, "N", "at most N chunks of each text; 0: all (default)", 0, MAX_TOKENS, NULL},
    {"logits", 0, WS_OPT_TEXT, &o.logits, "IDS", "logits after these token ids, as in 1,2,3", 0, 0, NULL},
    {"embed", 0, WS_OPT_TEXT, &o.embed, "TEXT", "the text as a vector of length 1, pooled as the model says", 0, 0,
     NULL},
    {"bench", 0, WS_OPT_FLAG, &o.bench, NULL,
     "measure tokens per second: -p counts prompt tokens (default: 512), -n generated ones", 0, 0, NULL},
    {"repetitions", 'r', WS_OPT_INT, &o.rounds, "R", "rounds of --bench (default: 5)", 1, 1000, NULL},
    {"output", 'o', WS_OPT_CHOICE, &o.output, "FORM", "of --bench: md (default), csv or json", 0, 0, outputs},
    {"ctx", 'c', WS_OPT_INT, &o.ctx, "N", "context; tokens of a chunk of text (default: 512)", 4, MAX_TOKENS, NULL},
    {"batch", 'b', WS_OPT_INT, &o.batch, "N", "tokens of a prompt run at a time (default: 512)", 1, 65536, NULL},
    {"kv-type", 0, WS_OPT_CHOICE, &o.kv_type, "TYPE", "type of the KV cache: f16 (default), f32, q8_0, q4_0", 0, 0,
     kv_types},
    {0},
};

static const ws_command cmd = {
    .tool = "infer",
    .synopsis =
        "MODEL.gguf (-p TEXT | --perplexity FILE... | --kld-base BASE FILE... |\n"
        "                        --hellaswag FILE | --winogrande FILE | --multiple-choice FILE | --logits IDS |\n"
        "                        --imatrix OUT.gguf FILE... | --embed TEXT | --bench) [options]",
    .summary = "Run a model: continue a text, or measure how well it predicts one.",
    .notes = "The prompt is used as it is: BOS is added if the model asks for it, no chat template is applied. "
             "Standard\n"
             "output holds the generated text only; generation stops at the model's end tokens.",
    .examples = "  infer model.gguf -p 'Once upon a time' -n 64 --temp 0\n"
                "  infer model-q4_k.gguf --perplexity text.txt --chunks 20\n"
                "  infer model-q4_k.gguf --kld-base model-f16.gguf text.txt --html report.html\n"
                "  infer model-q4_k.gguf --hellaswag hellaswag_val_full.txt --hellaswag-tasks 1000\n"
                "  infer model-f16.gguf --imatrix model.imatrix.gguf text.txt more.txt --chunks 200\n"
                "  infer model-q4_k.gguf --bench -t 2 -p 512 -n 128 -r 5",
    .options = rows,
    .min_args = 1,
    .max_args = WS_MAX_ARGS,
};

int main(int argc, char **argv) {
    ws_error err = {0};
    ws_args args;
    ws_status st = ws_cli_parse(&cmd, argc, argv, &o.common, &args, &err);
    if (!st && !args.done) st = run(&o, &args, &err);
    free(o.in_files.list);
    return ws_cli_finish(&cmd, st, &err);
}
