/* placement.h - which backend holds which layer and which tensor. */
#ifndef WS_PLACEMENT_H
#define WS_PLACEMENT_H

#include "estimate.h"
#include "machine.h"

typedef struct {
    ws_machine machine;
    int8_t *layer;  /* backend of each layer, n_layer_all of them */
    int8_t *tensor; /* of each tensor of the blueprint; -1: stays in the file */
    int8_t output_layer,
        output; /* what stands behind the layers; the output matrix, which GPUs may not have a kernel for */
} ws_placement;

WS_MUST_CHECK ws_status ws_placement_make(ws_placement *out, const ws_blueprint *bp, const ws_est_options *o,
                                          ws_error *err);
void ws_placement_free(ws_placement *p);

/* Is this tensor one of a layer's experts? */
bool ws_is_expert_tensor(const char *name);

/* Tensors that llama.cpp loads once per backend with layers, such as rotation factors. */
bool ws_is_shared_tensor(const char *name);

#endif
