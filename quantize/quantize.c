/* The stream: threads take piece after piece, read it, convert it for every target and hand it to the sinks. Reading,
 * computing and writing overlap because each thread does all three for its own piece. */
#include "quantize.h"

#include "alloc.h"
#include "formats.h"
#include "parallel.h"
#include "pieces.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* How many pieces before its turn a piece is asked for, so that it is in memory when its turn comes. */
enum { PIECES_AHEAD = 32 };

enum { WIDEST = 8 }; /* bytes of an element of the widest type (F64, I64) */

/* Room for the largest piece. */
typedef struct {
    uint8_t *bytes; /* as read */
    float *values;
    uint8_t *blocks;
    float *back;    /* values that the blocks stand for */
    float *weights; /* of a row */
} scratch;

/* A tensor under way. */
typedef struct {
    uint64_t left;     /* pieces that are not done */
    ws_damage **parts; /* for each target, of each piece; added up in order, so that sums don't depend on threads */
} tensor_state;

typedef struct {
    const ws_input *in;
    ws_target *targets;
    size_t n_targets;
    const ws_run_options *o;
    ws_pieces pieces;
    uint64_t begin; /* first piece that is to be done */
    tensor_state *tensors;
    scratch *scratch; /* per thread */

    pthread_mutex_t lock; /* for all below, and sinks' tensor_done */
    ws_status status;
    ws_error err;
    uint64_t failed;           /* the first piece that failed */
    atomic_uint_fast64_t stop; /* pieces from here on are not begun */
} run;

/* ---- values ---- */

/* The largest magnitude of n floats, as bits. */
static uint32_t max_magnitude(const float *x, size_t n) {
    uint32_t max = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], sizeof u);
        u &= 0x7fffffffu;
        max = u > max ? u : max;
    }
    return max;
}

enum { INFINITY_BITS = 0x7f800000, LARGE_BITS = 0x46800000 }; /* LARGE: 16384, where half precision is near its end */

static uint64_t first_nonfinite(const float *x, size_t n) {
    size_t i = 0;
    while (i < n && x[i] - x[i] == 0) i++;
    return i;
}

/* ---- one piece ---- */

typedef struct {
    run *r;
    ws_span span;
    size_t tensor; /* its place in the plans */
    uint64_t piece;
    scratch *s;
    const float *x;
    uint32_t largest; /* magnitude, as bits */
} work;

static ws_status read_values(work *w, ws_error *err) {
    const run *r = w->r;
    const ws_tensor *t = w->span.tensor;
    const ws_format *format = ws_format_get(t->type, r->o->cpu_flags);
    WS_TRY(r->in->read(r->in->ctx, &w->span, w->s->bytes, err));
    r->in->done_with(r->in->ctx, &w->span);
    w->x = NULL;
    if (!format) return WS_OK;
    w->x = t->type == WS_TYPE_F32 ? (const float *)(const void *)w->s->bytes : w->s->values;
    if (t->type != WS_TYPE_F32)
        format->to_float(w->s->bytes, w->s->values, w->span.n / ws_dtype_get(t->type)->block_elements);
    w->largest = max_magnitude(w->x, w->span.n);
    if (w->largest < INFINITY_BITS || r->o->allow_nonfinite) return WS_OK;
    return ws_fail(err, WS_FORMAT,
                   "'%s': tensor '%s' is NaN or infinite at element %" PRIu64 " (--allow-nonfinite goes on)",
                   ws_gguf_path(r->in->g), t->name, w->span.first + first_nonfinite(w->x, w->span.n));
}

/* Values that were large may have left the range of a small type. */
static ws_status look_back(const work *w, const ws_choice *c, const ws_format *format, ws_damage *damage,
                           ws_error *err) {
    const run *r = w->r;
    const bool check = w->largest >= LARGE_BITS && !r->o->allow_nonfinite;
    if (!check && !damage) return WS_OK;
    format->to_float(w->s->blocks, w->s->back, w->span.n / ws_dtype_get(c->type)->block_elements);
    if (damage) *damage = ws_damage_of(w->x, w->s->back, w->span.n);
    const uint64_t bad = check ? first_nonfinite(w->s->back, w->span.n) : w->span.n;
    if (bad == w->span.n) return WS_OK;
    return ws_fail(err, WS_FORMAT, "'%s': tensor '%s' leaves the range of %s at element %" PRIu64,
                   ws_gguf_path(r->in->g), c->tensor->name, ws_dtype_name(c->type), w->span.first + bad);
}

/* A weighted piece lies in one matrix of a stack, and is whole rows. */
static void make_blocks(const work *w, const ws_choice *c, const ws_format *format) {
    const size_t elements = ws_dtype_get(c->type)->block_elements;
    const uint64_t row = c->tensor->ne[0], matrix = row * c->tensor->ne[1];
    if (!c->weights || !format->from_float_weighted) {
        format->from_float(w->x, w->s->blocks, w->span.n / elements);
        return;
    }
    ws_imatrix_row(c->weights, w->span.first / matrix, row, w->s->weights);
    format->from_float_weighted(w->x, w->s->weights, w->s->blocks, w->span.n / row, row / elements);
}

/* A report needs all tensors; otherwise those that are there already need not be made. */
static size_t first_wanted(const ws_target *target) { return target->damage ? 0 : target->sink->n_skip; }

static ws_status convert_for(const work *w, const ws_target *target, ws_damage *damage, ws_error *err) {
    const ws_choice *c = &target->plan->choices[w->tensor];
    const ws_tensor *t = w->span.tensor;
    const uint64_t offset = ws_bytes_of(c->type, w->span.first), bytes = ws_bytes_of(c->type, w->span.n);
    const uint8_t *blocks = w->s->bytes;
    if (c->type != t->type) {
        const ws_format *format = ws_format_get(c->type, w->r->o->cpu_flags);
        make_blocks(w, c, format);
        WS_TRY(look_back(w, c, format, damage, err));
        blocks = w->s->blocks;
    } else if (damage && w->x) {
        *damage = ws_damage_of(w->x, w->x, w->span.n);
    }
    if (w->tensor < target->sink->n_skip) return WS_OK;
    return target->sink->put(target->sink->ctx, w->tensor, offset, blocks, bytes, err);
}

static ws_status do_piece(work *w, ws_error *err) {
    run *r = w->r;
    const uint64_t nth = w->piece - r->pieces.cuts[w->tensor].first_piece;
    WS_TRY(read_values(w, err));
    for (size_t k = 0; k < r->n_targets; k++) {
        ws_damage **parts = r->tensors[w->tensor].parts;
        if (w->tensor >= first_wanted(&r->targets[k]))
            WS_TRY(convert_for(w, &r->targets[k], parts && parts[k] ? &parts[k][nth] : NULL, err));
    }
    return WS_OK;
}

/* ---- tensors begin and end ---- */

static void free_parts(run *r, tensor_state *t) {
    for (size_t k = 0; t->parts && k < r->n_targets; k++) free(t->parts[k]);
    free(t->parts);
    t->parts = NULL;
}

static ws_status begin_tensor(run *r, size_t i, ws_error *err) {
    tensor_state *t = &r->tensors[i];
    bool wanted = false;
    for (size_t k = 0; k < r->n_targets; k++) wanted |= r->targets[k].damage != NULL;
    if (!wanted || t->parts) return WS_OK;
    if (!(t->parts = ws_alloc(r->n_targets, sizeof *t->parts, "the report", err))) return WS_NOMEM;
    for (size_t k = 0; k < r->n_targets; k++)
        if (r->targets[k].damage &&
            !(t->parts[k] = ws_alloc(r->pieces.cuts[i].n_pieces, sizeof **t->parts, "the report", err)))
            return WS_NOMEM;
    return WS_OK;
}

static ws_status end_tensor(run *r, size_t i, ws_error *err) {
    tensor_state *t = &r->tensors[i];
    for (size_t k = 0; k < r->n_targets; k++) {
        ws_target *target = &r->targets[k];
        for (uint64_t p = 0; target->damage && p < r->pieces.cuts[i].n_pieces; p++)
            ws_damage_add(&target->damage[i], &t->parts[k][p]);
        if (i >= target->sink->n_skip) WS_TRY(target->sink->tensor_done(target->sink->ctx, i, err));
        if (target->plan->choices[i].weights) ws_imatrix_done(target->plan->choices[i].weights);
    }
    free_parts(r, t);
    return WS_OK;
}

static void note_failure(run *r, uint64_t piece, ws_status status, const ws_error *err) {
    if (r->status && piece >= r->failed) return;
    r->status = status;
    r->failed = piece;
    r->err = *err;
    atomic_store(&r->stop, piece);
}

static ws_status open_piece(run *r, work *w, ws_error *err) {
    pthread_mutex_lock(&r->lock);
    const ws_status status = begin_tensor(r, w->tensor, err);
    pthread_mutex_unlock(&r->lock);
    return status;
}

static void close_piece(run *r, const work *w, ws_status status, ws_error *err) {
    pthread_mutex_lock(&r->lock);
    if (!status && --r->tensors[w->tensor].left == 0) status = end_tensor(r, w->tensor, err);
    if (!status && r->o->progress) r->o->progress(r->o->progress_ctx, ws_bytes_of(w->span.tensor->type, w->span.n));
    if (status) note_failure(r, w->piece, status, err);
    pthread_mutex_unlock(&r->lock);
}

/* Pieces are handed out in rising order, so all before a failed one are done or under way: the failure that is
 * reported is that of the first piece, as with one thread. */
static void do_pieces(void *ctx, size_t begin, size_t end, int thread) {
    run *r = ctx;
    for (uint64_t i = begin; i < end; i++) {
        work w = {.r = r, .piece = r->begin + i, .s = &r->scratch[thread]};
        ws_error err = {0};
        ws_span ahead;
        if (w.piece >= atomic_load(&r->stop)) return;
        w.tensor = ws_pieces_find(&r->pieces, w.piece, &w.span);
        if (w.piece + PIECES_AHEAD < r->pieces.n_pieces) {
            ws_pieces_find(&r->pieces, w.piece + PIECES_AHEAD, &ahead);
            r->in->will_need(r->in->ctx, &ahead);
        }
        ws_status status = open_piece(r, &w, &err);
        if (!status) status = do_piece(&w, &err);
        close_piece(r, &w, status, &err);
    }
}

/* ---- the run ---- */

static ws_status cut_tensors(run *r, ws_error *err) {
    const ws_quantize_plan *plan = r->targets[0].plan;
    const ws_tensor **tensors = ws_alloc(plan->n, sizeof *tensors, "the plan", err);
    bool *whole_rows = ws_alloc(plan->n, sizeof *whole_rows, "the plan", err);
    ws_status status = tensors && whole_rows ? WS_OK : WS_NOMEM;
    for (size_t i = 0; i < plan->n && !status; i++) {
        tensors[i] = plan->choices[i].tensor;
        for (size_t k = 0; k < r->n_targets; k++) whole_rows[i] |= r->targets[k].plan->choices[i].weights != NULL;
    }
    if (!status) status = ws_pieces_make(&r->pieces, tensors, whole_rows, plan->n, err);
    free(tensors);
    free(whole_rows);
    return status;
}

static ws_status scratch_alloc(run *r, ws_error *err) {
    const size_t n = r->pieces.largest;
    if (!(r->scratch = ws_alloc((size_t)r->o->n_threads, sizeof *r->scratch, "buffers", err))) return WS_NOMEM;
    for (int i = 0; i < r->o->n_threads; i++) {
        scratch *s = &r->scratch[i];
        if (!(s->bytes = ws_alloc_aligned(n, WIDEST, "a slice of a tensor", err)) ||
            !(s->values = ws_alloc_aligned(n, sizeof(float), "a slice of a tensor", err)) ||
            !(s->blocks = ws_alloc_aligned(n, sizeof(float), "a slice of a tensor", err)) ||
            !(s->back = ws_alloc_aligned(n, sizeof(float), "a slice of a tensor", err)) ||
            !(s->weights = ws_alloc_aligned(n, sizeof(float), "a row of the importance matrix", err)))
            return WS_NOMEM;
    }
    return WS_OK;
}

/* What all targets have already is passed over; tensors without elements are done as they are. */
static ws_status begin_run(run *r, ws_error *err) {
    size_t skip = r->pieces.n;
    if (!(r->tensors = ws_alloc(r->pieces.n, sizeof *r->tensors, "the plan", err))) return WS_NOMEM;
    for (size_t k = 0; k < r->n_targets; k++)
        if (first_wanted(&r->targets[k]) < skip) skip = first_wanted(&r->targets[k]);
    r->begin = skip < r->pieces.n ? r->pieces.cuts[skip].first_piece : r->pieces.n_pieces;
    for (size_t i = 0; i < r->pieces.n; i++) {
        r->tensors[i].left = r->pieces.cuts[i].n_pieces;
        if (i >= skip && r->tensors[i].left == 0) WS_TRY(end_tensor(r, i, err));
        if (i < skip && r->o->progress) r->o->progress(r->o->progress_ctx, r->pieces.cuts[i].tensor->bytes);
    }
    return WS_OK;
}

static ws_status carry_out(run *r, ws_error *err) {
    int n_threads = r->o->n_threads;
    for (size_t k = 0; k < r->n_targets; k++)
        if (r->targets[k].sink->in_order) n_threads = 1;
    ws_parallel_for(r->pieces.n_pieces - r->begin, 1, n_threads, do_pieces, r);
    if (r->status) {
        if (err) *err = r->err;
        return r->status;
    }
    for (size_t k = 0; k < r->n_targets; k++) WS_TRY(r->targets[k].sink->finish(r->targets[k].sink->ctx, err));
    return WS_OK;
}

static void run_free(run *r) {
    for (size_t i = 0; r->tensors && i < r->pieces.n; i++) free_parts(r, &r->tensors[i]);
    for (int i = 0; r->scratch && i < r->o->n_threads; i++) {
        scratch *s = &r->scratch[i];
        free(s->bytes), free(s->values), free(s->blocks), free(s->back), free(s->weights);
    }
    free(r->tensors);
    free(r->scratch);
    ws_pieces_free(&r->pieces);
    pthread_mutex_destroy(&r->lock);
}

ws_status ws_quantize_run(const ws_input *in, ws_target *targets, size_t n_targets, const ws_run_options *o,
                          ws_error *err) {
    run r = {.in = in, .targets = targets, .n_targets = n_targets, .o = o};
    atomic_store(&r.stop, UINT64_MAX);
    pthread_mutex_init(&r.lock, NULL);
    ws_status status = cut_tensors(&r, err);
    if (!status) status = scratch_alloc(&r, err);
    if (!status) status = begin_run(&r, err);
    if (!status) status = carry_out(&r, err);
    run_free(&r);
    return status;
}
