/* The layout of tensor data: what the readers allow, but no writer should do. */
#include "alloc.h"
#include "report.h"
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>

static int compare_places(const void *a, const void *b) {
    const ws_report_tensor *x = *(const ws_report_tensor *const *)a, *y = *(const ws_report_tensor *const *)b;
    if (x->part != y->part) return x->part < y->part ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* The reader accepts any aligned offsets without overlap. llama.cpp wants each tensor right behind the one listed
 * before it, padded to the alignment; other programs read any order. */
static ws_status check_order(ws_findings *fs, const ws_report *r, ws_error *err) {
    uint64_t expected = 0;
    for (size_t i = 0; i < r->n_tensors; i++) {
        const ws_report_tensor *t = &r->tensors[i];
        const bool first = i == 0 || r->tensors[i - 1].part != t->part;
        if (first) expected = i == 0 ? r->data_offset : t->offset;
        if (t->offset != expected) {
            const uint64_t off = t->offset > expected ? t->offset - expected : expected - t->offset;
            const ws_finding f = {.kind = WS_FINDING_ORDER,
                                  .severity = WS_SEVERITY_WARNING,
                                  .tensor = t->name,
                                  .first = t->offset,
                                  .bytes = off};
            WS_TRY(ws_findings_add(fs, f, err,
                                   "data at offset %" PRIu64 " is %" PRIu64
                                   " bytes off the packed order, which llama.cpp insists on",
                                   t->offset, off));
        }
        expected = ws_align_up(t->offset + t->bytes, r->gguf->alignment);
    }
    return WS_OK;
}

static bool all_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

/* What lies between the end of one tensor and the next. */
static ws_status check_between(ws_findings *fs, const ws_report *r, const ws_report_tensor *t, uint64_t next,
                               ws_error *err) {
    const uint64_t end = t->offset + t->bytes, padded = ws_align_up(end, r->gguf->alignment);
    ws_finding f = {.severity = WS_SEVERITY_WARNING, .tensor = t->name, .first = end};
    if (next > padded) {
        f.kind = WS_FINDING_GAP, f.first = padded, f.bytes = next - padded;
        WS_TRY(ws_findings_add(fs, f, err, "%" PRIu64 " bytes behind it, from offset %" PRIu64 ", belong to no tensor",
                               f.bytes, padded));
    }
    const uint64_t stop = next < padded ? next : padded;
    if (end >= stop || all_zero(r->parts[t->part].data + end, (size_t)(stop - end))) return WS_OK;
    f.kind = WS_FINDING_PADDING, f.first = end, f.bytes = stop - end;
    return ws_findings_add(
        fs, f, err, "the %" PRIu64 " bytes of padding behind it, from offset %" PRIu64 ", are not zero", f.bytes, end);
}

static ws_status check_trailing(ws_findings *fs, const ws_report *r, const ws_report_tensor *last, ws_error *err) {
    const uint64_t end = ws_align_up(last->offset + last->bytes, r->gguf->alignment), size = r->parts[last->part].size;
    if (size <= end) return WS_OK;
    const ws_finding f = {
        .kind = WS_FINDING_TRAILING, .severity = WS_SEVERITY_WARNING, .first = end, .bytes = size - end};
    return ws_findings_add(fs, f, err, "%" PRIu64 " bytes behind the last tensor, from offset %" PRIu64, f.bytes, end);
}

ws_status ws_verify_structure(ws_findings *fs, const ws_report *r, ws_error *err) {
    WS_TRY(check_order(fs, r, err));
    const ws_report_tensor **sorted = ws_alloc(r->n_tensors, sizeof *sorted, "the order of tensors", err);
    if (!sorted) return WS_NOMEM;
    for (size_t i = 0; i < r->n_tensors; i++) sorted[i] = &r->tensors[i];
    qsort(sorted, r->n_tensors, sizeof *sorted, compare_places);
    ws_status status = WS_OK;
    for (size_t i = 0; i < r->n_tensors && !status; i++) {
        const ws_report_tensor *t = sorted[i];
        const bool last = i + 1 == r->n_tensors || sorted[i + 1]->part != t->part;
        const uint64_t size = r->parts[t->part].size, end = ws_align_up(t->offset + t->bytes, r->gguf->alignment);
        status = check_between(fs, r, t, !last ? sorted[i + 1]->offset : size < end ? size : end, err);
        if (!status && last) status = check_trailing(fs, r, t, err);
    }
    free(sorted);
    return status;
}
