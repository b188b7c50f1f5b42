/* infer --bench: tokens per second as a table, CSV or JSON. */
#include "bench.h"
#include "json.h"
#include "main_infer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char test[32]; /* "pp512" */
    ws_bench_result result;
} row;

enum { MAX_ROWS = 2, DEFAULT_PROMPT = 512, MAX_COUNT = 1 << 30 };

/* -p is a text elsewhere, a count here. */
static ws_status prompt_count(const ws_infer_options *o, uint64_t *n, ws_error *err) {
    char *end;
    *n = DEFAULT_PROMPT;
    if (!o->prompt) return WS_OK;
    *n = strtoull(o->prompt, &end, 10);
    if (end == o->prompt || *end || *o->prompt == '-' || *n > MAX_COUNT)
        return ws_fail(err, WS_USAGE, "--bench: -p '%s' is not a number of tokens", o->prompt);
    return WS_OK;
}

static ws_status measure(const ws_infer_job *j, const ws_model *m, row *rows, size_t *n_rows, uint64_t n_prompt,
                         ws_error *err) {
    const struct {
        const char *name;
        uint64_t n;
        bool one_by_one;
    } tests[MAX_ROWS] = {{"pp", n_prompt, false}, {"tg", (uint64_t)j->o->n_predict, true}};
    *n_rows = 0;
    for (size_t i = 0; i < MAX_ROWS; i++) {
        const ws_bench_options o = {.n_tokens = tests[i].n,
                                    .one_by_one = tests[i].one_by_one,
                                    .n_batch = (uint64_t)j->o->batch,
                                    .rounds = (uint64_t)j->o->rounds,
                                    .n_threads = (int)j->o->common.threads,
                                    .kv_type = j->kv_type,
                                    .cpu_flags = j->cpu_flags};
        if (tests[i].n == 0) continue;
        row *r = &rows[(*n_rows)++];
        snprintf(r->test, sizeof r->test, "%s%" PRIu64, tests[i].name, tests[i].n);
        WS_TRY(ws_bench_run(m, &o, &r->result, err));
    }
    return WS_OK;
}

static ws_status print_json(const row *rows, size_t n, int64_t threads, ws_error *err) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < n; i++) {
        cJSON *t = cJSON_CreateObject();
        cJSON_AddStringToObject(t, "test", rows[i].test);
        cJSON_AddNumberToObject(t, "threads", (double)threads);
        cJSON_AddNumberToObject(t, "tokens_per_second", rows[i].result.mean);
        cJSON_AddNumberToObject(t, "stddev", rows[i].result.stddev);
        cJSON_AddItemToArray(list, t);
    }
    return ws_json_print(list, stdout, err);
}

static void print_text(const row *rows, size_t n, int64_t threads, bool csv) {
    printf(csv ? "test,threads,tokens_per_second,stddev\n" : "| test | threads | tokens/s |\n|---|--:|--:|\n");
    for (size_t i = 0; i < n; i++)
        printf(csv ? "%s,%" PRId64 ",%.2f,%.2f\n" : "| %s | %" PRId64 " | %.2f ± %.2f |\n", rows[i].test, threads,
               rows[i].result.mean, rows[i].result.stddev);
}

ws_status ws_infer_bench(const ws_infer_job *j, ws_error *err) {
    row rows[MAX_ROWS];
    size_t n;
    uint64_t n_prompt;
    ws_model *m = NULL;
    WS_TRY(prompt_count(j->o, &n_prompt, err));
    if (n_prompt == 0 && j->o->n_predict == 0) return ws_fail(err, WS_USAGE, "--bench: -p 0 -n 0 leaves nothing to do");
    ws_status status = ws_model_open(&m, j->model, ws_infer_problem, NULL, err);
    if (!status) status = measure(j, m, rows, &n, n_prompt, err);
    ws_model_close(m);
    if (status) return status;
    if (j->o->common.json || strcmp(j->o->output, "json") == 0) return print_json(rows, n, j->o->common.threads, err);
    print_text(rows, n, j->o->common.threads, strcmp(j->o->output, "csv") == 0);
    return WS_OK;
}
