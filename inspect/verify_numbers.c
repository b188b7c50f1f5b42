/* Every floating-point number, at the speed of memory: NaN and infinity in values and scales, scales that no sound
 * quantization has, rows of matrices that hold one value only. */
#include "alloc.h"
#include "parallel.h"
#include "progress.h"
#include "report.h"
#include "verify.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tensor data is looked at in pieces (of whole rows, where they fit); the progress bar moves after each batch. A piece
 * is read tile by tile, so that a second look finds it in the cache. */
enum { PIECE_BYTES = 4 << 20, TILE_BYTES = 64 << 10, BATCH = 64, MAX_BLOCK = 256 };

/* How many, and the lowest index of them. */
typedef struct {
    uint64_t n, first;
} seen;

typedef struct {
    const ws_report_tensor *tensor;
    uint64_t first_block, n_blocks;
    uint64_t row_blocks; /* 0: rows are not looked at */
    seen nan, inf;       /* elements (of blocks: the first) */
    seen large, small;   /* blocks */
    seen zero, constant; /* rows */
} piece;

typedef struct {
    piece *pieces;
    size_t n, cap;
    const ws_report *report;
} scan;

static void note(seen *s, uint64_t index) {
    if (s->n++ == 0 || index < s->first) s->first = index;
}

static void merge(seen *s, const seen *t) {
    if (t->n && (s->n == 0 || t->first < s->first)) s->first = t->first;
    s->n += t->n;
}

/* ---- numbers ---- */

/* Is any of n numbers, `stride` bytes apart, not finite, or a scale out of bounds? One function per width, so that the
 * common case of plain arrays becomes a vector loop. */
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
    static inline bool out_##type(const uint8_t *p, size_t n, size_t stride, type large, type small) {                 \
        const type magnitude = (type)((type) ~(type)0 >> (sizeof(type) > 1));                                          \
        type any = 0;                                                                                                  \
        for (size_t i = 0; i < n; i++) {                                                                               \
            type v;                                                                                                    \
            memcpy(&v, p + i * stride, sizeof v);                                                                      \
            v &= magnitude;                                                                                            \
            any = (type)(any | (v >= large) | ((type)(v - 1) < small));                                                \
        }                                                                                                              \
        return any;                                                                                                    \
    }                                                                                                                  \
    static bool find_##type(const uint8_t *p, size_t n, size_t stride, const ws_number *number) {                      \
        const type mask = (type)number->mask, bad = (type)number->bad;                                                 \
        if (number->large) return out_##type(p, n, stride, (type)number->large, (type)number->small);                  \
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

static void count_number(piece *part, uint64_t v, uint64_t block, const ws_number *number) {
    const uint64_t element = block * part->tensor->layout.block_elements;
    const uint64_t magnitude = number->bytes == 1 ? v : v & (((uint64_t)1 << (8 * number->bytes - 1)) - 1);
    if ((v & number->mask) == number->bad)
        note(number->mantissa && (v & number->mantissa) == 0 ? &part->inf : &part->nan, element);
    else if (number->large && magnitude >= number->large)
        note(&part->large, block);
    else if (number->large && magnitude && magnitude <= number->small)
        note(&part->small, block);
}

/* The slow way, for a tile that is known to hold something. */
static void count_tile(piece *part, const uint8_t *p, uint64_t first_block, size_t n, const ws_number *number) {
    const size_t stride = part->tensor->layout.block_bytes;
    for (size_t i = 0; i < n; i++) {
        uint64_t v = 0;
        for (uint32_t b = 0; b < number->bytes; b++) v |= (uint64_t)p[i * stride + b] << (8 * b);
        count_number(part, v, first_block + i, number);
    }
}

static void scan_tile(piece *part, uint64_t first_block, size_t n) {
    const ws_layout *layout = &part->tensor->layout;
    const uint8_t *data = part->tensor->data + first_block * layout->block_bytes;
    for (int i = 0; i < WS_MAX_FIELDS && layout->fields[i].number; i++) {
        const ws_number_field *field = &layout->fields[i];
        for (uint32_t k = 0; k < field->count; k++) {
            const uint8_t *p = data + field->offset + k * field->number->bytes;
            if (find_any(p, n, layout->block_bytes, field->number)) count_tile(part, p, first_block, n, field->number);
        }
    }
}

/* ---- rows ---- */

/* A row of one value has equal blocks (quantizers are functions), and its first block decodes to equal values. The
 * comparison ends at the first difference, which nearly always is at once. */
static void scan_row(piece *part, const uint8_t *row, uint64_t index) {
    const ws_report_tensor *t = part->tensor;
    const size_t block = t->layout.block_bytes, bytes = (size_t)part->row_blocks * block;
    if (bytes > block && memcmp(row, row + block, bytes - block) != 0) return;
    float x[MAX_BLOCK];
    t->to_float(row, x, 1);
    for (uint32_t i = 1; i < t->layout.block_elements; i++)
        if (x[i] != x[0]) return;
    if (isfinite(x[0])) note(x[0] == 0 ? &part->zero : &part->constant, index);
}

static void scan_rows(piece *part) {
    const size_t block = part->tensor->layout.block_bytes;
    const uint64_t first = part->first_block / part->row_blocks, n = part->n_blocks / part->row_blocks;
    const uint8_t *data = part->tensor->data + part->first_block * block;
    for (uint64_t r = 0; r < n; r++) scan_row(part, data + r * part->row_blocks * block, first + r);
}

/* ---- pieces ---- */

static void scan_piece(piece *part) {
    const uint64_t most = TILE_BYTES / part->tensor->layout.block_bytes;
    for (uint64_t at = 0; at < part->n_blocks; at += most) {
        const uint64_t left = part->n_blocks - at;
        scan_tile(part, part->first_block + at, (size_t)(left < most ? left : most));
    }
    if (part->row_blocks) scan_rows(part);
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

/* Blocks in a row of a matrix that can be looked at; else 0. */
static uint64_t row_blocks_of(const ws_report *r, const ws_report_tensor *t) {
    const ws_layout *l = &t->layout;
    const uint64_t columns = t->n_dims < 2 ? 0 : t->shape[r->gguf ? 0 : t->n_dims - 1];
    if (!t->to_float || columns < 2 || columns % l->block_elements || columns == t->n_elements) return 0;
    const uint64_t blocks = columns / l->block_elements;
    return blocks <= PIECE_BYTES / l->block_bytes ? blocks : 0;
}

static ws_status cut(scan *s, const ws_report_tensor *t, ws_error *err) {
    const ws_layout *layout = &t->layout;
    if (!layout->fields[0].number || !t->bytes) return WS_OK;
    const uint64_t n_blocks = t->bytes / layout->block_bytes, row = row_blocks_of(s->report, t);
    uint64_t most = PIECE_BYTES / layout->block_bytes;
    if (row) most -= most % row;
    for (uint64_t at = 0; at < n_blocks; at += most) {
        WS_TRY(ws_grow(&s->pieces, &s->cap, s->n + 1, sizeof *s->pieces, err));
        const uint64_t left = n_blocks - at;
        s->pieces[s->n++] =
            (piece){.tensor = t, .first_block = at, .n_blocks = left < most ? left : most, .row_blocks = row};
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

/* ---- findings ---- */

/* Vocabularies have unused rows. */
static bool is_vocabulary(const char *name) {
    return strstr(name, "embd") || strstr(name, "embed") || strcmp(name, "output.weight") == 0 ||
           strstr(name, "lm_head");
}

static ws_status tell_rows(ws_findings *fs, const piece *p, const seen *rows, ws_finding_kind kind, uint64_t n_rows,
                           ws_error *err) {
    if (!rows->n) return WS_OK;
    const ws_finding f = {
        .kind = kind,
        .severity = is_vocabulary(p->tensor->name) ? WS_SEVERITY_NOTE : WS_SEVERITY_WARNING,
        .tensor = p->tensor->name,
        .count = rows->n,
        .first = rows->first,
    };
    return ws_findings_add(fs, f, err, "%" PRIu64 " of %" PRIu64 " rows %s, the first is row %" PRIu64, rows->n, n_rows,
                           kind == WS_FINDING_ZERO_ROWS ? "are zero" : "hold one value only", rows->first);
}

static ws_status tell_scales(ws_findings *fs, const piece *p, const seen *scales, ws_finding_kind kind, ws_error *err) {
    if (!scales->n) return WS_OK;
    const bool large = kind == WS_FINDING_LARGE_SCALES;
    const ws_finding f = {
        .kind = kind,
        .severity = large ? WS_SEVERITY_WARNING : WS_SEVERITY_NOTE,
        .tensor = p->tensor->name,
        .count = scales->n,
        .first = scales->first,
    };
    return ws_findings_add(fs, f, err, "%" PRIu64 " blocks have %s, the first is block %" PRIu64, scales->n,
                           large ? "an absurdly large scale" : "a scale so small that few bits of it are left",
                           scales->first);
}

/* All pieces of a tensor in one. */
static ws_status tell(ws_findings *fs, const piece *p, ws_error *err) {
    const ws_report_tensor *t = p->tensor;
    if (p->nan.n + p->inf.n) {
        seen both = p->nan;
        merge(&both, &p->inf);
        const ws_finding f = {.kind = WS_FINDING_NOT_FINITE,
                              .severity = WS_SEVERITY_ERROR,
                              .tensor = t->name,
                              .where = t->layout.what,
                              .n_nan = p->nan.n,
                              .n_inf = p->inf.n,
                              .first = both.first};
        WS_TRY(ws_findings_add(fs, f, err, "%" PRIu64 " NaN and %" PRIu64 " infinite %s, the first at element %" PRIu64,
                               f.n_nan, f.n_inf, f.where, f.first));
    }
    const uint64_t n_rows = p->row_blocks ? t->bytes / t->layout.block_bytes / p->row_blocks : 0;
    WS_TRY(tell_rows(fs, p, &p->zero, WS_FINDING_ZERO_ROWS, n_rows, err));
    WS_TRY(tell_rows(fs, p, &p->constant, WS_FINDING_CONSTANT_ROWS, n_rows, err));
    WS_TRY(tell_scales(fs, p, &p->large, WS_FINDING_LARGE_SCALES, err));
    return tell_scales(fs, p, &p->small, WS_FINDING_SMALL_SCALES, err);
}

/* Pieces of one tensor follow each other. */
static ws_status tell_all(ws_findings *fs, const scan *s, ws_error *err) {
    for (size_t i = 0; i < s->n;) {
        piece sum = s->pieces[i];
        for (i++; i < s->n && s->pieces[i].tensor == sum.tensor; i++) {
            const piece *p = &s->pieces[i];
            merge(&sum.nan, &p->nan), merge(&sum.inf, &p->inf);
            merge(&sum.large, &p->large), merge(&sum.small, &p->small);
            merge(&sum.zero, &p->zero), merge(&sum.constant, &p->constant);
        }
        WS_TRY(tell(fs, &sum, err));
    }
    return WS_OK;
}

static ws_status scan_and_tell(ws_findings *fs, scan *s, int n_threads, bool quiet, ws_error *err) {
    for (size_t i = 0; i < s->report->n_tensors; i++) WS_TRY(cut(s, &s->report->tensors[i], err));
    for (size_t i = 0; i < s->n; i++) fs->n_bytes += piece_bytes(&s->pieces[i]);
    scan_all(s, fs->n_bytes, n_threads, quiet);
    return tell_all(fs, s, err);
}

ws_status ws_verify_numbers(ws_findings *fs, const ws_report *r, int n_threads, bool quiet, ws_error *err) {
    scan s = {.report = r};
    const ws_status status = scan_and_tell(fs, &s, n_threads, quiet, err);
    free(s.pieces);
    return status;
}
