#include "output.h"

#include "alloc.h"
#include "journal.h"
#include "progress.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    uint32_t part;
    size_t index; /* within the part */
    bool done;
} place;

typedef struct {
    size_t n_parts, n_tensors, n_leading; /* leading: tensors at the beginning that are all done */
    ws_gguf_writer **writers;
    place *places; /* of each tensor */
    char *journal_path;
    ws_journal *journal; /* NULL: the output is no file */
    bool keep, finished;
    double journal_seconds, last_note;
    ws_sink *sink;
} output;

/* ---- parts ---- */

static uint64_t bytes_of(const ws_choice *c) {
    uint64_t bytes = 0;
    ws_dtype_bytes(c->type, c->tensor->n_elements, &bytes);
    return bytes;
}

/* Which part each tensor goes to: that of the source, or the next when a part's tensors, padded, would exceed the
 * limit (a tensor above the limit is a part of its own). */
static void assign_parts(output *o, const ws_output_request *r) {
    const uint64_t alignment = r->source->alignment;
    uint64_t size = 0;
    size_t in_part = 0, part = 0;
    for (size_t i = 0; i < o->n_tensors; i++) {
        const ws_choice *c = &r->plan->choices[i];
        const uint64_t bytes = ws_align_up(bytes_of(c), alignment);
        const bool next = r->split.keep ? i > 0 && c->tensor->part != r->plan->choices[i - 1].tensor->part
                                        : r->split.max_bytes && in_part && size + bytes > r->split.max_bytes;
        if (next) part++, in_part = 0, size = 0;
        o->places[i] = (place){.part = (uint32_t)part, .index = in_part++};
        size += bytes;
    }
    o->n_parts = part + 1;
}

static bool is_split(const ws_output_request *r) { return r->split.keep || r->split.max_bytes; }

/* "out.gguf" gives "out-00002-of-00003.gguf". */
static char *part_path(const output *o, const ws_output_request *r, size_t part, ws_error *err) {
    static const char ending[] = ".gguf";
    size_t n = strlen(r->path);
    if (!is_split(r)) return ws_strndup(r->path, n, err);
    if (n > strlen(ending) && strcmp(r->path + n - strlen(ending), ending) == 0) n -= strlen(ending);
    return ws_sprintf(err, "%.*s-%05zu-of-%05zu%s", (int)n, r->path, part + 1, o->n_parts, ending);
}

static void fill_part(const output *o, const ws_output_request *r, size_t part) {
    ws_gguf_writer *w = o->writers[part];
    if (part == 0) ws_quantize_put_metadata(w, r->plan, r->source);
    if (o->n_parts > 1) {
        ws_gguf_put_u16(w, "split.no", (uint16_t)part);
        ws_gguf_put_u16(w, "split.count", (uint16_t)o->n_parts);
        ws_gguf_put_i32(w, "split.tensors.count", (int32_t)o->n_tensors);
    }
    for (size_t i = 0; i < o->n_tensors; i++) {
        const ws_choice *c = &r->plan->choices[i];
        if (o->places[i].part == part) ws_quantize_add_tensor(w, c);
    }
}

static ws_status refuse_source(const ws_gguf *source, const char *path, ws_error *err) {
    for (size_t i = 0; i < source->n_parts; i++)
        if (ws_same_file(source->part_paths[i], path))
            return ws_fail(err, WS_IO, "'%s' is the input; the output needs another name", path);
    return WS_OK;
}

static ws_status open_part(output *o, const ws_output_request *r, size_t part, bool *found, ws_error *err) {
    char *path = part_path(o, r, part, err);
    if (!path) return WS_NOMEM;
    ws_status status = refuse_source(r->source, path, err);
    if (!status) status = ws_gguf_writer_new(&o->writers[part], err);
    if (!status) {
        fill_part(o, r, part);
        status =
            ws_gguf_writer_begin_partial(o->writers[part], path, &(ws_partial_options){r->resume, r->drop}, found, err);
    }
    free(path);
    return status;
}

/* ---- going on ---- */

/* Only when every part was found as it would begin now. */
static ws_status open_journal(output *o, const ws_output_request *r, bool found, ws_error *err) {
    const char *temporary = ws_gguf_writer_temporary(o->writers[0]);
    if (!temporary) return WS_OK;
    o->journal_path = ws_sprintf(err, "%s.journal", temporary);
    if (!o->journal_path) return WS_NOMEM;
    WS_TRY(ws_journal_open(&o->journal, o->journal_path, r->fingerprint, o->keep, found, &o->n_leading, err));
    if (o->n_leading > o->n_tensors) o->n_leading = 0;
    for (size_t i = 0; i < o->n_leading; i++) {
        o->places[i].done = true;
        ws_gguf_skip(o->writers[o->places[i].part], o->places[i].index);
    }
    o->last_note = ws_now();
    return WS_OK;
}

/* A note counts after a loss of power as well, so the data must be on the disk before it. */
static ws_status note_progress(output *o, ws_error *err) {
    for (size_t i = 0; i < o->n_parts; i++) WS_TRY(ws_gguf_writer_sync(o->writers[i], err));
    WS_TRY(ws_journal_note(o->journal, o->n_leading, err));
    o->last_note = ws_now();
    return WS_OK;
}

/* ---- the sink ---- */

static ws_status put(void *ctx, size_t tensor, uint64_t offset, const void *data, size_t bytes, ws_error *err) {
    const output *o = ctx;
    const place *p = &o->places[tensor];
    return ws_gguf_write_at(o->writers[p->part], p->index, offset, data, bytes, err);
}

static ws_status tensor_done(void *ctx, size_t tensor, ws_error *err) {
    output *o = ctx;
    o->places[tensor].done = true;
    while (o->n_leading < o->n_tensors && o->places[o->n_leading].done) o->n_leading++;
    if (!o->journal || ws_now() - o->last_note < o->journal_seconds) return WS_OK;
    return note_progress(o, err);
}

static ws_status finish(void *ctx, ws_error *err) {
    output *o = ctx;
    const double start = ws_now();
    ws_status status = WS_OK;
    for (size_t i = 0; i < o->n_parts && !status; i++) status = ws_gguf_writer_sync(o->writers[i], err);
    for (size_t i = 0; i < o->n_parts && !status; i++) {
        ws_gguf_writer *w = o->writers[i];
        o->writers[i] = NULL; /* finish frees it, whatever happens */
        status = ws_gguf_writer_finish(w, err);
    }
    o->finished = !status;
    o->sink->sync_seconds = ws_now() - start;
    return status;
}

static void close_output(void *ctx) {
    output *o = ctx;
    for (size_t i = 0; o->writers && i < o->n_parts; i++) ws_gguf_writer_discard(o->writers[i]);
    ws_journal_close(o->journal, o->finished || !o->keep);
    free(o->journal_path);
    free(o->writers);
    free(o->places);
    free(o);
}

static ws_status open_output(output *o, const ws_output_request *r, ws_error *err) {
    if (!(o->places = ws_alloc(o->n_tensors, sizeof *o->places, "the output", err))) return WS_NOMEM;
    assign_parts(o, r);
    if (o->n_parts > UINT16_MAX)
        return ws_fail(err, WS_USAGE, "'%s' would have %zu parts; a split model has at most %d", r->path, o->n_parts,
                       UINT16_MAX);
    if (!(o->writers = ws_alloc(o->n_parts, sizeof *o->writers, "the output", err))) return WS_NOMEM;
    bool all_found = true, found;
    for (size_t i = 0; i < o->n_parts; i++) {
        WS_TRY(open_part(o, r, i, &found, err));
        all_found &= found;
    }
    return open_journal(o, r, all_found, err);
}

ws_status ws_output_open(ws_sink *sink, const ws_output_request *r, ws_error *err) {
    *sink = (ws_sink){0};
    output *o = ws_alloc(1, sizeof *o, "the output", err);
    if (!o) return WS_NOMEM;
    *o = (output){.n_tensors = r->plan->n, .keep = r->resume, .journal_seconds = r->journal_seconds, .sink = sink};
    const ws_status status = open_output(o, r, err);
    if (status) {
        close_output(o);
        return status;
    }
    *sink = (ws_sink){.put = put,
                      .tensor_done = tensor_done,
                      .finish = finish,
                      .close = close_output,
                      .ctx = o,
                      .in_order = !o->journal,
                      .n_skip = o->n_leading};
    return WS_OK;
}
