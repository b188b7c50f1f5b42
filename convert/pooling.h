/* pooling.h - how sentence-transformers pool a model's tokens to one vector: modules.json names a folder whose
 * config.json says it. */
#ifndef WS_POOLING_H
#define WS_POOLING_H

#include "pairs.h"
#include "source.h"

/* Put "ARCH.pooling_type" if the folder has such files, and what a classifier on top would pool. *more_layers: there
 * are dense layers behind the pooling. */
WS_MUST_CHECK ws_status ws_pooling_put(ws_pairs *p, const ws_source *s, bool *more_layers, ws_error *err);

#endif
