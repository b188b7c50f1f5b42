/* safety.h - what in a model's metadata could harm the person or program that uses it: chat templates that reach
 * beyond the conversation, characters that hide or reorder text, tokens and addresses that do not belong there. */
#ifndef WS_SAFETY_H
#define WS_SAFETY_H

#include "findings.h"

struct ws_report;

/* Only the metadata is read. Release with ws_findings_free(), also after failure. */
WS_MUST_CHECK ws_status ws_safety_run(ws_findings *fs, const struct ws_report *r, ws_error *err);

#endif
