#include "collect.h"

#include "alloc.h"
#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One tensor: a stack of n matrices. */
typedef struct {
    const ws_tensor *t;
    uint64_t n;
    double *sums;     /* [n][ne[0]]; NULL: neither wanted nor merged */
    uint64_t *counts; /* [n] */
    bool wanted;
    bool one_count; /* all that is known of experts is a count for all, which `counts` repeats */
} entry;

struct ws_collector {
    const ws_gguf *gguf;
    entry *entries; /* as gguf->tensors */
};

/* ---- collecting ---- */

static bool wanted(const ws_tensor *t, bool output) {
    return strncmp(t->name, "blk.", 4) == 0 || (output && strcmp(t->name, "output.weight") == 0);
}

static ws_status make_room(entry *e, ws_error *err) {
    e->sums = ws_alloc(e->n * e->t->ne[0], sizeof *e->sums, "sums of squares", err);
    e->counts = ws_alloc(e->n, sizeof *e->counts, "counts", err);
    return e->sums && e->counts ? WS_OK : WS_NOMEM;
}

static ws_status open_entries(ws_collector *c, bool output, ws_error *err) {
    for (size_t i = 0; i < c->gguf->n_tensors; i++) {
        const ws_tensor *t = &c->gguf->tensors[i];
        entry *e = &c->entries[i];
        *e = (entry){.t = t, .n = t->ne[2] * t->ne[3], .wanted = wanted(t, output)};
        if (e->wanted) WS_TRY(make_room(e, err));
    }
    return WS_OK;
}

ws_status ws_collector_open(ws_collector **out, const ws_model *m, bool output, ws_error *err) {
    *out = NULL;
    ws_collector *c = ws_alloc(1, sizeof *c, "an importance matrix", err);
    if (!c) return WS_NOMEM;
    c->gguf = m->gguf;
    c->entries = ws_alloc(m->gguf->n_tensors, sizeof *c->entries, "an importance matrix", err);
    const ws_status st = c->entries ? open_entries(c, output, err) : WS_NOMEM;
    if (st)
        ws_collector_close(c);
    else
        *out = c;
    return st;
}

void ws_collector_close(ws_collector *c) {
    if (!c) return;
    for (size_t i = 0; c->entries && i < c->gguf->n_tensors; i++) {
        free(c->entries[i].sums);
        free(c->entries[i].counts);
    }
    free(c->entries);
    free(c);
}

/* The entry of a tensor that is wanted, or NULL. */
static entry *find(const ws_collector *c, const char *name) {
    const ws_tensor *t = ws_gguf_tensor(c->gguf, name);
    entry *e = t ? &c->entries[t - c->gguf->tensors] : NULL;
    return e && e->sums ? e : NULL;
}

typedef struct {
    double *sums;
    const ws_rows *x;
    size_t n_rows;
} addition;

static void add_squares(void *ctx, size_t begin, size_t end, int thread) {
    const addition *a = ctx;
    (void)thread;
    for (size_t t = 0; t < a->n_rows; t++) {
        const float *x = a->x->x + t * a->x->stride;
        for (size_t i = begin; i < end; i++) a->sums[i] += (double)x[i] * (double)x[i];
    }
}

void ws_collect_rows(ws_collector *c, ws_team *team, const ws_matrix *w, const ws_rows *x, size_t n_rows) {
    enum { GRAIN = 64 };
    entry *e = find(c, w->name);
    if (!e || !e->wanted) return;
    const uint64_t bytes = e->t->bytes / e->n, offset = (uint64_t)(w->data - (const uint8_t *)e->t->data);
    if (offset % bytes) return;
    const uint64_t i = offset / bytes;
    ws_team_for(team, w->n_in, GRAIN, add_squares, &(addition){e->sums + i * w->n_in, x, n_rows});
    e->counts[i] += n_rows;
    e->one_count = false;
}

const double *ws_collected(const ws_collector *c, const char *tensor, uint64_t i, uint64_t *n_tokens) {
    const entry *e = find(c, tensor);
    *n_tokens = e && i < e->n ? e->counts[i] : 0;
    return e && i < e->n ? e->sums + i * e->t->ne[0] : NULL;
}

/* ---- writing ---- */

static uint64_t largest_count(const entry *e) {
    uint64_t max = 0;
    for (uint64_t i = 0; e->sums && i < e->n; i++) max = e->counts[i] > max ? e->counts[i] : max;
    return max;
}

/* Counts of the file: experts have one each; other stacks (a matrix per head) meet the same tokens. */
static uint64_t n_counts(const entry *e) { return strstr(e->t->name, "_exps.") && !e->one_count ? e->n : 1; }

uint64_t ws_collector_tokens(const ws_collector *c) {
    uint64_t max = 0;
    for (size_t i = 0; i < c->gguf->n_tensors; i++) {
        const uint64_t n = largest_count(&c->entries[i]);
        max = n > max ? n : max;
    }
    return max;
}

/* ---- merging ---- */

static float float_at(const void *data, uint64_t i) {
    float x;
    memcpy(&x, (const uint8_t *)data + i * sizeof x, sizeof x);
    return x;
}

static ws_status merge_entry(entry *e, const ws_imatrix_sums *s, const char *path, uint64_t chunk_size, ws_error *err) {
    const uint64_t columns = e->t->ne[0], n_values = e->n * columns, last = s->n_counts ? s->n_counts - 1 : 0;
    if (!e->sums) WS_TRY(make_room(e, err));
    const bool fresh = largest_count(e) == 0;
    if (s->n != n_values || (s->n_counts > 1 && s->n_counts != e->n) || (s->n_counts == 1 && n_counts(e) > 1 && !fresh))
        return ws_fail(err, WS_FORMAT,
                       "'%s': %" PRIu64 " sums and %" PRIu64 " counts of '%s' do not fit the model's %" PRIu64
                       " and %" PRIu64,
                       path, s->n, s->n_counts, s->name, n_values, n_counts(e));
    if (fresh || s->n_counts > 1) e->one_count = s->n_counts <= 1;
    for (uint64_t i = 0; i < n_values; i++)
        e->sums[i] += (double)(s->n_counts ? float_at(s->data, i) : float_at(s->data, i) * (float)chunk_size);
    for (uint64_t i = 0; i < e->n; i++)
        e->counts[i] +=
            s->n_counts ? (uint64_t)lroundf(float_at(s->counts, i < last ? i : last)) : (uint64_t)s->calls * chunk_size;
    return WS_OK;
}

ws_status ws_collector_merge(ws_collector *c, const ws_imatrix *m, const char *path, uint64_t chunk_size,
                             ws_error *err) {
    for (size_t i = 0; i < ws_imatrix_entries(m); i++) {
        const ws_imatrix_sums s = ws_imatrix_at(m, i);
        const ws_tensor *t = ws_gguf_tensor(c->gguf, s.name);
        if (!t) return ws_fail(err, WS_FORMAT, "'%s' has sums of '%s', which the model lacks", path, s.name);
        WS_TRY(merge_entry(&c->entries[t - c->gguf->tensors], &s, path, chunk_size, err));
    }
    return WS_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const entry *const *)a)->t->name, (*(const entry *const *)b)->t->name);
}

/* The n entries that met a token, sorted; release with free(). */
static const entry **sorted_entries(const ws_collector *c, size_t *n, ws_error *err) {
    const entry **list = ws_alloc(c->gguf->n_tensors, sizeof *list, "the list of entries", err);
    *n = 0;
    for (size_t i = 0; list && i < c->gguf->n_tensors; i++)
        if (largest_count(&c->entries[i])) list[(*n)++] = &c->entries[i];
    if (list) qsort(list, *n, sizeof *list, by_name);
    return list;
}

/* Receives the next bytes of a file. */
typedef ws_status write_fn(void *file, const void *data, size_t bytes, ws_error *err);

/* The sums of an entry as F32, or (`means`) divided by their counts, one of none being 1; times a factor. */
static ws_status write_sums(const entry *e, float times, bool means, write_fn *write, void *file, ws_error *err) {
    const uint64_t n = e->t->ne[0];
    float *row = ws_alloc(n, sizeof *row, "a row of sums", err);
    ws_status st = row ? WS_OK : WS_NOMEM;
    for (uint64_t i = 0; i < e->n && !st; i++) {
        const float count = means ? (float)e->counts[i] : 1;
        for (uint64_t j = 0; j < n && !st; j++) {
            row[j] = count > 0 ? (float)e->sums[i * n + j] / count * times : times;
            if (!isfinite(row[j]))
                st = ws_fail(err, WS_FORMAT, "the squares in column %" PRIu64 " of what meets '%s' sum to %g", j,
                             e->t->name, e->sums[i * n + j]);
        }
        if (!st) st = write(file, row, n * sizeof *row, err);
    }
    free(row);
    return st;
}

static ws_status write_gguf_bytes(void *file, const void *data, size_t bytes, ws_error *err) {
    return ws_gguf_write(file, data, bytes, err);
}

static void add_tensor(ws_gguf_writer *w, const entry *e, const char *suffix, uint64_t n, uint64_t n_rows) {
    char name[160];
    snprintf(name, sizeof name, "%s%s", e->t->name, suffix);
    ws_gguf_add_tensor(w, name, WS_TYPE_F32, n_rows > 1 ? 2 : 1, (uint64_t[]){n, n_rows});
}

static ws_status write_gguf_entry(ws_gguf_writer *w, const entry *e, ws_error *err) {
    WS_TRY(write_sums(e, 1, false, write_gguf_bytes, w, err));
    for (uint64_t i = 0; i < n_counts(e); i++) {
        const float count = (float)e->counts[i];
        WS_TRY(ws_gguf_write(w, &count, sizeof count, err));
    }
    return WS_OK;
}

static ws_status write_gguf(const entry *const *list, size_t n, const char *path, const ws_collect_info *info,
                            ws_error *err) {
    ws_gguf_writer *w;
    WS_TRY(ws_gguf_writer_new(&w, err));
    ws_gguf_put_str(w, "general.type", "imatrix");
    ws_gguf_put_str_array(w, "imatrix.datasets", info->datasets, info->n_datasets);
    ws_gguf_put_u32(w, "imatrix.chunk_count", info->n_chunks);
    ws_gguf_put_u32(w, "imatrix.chunk_size", info->chunk_size);
    for (size_t i = 0; i < n; i++) {
        const uint64_t counts = n_counts(list[i]);
        add_tensor(w, list[i], ".in_sum2", list[i]->n / counts * list[i]->t->ne[0], counts);
        add_tensor(w, list[i], ".counts", 1, counts);
    }
    ws_status st = ws_gguf_writer_begin(w, path, err);
    for (size_t i = 0; i < n && !st; i++) st = write_gguf_entry(w, list[i], err);
    if (!st) return ws_gguf_writer_finish(w, err);
    ws_gguf_writer_discard(w);
    return st;
}

/* ---- .dat: means times the number of chunks that the entry met, rounded up ---- */

static ws_status write_file_bytes(void *file, const void *data, size_t bytes, ws_error *err) {
    return ws_outfile_write(file, data, bytes, err);
}

static ws_status write_i32(ws_outfile *f, uint64_t value, ws_error *err) {
    const int32_t v = (int32_t)value;
    if (value > INT32_MAX) return ws_fail(err, WS_LIMIT, "%" PRIu64 " does not fit the older format: use GGUF", value);
    return ws_outfile_write(f, &v, sizeof v, err);
}

static ws_status write_text(ws_outfile *f, const char *text, size_t n, ws_error *err) {
    WS_TRY(write_i32(f, n, err));
    return ws_outfile_write(f, text, n, err);
}

static ws_status write_dat_entries(ws_outfile *f, const entry *const *list, size_t n, const ws_collect_info *info,
                                   ws_error *err) {
    WS_TRY(write_i32(f, n, err));
    for (size_t i = 0; i < n; i++) {
        const entry *e = list[i];
        const uint64_t calls = (largest_count(e) + info->chunk_size - 1) / info->chunk_size;
        WS_TRY(write_text(f, e->t->name, strlen(e->t->name), err));
        WS_TRY(write_i32(f, calls, err));
        WS_TRY(write_i32(f, e->n * e->t->ne[0], err));
        WS_TRY(write_sums(e, (float)calls, true, write_file_bytes, f, err));
    }
    const ws_str *last = &info->datasets[info->n_datasets - 1];
    WS_TRY(write_i32(f, info->n_chunks, err));
    return write_text(f, last->data, last->len, err);
}

static ws_status write_dat(const entry *const *list, size_t n, const char *path, const ws_collect_info *info,
                           ws_error *err) {
    ws_outfile *f;
    WS_TRY(ws_outfile_open(&f, path, err));
    const ws_status st = write_dat_entries(f, list, n, info, err);
    if (!st) return ws_outfile_finish(f, err);
    ws_outfile_discard(f);
    return st;
}

ws_status ws_collector_write(const ws_collector *c, const char *path, const ws_collect_info *info, ws_error *err) {
    size_t n;
    const entry **list = sorted_entries(c, &n, err);
    if (!list) return WS_NOMEM;
    const ws_status st = (info->legacy ? write_dat : write_gguf)(list, n, path, info, err);
    free(list);
    return st;
}
