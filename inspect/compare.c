#include "compare.h"

#include <math.h>
#include <string.h>

enum { PART = WS_COMPARE_SCRATCH / 2 }; /* elements at a time: whole blocks of every type */

double ws_decibels(double signal, double noise) { return noise > 0 ? 10 * log10(signal / noise) : (double)INFINITY; }

/* Dimension d counted from the fastest; 1 beyond the shape. */
static uint64_t dimension(const ws_report *r, const ws_report_tensor *t, uint32_t d) {
    return d < t->n_dims ? t->shape[r->gguf ? d : t->n_dims - 1 - d] : 1;
}

/* Dimension d of what convert took from the checkpoint. */
static uint64_t source_dimension(const ws_view_source *s, uint32_t d) {
    return d < s->n_dims ? s->shape[s->n_dims - 1 - d] : 1;
}

static bool same_shape(const ws_pair *p, const ws_report *ra, const ws_report *rb) {
    const ws_report *checkpoint = ra->gguf ? rb : ra;
    const ws_report_tensor *t = ra->gguf ? p->b : p->a;
    for (uint32_t d = 0; d < WS_ST_MAX_DIMS; d++) {
        if (!p->converted && dimension(ra, p->a, d) != dimension(rb, p->b, d)) return false;
        if (p->converted && dimension(checkpoint, t, d) != source_dimension(&p->source, d)) return false;
    }
    return true;
}

/* Convert regroups whole pairs of rows of whole heads. */
static bool heads_divide(const ws_pair *p, const ws_report *ra) {
    const ws_report_tensor *t = ra->gguf ? p->a : p->b;
    const uint64_t rows = t->n_dims == 1 ? t->shape[0] : t->shape[1];
    return !p->moved || !p->source.view.n_heads || rows % (2 * p->source.view.n_heads) == 0;
}

const char *ws_compare_problem(const ws_pair *p, const ws_report *ra, const ws_report *rb) {
    if (!p->a || !p->b) return "missing";
    if (p->problem) return p->problem;
    if (!same_shape(p, ra, rb)) return "shape";
    if (!p->a->to_float || !p->b->to_float) return "values cannot be read";
    if (p->moved && (ra->gguf ? p->b : p->a)->layout.block_elements != 1) return "values that share bytes were moved";
    return heads_divide(p, ra) ? NULL : "heads do not divide it";
}

static void read(const ws_report_tensor *t, const ws_map *map, uint64_t first, size_t n, float *y) {
    const ws_layout *l = &t->layout;
    const uint64_t at = first / l->block_elements * l->block_bytes;
    t->to_float(t->data + at, y, n / l->block_elements);
    ws_map_release(map, t->offset + at, n / l->block_elements * l->block_bytes);
}

static void add_up(ws_distance *d, const float *a, const float *b, size_t n, uint64_t first) {
    for (size_t i = 0; i < n; i++) {
        const double x = (double)a[i], y = (double)b[i], e = x - y;
        if (!isfinite(x) || !isfinite(y)) {
            d->n_bad++;
            continue;
        }
        d->sum_a2 += x * x, d->sum_b2 += y * y, d->sum_ab += x * y, d->sum_error2 += e * e;
        if (fabs(e) > d->max_error) d->max_error = fabs(e), d->max_at = first + i;
        d->n++;
    }
}

/* The figures that follow from the sums. */
static void conclude(ws_distance *d) {
    d->rmse = d->n ? sqrt(d->sum_error2 / (double)d->n) : 0;
    d->sqnr = ws_decibels(d->sum_a2, d->sum_error2);
    d->cosine = d->sum_ab / sqrt(d->sum_a2 * d->sum_b2);
}

static void shift(float *x, size_t n, float add) {
    for (size_t i = 0; i < n; i++) x[i] += add;
}

/* Reading a pair in step: elements [at, at + n) of the tensor whose order counts, and their counterparts. */
typedef struct {
    const ws_report_tensor *t, *other;
    const ws_map *map, *other_map;
    const ws_view *view; /* where the counterparts are; NULL: at the same places */
    uint64_t columns, rows;
} walk;

static void read_row(const walk *w, uint64_t from, size_t n, float *y) {
    if (w->view->column == 1) {
        read(w->other, w->other_map, from, n, y);
    } else {
        const ws_layout *l = &w->other->layout;
        for (size_t i = 0; i < n; i++)
            w->other->to_float(w->other->data + (from + i * w->view->column) * l->block_bytes, y + i, 1);
    }
}

static void read_counterparts(const walk *w, uint64_t at, size_t n, float *y) {
    if (!w->view) {
        read(w->other, w->other_map, at, n, y);
        return;
    }
    while (n > 0) {
        const uint64_t row = at / w->columns % w->rows, stack = at / w->columns / w->rows, column = at % w->columns;
        const size_t part = n < w->columns - column ? n : (size_t)(w->columns - column);
        const uint64_t from = w->view->n_heads ? ws_view_permuted_row(row, w->rows, w->view->n_heads) : row;
        read_row(w, w->view->first + stack * w->view->stack + from * w->view->row + column * w->view->column, part, y);
        at += part, y += part, n -= part;
    }
}

/* The GGUF file's order counts, a's between two of a kind. */
static walk walk_of(const ws_pair *p, const ws_report *ra, const ws_report *rb) {
    const bool a_leads = !p->converted || ra->gguf;
    walk w = {.t = a_leads ? p->a : p->b, .other = a_leads ? p->b : p->a};
    w.map = a_leads ? &ra->parts[p->a->part] : &rb->parts[p->b->part];
    w.other_map = a_leads ? &rb->parts[p->b->part] : &ra->parts[p->a->part];
    if (!p->moved) return w;
    const bool bias = w.t->n_dims == 1 && p->source.view.n_heads; /* its elements are the rows */
    w.columns = bias ? 1 : w.t->shape[0];
    w.rows = bias ? w.t->shape[0] : w.t->n_dims > 1 ? w.t->shape[1] : 1;
    w.view = &p->source.view;
    return w;
}

void ws_compare(ws_distance *d, const ws_pair *p, const ws_report *ra, const ws_report *rb, float *scratch) {
    const walk w = walk_of(p, ra, rb);
    const bool a_leads = w.t == p->a;
    float *x = scratch, *y = scratch + PART;
    ws_distance s = {0};
    for (uint64_t at = 0; at < w.t->n_elements; at += PART) {
        const size_t n = w.t->n_elements - at < PART ? (size_t)(w.t->n_elements - at) : PART;
        read(w.t, w.map, at, n, x);
        read_counterparts(&w, at, n, y);
        if (p->converted && p->source.view.add != 0) shift(y, n, p->source.view.add);
        add_up(&s, a_leads ? x : y, a_leads ? y : x, n, at);
    }
    *d = s;
    conclude(d);
}

void ws_distance_join(ws_distance *d, const ws_distance *next) {
    if (next->max_error > d->max_error) d->max_error = next->max_error, d->max_at = d->n + d->n_bad + next->max_at;
    d->sum_a2 += next->sum_a2, d->sum_b2 += next->sum_b2, d->sum_ab += next->sum_ab;
    d->sum_error2 += next->sum_error2;
    d->n += next->n, d->n_bad += next->n_bad;
    conclude(d);
}
