#include "compare.h"

#include <math.h>
#include <string.h>

enum { PART = WS_COMPARE_SCRATCH / 2 }; /* elements at a time: whole blocks of every type */

double ws_decibels(double signal, double noise) { return noise > 0 ? 10 * log10(signal / noise) : (double)INFINITY; }

/* Dimension d counted from the fastest; 1 beyond the shape. */
static uint64_t dimension(const ws_report *r, const ws_report_tensor *t, uint32_t d) {
    return d < t->n_dims ? t->shape[r->gguf ? d : t->n_dims - 1 - d] : 1;
}

const char *ws_compare_problem(const ws_pair *p, const ws_report *ra, const ws_report *rb) {
    if (!p->a || !p->b) return "missing";
    for (uint32_t d = 0; d < WS_ST_MAX_DIMS; d++)
        if (dimension(ra, p->a, d) != dimension(rb, p->b, d)) return "shape";
    if (p->rearranged) return "rearranged by convert";
    if (!p->a->to_float || !p->b->to_float) return "values cannot be read";
    const uint64_t row = dimension(ra, p->a, 0), rows = row ? p->a->n_elements / row : 0;
    return p->heads && (rows % p->heads || rows / p->heads % 2) ? "heads do not divide it" : NULL;
}

static void read(const ws_report_tensor *t, const ws_map *map, uint64_t first, size_t n, float *y) {
    const ws_layout *l = &t->layout;
    const uint64_t at = first / l->block_elements * l->block_bytes;
    t->to_float(t->data + at, y, n / l->block_elements);
    ws_map_release(map, t->offset + at, n / l->block_elements * l->block_bytes);
}

typedef struct {
    double a2, b2, ab, error2, max_error;
    uint64_t max_at, n, n_bad;
} sums;

static void add_up(sums *s, const float *a, const float *b, size_t n, uint64_t first) {
    for (size_t i = 0; i < n; i++) {
        const double x = (double)a[i], y = (double)b[i], e = x - y;
        if (!isfinite(x) || !isfinite(y)) {
            s->n_bad++;
            continue;
        }
        s->a2 += x * x, s->b2 += y * y, s->ab += x * y, s->error2 += e * e;
        if (fabs(e) > s->max_error) s->max_error = fabs(e), s->max_at = first + i;
    }
    s->n += n;
}

static void shift(float *x, size_t n, float add) {
    for (size_t i = 0; i < n; i++) x[i] += add;
}

/* Elements [from_a, from_a + n) of a, and as many from from_b of b. */
static void compare_run(sums *s, const ws_pair *p, const ws_map *ma, const ws_map *mb, uint64_t from_a, uint64_t from_b,
                        uint64_t n, bool gguf_is_a, float *scratch) {
    for (uint64_t at = 0; at < n; at += PART) {
        const size_t part = n - at < PART ? (size_t)(n - at) : PART;
        read(p->a, ma, from_a + at, part, scratch);
        read(p->b, mb, from_b + at, part, scratch + PART);
        if (p->add != 0) shift(gguf_is_a ? scratch + PART : scratch, part, p->add);
        add_up(s, scratch, scratch + PART, part, from_a + at);
    }
}

void ws_compare(ws_distance *d, const ws_pair *p, const ws_report *ra, const ws_report *rb, float *scratch) {
    const ws_map *ma = &ra->parts[p->a->part], *mb = &rb->parts[p->b->part];
    const uint64_t n = p->a->n_elements;
    const uint64_t row = p->heads ? dimension(ra, p->a, 0) : n, rows = row ? n / row : 0;
    sums s = {0};
    for (uint64_t r = 0; r < rows; r++) {
        const uint64_t other = ws_match_row(p, rows, r); /* r counts the rows of the GGUF file */
        compare_run(&s, p, ma, mb, (ra->gguf ? r : other) * row, (rb->gguf ? r : other) * row, row, ra->gguf != NULL,
                    scratch);
    }
    const uint64_t good = s.n - s.n_bad;
    *d = (ws_distance){
        .rmse = good ? sqrt(s.error2 / (double)good) : 0,
        .sqnr = ws_decibels(s.a2, s.error2),
        .cosine = s.ab / sqrt(s.a2 * s.b2),
        .max_error = s.max_error,
        .max_at = s.max_at,
        .n_bad = s.n_bad,
        .sum_a2 = s.a2,
        .sum_error2 = s.error2,
    };
}
