/* bandwidth.h - how fast this machine reads its memory. */
#ifndef WS_BANDWIDTH_H
#define WS_BANDWIDTH_H

#include "error.h"

/* Bytes per second that n_threads threads read together from a buffer larger than the caches: the best of several
 * passes, some tenths of a second in all. */
WS_MUST_CHECK ws_status ws_measure_bandwidth(double *out, int n_threads, ws_error *err);

#endif
