/* model_sizes.h - the sizes that an estimate needs, read from a model's header. Weights are not touched. */
#ifndef WS_MODEL_SIZES_H
#define WS_MODEL_SIZES_H

#include "estimate.h"
#include "gguf.h"

typedef struct {
    ws_est_model model; /* points into the fields below */
    ws_est_tensor *tensors;
    ws_est_layer *layers;
    const char *path; /* as given */
    ws_str name, architecture;
    const char *file_type; /* "Q4_K_M", or NULL */
    uint64_t n_params;
    ws_gguf *gguf; /* what the strings point into */
} ws_model_sizes;

/* `path`: a GGUF file, of a split model the first; borrowed. An architecture whose cache is not described here is
 * WS_UNSUPPORTED. On failure *out is NULL. */
WS_MUST_CHECK ws_status ws_model_sizes_open(ws_model_sizes **out, const char *path, ws_error *err);
void ws_model_sizes_close(ws_model_sizes *s); /* NULL is fine */

#endif
