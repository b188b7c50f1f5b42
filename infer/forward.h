/* forward.h - the decoder: tokens in, logits out. A session holds one sequence: its KV cache and the activations of
 * a batch, all sized before the run. Results are the same bits for every number of threads and every way to cut a
 * sequence into batches. */
#ifndef WS_FORWARD_H
#define WS_FORWARD_H

#include "collect.h"

typedef struct {
    uint64_t n_ctx;   /* tokens the sequence may have */
    uint64_t n_batch; /* most tokens of one ws_session_feed() */
    int n_threads;
    ws_dtype kv_type;   /* ws_cache_can_hold() */
    uint32_t cpu_flags; /* cpu.h */
} ws_session_options;

typedef struct ws_session ws_session;

/* Bytes that a session allocates: a pure function of the model's sizes. UINT64_MAX when they do not fit 64 bits. */
uint64_t ws_session_bytes(const ws_hparams *hp, const ws_session_options *o);

/* An empty sequence for model m, which is borrowed until close. */
WS_MUST_CHECK ws_status ws_session_open(ws_session **out, const ws_model *m, const ws_session_options *o,
                                        ws_error *err);
void ws_session_close(ws_session *s); /* NULL is fine */

size_t ws_session_position(const ws_session *s);         /* tokens in the sequence */
void ws_session_rewind(ws_session *s, size_t position);  /* forget the tokens from `position` on */
void ws_session_collect(ws_session *s, ws_collector *c); /* from now on; NULL: no more */
ws_team *ws_session_team(const ws_session *s);           /* its threads, for work between feeds */

/* Run 1 <= n <= n_batch tokens at the end of the sequence. */
WS_MUST_CHECK ws_status ws_session_feed(ws_session *s, const int32_t *tokens, size_t n, ws_error *err);

/* What the decoder made of token `row` of the last feed, after the final norm: n_embd floats. */
const float *ws_session_state(const ws_session *s, size_t row);

/* Floats from one row of logits to the next: the vocabulary, padded. */
size_t ws_logits_stride(const ws_model *m);

/* Logits after the tokens [first, first + n) of the last feed, into out[n][ws_logits_stride()]. One that is NaN or
 * infinite is WS_FORMAT and names the position. */
WS_MUST_CHECK ws_status ws_session_logits(ws_session *s, size_t first, size_t n, float *out, ws_error *err);

#endif
