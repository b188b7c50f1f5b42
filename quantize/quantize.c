#include "quantize.h"

#include "alloc.h"
#include "formats.h"
#include "parallel.h"
#include "progress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Work is cut into pieces of this many elements: a multiple of every block, 1 MiB as float. */
enum { PIECE = 256 * 1024, PIECES_PER_THREAD = 4, QUANTIZATION_VERSION = 2 };
enum { WIDEST = 8 }; /* bytes of an element of the widest type that may be copied (F64, I64) */

/* ---- plan ---- */

static bool can_convert(ws_dtype from, ws_dtype to, uint32_t cpu_flags) {
    return from == to || (ws_format_get(from, cpu_flags) && ws_format_get(to, cpu_flags));
}

static ws_status check_choice(const ws_choice *c, const ws_gguf *g, const ws_quantize_options *o, ws_error *err) {
    const ws_tensor *t = c->tensor;
    const char *from = ws_dtype_name(t->type), *to = ws_dtype_name(c->type);
    if (c->type == t->type) return WS_OK;
    if (!can_convert(t->type, c->type, o->cpu_flags))
        return ws_fail(err, WS_UNSUPPORTED, "'%s': tensor '%s' cannot be converted from %s to %s", ws_gguf_path(g),
                       t->name, from, to);
    if (ws_dtype_is_quantized(t->type) && !o->allow_requantize)
        return ws_fail(err, WS_UNSUPPORTED,
                       "'%s': tensor '%s' is quantized already (%s); --allow-requantize does it all the same and "
                       "loses more than from the original",
                       ws_gguf_path(g), t->name, from);
    return WS_OK;
}

ws_status ws_quantize_plan_make(ws_quantize_plan *plan, const ws_gguf *g, const ws_quantize_options *o, ws_error *err) {
    *plan = (ws_quantize_plan){.n = g->n_tensors};
    plan->choices = ws_alloc(g->n_tensors, sizeof *plan->choices, "the plan", err);
    if (!plan->choices) return WS_NOMEM;
    ws_status status = ws_recipe_choose(o->recipe, &o->choose, g, plan->choices, err);
    for (size_t i = 0; i < plan->n && !status; i++) {
        const ws_choice *c = &plan->choices[i];
        uint64_t bytes = 0;
        status = check_choice(c, g, o, err);
        ws_dtype_bytes(c->type, c->tensor->n_elements, &bytes);
        plan->bytes_from += c->tensor->bytes;
        plan->bytes_to += bytes;
        plan->n_elements += c->tensor->n_elements;
        plan->n_fallback += c->fallback;
    }
    if (status) ws_quantize_plan_free(plan);
    return status;
}

void ws_quantize_plan_free(ws_quantize_plan *plan) {
    free(plan->choices);
    *plan = (ws_quantize_plan){0};
}

/* ---- one batch of pieces ---- */

static const uint64_t FINE = UINT64_MAX;

typedef struct {
    const ws_tensor *tensor;
    ws_dtype type;                     /* of the output */
    const ws_format *from, *to;        /* from: may be NULL when the tensor is only copied */
    uint64_t first, n;                 /* elements of the tensor in this batch */
    uint8_t *out;                      /* receives the batch */
    float *source, *result;            /* PIECE floats for every thread: values read, values read back */
    uint64_t *bad_source, *bad_result; /* per piece: index in the tensor of a value that is not finite, or FINE */
} batch;

static uint64_t bytes_of(ws_dtype type, uint64_t n_elements) {
    const ws_dtype_info *info = ws_dtype_get(type);
    return n_elements / info->block_elements * info->block_bytes;
}

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

static uint64_t find_nonfinite(const float *x, size_t n, uint64_t first) {
    for (size_t i = 0; i < n; i++)
        if (!(x[i] - x[i] == 0)) return first + i;
    return FINE;
}

/* n values of the tensor as float: in place where the file holds aligned floats, else in `buffer`. */
static const float *source_values(const batch *b, const uint8_t *data, size_t n, float *buffer) {
    if (b->tensor->type == WS_TYPE_F32 && (uintptr_t)data % sizeof(float) == 0) return (const float *)data;
    b->from->to_float(data, buffer, n / ws_dtype_get(b->tensor->type)->block_elements);
    return buffer;
}

static void do_piece(const batch *b, size_t piece, int thread) {
    const uint64_t at = b->first + (uint64_t)piece * PIECE, left = b->first + b->n - at;
    const size_t n = left < PIECE ? left : PIECE;
    const uint8_t *data = b->tensor->data + bytes_of(b->tensor->type, at);
    uint8_t *out = b->out + bytes_of(b->type, (uint64_t)piece * PIECE);
    const bool copy = b->type == b->tensor->type;
    b->bad_source[piece] = b->bad_result[piece] = FINE;
    if (copy) memcpy(out, data, bytes_of(b->type, n));
    if (!b->from) return;
    const float *x = source_values(b, data, n, b->source + (size_t)thread * PIECE);
    const uint32_t largest = max_magnitude(x, n);
    if (largest >= INFINITY_BITS) b->bad_source[piece] = find_nonfinite(x, n, at);
    if (copy) return;
    const size_t n_blocks = n / ws_dtype_get(b->type)->block_elements;
    b->to->from_float(x, out, n_blocks);
    if (largest < LARGE_BITS) return;
    float *back = b->result + (size_t)thread * PIECE;
    b->to->to_float(out, back, n_blocks);
    b->bad_result[piece] = find_nonfinite(back, n, at);
}

static void do_pieces(void *ctx, size_t begin, size_t end, int thread) {
    for (size_t i = begin; i < end; i++) do_piece(ctx, i, thread);
}

static ws_status check_batch(const batch *b, size_t n_pieces, const ws_gguf *g, ws_error *err) {
    const char *path = ws_gguf_path(g), *name = b->tensor->name;
    for (size_t i = 0; i < n_pieces; i++) {
        if (b->bad_source[i] != FINE)
            return ws_fail(err, WS_FORMAT, "'%s': tensor '%s' is NaN or infinite at element %" PRIu64, path, name,
                           b->bad_source[i]);
        if (b->bad_result[i] != FINE)
            return ws_fail(err, WS_FORMAT, "'%s': tensor '%s' leaves the range of %s at element %" PRIu64, path, name,
                           ws_dtype_name(b->type), b->bad_result[i]);
    }
    return WS_OK;
}

/* ---- the stream ---- */

typedef struct {
    const ws_gguf *g;
    const ws_quantize_options *o;
    ws_gguf_writer *writer;
    ws_progress progress;
    size_t max_pieces; /* in a batch */
    batch batch;
} stream;

static ws_status stream_tensor(stream *s, const ws_choice *c, ws_error *err) {
    const ws_tensor *t = c->tensor;
    batch *b = &s->batch;
    b->tensor = t, b->type = c->type;
    b->from = ws_format_get(t->type, s->o->cpu_flags), b->to = ws_format_get(c->type, s->o->cpu_flags);
    for (b->first = 0; b->first < t->n_elements; b->first += b->n) {
        const uint64_t left = t->n_elements - b->first, most = (uint64_t)s->max_pieces * PIECE;
        b->n = left < most ? left : most;
        const size_t n_pieces = (size_t)((b->n + PIECE - 1) / PIECE);
        ws_parallel_for(n_pieces, 1, s->o->n_threads, do_pieces, b);
        WS_TRY(check_batch(b, n_pieces, s->g, err));
        WS_TRY(ws_gguf_write(s->writer, b->out, bytes_of(b->type, b->n), err));
        const uint64_t read = bytes_of(t->type, b->n);
        ws_map_release(&s->g->parts[t->part], t->offset + bytes_of(t->type, b->first), read);
        ws_progress_add(&s->progress, read);
    }
    return WS_OK;
}

/* Keys of the source, then those that say what this file is. Split files come together as one. */
static void put_metadata(ws_gguf_writer *w, const ws_gguf *g, const ws_recipe *r) {
    for (size_t i = 0; i < g->n_kv; i++) ws_gguf_put_kv(w, &g->kv[i]);
    ws_gguf_put_u32(w, "general.quantization_version", QUANTIZATION_VERSION);
    ws_gguf_put_u32(w, "general.file_type", r->file_type);
    ws_gguf_remove(w, "split.no");
    ws_gguf_remove(w, "split.count");
    ws_gguf_remove(w, "split.tensors.count");
}

/* Dimensions without trailing ones, as ggml writes them. */
static uint32_t significant_dims(const ws_tensor *t) {
    uint32_t n = t->n_dims;
    while (n > 1 && t->ne[n - 1] == 1) n--;
    return n;
}

static ws_status run(stream *s, const ws_quantize_plan *plan, const char *out_path, ws_error *err) {
    put_metadata(s->writer, s->g, s->o->recipe);
    for (size_t i = 0; i < plan->n; i++) {
        const ws_choice *c = &plan->choices[i];
        ws_gguf_add_tensor(s->writer, c->tensor->name, c->type, significant_dims(c->tensor), c->tensor->ne);
    }
    WS_TRY(ws_gguf_writer_begin(s->writer, out_path, err));
    ws_progress_start(&s->progress, "quantizing", NULL, plan->bytes_from, s->o->quiet);
    for (size_t i = 0; i < plan->n; i++) WS_TRY(stream_tensor(s, &plan->choices[i], err));
    ws_gguf_writer *w = s->writer;
    s->writer = NULL; /* finish frees it, whatever happens */
    return ws_gguf_writer_finish(w, err);
}

static ws_status stream_alloc(stream *s, ws_error *err) {
    const size_t threads = (size_t)s->o->n_threads;
    batch *b = &s->batch;
    s->max_pieces = threads * PIECES_PER_THREAD;
    if (!(b->out = ws_alloc_aligned(s->max_pieces * PIECE, WIDEST, "the output buffer", err)) ||
        !(b->source = ws_alloc_aligned(threads * PIECE, sizeof(float), "a slice of a tensor", err)) ||
        !(b->result = ws_alloc_aligned(threads * PIECE, sizeof(float), "a slice of a tensor", err)) ||
        !(b->bad_source = ws_alloc(s->max_pieces, sizeof(uint64_t), "the plan", err)) ||
        !(b->bad_result = ws_alloc(s->max_pieces, sizeof(uint64_t), "the plan", err)))
        return WS_NOMEM;
    return WS_OK;
}

ws_status ws_quantize_run(const ws_quantize_plan *plan, const ws_gguf *g, const char *out_path,
                          const ws_quantize_options *o, ws_error *err) {
    for (size_t i = 0; i < g->n_parts; i++)
        if (ws_same_file(g->part_paths[i], out_path))
            return ws_fail(err, WS_IO, "'%s' is the input; the output needs another name", out_path);
    stream s = {.g = g, .o = o};
    ws_status status = ws_gguf_writer_new(&s.writer, err);
    if (!status) status = stream_alloc(&s, err);
    if (!status) status = run(&s, plan, out_path, err);
    ws_progress_finish(&s.progress);
    ws_gguf_writer_discard(s.writer);
    batch *b = &s.batch;
    free(b->out), free(b->source), free(b->result), free(b->bad_source), free(b->bad_result);
    return status;
}
