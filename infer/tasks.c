#include "tasks.h"

#include "alloc.h"
#include "cursor.h"
#include "mt19937.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 1, HELLASWAG_LINES = 6, HELLASWAG_ENDINGS = 4 };

static ws_task *add_task(ws_tasks *t, ws_str context, ws_error *err) {
    if (ws_grow(&t->tasks, &t->cap, t->n + 1, sizeof *t->tasks, err)) return NULL;
    t->tasks[t->n] = (ws_task){.context = context, .first = t->n_answers};
    return &t->tasks[t->n++];
}

static ws_status add_answer(ws_tasks *t, ws_str text, bool right, ws_error *err) {
    WS_TRY(ws_grow(&t->answers, &t->answers_cap, t->n_answers + 1, sizeof *t->answers, err));
    t->answers[t->n_answers++] = (ws_answer){text, right};
    t->tasks[t->n - 1].n_answers++;
    return WS_OK;
}

/* The number at the beginning of s, behind white space; -1: none, or not below 1000. */
static int leading_number(ws_str s) {
    size_t i = 0;
    int value = -1;
    while (i < s.len && strchr(" \t\v\f\r", s.data[i]) && s.data[i]) i++;
    if (i < s.len && s.data[i] == '+') i++;
    for (; i < s.len && s.data[i] >= '0' && s.data[i] <= '9'; i++) {
        value = (value < 0 ? 0 : value) * 10 + (s.data[i] - '0');
        if (value >= 1000) return -1;
    }
    return value;
}

/* ---- lines ---- */

typedef struct {
    ws_str *line;
    size_t n, cap;
    bool open_end; /* no line feed behind the last one */
} line_list;

static ws_status split_lines(line_list *l, const uint8_t *data, size_t n, ws_error *err) {
    const char *at = (const char *)data, *end = at + n;
    while (n > 0 && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        l->open_end = !stop;
        if (!stop) stop = end;
        WS_TRY(ws_grow(&l->line, &l->cap, l->n + 1, sizeof *l->line, err));
        l->line[l->n++] = (ws_str){at, (size_t)(stop - at)};
        at = stop + 1 - l->open_end;
    }
    return WS_OK;
}

/* ---- HellaSwag ---- */

static ws_status add_hellaswag(ws_tasks *t, const ws_str *line, size_t index, const char *what, ws_error *err) {
    const int right = leading_number(line[1]);
    if (right < 0 || right >= HELLASWAG_ENDINGS)
        return ws_fail(err, WS_FORMAT, "'%s', line %zu: expected the number of an ending, 0 to 3", what,
                       index * HELLASWAG_LINES + 2);
    if (!add_task(t, line[0], err)) return WS_NOMEM;
    for (int i = 0; i < HELLASWAG_ENDINGS; i++) WS_TRY(add_answer(t, line[2 + i], i == right, err));
    return WS_OK;
}

/* Tasks are always drawn at random; those that are left keep their order. */
static ws_status parse_hellaswag(ws_tasks *t, const line_list *l, uint64_t n_wanted, const char *what, ws_error *err) {
    size_t n = l->n / HELLASWAG_LINES;
    if (l->n % HELLASWAG_LINES != 0 || n > UINT32_MAX)
        return ws_fail(err, WS_FORMAT, "'%s': %zu lines are no whole number of tasks, which have 6", what, l->n);
    const uint64_t n_chosen = n_wanted && n_wanted < n ? n_wanted : n;
    size_t *left = ws_alloc(n, sizeof *left, "tasks", err);
    if (!left) return WS_NOMEM;
    ws_mt19937 random;
    ws_status st = WS_OK;
    ws_mt19937_seed(&random, SEED);
    for (size_t i = 0; i < n; i++) left[i] = i;
    for (uint64_t i = 0; i < n_chosen && !st; i++, n--) {
        const size_t j = ws_mt19937_below(&random, (uint32_t)n), index = left[j];
        st = add_hellaswag(t, l->line + index * HELLASWAG_LINES, index, what, err);
        memmove(left + j, left + j + 1, (n - j - 1) * sizeof *left);
    }
    free(left);
    return st;
}

/* ---- the choice that Winogrande and multiple choice share ---- */

/* `n_wanted` of the numbers 0 .. n - 1, in the order in which they are drawn, into order[n]. The product is rounded to
 * floats as in llama-perplexity. */
static void draw(size_t *order, size_t n, size_t n_wanted, size_t *left) {
    ws_mt19937 random;
    ws_mt19937_seed(&random, SEED);
    for (size_t i = 0; i < n; i++) left[i] = i;
    for (size_t i = 0; i < n_wanted; i++, n--) {
        const float share = 0x1p-32f * (float)ws_mt19937_next(&random) * (float)n;
        const size_t j = share < (float)n ? (size_t)share : n - 1;
        order[i] = left[j < n ? j : n - 1];
        left[j < n ? j : n - 1] = left[n - 1];
    }
}

/* The chosen ones of n tasks into *order, which the caller frees: their number. */
static ws_status choose(size_t **order, size_t n, uint64_t n_wanted, size_t *n_chosen, ws_error *err) {
    *order = ws_alloc(n, sizeof **order, "tasks", err);
    size_t *left = ws_alloc(n, sizeof *left, "tasks", err);
    if (!*order || !left) {
        free(left);
        return WS_NOMEM;
    }
    *n_chosen = n_wanted && n_wanted < n ? (size_t)n_wanted : n;
    for (size_t i = 0; i < n; i++) (*order)[i] = i;
    if (*n_chosen < n) draw(*order, n, *n_chosen, left);
    free(left);
    return WS_OK;
}

/* ---- Winogrande ---- */

static ws_str part(ws_str s, size_t begin, size_t end) { return (ws_str){s.data + begin, end - begin}; }

/* Places of the first four commas outside of quotes. */
static bool find_commas(ws_str line, size_t comma[4]) {
    size_t n = 0;
    bool quoted = false;
    for (size_t i = 0; i < line.len && n < 4; i++) {
        if (line.data[i] == '"') quoted = !quoted;
        if (line.data[i] == ',' && !quoted) comma[n++] = i;
    }
    return n == 4;
}

/* false: the line is no task. */
static bool split_winogrande(ws_str line, ws_str *sentence, ws_str choices[2], int *right) {
    size_t comma[4];
    if (!find_commas(line, comma)) return false;
    const size_t quoted = line.data[comma[0] + 1] == '"';
    *sentence = part(line, comma[0] + 1 + quoted, comma[1] - quoted);
    choices[0] = part(line, comma[1] + 1, comma[2]);
    choices[1] = part(line, comma[2] + 1, comma[3]);
    *right = leading_number(part(line, comma[3] + 1, line.len));
    return (*right == 1 || *right == 2) && sentence->len && memchr(sentence->data, '_', sentence->len);
}

static ws_status add_winogrande(ws_tasks *t, ws_str line, ws_error *err) {
    ws_str sentence, choices[2];
    int right;
    if (!split_winogrande(line, &sentence, choices, &right)) {
        t->n_bad++;
        return WS_OK;
    }
    const char *gap = memchr(sentence.data, '_', sentence.len);
    const size_t before = (size_t)(gap - sentence.data);
    ws_task *task = add_task(t, part(sentence, 0, before), err);
    if (!task) return WS_NOMEM;
    task->after = part(sentence, before + 1, sentence.len);
    for (int i = 0; i < 2; i++) WS_TRY(add_answer(t, choices[i], right == i + 1, err));
    return WS_OK;
}

static ws_status parse_winogrande(ws_tasks *t, const line_list *l, uint64_t n_wanted, ws_error *err) {
    size_t *order = NULL, n = 0;
    t->cut_off = l->open_end;
    for (size_t i = 0; i < l->n - l->open_end; i++) WS_TRY(add_winogrande(t, l->line[i], err));
    ws_task *chosen = ws_alloc(t->n, sizeof *chosen, "tasks", err);
    const ws_status st = chosen ? choose(&order, t->n, n_wanted, &n, err) : WS_NOMEM;
    for (size_t i = 0; i < n && !st; i++) chosen[i] = t->tasks[order[i]];
    free(order);
    free(t->tasks);
    t->tasks = chosen;
    t->n = t->cap = n;
    return st;
}

/* ---- multiple choice ---- */

static ws_str take_string(ws_cursor *c) {
    const uint32_t n = ws_u32(c);
    return (ws_str){(const char *)ws_take(c, n), c->bad ? 0 : n};
}

/* A list of answers; without a task it is skipped. */
static ws_status take_answers(ws_tasks *t, ws_cursor *c, bool keep, ws_error *err) {
    ws_str text[WS_MAX_ANSWERS];
    const uint32_t n = ws_u32(c);
    if (n > WS_MAX_ANSWERS) c->bad = true;
    for (uint32_t i = 0; i < n && !c->bad; i++) text[i] = take_string(c);
    for (uint32_t i = 0; i < n && !c->bad; i++) {
        const uint32_t label = ws_u32(c);
        if (keep && !c->bad) WS_TRY(add_answer(t, text[i], label == 1, err));
    }
    return WS_OK;
}

static ws_status add_multiple_choice(ws_tasks *t, ws_cursor *c, size_t index, const char *what, ws_error *err) {
    const ws_str question = take_string(c);
    const ws_task *task = c->bad ? NULL : add_task(t, question, err);
    if (task) WS_TRY(take_answers(t, c, true, err));
    if (task) WS_TRY(take_answers(t, c, false, err));
    if (c->bad) return ws_fail(err, WS_FORMAT, "'%s': task %zu goes beyond the end of the file", what, index + 1);
    if (!task) return WS_NOMEM;
    bool empty = question.len == 0 || task->n_answers == 0;
    for (size_t i = 0; i < task->n_answers; i++) empty |= t->answers[task->first + i].text.len == 0;
    return empty
               ? ws_fail(err, WS_FORMAT, "'%s': task %zu has no question, no answers or an empty one", what, index + 1)
               : WS_OK;
}

static ws_status parse_multiple_choice(ws_tasks *t, const uint8_t *data, size_t size, uint64_t n_wanted,
                                       const char *what, ws_error *err) {
    ws_cursor c = {.at = data, .end = data + size};
    const uint32_t n = ws_u32(&c);
    ws_cursor offsets = {.at = ws_take(&c, (uint64_t)n * sizeof(uint32_t)), .end = c.at};
    size_t *order = NULL, n_chosen = 0;
    if (c.bad) return ws_fail(err, WS_FORMAT, "'%s': %zu bytes do not hold the offsets of %u tasks", what, size, n);
    ws_status st = choose(&order, n, n_wanted, &n_chosen, err);
    for (size_t i = 0; i < n_chosen && !st; i++) {
        ws_cursor at = offsets;
        if (n_chosen < n) { /* else one after the other, whatever the offsets say: as in llama-perplexity */
            (void)ws_take(&at, order[i] * sizeof(uint32_t));
            const uint32_t offset = ws_u32(&at);
            c = (ws_cursor){.at = data + (offset < size ? offset : size), .end = data + size};
        }
        st = add_multiple_choice(t, &c, order[i], what, err);
    }
    free(order);
    return st;
}

/* ---- all ---- */

ws_status ws_tasks_parse(ws_tasks *t, ws_task_kind kind, const uint8_t *data, size_t n, uint64_t n_wanted,
                         const char *what, ws_error *err) {
    line_list lines = {0};
    *t = (ws_tasks){.kind = kind};
    ws_status st = kind == WS_MULTIPLE_CHOICE ? parse_multiple_choice(t, data, n, n_wanted, what, err)
                                              : split_lines(&lines, data, n, err);
    if (!st && kind == WS_HELLASWAG) st = parse_hellaswag(t, &lines, n_wanted, what, err);
    if (!st && kind == WS_WINOGRANDE) st = parse_winogrande(t, &lines, n_wanted, err);
    free(lines.line);
    if (!st && t->n == 0) return ws_fail(err, WS_FORMAT, "'%s' holds no tasks", what);
    return st;
}

void ws_tasks_free(ws_tasks *t) {
    free(t->tasks);
    free(t->answers);
    *t = (ws_tasks){0};
}
