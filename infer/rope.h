/* rope.h - the frequencies of rotary position embeddings, with all ways to stretch them. */
#ifndef WS_ROPE_H
#define WS_ROPE_H

#include "model.h"

/* Angle per position of each of the n_rot / 2 pairs, for a context of n_ctx tokens; `sliding`: in layers with a
 * window, if they have frequencies of their own. */
void ws_rope_frequencies(double *freq, const ws_model *m, bool sliding, uint64_t n_ctx);

#endif
