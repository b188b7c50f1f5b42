/* Any bytes as a file of tasks, of each kind: they are refused, or every task has answers whose text lies within the
 * file. The first byte says how many tasks are wanted. */
#include "tasks.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok) abort();
}

static void require_within(ws_str s, const uint8_t *data, size_t size) {
    const uint8_t *at = (const uint8_t *)s.data;
    require(s.len == 0 || (at >= data && s.len <= size && (size_t)(at - data) <= size - s.len));
}

static void use(const ws_tasks *t, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < t->n; i++) {
        const ws_task *task = &t->tasks[i];
        require(task->n_answers >= 1 && task->n_answers <= WS_MAX_ANSWERS);
        require(task->first <= t->n_answers && task->n_answers <= t->n_answers - task->first);
        require_within(task->context, data, size);
        require_within(task->after, data, size);
        for (size_t k = 0; k < task->n_answers; k++) require_within(t->answers[task->first + k].text, data, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    for (ws_task_kind kind = WS_HELLASWAG; kind <= WS_MULTIPLE_CHOICE; kind++) {
        ws_tasks t;
        ws_error err = {0};
        if (ws_tasks_parse(&t, kind, data + 1, size - 1, data[0], "fuzz", &err))
            require(err.code && err.msg[0] && !strchr(err.msg, '\n'));
        else
            use(&t, data + 1, size - 1);
        ws_tasks_free(&t);
    }
    return 0;
}
