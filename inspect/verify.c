#include "verify.h"

#include "alloc.h"
#include "parallel.h"
#include "progress.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Tensor data is looked at in pieces of this size; the progress bar moves after each batch of them. */
enum { PIECE_BYTES = 4 << 20, BATCH = 64 };

typedef struct {
    const ws_report_tensor *tensor;
    uint64_t first_block, n_blocks;
    uint64_t n_nan, n_inf, first; /* what was found; `first` is an element's index */
} piece;

typedef struct {
    piece *pieces;
    size_t n, cap;
    const ws_report *report;
} scan;

/* ---- findings ---- */

const char *ws_severity_name(ws_severity s) { return s == WS_SEVERITY_ERROR ? "error" : "warning"; }

const char *ws_finding_kind_name(ws_finding_kind kind) {
    static const char *const names[WS_FINDING_KINDS] = {
        [WS_FINDING_NOT_FINITE] = "not-finite",
        [WS_FINDING_ORDER] = "order",
        [WS_FINDING_TRAILING] = "trailing",
    };
    return names[kind];
}

void ws_finding_text(char *buf, size_t size, const ws_finding *f) {
    switch (f->kind) {
    case WS_FINDING_NOT_FINITE:
        snprintf(buf, size, "%" PRIu64 " NaN and %" PRIu64 " infinite %s, the first at element %" PRIu64, f->n_nan,
                 f->n_inf, f->where, f->first);
        break;
    case WS_FINDING_ORDER:
        snprintf(buf, size,
                 "data at offset %" PRIu64 " is %" PRIu64 " bytes off the packed order, which llama.cpp insists on",
                 f->first, f->bytes);
        break;
    case WS_FINDING_TRAILING:
        snprintf(buf, size, "%" PRIu64 " bytes behind the last tensor, from offset %" PRIu64, f->bytes, f->first);
        break;
    case WS_FINDING_KINDS: break;
    }
}

static ws_status add(ws_verify *v, const ws_finding *f, ws_error *err) {
    WS_TRY(ws_grow(&v->findings, &v->cap, v->n + 1, sizeof *v->findings, err));
    v->findings[v->n++] = *f;
    if (f->severity == WS_SEVERITY_ERROR)
        v->n_errors++;
    else
        v->n_warnings++;
    return WS_OK;
}

/* ---- numbers ---- */

/* Is any of n numbers, `stride` bytes apart, not finite? One function per width, so that the common case of plain
 * arrays becomes a vector loop. */
#define DEFINE_ANY(type)                                                                                               \
    static inline bool any_##type(const uint8_t *p, size_t n, size_t stride, type mask, type bad) {                    \
        type any = 0;                                                                                                  \
        for (size_t i = 0; i < n; i++) {                                                                               \
            type v;                                                                                                    \
            memcpy(&v, p + i * stride, sizeof v);                                                                      \
            any = (type)(any | ((v & mask) == bad));                                                                   \
        }                                                                                                              \
        return any;                                                                                                    \
    }                                                                                                                  \
    static bool find_##type(const uint8_t *p, size_t n, size_t stride, const ws_number *number) {                      \
        const type mask = (type)number->mask, bad = (type)number->bad;                                                 \
        return stride == sizeof(type) ? any_##type(p, n, sizeof(type), mask, bad)                                      \
                                      : any_##type(p, n, stride, mask, bad);                                           \
    }
DEFINE_ANY(uint8_t)
DEFINE_ANY(uint16_t)
DEFINE_ANY(uint32_t)
DEFINE_ANY(uint64_t)

static bool find_any(const uint8_t *p, size_t n, size_t stride, const ws_number *number) {
    switch (number->bytes) {
    case 1: return find_uint8_t(p, n, stride, number);
    case 2: return find_uint16_t(p, n, stride, number);
    case 4: return find_uint32_t(p, n, stride, number);
    default: return find_uint64_t(p, n, stride, number);
    }
}

/* The slow way, for a piece that is known to hold something bad: count and find the first. */
static void count(piece *part, const uint8_t *p, size_t stride, const ws_number *number) {
    for (uint64_t i = 0; i < part->n_blocks; i++) {
        uint64_t v = 0;
        for (uint32_t b = 0; b < number->bytes; b++) v |= (uint64_t)p[i * stride + b] << (8 * b);
        if ((v & number->mask) != number->bad) continue;
        const uint64_t element = (part->first_block + i) * part->tensor->layout.block_elements;
        if (part->n_nan + part->n_inf == 0 || element < part->first) part->first = element;
        if (number->mantissa && (v & number->mantissa) == 0)
            part->n_inf++;
        else
            part->n_nan++;
    }
}

static void scan_piece(piece *part) {
    const ws_layout *layout = &part->tensor->layout;
    const uint8_t *data = part->tensor->data + part->first_block * layout->block_bytes;
    for (int i = 0; i < WS_MAX_FIELDS && layout->fields[i].number; i++) {
        const ws_number_field *field = &layout->fields[i];
        for (uint32_t k = 0; k < field->count; k++) {
            const uint8_t *p = data + field->offset + k * field->number->bytes;
            if (find_any(p, part->n_blocks, layout->block_bytes, field->number))
                count(part, p, layout->block_bytes, field->number);
        }
    }
}

static void scan_pieces(void *ctx, size_t begin, size_t end, int thread) {
    (void)thread;
    const scan *s = ctx;
    for (size_t i = begin; i < end; i++) {
        piece *part = &s->pieces[i];
        const ws_report_tensor *t = part->tensor;
        const ws_map *map = &s->report->parts[t->part];
        const size_t offset = t->offset + part->first_block * t->layout.block_bytes;
        const size_t bytes = part->n_blocks * t->layout.block_bytes;
        ws_map_will_need(map, offset, bytes);
        scan_piece(part);
        ws_map_release(map, offset, bytes);
    }
}

static ws_status cut(scan *s, const ws_report_tensor *t, ws_error *err) {
    const ws_layout *layout = &t->layout;
    if (!layout->fields[0].number || !t->bytes) return WS_OK;
    const uint64_t n_blocks = t->bytes / layout->block_bytes, most = PIECE_BYTES / layout->block_bytes;
    for (uint64_t at = 0; at < n_blocks; at += most) {
        WS_TRY(ws_grow(&s->pieces, &s->cap, s->n + 1, sizeof *s->pieces, err));
        const uint64_t left = n_blocks - at;
        s->pieces[s->n++] = (piece){.tensor = t, .first_block = at, .n_blocks = left < most ? left : most};
    }
    return WS_OK;
}

static uint64_t piece_bytes(const piece *p) { return p->n_blocks * p->tensor->layout.block_bytes; }

static void scan_all(scan *s, uint64_t n_bytes, int n_threads, bool quiet) {
    ws_progress progress;
    ws_progress_start(&progress, "verify", NULL, n_bytes, quiet);
    for (size_t at = 0; at < s->n; at += BATCH) {
        const size_t n = s->n - at < BATCH ? s->n - at : BATCH;
        scan batch = {.pieces = s->pieces + at, .report = s->report};
        ws_parallel_for(n, 1, n_threads, scan_pieces, &batch);
        for (size_t i = at; i < at + n; i++) ws_progress_add(&progress, piece_bytes(&s->pieces[i]));
    }
    ws_progress_finish(&progress);
}

/* Pieces of one tensor follow each other: add them up, in order. */
static ws_status report_numbers(ws_verify *v, const scan *s, ws_error *err) {
    for (size_t i = 0; i < s->n;) {
        const ws_report_tensor *t = s->pieces[i].tensor;
        ws_finding f = {WS_FINDING_NOT_FINITE, WS_SEVERITY_ERROR, t->name, t->layout.what, 0, 0, 0, 0};
        for (; i < s->n && s->pieces[i].tensor == t; i++) {
            const piece *p = &s->pieces[i];
            if (f.n_nan + f.n_inf == 0) f.first = p->first;
            f.n_nan += p->n_nan, f.n_inf += p->n_inf;
        }
        if (f.n_nan + f.n_inf) WS_TRY(add(v, &f, err));
    }
    return WS_OK;
}

static ws_status check_numbers(ws_verify *v, scan *s, int n_threads, bool quiet, ws_error *err) {
    for (size_t i = 0; i < s->report->n_tensors; i++) WS_TRY(cut(s, &s->report->tensors[i], err));
    for (size_t i = 0; i < s->n; i++) v->n_bytes += piece_bytes(&s->pieces[i]);
    scan_all(s, v->n_bytes, n_threads, quiet);
    return report_numbers(v, s, err);
}

/* ---- structure ---- */

/* The GGUF reader accepts any aligned offsets without overlap. llama.cpp wants each tensor right behind the one
 * listed before it, padded to the alignment; other programs read any order. */
static ws_status check_order(ws_verify *v, const ws_report *r, ws_error *err) {
    const uint64_t alignment = r->gguf->alignment;
    uint64_t expected = 0;
    for (size_t i = 0; i < r->n_tensors; i++) {
        const ws_report_tensor *t = &r->tensors[i];
        const bool first = i == 0 || r->tensors[i - 1].part != t->part;
        if (first) expected = i == 0 ? r->gguf->data_offset : t->offset;
        if (t->offset != expected) {
            const uint64_t off = t->offset > expected ? t->offset - expected : expected - t->offset;
            const ws_finding f = {.kind = WS_FINDING_ORDER, .tensor = t->name, .first = t->offset, .bytes = off};
            WS_TRY(add(v, &f, err));
        }
        expected = ws_align_up(t->offset + t->bytes, alignment);
    }
    return WS_OK;
}

static ws_status check_trailing(ws_verify *v, const ws_report *r, ws_error *err) {
    size_t i = 0; /* tensors are listed part by part */
    for (size_t p = 0; p < r->n_parts; p++) {
        uint64_t end = p == 0 ? r->gguf->data_offset : 0;
        for (; i < r->n_tensors && r->tensors[i].part == p; i++) {
            const uint64_t tensor_end = r->tensors[i].offset + r->tensors[i].bytes;
            if (tensor_end > end) end = tensor_end;
        }
        end = ws_align_up(end, r->gguf->alignment);
        if (end == 0 || r->parts[p].size <= end) continue;
        const ws_finding f = {.kind = WS_FINDING_TRAILING, .first = end, .bytes = r->parts[p].size - end};
        WS_TRY(add(v, &f, err));
    }
    return WS_OK;
}

ws_status ws_verify_run(ws_verify *v, const ws_report *r, int n_threads, bool quiet, ws_error *err) {
    *v = (ws_verify){0};
    if (r->gguf) {
        WS_TRY(check_order(v, r, err));
        WS_TRY(check_trailing(v, r, err));
    }
    scan s = {.report = r};
    const ws_status status = check_numbers(v, &s, n_threads, quiet, err);
    free(s.pieces);
    return status;
}

void ws_verify_free(ws_verify *v) {
    free(v->findings);
    *v = (ws_verify){0};
}
