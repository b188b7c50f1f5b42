#include "speed.h"

#include "placement.h"

#include <string.h>

/* What one token reads of a tensor. */
static uint64_t touched(const ws_blueprint *bp, const ws_tensor *t, bool tied) {
    const int64_t layer = ws_tensor_layer(t->name);
    if (strcmp(t->name, "token_embd.weight") == 0) return tied ? t->bytes : 0;
    if (strcmp(t->name, "per_layer_token_embd.weight") == 0 || layer >= (int64_t)bp->n_layer) return 0;
    if (layer < 0 || !bp->n_expert || !ws_is_expert_tensor(t->name)) return t->bytes;
    return (uint64_t)((double)t->bytes * (double)bp->layers[layer].n_expert_used / (double)bp->n_expert);
}

static double bandwidth(const ws_target *t, unsigned backend) {
    if (backend < t->n_devices) return t->device[backend].bandwidth;
    return t->host.bandwidth > 0 ? t->host.bandwidth : WS_HOST_BANDWIDTH;
}

ws_status ws_speed_bound(ws_speed *out, const ws_blueprint *bp, const ws_est_options *o, const ws_estimate *e,
                         const ws_target *t, ws_error *err) {
    ws_placement p;
    uint64_t bytes[WS_MAX_DEVICES + 1] = {0};
    double empty = 0, full = 0;
    bool known = true;
    *out = (ws_speed){0};
    WS_TRY(ws_placement_make(&p, bp, o, err));
    const bool tied = !ws_blueprint_tensor(bp, "output.weight");
    for (size_t i = 0; i < bp->n_tensors; i++) {
        const uint64_t n = touched(bp, &bp->tensors[i], tied);
        const bool embedding = strcmp(bp->tensors[i].name, "token_embd.weight") == 0;
        if (p.tensor[i] >= 0) bytes[embedding ? p.output : p.tensor[i]] += n;
        out->weights += n;
    }
    for (unsigned b = 0; b <= t->n_devices; b++) {
        const ws_est_memory *m = b < t->n_devices ? &e->device[b] : &e->host;
        const double streams = (double)e->n_streams; /* one sequence reads its own part */
        if (!bytes[b] && !m->kv_cache) continue;
        const double rate = bandwidth(t, b);
        known &= rate > 0;
        out->cache += (uint64_t)((double)m->kv_cache / streams);
        if (b == t->n_devices) out->host_rate = rate, out->host_assumed = !(t->host.bandwidth > 0);
        if (!known) continue;
        empty += (double)bytes[b] / rate;
        full += ((double)bytes[b] + (double)m->kv_cache / streams) / rate;
    }
    ws_placement_free(&p);
    if (known && empty > 0) out->empty = 1 / empty, out->full = 1 / full;
    return WS_OK;
}
