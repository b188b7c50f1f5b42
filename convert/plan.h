/* plan.h - what convert is going to write: for every tensor of the file where it comes from and what happens to it.
 * Making a plan reads no weights. */
#ifndef WS_PLAN_H
#define WS_PLAN_H

#include "arch.h"
#include "safetensors.h"

typedef struct {
    const char *from; /* name in the checkpoint; NULL: generated */
    char to[64];      /* name in the GGUF file */
    const ws_st_tensor *source;
    ws_transform transform;
    uint64_t n_heads; /* for WS_PERMUTE_* */
    ws_dtype type;
    uint32_t n_dims;
    uint64_t ne[WS_MAX_DIMS]; /* fastest first */
} ws_plan_item;

typedef struct {
    ws_plan_item *item; /* in the order of the file */
    size_t n, cap;
    uint64_t n_params;
    ws_dtype type; /* of the matrices, after "auto" was resolved */
    bool tied;     /* no output matrix of its own */
} ws_plan;         /* starts as {0} */

/* What a plan is made for. */
typedef struct {
    const ws_arch *arch;
    const ws_hparams *hp;
    const ws_safetensors *weights;
    const char *dir;      /* for messages */
    const ws_dtype *type; /* NULL: the checkpoint's own, if it is BF16 or F16; else F16 */
    bool rope_freqs;      /* generate rope_freqs.weight */
} ws_plan_request;

/* All missing, unexpected and misshapen tensors are reported at once. On failure nothing is left to free. */
WS_MUST_CHECK ws_status ws_plan_make(ws_plan *plan, const ws_plan_request *req, ws_error *err);
void ws_plan_free(ws_plan *plan);

/* general.file_type of a file whose matrices are of this type. */
uint32_t ws_plan_file_type(ws_dtype type);

#endif
