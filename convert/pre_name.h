/* pre_name.h - which of the named pre-tokenizers a tokenizer.json describes. The reference recognises them by the
 * ids of a sample text, that is by vocabulary; here the rules themselves are compared, so that any vocabulary with
 * known rules is recognised. Several names have the same rules: the most common is chosen. */
#ifndef WS_PRE_NAME_H
#define WS_PRE_NAME_H

#include "error.h"
#include "json.h"

/* The value of tokenizer.ggml.pre. `chosen` is what the user says, or NULL; `path` names the file in messages.
 * Unknown names and unknown rules are errors. */
WS_MUST_CHECK ws_status ws_pre_name(const char **out, const cJSON *tokenizer, const char *chosen, const char *path,
                                    ws_error *err);

#endif
