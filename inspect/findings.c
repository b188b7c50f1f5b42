#include "findings.h"

#include "alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ws_severity_name(ws_severity s) {
    static const char *const names[] = {
        [WS_SEVERITY_NOTE] = "note", [WS_SEVERITY_WARNING] = "warning", [WS_SEVERITY_ERROR] = "error"};
    return names[s];
}

const char *ws_finding_kind_name(ws_finding_kind kind) {
    static const char *const names[WS_FINDING_KINDS] = {
        [WS_FINDING_ORDER] = "order",
        [WS_FINDING_GAP] = "gap",
        [WS_FINDING_PADDING] = "padding",
        [WS_FINDING_TRAILING] = "trailing",
        [WS_FINDING_MISSING] = "missing",
        [WS_FINDING_EXTRA] = "extra",
        [WS_FINDING_SHAPE] = "shape",
        [WS_FINDING_METADATA] = "metadata",
        [WS_FINDING_NOT_FINITE] = "not-finite",
        [WS_FINDING_ZERO_ROWS] = "zero-rows",
        [WS_FINDING_CONSTANT_ROWS] = "constant-rows",
        [WS_FINDING_LARGE_SCALES] = "large-scales",
        [WS_FINDING_SMALL_SCALES] = "small-scales",
        [WS_FINDING_VOCABULARY] = "vocabulary",
        [WS_FINDING_FILE_TYPE] = "file-type",
        [WS_FINDING_TEMPLATE] = "template",
        [WS_FINDING_CHARACTERS] = "characters",
        [WS_FINDING_TOKEN] = "token",
        [WS_FINDING_URL] = "url",
        [WS_FINDING_CODE] = "code",
    };
    return names[kind];
}

ws_status ws_findings_add(ws_findings *fs, ws_finding f, ws_error *err, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    WS_TRY(ws_grow(&fs->list, &fs->cap, fs->n + 1, sizeof *fs->list, err));
    if (!(f.text = ws_arena_strndup(&fs->texts, text, strlen(text), err))) return WS_NOMEM;
    fs->list[fs->n++] = f;
    fs->n_errors += f.severity == WS_SEVERITY_ERROR;
    fs->n_warnings += f.severity == WS_SEVERITY_WARNING;
    fs->n_notes += f.severity == WS_SEVERITY_NOTE;
    return WS_OK;
}

void ws_findings_free(ws_findings *fs) {
    free(fs->list);
    ws_arena_free(&fs->texts);
    *fs = (ws_findings){0};
}
