/* rope_freqs.h - the divisors of rotary frequencies that Llama 3.1 introduced for long contexts. */
#ifndef WS_ROPE_FREQS_H
#define WS_ROPE_FREQS_H

#include "error.h"
#include "json.h"

/* Does the model's "rope_parameters" object ask for them? If so, its base must make sense; `path` names the file. */
WS_MUST_CHECK ws_status ws_rope_freqs_wanted(bool *wanted, const cJSON *rope, const char *path, ws_error *err);

/* One divisor per pair of a head's dimensions: n = head_dim / 2 values. */
void ws_rope_freqs(float *out, size_t n, const cJSON *rope);

#endif
