/* speed.h - an upper bound of tokens per second: every token reads the weights it uses and the cache once, and no
 * memory is faster than its bandwidth. */
#ifndef WS_SPEED_H
#define WS_SPEED_H

#include "target.h"

typedef struct {
    uint64_t weights;   /* bytes that one token reads: experts that are not used and unread embeddings left out */
    uint64_t cache;     /* at the end of the context */
    double host_rate;   /* bytes per second of the host's memory; 0 when it takes no part */
    bool host_assumed;  /* ... and that is WS_HOST_BANDWIDTH */
    double empty, full; /* tokens per second with an empty and a full context; 0: a bandwidth is unknown */
} ws_speed;

/* Real runs reach this part of the bound (llama.cpp on cards and CPUs whose figures are published: 55 to 85 %). */
static const double WS_SPEED_LOW = 0.5, WS_SPEED_HIGH = 0.9;

/* Two channels of DDR4-3200, when nothing better is known. */
static const double WS_HOST_BANDWIDTH = 51.2e9;

WS_MUST_CHECK ws_status ws_speed_bound(ws_speed *out, const ws_blueprint *bp, const ws_est_options *o,
                                       const ws_estimate *e, const ws_target *t, ws_error *err);

#endif
