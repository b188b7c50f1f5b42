/* plan.h - what convert is going to write: for every tensor of the file where it comes from and what happens to it.
 * Making a plan reads no weights. */
#ifndef WS_PLAN_H
#define WS_PLAN_H

#include "arch.h"
#include "safetensors.h"
#include "view.h"

typedef struct {
    const char *from; /* name in the checkpoint; NULL: generated */
    char to[64];      /* name in the GGUF file */
    const ws_st_tensor *source;
    const ws_st_tensor *scales;   /* of packed sources (ws_view_is_packed()), which are blocks then */
    const ws_st_tensor **experts; /* one source per matrix of the stack, instead of one for all; NULL: no */
    ws_transform transform;
    ws_view view; /* what the transform does, for sources of this shape */
    ws_dtype type;
    uint32_t n_dims;
    uint64_t ne[WS_MAX_DIMS]; /* fastest first */
} ws_plan_item;

typedef struct {
    ws_plan_item *item; /* in the order of the file */
    size_t n, cap;
    uint64_t n_params;
    uint64_t n_active, n_experts; /* parameters if one of n_experts counts; 0: there are none */
    ws_dtype type;                /* of the matrices, after "auto" was resolved */
    bool packed;                  /* some are MXFP4 in the checkpoint */
    bool tied;                    /* no output matrix of its own */
} ws_plan;                        /* starts as {0} */

/* Receives a line for every tensor that does not fit. */
typedef void ws_plan_problem(void *ctx, const char *line);

/* What a plan is made for. */
typedef struct {
    const ws_arch *arch;
    const ws_hparams *hp;
    const ws_safetensors *weights;
    const char *dir;          /* for messages */
    const ws_dtype *type;     /* NULL: the checkpoint's own, if it is BF16 or F16; else F16 */
    const char *generate;     /* begin of the names of WS_GENERATED tensors that are wanted; NULL: none */
    bool tied;                /* config.json says that there is no output matrix */
    uint64_t n_tokens;        /* for WS_CUT_VOCAB */
    ws_plan_problem *problem; /* may be NULL */
    void *ctx;                /* for it */
} ws_plan_request;

/* All missing, unexpected and misshapen tensors are reported at once, the message names the first of them. On failure
 * nothing is left to free. */
WS_MUST_CHECK ws_status ws_plan_make(ws_plan *plan, const ws_plan_request *req, ws_error *err);
void ws_plan_free(ws_plan *plan);

/* general.file_type of the file. */
uint32_t ws_plan_file_type(const ws_plan *plan);

#endif
