/* sink.h - where the converted tensors of one target go: into files, or against a file to compare with. Tensors are
 * numbered in the order of the target's plan. */
#ifndef WS_SINK_H
#define WS_SINK_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    /* Bytes at `offset` of a tensor's data, once each, in any order, by several threads at a time. */
    ws_status (*put)(void *ctx, size_t tensor, uint64_t offset, const void *data, size_t bytes, ws_error *err);
    /* All of it was put. One thread at a time; tensors may finish in any order. */
    ws_status (*tensor_done)(void *ctx, size_t tensor, ws_error *err);
    /* Everything was put. The sink remains to be closed. */
    ws_status (*finish)(void *ctx, ws_error *err);
    void (*close)(void *ctx); /* without finish: leaves nothing behind */
    void *ctx;
    bool in_order;       /* a pipe: put must come in the order of the data */
    size_t n_skip;       /* tensors at the beginning that are there already */
    double sync_seconds; /* of finish: waiting for the disk */
} ws_sink;

#endif
