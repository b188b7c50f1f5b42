/* findings.h - what --verify and --safety have to say about a file. */
#ifndef WS_FINDINGS_H
#define WS_FINDINGS_H

#include "arena.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    WS_SEVERITY_NOTE,    /* worth knowing; usual in good files, too */
    WS_SEVERITY_WARNING, /* unusual: the file can be used, but look at this */
    WS_SEVERITY_ERROR,   /* the file cannot be used as it should be */
} ws_severity;

typedef enum {
    /* structure */
    WS_FINDING_ORDER,    /* tensor data is not packed in the order of the tensor list */
    WS_FINDING_GAP,      /* bytes between two tensors that belong to neither */
    WS_FINDING_PADDING,  /* bytes between two tensors that are not zero */
    WS_FINDING_TRAILING, /* bytes behind the last tensor */
    /* the architecture's description */
    WS_FINDING_MISSING, /* a tensor */
    WS_FINDING_EXTRA,
    WS_FINDING_SHAPE,
    WS_FINDING_METADATA, /* keys that do not go together, or cannot be used */
    /* values */
    WS_FINDING_NOT_FINITE, /* NaN or infinity */
    WS_FINDING_ZERO_ROWS,
    WS_FINDING_CONSTANT_ROWS,
    WS_FINDING_LARGE_SCALES,
    WS_FINDING_SMALL_SCALES, /* denormal, with few bits of precision left */
    /* vocabulary, quantization */
    WS_FINDING_VOCABULARY,
    WS_FINDING_FILE_TYPE,
    /* safety */
    WS_FINDING_TEMPLATE,   /* a chat template does what none should do */
    WS_FINDING_CHARACTERS, /* control characters, characters that hide or reorder text */
    WS_FINDING_TOKEN,
    WS_FINDING_URL,
    WS_FINDING_CODE, /* a pickle calls functions */
    WS_FINDING_KINDS,
} ws_finding_kind;

/* Which of the numbers are there follows from the kind; the others are 0. */
typedef struct {
    ws_finding_kind kind;
    ws_severity severity;
    const char *tensor; /* or NULL */
    const char *key;    /* of the metadata, or NULL */
    const char *where;  /* NOT_FINITE: "values" or "scales" */
    const char *text;   /* one sentence; may quote the file: to be escaped when shown */
    uint64_t n_nan, n_inf;
    uint64_t count; /* rows, blocks, tokens, ... concerned */
    uint64_t first; /* index of the first element, row, block or token concerned, or a byte offset in the file */
    uint64_t bytes; /* ORDER: distance from the expected offset; GAP, TRAILING: their number */
} ws_finding;

typedef struct {
    size_t n, cap;
    ws_finding *list;
    size_t n_errors, n_warnings, n_notes;
    uint64_t n_bytes; /* of tensor data that were looked at */
    ws_arena texts;
} ws_findings; /* starts as {0} */

const char *ws_severity_name(ws_severity s);
const char *ws_finding_kind_name(ws_finding_kind kind); /* "not-finite", ... */

/* Add a copy of f with the text that follows; tensor, key and where are borrowed. */
WS_MUST_CHECK ws_status ws_findings_add(ws_findings *fs, ws_finding f, ws_error *err, const char *fmt, ...)
    WS_PRINTF(4, 5);

void ws_findings_free(ws_findings *fs);

#endif
