/* infer --hellaswag, --winogrande, --multiple-choice: how many questions does the model answer right? */
#include "file.h"
#include "json.h"
#include "main_infer.h"
#include "progress.h"
#include "task_score.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    ws_progress bar;
    bool quiet;
    cJSON *right;     /* of each task: was it? NULL: not wanted */
    uint64_t correct; /* so far */
} reporter;

static void report_task(void *arg, uint64_t n_tasks, const ws_task_result *r) {
    reporter *p = arg;
    if (r->tasks == 1) ws_progress_start(&p->bar, "tasks", "tasks", n_tasks, p->quiet);
    ws_progress_add(&p->bar, 1);
    if (p->right) cJSON_AddItemToArray(p->right, cJSON_CreateBool(r->correct > p->correct));
    p->correct = r->correct;
}

static ws_status print_result(const ws_infer_job *j, const char *name, const ws_tasks *t, const ws_task_result *r,
                              cJSON *right, ws_error *err) {
    if (j->o->common.json) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddStringToObject(root, "score", name);
        cJSON_AddNumberToObject(root, "accuracy", r->accuracy);
        cJSON_AddNumberToObject(root, "error", r->error);
        cJSON_AddNumberToObject(root, "low", r->low);
        cJSON_AddNumberToObject(root, "high", r->high);
        cJSON_AddNumberToObject(root, "chance", r->chance);
        ws_json_add_u64(root, "correct", r->correct);
        ws_json_add_u64(root, "tasks", r->tasks);
        cJSON_AddItemToObject(root, "right", right);
        return ws_json_print(root, stdout, err);
    }
    printf("%s  %.4f ± %.4f %%  (95 %%: %.2f to %.2f; guessing: %.2f)  %" PRIu64 " of %" PRIu64 " tasks right\n", name,
           100 * r->accuracy, 100 * r->error, 100 * r->low, 100 * r->high, 100 * r->chance, r->correct, r->tasks);
    if (t->n_bad) fprintf(stderr, "infer: %zu lines are no tasks and were left out\n", t->n_bad);
    return WS_OK;
}

static ws_status score(const ws_infer_job *j, const char *name, const ws_tasks *t, ws_error *err) {
    reporter p = {.quiet = j->o->common.quiet, .right = j->o->common.json ? cJSON_CreateArray() : NULL};
    ws_task_result r;
    const ws_status st = ws_task_score(j->model, t,
                                       &(ws_task_options){.ctx = (uint64_t)j->o->ctx,
                                                          .n_batch = (uint64_t)j->o->batch,
                                                          .n_threads = (int)j->o->common.threads,
                                                          .kv_type = j->kv_type,
                                                          .cpu_flags = j->cpu_flags,
                                                          .progress = report_task,
                                                          .problem = ws_infer_problem,
                                                          .arg = &p},
                                       &r, err);
    ws_progress_finish(&p.bar);
    if (!st) return print_result(j, name, t, &r, p.right, err);
    cJSON_Delete(p.right);
    return st;
}

ws_status ws_infer_tasks(const ws_infer_job *j, ws_error *err) {
    const struct {
        const char *name, *path;
        int64_t n_tasks;
    } files[] = {
        [WS_HELLASWAG] = {"hellaswag", j->o->hellaswag, j->o->hellaswag_tasks},
        [WS_WINOGRANDE] = {"winogrande", j->o->winogrande, j->o->winogrande_tasks},
        [WS_MULTIPLE_CHOICE] = {"multiple-choice", j->o->multiple_choice, j->o->multiple_choice_tasks},
    };
    const ws_task_kind kind = j->o->hellaswag ? WS_HELLASWAG : j->o->winogrande ? WS_WINOGRANDE : WS_MULTIPLE_CHOICE;
    const char *path = files[kind].path;
    char *data;
    size_t n;
    ws_tasks t;
    if (kind == WS_MULTIPLE_CHOICE)
        WS_TRY(ws_file_read(&data, &n, path, WS_INFER_MAX_TEXT, err));
    else
        WS_TRY(ws_infer_read_text(&data, &n, path, err));
    ws_status st = ws_tasks_parse(&t, kind, (const uint8_t *)data, n, (uint64_t)files[kind].n_tasks, path, err);
    if (!st && t.cut_off)
        fprintf(stderr, "infer: like llama-perplexity, this leaves the last line of '%s' out: add an empty line\n",
                path);
    if (!st) st = score(j, files[kind].name, &t, err);
    ws_tasks_free(&t);
    free(data);
    return st;
}
