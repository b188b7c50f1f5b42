#include "bench.h"

#include "alloc.h"
#include "forward.h"
#include "progress.h"

#include <math.h>
#include <stdlib.h>

/* Tokens that depend on the place only, so that every run does the same. */
static int32_t token_at(const ws_model *m, uint64_t i) { return (int32_t)((i * 2654435761u + 12345) % m->hp.n_vocab); }

/* One round: all tokens through an empty session, and the logits that generation would want. */
static ws_status one_round(ws_session *s, const ws_model *m, const ws_bench_options *o, int32_t *tokens, float *logits,
                           ws_error *err) {
    const uint64_t step = o->one_by_one ? 1 : o->n_batch;
    ws_session_rewind(s, 0);
    for (uint64_t at = 0; at < o->n_tokens; at += step) {
        const uint64_t left = o->n_tokens - at, n = left < step ? left : step;
        for (uint64_t i = 0; i < n; i++) tokens[i] = token_at(m, at + i);
        WS_TRY(ws_session_feed(s, tokens, n, err));
        if (o->one_by_one || n == left) WS_TRY(ws_session_logits(s, n - 1, 1, logits, err));
    }
    return WS_OK;
}

static ws_status all_rounds(ws_session *s, const ws_model *m, const ws_bench_options *o, int32_t *tokens, float *logits,
                            ws_bench_result *r, ws_error *err) {
    double sum = 0, sum2 = 0;
    WS_TRY(one_round(s, m, o, tokens, logits, err));
    for (uint64_t i = 0; i < o->rounds; i++) {
        const double start = ws_now();
        WS_TRY(one_round(s, m, o, tokens, logits, err));
        const double rate = (double)o->n_tokens / (ws_now() - start);
        sum += rate, sum2 += rate * rate;
    }
    const double n = (double)o->rounds;
    r->mean = sum / n;
    r->stddev = o->rounds > 1 ? sqrt(fmax(0, (sum2 - sum * r->mean) / (n - 1))) : 0;
    return WS_OK;
}

ws_status ws_bench_run(const ws_model *m, const ws_bench_options *o, ws_bench_result *r, ws_error *err) {
    const uint64_t n_batch = o->one_by_one ? 1 : o->n_batch < o->n_tokens ? o->n_batch : o->n_tokens;
    ws_session *s = NULL;
    WS_TRY(ws_session_open(&s, m,
                           &(ws_session_options){.n_ctx = o->n_tokens,
                                                 .n_batch = n_batch,
                                                 .n_threads = o->n_threads,
                                                 .kv_type = o->kv_type,
                                                 .cpu_flags = o->cpu_flags},
                           err));
    int32_t *tokens = ws_alloc(n_batch, sizeof *tokens, "tokens", err);
    float *logits = ws_alloc_aligned(ws_logits_stride(m), sizeof *logits, "logits", err);
    const ws_status status = tokens && logits ? all_rounds(s, m, o, tokens, logits, r, err) : WS_NOMEM;
    free(tokens);
    free(logits);
    ws_session_close(s);
    return status;
}
