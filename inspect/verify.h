/* verify.h - is the model sound? Its structure beyond what the readers insist on, and every floating-point number:
 * no NaN and no infinity in a value or in the scale of a block. */
#ifndef WS_VERIFY_H
#define WS_VERIFY_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { WS_SEVERITY_WARNING, WS_SEVERITY_ERROR } ws_severity;

typedef enum {
    WS_FINDING_NOT_FINITE, /* NaN or infinity */
    WS_FINDING_ORDER,      /* tensor data is not packed in the order of the tensor list */
    WS_FINDING_TRAILING,   /* bytes behind the last tensor */
    WS_FINDING_KINDS,
} ws_finding_kind;

typedef struct {
    ws_finding_kind kind;
    ws_severity severity;
    const char *tensor; /* borrowed from the report; NULL: the file as a whole */
    const char *where;  /* NOT_FINITE: "values" or "scales" */
    uint64_t n_nan, n_inf;
    uint64_t first; /* NOT_FINITE: index of the first element concerned; else a byte offset in the file */
    uint64_t bytes; /* ORDER: distance from the expected offset; TRAILING: their number */
} ws_finding;

typedef struct {
    size_t n, cap;
    ws_finding *findings; /* in file order */
    size_t n_errors, n_warnings;
    uint64_t n_bytes; /* of tensor data that were looked at */
} ws_verify;

struct ws_report;

const char *ws_severity_name(ws_severity s);
const char *ws_finding_kind_name(ws_finding_kind kind); /* "not-finite", ... */

/* One sentence about a finding, into buf. */
void ws_finding_text(char *buf, size_t size, const ws_finding *f);

/* Release with ws_verify_free(), also after failure. A model with findings is not a failure. */
WS_MUST_CHECK ws_status ws_verify_run(ws_verify *v, const struct ws_report *r, int n_threads, bool quiet,
                                      ws_error *err);
void ws_verify_free(ws_verify *v);

#endif
