#include "stats.h"

#include "alloc.h"
#include "parallel.h"
#include "progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PART = 16384 /* elements at a time: whole blocks of every type */, BATCH = 16, MAX_COLUMNS = 1 << 22 };

static const double OUTLIER_RATIO = 6;

/* Pairs of base and model that follow one another. */
typedef struct {
    const ws_pair *first;
    size_t n;
} pair_range;

typedef struct {
    ws_tensor_stats *tensors;
    const ws_report *report, *base;
    const pair_range *pairs; /* by tensor; with a base */
} job;

static uint64_t columns_of(const ws_report *r, const ws_report_tensor *t) {
    return t->n_dims < 2 ? 0 : t->shape[r->gguf ? 0 : t->n_dims - 1];
}

/* ---- the two passes ---- */

typedef struct {
    double sum, *squares; /* squares: per column, or NULL */
    uint64_t n_columns, column;
} first_pass;

static void look_first(ws_tensor_stats *s, first_pass *f, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const double v = (double)x[i];
        if (!isfinite(v)) {
            s->n_bad++;
        } else {
            f->sum += v;
            s->n_zero += v == 0;
            if (v < s->min) s->min = v;
            if (v > s->max) s->max = v;
            if (f->squares) f->squares[f->column] += v * v;
        }
        if (f->squares && ++f->column == f->n_columns) f->column = 0;
    }
}

typedef struct {
    double m2, m4, scale; /* scale: bins per unit */
} second_pass;

static void look_again(ws_tensor_stats *s, second_pass *p, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const double v = (double)x[i], d = v - s->mean, d2 = d * d;
        if (!isfinite(v)) continue;
        p->m2 += d2;
        p->m4 += d2 * d2;
        const int bin = (int)((v - s->min) * p->scale);
        s->bins[bin < WS_STATS_BINS ? bin : WS_STATS_BINS - 1]++;
    }
}

static size_t decode(const ws_report_tensor *t, uint64_t at, float *x) {
    const size_t n = t->n_elements - at < PART ? (size_t)(t->n_elements - at) : PART;
    const ws_layout *l = &t->layout;
    t->to_float(t->data + at / l->block_elements * l->block_bytes, x, n / l->block_elements);
    return n;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* `squares` is sorted on the way. */
static void find_outliers(ws_tensor_stats *s, double *squares, uint64_t n) {
    double worst = 0;
    for (uint64_t c = 0; c < n; c++)
        if (squares[c] > worst) worst = squares[c], s->worst_column = c;
    qsort(squares, n, sizeof *squares, compare_doubles);
    const double middle = squares[n / 2], limit = OUTLIER_RATIO * OUTLIER_RATIO * middle;
    for (uint64_t c = n; c-- > 0 && squares[c] > limit;) s->n_outliers++;
    s->worst_ratio = middle > 0 ? sqrt(worst / middle) : 0;
}

static void run_passes(ws_tensor_stats *s, double *squares, uint64_t n_columns, float *x) {
    const ws_report_tensor *t = s->tensor;
    first_pass f = {.squares = squares, .n_columns = n_columns};
    s->min = INFINITY, s->max = -INFINITY;
    for (uint64_t at = 0; at < s->n;) {
        const size_t n = decode(t, at, x);
        look_first(s, &f, x, n);
        at += n;
    }
    const double good = (double)(s->n - s->n_bad);
    if (s->n == s->n_bad) {
        s->min = s->max = 0;
        return;
    }
    s->mean = f.sum / good;
    second_pass p = {.scale = s->max > s->min ? WS_STATS_BINS / (s->max - s->min) : 0};
    for (uint64_t at = 0; at < s->n;) {
        const size_t n = decode(t, at, x);
        look_again(s, &p, x, n);
        at += n;
    }
    s->std = sqrt(p.m2 / good);
    s->kurtosis = p.m2 > 0 ? p.m4 * good / (p.m2 * p.m2) - 3 : (double)NAN; /* not -NaN, which prints its sign */
    if (squares) find_outliers(s, squares, n_columns);
}

/* With its one counterpart, or, of a stack, matrix by matrix: all of them, or the tensor goes without. */
static void compare_with_base(const job *j, ws_tensor_stats *s, pair_range pairs, float *x) {
    for (size_t i = 0; i < pairs.n; i++)
        if (ws_compare_problem(&pairs.first[i], j->base, j->report)) return;
    for (size_t i = 0; i < pairs.n; i++) {
        ws_distance part;
        ws_compare(&part, &pairs.first[i], j->base, j->report, x);
        if (i == 0)
            s->error = part;
        else
            ws_distance_join(&s->error, &part);
    }
    s->compared = pairs.n > 0;
}

static void measure(const job *j, ws_tensor_stats *s, pair_range pairs) {
    const ws_report_tensor *t = s->tensor;
    const uint64_t columns = columns_of(j->report, t);
    const bool wide = columns > 1 && columns <= MAX_COLUMNS && columns < t->n_elements;
    float *x = ws_alloc_aligned(WS_COMPARE_SCRATCH, sizeof *x, "values", NULL);
    double *squares = wide ? ws_alloc((size_t)columns, sizeof *squares, "columns", NULL) : NULL;
    if (!x || (wide && !squares)) {
        s->problem = "out of memory";
    } else {
        run_passes(s, squares, columns, x);
        compare_with_base(j, s, pairs, x);
    }
    free(x);
    free(squares);
    ws_map_release(&j->report->parts[t->part], t->offset, t->bytes);
}

static void measure_all(void *ctx, size_t begin, size_t end, int thread) {
    (void)thread;
    const job *j = ctx;
    for (size_t i = begin; i < end; i++) {
        ws_tensor_stats *s = &j->tensors[i];
        if (!s->problem) measure(j, s, j->pairs ? j->pairs[i] : (pair_range){0});
    }
}

/* Is t the tensor, or a matrix of it? */
static bool is_part(const ws_report_tensor *t, const ws_report_tensor *whole) {
    return t == whole || (t && t->part == whole->part && t->offset >= whole->offset &&
                          t->offset + t->bytes <= whole->offset + whole->bytes && t->n_elements < whole->n_elements);
}

/* The pairs of base and model by the model's tensors; those of a stack follow one another. */
static void pairs_by_tensor(pair_range *ranges, const ws_match *m, const ws_report *r) {
    for (size_t i = 0; i < r->n_tensors; i++) {
        size_t at = 0;
        while (at < m->n && !is_part(m->pairs[at].b, &r->tensors[i])) at++;
        ranges[i].first = &m->pairs[at];
        while (at < m->n && is_part(m->pairs[at].b, &r->tensors[i])) ranges[i].n++, at++;
    }
}

static void run_jobs(job *all, size_t n, int n_threads, bool quiet) {
    ws_progress progress;
    ws_progress_start(&progress, "stats", NULL, all->report->tensor_bytes, quiet);
    for (size_t at = 0; at < n; at += BATCH) {
        const size_t count = n - at < BATCH ? n - at : BATCH;
        job batch = {all->tensors + at, all->report, all->base, all->pairs ? all->pairs + at : NULL};
        ws_parallel_for(count, 1, n_threads, measure_all, &batch);
        for (size_t i = at; i < at + count; i++) ws_progress_add(&progress, all->tensors[i].tensor->bytes);
    }
    ws_progress_finish(&progress);
}

ws_status ws_stats_run(ws_stats *s, const ws_report *r, const ws_report *base, int n_threads, bool quiet,
                       ws_error *err) {
    *s = (ws_stats){.n = r->n_tensors};
    if (!(s->tensors = ws_alloc(s->n, sizeof *s->tensors, "statistics", err))) return WS_NOMEM;
    for (size_t i = 0; i < s->n; i++) {
        const ws_report_tensor *t = &r->tensors[i];
        const double bits = t->n_elements ? 8 * (double)t->bytes / (double)t->n_elements : 0;
        const char *problem = t->to_float ? NULL : "values cannot be read";
        s->tensors[i] = (ws_tensor_stats){.tensor = t, .problem = problem, .n = t->n_elements, .bits = bits};
    }
    job all = {.tensors = s->tensors, .report = r, .base = base};
    ws_match m = {0};
    pair_range *pairs = NULL;
    ws_status status = base ? ws_match_make(&m, base, r, err) : WS_OK;
    if (!status && base && !(pairs = ws_alloc(s->n, sizeof *pairs, "pairs of tensors", err))) status = WS_NOMEM;
    if (!status && base) pairs_by_tensor(pairs, &m, r);
    all.pairs = pairs;
    if (!status) run_jobs(&all, s->n, n_threads, quiet);
    free(pairs);
    ws_match_free(&m);
    return status;
}

void ws_stats_free(ws_stats *s) {
    free(s->tensors);
    *s = (ws_stats){0};
}
