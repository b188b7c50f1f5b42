/* rope_factors.h - tensors of divisors of the rotary frequencies, by which models stretch their context: Llama 3.1's
 * are computed, those of "longrope" (Phi 3) are lists in config.json. */
#ifndef WS_ROPE_FACTORS_H
#define WS_ROPE_FACTORS_H

#include "error.h"
#include "json.h"

#include <stdint.h>

/* What the names of the tensors begin with that the model's "rope_parameters" ask for: "rope_freqs",
 * "rope_factors", or NULL. Checks that the numbers make sense for n_rot dimensions; `path` names the file. */
WS_MUST_CHECK ws_status ws_rope_factors_wanted(const char **prefix, const cJSON *rope, uint64_t n_rot, const char *path,
                                               ws_error *err);

/* The n = n_rot / 2 divisors of the tensor `name`. */
void ws_rope_factors(float *out, size_t n, const cJSON *rope, const char *name);

/* What longrope multiplies attention by, for a context of `n_ctx`. */
double ws_rope_attn_factor(const cJSON *rope, double n_ctx);

#endif
