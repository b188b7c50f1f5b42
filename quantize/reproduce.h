/* reproduce.h - is a quantized file what its source gives? A sink that compares instead of writing. */
#ifndef WS_REPRODUCE_H
#define WS_REPRODUCE_H

#include "quantize.h"
#include "sink.h"

#include <stdatomic.h>

typedef enum {
    WS_REPRO_EQUAL,
    WS_REPRO_DIFFERENT, /* some blocks differ */
    WS_REPRO_MISSING,   /* the quantized file lacks the tensor */
    WS_REPRO_SHAPE,     /* it has another shape there */
    WS_REPRO_TYPE,      /* it has a type there that the source's cannot be converted to */
} ws_repro_kind;

/* About one tensor of the plan. */
typedef struct {
    ws_repro_kind kind;
    const ws_tensor *there; /* in the quantized file; NULL: missing */
    bool by_recipe;         /* its type is the one that the recipe chooses */
    uint64_t n_blocks;
    atomic_uint_fast64_t n_different; /* blocks */
} ws_repro_verdict;

typedef struct {
    ws_repro_verdict *verdicts;  /* one per choice of the plan */
    size_t n, n_extra;           /* extra: tensors of the quantized file that the source does not have */
    size_t n_equal, n_by_recipe; /* counted by the sink's finish */
    bool same_header;            /* metadata, names, types and their order are byte for byte those of the plan */
} ws_reproduction;

/* Compare the plan with `quantized`: the plan takes over its types, so that the data of every tensor can be judged,
 * whatever the recipe would have chosen. Release with ws_reproduction_free(). */
WS_MUST_CHECK ws_status ws_reproduction_make(ws_reproduction *r, ws_quantize_plan *plan, const ws_gguf *source,
                                             const ws_gguf *quantized, ws_error *err);
void ws_reproduction_free(ws_reproduction *r);

/* The sink that fills in the verdicts; r, plan and the quantized file must outlive it. */
void ws_reproduction_sink(ws_sink *sink, ws_reproduction *r);

bool ws_reproduction_holds(const ws_reproduction *r); /* every tensor is equal, and there are no others */
const char *ws_repro_kind_name(ws_repro_kind kind);   /* "equal", "different", ... */

#endif
