/* verify.h - is the model sound? Structure beyond what the readers insist on, shapes against the architecture's
 * description, every floating-point number, the vocabulary, and whether the types are those of the file type. */
#ifndef WS_VERIFY_H
#define WS_VERIFY_H

#include "findings.h"

struct ws_report;

/* Findings come in that order; tensor names are borrowed from the report. Release with ws_findings_free(), also after
 * failure. A model with findings is not a failure. */
WS_MUST_CHECK ws_status ws_verify_run(ws_findings *fs, const struct ws_report *r, int n_threads, bool quiet,
                                      ws_error *err);

/* The steps. All but the numbers are for GGUF files; _checkpoint for others,
 * _parts for adapters and importance matrices, the others for
 * models. */
WS_MUST_CHECK ws_status ws_verify_structure(ws_findings *fs, const struct ws_report *r, ws_error *err);
WS_MUST_CHECK ws_status ws_verify_architecture(ws_findings *fs, const struct ws_report *r, ws_error *err);
WS_MUST_CHECK ws_status ws_verify_checkpoint(ws_findings *fs, const struct ws_report *r, ws_error *err);
WS_MUST_CHECK ws_status ws_verify_parts(ws_findings *fs, const struct ws_report *r, ws_error *err);
WS_MUST_CHECK ws_status ws_verify_numbers(ws_findings *fs, const struct ws_report *r, int n_threads, bool quiet,
                                          ws_error *err);
WS_MUST_CHECK ws_status ws_verify_vocabulary(ws_findings *fs, const struct ws_report *r, ws_error *err);
WS_MUST_CHECK ws_status ws_verify_types(ws_findings *fs, const struct ws_report *r, ws_error *err);

#endif
