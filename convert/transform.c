#include "transform.h"

#include "alloc.h"
#include "blocks.h"
#include "formats.h"
#include "fp16.h"
#include "parallel.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Work is shared in pieces of rows: a piece is a whole row or, of a long one, PIECE elements. A slice of pieces is
 * converted by all threads and then handed on. */
enum { PIECE = 8192, SLICE_BYTES = 8 << 20 };

typedef struct {
    const ws_plan_item *item;
    const ws_st_tensor *from;
    bool in_order; /* the source's elements follow each other as the result's do */
    uint64_t row_elements, n_rows, stack_rows;
    uint64_t piece_elements, pieces_per_row, n_pieces; /* a row's last piece may be shorter */
    size_t source_bytes;                               /* of an element */
    const ws_format *source;                           /* NULL: F64 */
    const ws_format *target;
    const ws_dtype_info *blocks; /* of the target */
    bool copies;                 /* the bytes can stay as they are */
    uint64_t first;              /* piece of the slice at hand */
    uint8_t *out;                /* its result */
    float *scratch;              /* PIECE values per thread */
    atomic_ullong n_overflows;
} job;

static void f64_to_f32(const uint8_t *from, float *to, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double v;
        memcpy(&v, from + i * sizeof v, sizeof v);
        to[i] = (float)v;
    }
}

static void to_f32(const job *j, const uint8_t *from, float *to, size_t n) {
    if (j->source)
        j->source->to_float(from, to, n);
    else
        f64_to_f32(from, to, n);
}

/* 65520 and above round to infinity in F16. */
static uint64_t count_overflows(const float *x, size_t n) {
    uint64_t count = 0;
    for (size_t i = 0; i < n; i++) count += fabsf(x[i]) >= 65520.0f && !isinf(x[i]);
    return count;
}

/* Where a piece begins, in elements of the result. */
static uint64_t piece_begin(const job *j, uint64_t piece) {
    return piece / j->pieces_per_row * j->row_elements + piece % j->pieces_per_row * PIECE;
}

static uint64_t target_offset(const job *j, uint64_t piece) {
    return piece_begin(j, piece) / j->blocks->block_elements * j->blocks->block_bytes;
}

/* Element of the source that becomes the first of a row (of all rows of the result). */
static uint64_t row_begin(const job *j, uint64_t row) {
    const ws_view *v = &j->item->view;
    const uint64_t in_stack = row % j->stack_rows;
    const uint64_t from = v->n_heads ? ws_view_permuted_row(in_stack, j->stack_rows, v->n_heads) : in_stack;
    return v->first + row / j->stack_rows * v->stack + from * v->row;
}

/* n elements as floats, `step` elements apart. */
static void gather(const job *j, uint64_t element, uint64_t step, float *x, size_t n) {
    const uint8_t *from = j->from->data + element * j->source_bytes;
    if (step == 1)
        to_f32(j, from, x, n);
    else
        for (size_t i = 0; i < n; i++) to_f32(j, from + i * step * j->source_bytes, &x[i], 1);
}

/* The reference adds in the source's type, F16 or F32. */
static void add(const job *j, float *x, size_t n) {
    const bool half = j->from->dtype == WS_ST_F16;
    for (size_t i = 0; i < n; i++) {
        x[i] += j->item->view.add;
        if (half) x[i] = ws_f16_to_f32(ws_f32_to_f16(x[i]));
    }
}

/* Of a block of 32 numbers, byte i has numbers 2i and 2i + 1 there, and i and i + 16 here; the low bits come first. */
static void pack_blocks(const job *j, uint64_t block, size_t n, uint8_t *to) {
    for (size_t b = 0; b < n; b++) {
        const uint8_t *from = j->from->data + (block + b) * 16;
        ws_mxfp4 out = {.e = j->item->scales->data[block + b]};
        for (size_t i = 0; i < 16; i++) {
            const unsigned shift = i % 2 * 4, low = from[i / 2] >> shift & 15, high = from[8 + i / 2] >> shift & 15;
            out.qs[i] = (uint8_t)(low | high << 4);
        }
        memcpy(to + b * sizeof out, &out, sizeof out);
    }
}

/* Columns [begin, begin + n) of a row of the result, n <= PIECE: their blocks go to `to`. */
static void convert_columns(job *j, uint64_t row, uint64_t begin, size_t n, float *x, uint8_t *to) {
    const ws_view *v = &j->item->view;
    const uint64_t element = row_begin(j, row) + begin * v->column;
    if (j->item->scales) {
        pack_blocks(j, element / 32, n / 32, to);
        return;
    }
    if (j->copies) {
        memcpy(to, j->from->data + element * j->source_bytes, n * j->source_bytes);
        return;
    }
    gather(j, element, v->column, x, n);
    if (v->add != 0) add(j, x, n);
    j->target->from_float(x, to, n / j->blocks->block_elements);
    const uint64_t overflows = j->item->type == WS_TYPE_F16 ? count_overflows(x, n) : 0;
    if (overflows) atomic_fetch_add(&j->n_overflows, overflows);
}

static void convert_piece(job *j, uint64_t piece, float *x) {
    const uint64_t begin = piece % j->pieces_per_row * PIECE, left = j->row_elements - begin;
    uint8_t *to = j->out + (target_offset(j, piece) - target_offset(j, j->first));
    convert_columns(j, piece / j->pieces_per_row, begin, left < PIECE ? left : PIECE, x, to);
}

static void convert_pieces(void *ctx, size_t begin, size_t end, int thread) {
    job *j = ctx;
    for (size_t i = begin; i < end; i++) convert_piece(j, j->first + i, j->scratch + (size_t)thread * PIECE);
}

static const struct {
    ws_st_dtype from;
    ws_dtype type;
} same_types[] = {{WS_ST_F32, WS_TYPE_F32}, {WS_ST_F16, WS_TYPE_F16}, {WS_ST_BF16, WS_TYPE_BF16}};

/* For all of the item or, if it has them, one of its experts. */
static void prepare(job *j, const ws_plan_item *item, const ws_st_tensor *from, uint32_t cpu_flags) {
    const ws_view *v = &item->view;
    *j = (job){.item = item, .from = from};
    j->source_bytes = ws_st_dtype_bits(from->dtype) / 8;
    j->row_elements = item->ne[0];
    j->stack_rows = item->ne[1];
    j->n_rows = item->ne[1] * (item->experts ? 1 : item->ne[2] * item->ne[3]);
    if (item->n_dims == 1 && v->n_heads) { /* a bias: its elements are the rows */
        j->n_rows = j->stack_rows = item->ne[0];
        j->row_elements = 1;
    }
    j->piece_elements = j->row_elements < PIECE ? j->row_elements : PIECE;
    j->pieces_per_row = (j->row_elements + PIECE - 1) / PIECE;
    j->n_pieces = j->n_rows * j->pieces_per_row;
    j->blocks = ws_dtype_get(item->type);
    j->target = ws_format_get(item->type, cpu_flags);
    j->in_order = !item->scales && !v->n_heads && v->column == 1 && v->row == j->row_elements &&
                  v->stack == v->row * j->stack_rows;
    for (size_t i = 0; i < sizeof same_types / sizeof *same_types; i++) {
        if (same_types[i].from != from->dtype) continue;
        j->source = ws_format_get(same_types[i].type, cpu_flags);
        /* BF16's NaNs are to become quiet */
        j->copies = same_types[i].type == item->type && from->dtype != WS_ST_BF16 && v->column == 1 && v->add == 0;
    }
}

/* The part of the source that a finished slice was made of is not needed again. Rows that lie apart are released with
 * the last slice. */
static void release(const job *j, const ws_safetensors *weights, uint64_t end) {
    const ws_st_tensor *t = j->from;
    if (j->in_order) {
        const uint64_t first = j->item->view.first * j->source_bytes;
        const uint64_t from = piece_begin(j, j->first) * j->source_bytes, to = piece_begin(j, end) * j->source_bytes;
        ws_map_release(&weights->parts[t->part], t->offset + first + from, to - from);
    } else if (end == j->n_pieces) {
        ws_map_release(&weights->parts[t->part], t->offset, t->bytes);
    }
}

static ws_status run_slices(job *j, uint64_t per_slice, const ws_transform_options *opt, ws_error *err) {
    /* Less work than this is done before another thread wakes up. */
    enum { SHARE_ELEMENTS = 1 << 20 };
    for (j->first = 0; j->first < j->n_pieces; j->first += per_slice) {
        const uint64_t left = j->n_pieces - j->first, n = left < per_slice ? left : per_slice;
        ws_parallel_for(n, SHARE_ELEMENTS / j->piece_elements, opt->n_threads, convert_pieces, j);
        const uint64_t bytes = target_offset(j, j->first + n) - target_offset(j, j->first);
        WS_TRY(opt->sink(opt->ctx, j->out, bytes, err));
        release(j, opt->weights, j->first + n);
    }
    return WS_OK;
}

static ws_status run_one(const ws_plan_item *item, const ws_st_tensor *from, const ws_transform_options *opt,
                         uint64_t *n_overflows, ws_error *err) {
    job j;
    prepare(&j, item, from, opt->cpu_flags);
    const size_t piece_bytes = j.piece_elements / j.blocks->block_elements * j.blocks->block_bytes;
    const uint64_t per_slice = piece_bytes < SLICE_BYTES ? SLICE_BYTES / piece_bytes : 1;
    j.out = ws_alloc_aligned(per_slice < j.n_pieces ? per_slice : j.n_pieces, piece_bytes, "a slice of a tensor", err);
    j.scratch = ws_alloc_aligned((size_t)opt->n_threads, PIECE * sizeof *j.scratch, "a row of a tensor", err);
    const ws_status st = j.out && j.scratch ? run_slices(&j, per_slice, opt, err) : WS_NOMEM;
    free(j.out);
    free(j.scratch);
    *n_overflows += atomic_load(&j.n_overflows);
    return st;
}

ws_status ws_transform_run(const ws_plan_item *item, const ws_transform_options *opt, uint64_t *n_overflows,
                           ws_error *err) {
    *n_overflows = 0;
    if (!item->experts) return run_one(item, item->source, opt, n_overflows, err);
    for (uint64_t e = 0; e < item->ne[2]; e++) WS_TRY(run_one(item, item->experts[e], opt, n_overflows, err));
    return WS_OK;
}

/* ---- parts of a tensor, for who does not want all of it ---- */

/* The part [*first, *first + n) of an item lies in one of its sources up to the end of that: sets the job up for it,
 * makes *first relative to it, and gives the elements that are left of the part there. */
static uint64_t prepare_part(job *j, const ws_plan_item *item, uint32_t cpu_flags, uint64_t *first, uint64_t n) {
    const uint64_t matrix = item->ne[0] * item->ne[1];
    prepare(j, item, item->experts ? item->experts[*first / matrix] : item->source, cpu_flags);
    if (!item->experts) return n;
    *first %= matrix;
    return n < matrix - *first ? n : matrix - *first;
}

void ws_transform_part(const ws_plan_item *item, uint32_t cpu_flags, uint64_t first, uint64_t n, void *out) {
    float x[PIECE];
    uint8_t *to = out;
    while (n > 0) {
        job j;
        uint64_t at = first;
        const uint64_t here = prepare_part(&j, item, cpu_flags, &at, n);
        for (uint64_t done = 0; done < here;) {
            const uint64_t begin = (at + done) % j.row_elements, in_row = j.row_elements - begin;
            uint64_t count = here - done < in_row ? here - done : in_row;
            if (count > PIECE) count = PIECE;
            convert_columns(&j, (at + done) / j.row_elements, begin, count, x, to);
            to += count / j.blocks->block_elements * j.blocks->block_bytes;
            done += count;
        }
        first += here, n -= here;
    }
}

/* From the first to the last element of the source that a part is made of, as far as rows are kept together. */
static void advise_part(const job *j, const ws_safetensors *weights, uint64_t first, uint64_t n,
                        ws_map_advice *advice) {
    uint64_t low = UINT64_MAX, high = 0;
    for (uint64_t row = first / j->row_elements; row * j->row_elements < first + n; row++) {
        const uint64_t begin = row_begin(j, row);
        low = begin < low ? begin : low;
        high = begin + j->row_elements > high ? begin + j->row_elements : high;
    }
    const ws_st_tensor *t = j->from;
    advice(&weights->parts[t->part], t->offset + low * j->source_bytes, (high - low) * j->source_bytes);
}

void ws_transform_advise(const ws_plan_item *item, const ws_safetensors *weights, uint64_t first, uint64_t n,
                         ws_map_advice *advice) {
    if (!item->source || item->scales || item->view.column != 1) return;
    while (n > 0) {
        job j;
        uint64_t at = first;
        const uint64_t here = prepare_part(&j, item, 0, &at, n);
        advise_part(&j, weights, at, here, advice);
        first += here, n -= here;
    }
}
