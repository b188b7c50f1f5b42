/* embed.h - one vector for a text: what the model makes of its tokens, pooled and of length 1. */
#ifndef WS_EMBED_H
#define WS_EMBED_H

#include "forward.h"

/* The file's pooling, or the mean for encoders and the last token for decoders, which have none. */
typedef enum { WS_POOL_MEAN = 1, WS_POOL_FIRST, WS_POOL_LAST } ws_pooling;

WS_MUST_CHECK ws_status ws_embed_pooling(ws_pooling *out, const ws_model *m, ws_error *err);

/* Run n >= 1 tokens in one batch (n_ctx and n_batch of `o` are set here) and pool them into out[n_embd]. */
WS_MUST_CHECK ws_status ws_embed(const ws_model *m, const int32_t *ids, size_t n, const ws_session_options *o,
                                 ws_pooling pooling, float *out, ws_error *err);

#endif
