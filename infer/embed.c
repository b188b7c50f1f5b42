#include "embed.h"

#include <math.h>
#include <stdio.h>

ws_status ws_embed_pooling(ws_pooling *out, const ws_model *m, ws_error *err) {
    char key[64];
    uint64_t pooling = m->arch->traits & WS_ENCODER ? WS_POOL_MEAN : WS_POOL_LAST;
    snprintf(key, sizeof key, "%s.pooling_type", m->arch->name);
    WS_TRY(ws_gguf_opt_u64(m->gguf, key, &pooling, err));
    if (pooling < WS_POOL_MEAN || pooling > WS_POOL_LAST)
        return ws_fail(err, WS_UNSUPPORTED, "'%s': '%s' is %llu, but only 1 (mean), 2 (first) and 3 (last) are known",
                       ws_gguf_path(m->gguf), key, (unsigned long long)pooling);
    *out = (ws_pooling)pooling;
    return WS_OK;
}

static void pool(const ws_session *s, size_t n, ws_pooling pooling, float *out, size_t n_embd) {
    const size_t first = pooling == WS_POOL_LAST ? n - 1 : 0, end = pooling == WS_POOL_FIRST ? 1 : n;
    double squares = 0;
    for (size_t i = 0; i < n_embd; i++) {
        double sum = 0;
        for (size_t t = first; t < end; t++) sum += (double)ws_session_state(s, t)[i];
        out[i] = (float)(sum / (double)(end - first));
        squares += (double)out[i] * (double)out[i];
    }
    for (size_t i = 0; i < n_embd && squares > 0; i++) out[i] = (float)((double)out[i] / sqrt(squares));
}

ws_status ws_embed(const ws_model *m, const int32_t *ids, size_t n, const ws_session_options *o, ws_pooling pooling,
                   float *out, ws_error *err) {
    ws_session_options so = *o;
    ws_session *s;
    so.n_ctx = so.n_batch = n;
    WS_TRY(ws_session_open(&s, m, &so, err));
    const ws_status st = ws_session_feed(s, ids, n, err);
    if (!st) pool(s, n, pooling, out, m->hp.n_embd);
    ws_session_close(s);
    return st;
}
