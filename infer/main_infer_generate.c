/* main_infer_generate.c - infer --prompt: a text goes on, as it is chosen. */
#include "alloc.h"
#include "generate.h"
#include "json.h"
#include "main_infer.h"
#include "progress.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static double rate(uint64_t n, double seconds) { return seconds > 0 ? (double)n / seconds : 0; }

static const char *const stop_words[] = {
    [WS_STOP_COUNT] = "count",
    [WS_STOP_END] = "end",
    [WS_STOP_CONTEXT] = "context",
};

typedef struct {
    bool show;
    char *text;
    size_t n, cap;
} output;

static ws_status emit(void *arg, const char *text, size_t n, ws_error *err) {
    output *out = arg;
    if (out->show)
        return fwrite(text, 1, n, stdout) == n && fflush(stdout) == 0
                   ? WS_OK
                   : ws_fail_errno(err, "cannot write to standard output");
    WS_TRY(ws_grow(&out->text, &out->cap, out->n + n, 1, err));
    memcpy(out->text + out->n, text, n);
    out->n += n;
    return WS_OK;
}

static cJSON *logprob_json(const ws_tokenizer *t, const ws_logprob *p) {
    cJSON *item = cJSON_CreateObject();
    const ws_str text = ws_token_text(t, p->token);
    ws_json_add_i64(item, "token", p->token);
    cJSON_AddItemToObject(item, "text", ws_json_bytes(text.data, text.len));
    cJSON_AddItemToObject(item, "logprob", ws_json_float(p->logprob));
    return item;
}

/* A list with, for each generated token, its own ln p and those of the best ones. */
static cJSON *logprobs_json(const ws_tokenizer *t, const ws_generated *g) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < g->ids.n; i++) {
        const ws_logprob *p = g->logprobs + i * (1 + g->n_best);
        cJSON *item = logprob_json(t, p), *top = cJSON_AddArrayToObject(item, "top");
        for (size_t k = 1; k <= g->n_best; k++) cJSON_AddItemToArray(top, logprob_json(t, p + k));
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static void print_logprobs(const ws_tokenizer *t, const ws_generated *g) {
    for (size_t i = 0; i < g->ids.n; i++)
        for (size_t k = 0; k <= g->n_best; k++) {
            const ws_logprob *p = g->logprobs + i * (1 + g->n_best) + k;
            const ws_str text = ws_token_text(t, p->token);
            fprintf(stderr, "%s%8.4f '%s'%s", k ? "  " : "", p->logprob, ws_show(text.data, text.len).text,
                    k == g->n_best ? "\n"
                    : k            ? ""
                                   : " |");
        }
}

static ws_status print_generated_json(const ws_tokenizer *t, const ws_generated *g, const output *out, uint64_t seed,
                                      bool logprobs, ws_error *err) {
    cJSON *root = cJSON_CreateObject();
    cJSON *ids = cJSON_AddArrayToObject(root, "tokens");
    cJSON_AddItemToObject(root, "text", ws_json_bytes(out->text ? out->text : "", out->n));
    for (size_t i = 0; i < g->ids.n; i++) cJSON_AddItemToArray(ids, ws_json_exact_i64(g->ids.id[i]));
    if (logprobs) cJSON_AddItemToObject(root, "logprobs", logprobs_json(t, g));
    cJSON_AddStringToObject(root, "stop", stop_words[g->stop]);
    ws_json_add_u64(root, "seed", seed);
    ws_json_add_u64(root, "prompt_tokens", g->n_prompt);
    cJSON_AddNumberToObject(root, "prompt_tokens_per_second", rate(g->n_prompt, g->prompt_seconds));
    cJSON_AddNumberToObject(root, "generated_tokens_per_second", rate(g->n_decoded, g->generate_seconds));
    ws_json_add_u64(root, "session_bytes", g->session_bytes);
    return ws_json_print(root, stdout, err);
}

static void print_timings(const ws_generated *g, uint64_t seed) {
    char bytes[24];
    fprintf(stderr, "prompt: %" PRIu64 " tokens, %.1f tokens/s; generated: %zu tokens, %.1f tokens/s; ", g->n_prompt,
            rate(g->n_prompt, g->prompt_seconds), g->ids.n, rate(g->n_decoded, g->generate_seconds));
    fprintf(stderr, "seed %" PRIu64 "; %s beside the weights%s\n", seed,
            ws_format_bytes(bytes, (double)g->session_bytes),
            g->stop == WS_STOP_CONTEXT ? "; stopped at the end of the context" : "");
}

static ws_status choose_seed(const ws_infer_options *o, uint64_t *seed, ws_error *err) {
    *seed = (uint64_t)o->seed;
    if (o->seed >= 0) return WS_OK;
    uint32_t random = 0;
    if (getentropy(&random, sizeof random) != 0) return ws_fail_errno(err, "cannot get a random seed");
    *seed = random;
    return WS_OK;
}

/* Do standard output and standard error end up in the same file or pipe? */
static bool outputs_meet(void) {
    struct stat out, log;
    return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &log) == 0 && out.st_dev == log.st_dev &&
           out.st_ino == log.st_ino;
}

/* What is left to print behind the text; a terminal's next line, or what is said about it in the same file, is not to
 * begin in it. */
static ws_status print_generated(const ws_infer_job *j, const ws_tokenizer *t, const ws_generated *g, const output *out,
                                 uint64_t seed, ws_error *err) {
    const ws_common_options *o = &j->o->common;
    const bool logprobs = j->o->logprobs >= 0;
    if (o->json) return print_generated_json(t, g, out, seed, logprobs, err);
    const bool terminal = isatty(STDOUT_FILENO);
    if (terminal) putchar('\n');
    fflush(stdout);
    if (!terminal && (logprobs || !o->quiet) && outputs_meet()) fputc('\n', stderr);
    if (logprobs) print_logprobs(t, g);
    if (!o->quiet) print_timings(g, seed);
    return WS_OK;
}

static ws_status generate(const ws_infer_job *j, const ws_model *m, const char *prompt, size_t n, ws_error *err) {
    const ws_infer_options *o = j->o;
    output out = {.show = !o->common.json};
    ws_generate_options g = {
        .prompt = prompt,
        .prompt_bytes = n,
        .n_predict = (uint64_t)o->n_predict,
        .ctx = (uint64_t)o->ctx,
        .n_batch = (uint64_t)o->batch,
        .n_threads = (int)o->common.threads,
        .kv_type = j->kv_type,
        .cpu_flags = j->cpu_flags,
        .sample = {.temp = o->temp,
                   .top_k = (uint64_t)o->top_k,
                   .top_p = o->top_p,
                   .min_p = o->min_p,
                   .repeat_penalty = o->repeat_penalty,
                   .repeat_last_n = o->repeat_last_n < 0 ? WS_REPEAT_ALL : (uint64_t)o->repeat_last_n},
        .logprobs = o->logprobs >= 0,
        .n_logprobs = o->logprobs < 0 ? 0 : (uint64_t)o->logprobs,
        .emit = emit,
        .arg = &out,
    };
    ws_tokenizer *t;
    ws_generated result = {0};
    WS_TRY(choose_seed(o, &g.sample.seed, err));
    WS_TRY(ws_tokenizer_open(&t, m->gguf, err));
    ws_status st = ws_generate(m, t, &g, &result, err);
    if (!st) st = print_generated(j, t, &result, &out, g.sample.seed, err);
    ws_tokenizer_close(t);
    free(result.ids.id);
    free(result.logprobs);
    free(out.text);
    return st;
}

ws_status ws_infer_generate(const ws_infer_job *j, ws_error *err) {
    char *text = NULL;
    size_t n = j->o->prompt ? strlen(j->o->prompt) : 0;
    if (j->o->prompt && j->o->prompt_file) return ws_fail(err, WS_USAGE, "give either --prompt or --file, not both");
    if (j->o->n_predict < 1) return ws_fail(err, WS_USAGE, "--predict: at least one token is to be generated");
    if (!j->o->prompt) WS_TRY(ws_infer_read_text(&text, &n, j->o->prompt_file ? j->o->prompt_file : "-", err));
    ws_model *m;
    ws_status st = ws_model_open(&m, j->model, ws_infer_problem, NULL, err);
    if (!st) st = generate(j, m, text ? text : j->o->prompt, n, err);
    if (m) ws_model_close(m);
    free(text);
    return st;
}
