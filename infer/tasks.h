/* tasks.h - questions with several answers, in the file formats of llama-perplexity:
 *
 *   HellaSwag        six lines a task: context, number of the right ending (0 to 3), four endings
 *   Winogrande       a line a task: index,sentence with a gap "_",choice 1,choice 2,number of the right one (1 or 2).
 *                    Between double quotes, which are taken off a sentence, commas do not count. A line without line
 *                    feed at its end is not a task.
 *   multiple choice  little-endian 32-bit numbers and strings (length, bytes): the number of tasks, the offset of each,
 *                    the tasks. A task is a question and two lists of answers: their number (up to 100), the strings,
 *                    a label for each (1: right). The second list is not used.
 */
#ifndef WS_TASKS_H
#define WS_TASKS_H

#include "error.h"
#include "gguf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { WS_HELLASWAG, WS_WINOGRANDE, WS_MULTIPLE_CHOICE } ws_task_kind;

enum { WS_MAX_ANSWERS = 100 };

typedef struct {
    ws_str text;
    bool right;
} ws_answer;

typedef struct {
    ws_str context;          /* before the answers; Winogrande: what comes before the gap */
    ws_str after;            /* Winogrande: what comes behind it */
    size_t first, n_answers; /* ws_tasks.answers[first], ... */
} ws_task;

/* All text is borrowed from the file's bytes. */
typedef struct {
    ws_task_kind kind;
    ws_task *tasks;
    size_t n, cap;
    ws_answer *answers;
    size_t n_answers, answers_cap;
    size_t n_bad; /* Winogrande: lines that are no tasks, which are left out */
    bool cut_off; /* Winogrande: there was a last line without line feed */
} ws_tasks;

/* Read tasks; `what` names the file in messages. `n_wanted` of them (0: all) are chosen at random, with
 * llama-perplexity's generator, so that they are the same ones in the same order. Release with ws_tasks_free(), on
 * failure, too. */
WS_MUST_CHECK ws_status ws_tasks_parse(ws_tasks *t, ws_task_kind kind, const uint8_t *data, size_t n, uint64_t n_wanted,
                                       const char *what, ws_error *err);
void ws_tasks_free(ws_tasks *t);

#endif
