#include "diff.h"

#include "alloc.h"
#include "parallel.h"
#include "progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 16 };

const char *ws_diff_kind_name(ws_diff_kind kind) {
    static const char *const names[WS_DIFF_KINDS] = {
        [WS_SAME] = "same",     [WS_EQUAL] = "equal",          [WS_ONLY_A] = "only-a", [WS_ONLY_B] = "only-b",
        [WS_SHAPES] = "shapes", [WS_UNKNOWN] = "not-compared", [WS_VALUES] = "values",
    };
    return names[kind];
}

bool ws_diff_any(const ws_diff *d) { return d->n_keys || d->counts[WS_SAME] + d->counts[WS_EQUAL] != d->n_tensors; }

/* ---- metadata ---- */

static ws_status add_key(ws_diff *d, const ws_kv *a, const ws_kv *b, ws_error *err) {
    WS_TRY(ws_grow(&d->keys, &d->keys_cap, d->n_keys + 1, sizeof *d->keys, err));
    d->keys[d->n_keys++] = (ws_key_difference){a, b};
    return WS_OK;
}

static ws_status compare_keys(ws_diff *d, const ws_gguf *a, const ws_gguf *b, ws_error *err) {
    for (size_t i = 0; i < a->n_kv; i++) {
        const ws_kv *x = &a->kv[i], *y = ws_gguf_kv(b, x->key);
        const bool same =
            y && x->type == y->type && x->raw_bytes == y->raw_bytes && memcmp(x->raw, y->raw, x->raw_bytes) == 0;
        if (!same) WS_TRY(add_key(d, x, y, err));
    }
    for (size_t i = 0; i < b->n_kv; i++)
        if (!ws_gguf_kv(a, b->kv[i].key)) WS_TRY(add_key(d, NULL, &b->kv[i], err));
    return WS_OK;
}

/* ---- tensors ---- */

typedef struct {
    ws_tensor_difference *tensors;
    const ws_report *a, *b;
} job;

static bool same_bytes(const ws_pair *p) {
    return strcmp(p->a->type, p->b->type) == 0 && !p->moved && p->a->bytes == p->b->bytes &&
           (p->a->bytes == 0 || (p->a->data && p->b->data && memcmp(p->a->data, p->b->data, p->a->bytes) == 0));
}

static ws_diff_kind kind_of(ws_tensor_difference *t, const job *j, float *scratch) {
    const ws_pair *p = &t->pair;
    if (!p->b) return WS_ONLY_A;
    if (!p->a) return WS_ONLY_B;
    const char *problem = ws_compare_problem(p, j->a, j->b);
    if (problem && strcmp(problem, "shape") == 0) return WS_SHAPES;
    if (same_bytes(p)) return WS_SAME;
    t->why = problem;
    if (problem) return WS_UNKNOWN;
    ws_compare(&t->distance, p, j->a, j->b, scratch);
    return t->distance.max_error > 0 || t->distance.n_bad ? WS_VALUES : WS_EQUAL;
}

static void compare_tensors(void *ctx, size_t begin, size_t end, int thread) {
    (void)thread;
    const job *j = ctx;
    float *scratch = ws_alloc_aligned(WS_COMPARE_SCRATCH, sizeof *scratch, "values", NULL);
    for (size_t i = begin; i < end; i++) {
        ws_tensor_difference *t = &j->tensors[i];
        if (scratch)
            t->kind = kind_of(t, j, scratch);
        else
            t->kind = WS_UNKNOWN, t->why = "out of memory";
    }
    free(scratch);
}

static void run_jobs(const ws_diff *d, const ws_report *a, const ws_report *b, int n_threads, bool quiet) {
    ws_progress progress;
    ws_progress_start(&progress, "compare", NULL, a->tensor_bytes, quiet);
    for (size_t at = 0; at < d->n_tensors; at += BATCH) {
        const size_t n = d->n_tensors - at < BATCH ? d->n_tensors - at : BATCH;
        ws_parallel_for(n, 1, n_threads, compare_tensors, &(job){d->tensors + at, a, b});
        for (size_t i = at; i < at + n; i++)
            ws_progress_add(&progress, d->tensors[i].pair.a ? d->tensors[i].pair.a->bytes : 0);
    }
    ws_progress_finish(&progress);
}

/* What differs most comes first: kinds from the last to the first, values by damage, else in the order of the file. */
static int compare_damage(const void *x, const void *y) {
    const ws_tensor_difference *a = x, *b = y;
    if (a->kind != b->kind) return a->kind > b->kind ? -1 : 1;
    if (a->kind == WS_VALUES && a->distance.sqnr != b->distance.sqnr)
        return a->distance.sqnr < b->distance.sqnr ? -1 : 1;
    const ws_report_tensor *p = a->pair.a ? a->pair.a : a->pair.b, *q = b->pair.a ? b->pair.a : b->pair.b;
    return ((uintptr_t)p > (uintptr_t)q) - ((uintptr_t)p < (uintptr_t)q); /* tensors and slices of tensors */
}

static void summarize(ws_diff *d) {
    double signal = 0, noise = 0;
    for (size_t i = 0; i < d->n_tensors; i++) {
        d->counts[d->tensors[i].kind]++;
        signal += d->tensors[i].distance.sum_a2, noise += d->tensors[i].distance.sum_error2;
    }
    d->sqnr = ws_decibels(signal, noise);
    qsort(d->tensors, d->n_tensors, sizeof *d->tensors, compare_damage);
}

ws_status ws_diff_run(ws_diff *d, const ws_report *a, const ws_report *b, int n_threads, bool quiet, ws_error *err) {
    *d = (ws_diff){0};
    if (a->gguf && b->gguf) WS_TRY(compare_keys(d, a->gguf, b->gguf, err));
    WS_TRY(ws_match_make(&d->match, a, b, err));
    const size_t n = d->match.n;
    if (!(d->tensors = ws_alloc(n, sizeof *d->tensors, "differences", err))) return WS_NOMEM;
    for (size_t i = 0; i < n; i++) d->tensors[i].pair = d->match.pairs[i];
    d->n_tensors = n;
    run_jobs(d, a, b, n_threads, quiet);
    summarize(d);
    return WS_OK;
}

void ws_diff_free(ws_diff *d) {
    free(d->keys);
    free(d->tensors);
    ws_match_free(&d->match);
    *d = (ws_diff){0};
}
