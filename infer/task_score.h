/* task_score.h - how many tasks with several answers a model gets right, as llama-perplexity counts it. A sequence is
 * the context and one of the answers; what all sequences of a task begin with is run once. The model's answer is the
 * one with the highest mean log probability of its tokens:
 *
 *   HellaSwag, multiple choice   context, a space and the answer; the tokens behind the common beginning count
 *   Winogrande                   context, answer and what comes after; where more than three tokens follow the common
 *                                beginning of both, those behind the answer count, else all behind the common
 *                                beginning; the last one never, unless it is the only one. */
#ifndef WS_TASK_SCORE_H
#define WS_TASK_SCORE_H

#include "model.h"
#include "tasks.h"

typedef struct {
    uint64_t tasks, correct, answers;
    double accuracy;  /* correct / tasks */
    double error;     /* its standard deviation, sqrt(p (1 - p) / (n - 1)) */
    double low, high; /* 95 % confidence (Wilson's interval) */
    double chance;    /* tasks / answers: what guessing gives */
} ws_task_result;

/* Called after every task with the result so far. */
typedef void ws_task_progress(void *arg, uint64_t n_tasks, const ws_task_result *so_far);

typedef struct {
    uint64_t ctx;     /* tokens a sequence may have; 0: as many as the longest has */
    uint64_t n_batch; /* tokens run at a time */
    int n_threads;
    ws_dtype kv_type;
    uint32_t cpu_flags;
    ws_task_progress *progress; /* may be NULL */
    ws_problem_fn *problem;     /* for tensors that do not fit (model.h); may be NULL */
    void *arg;                  /* of both */
} ws_task_options;

/* Run the model at `path` on all tasks. A sequence longer than ctx is WS_LIMIT. */
WS_MUST_CHECK ws_status ws_task_score(const char *path, const ws_tasks *t, const ws_task_options *o, ws_task_result *r,
                                      ws_error *err);

/* The numbers that follow from tasks, correct and answers. */
void ws_task_statistics(ws_task_result *r);

#endif
