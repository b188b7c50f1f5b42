/* pre_name.h - which of the named pre-tokenizers a tokenizer.json describes. The reference recognises them by the
 * ids of a sample text, that is by vocabulary; here the rules themselves are compared, so that any vocabulary with
 * known rules is recognised. Several names have the same rules: that of the
 * architecture's models is chosen, or the most common. */
#ifndef WS_PRE_NAME_H
#define WS_PRE_NAME_H

#include "arch.h"
#include "error.h"
#include "json.h"

/* Is this a name that the tokenizers here know? WS_USAGE if not: it is the user's choice. */
WS_MUST_CHECK ws_status ws_pre_name_check(const char *name, ws_error *err);

/* The value of tokenizer.ggml.pre. `chosen` is what the user says (checked), or NULL; `path` names the file in
 * messages. Unknown rules are an error. */
WS_MUST_CHECK ws_status ws_pre_name(const char **out, const ws_arch *arch, const cJSON *tokenizer, const char *chosen,
                                    const char *path, ws_error *err);

#endif
