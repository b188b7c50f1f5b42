/* quantize.h - stream a GGUF file into another with other tensor types. Memory is bounded by slices of tensors,
 * whatever the size of the model. */
#ifndef WS_QUANTIZE_H
#define WS_QUANTIZE_H

#include "recipe.h"

typedef struct {
    const ws_recipe *recipe;
    ws_recipe_options choose;
    bool allow_requantize; /* sources that are quantized already */
    bool quiet;            /* no progress bar */
    int n_threads;
    uint32_t cpu_flags;
} ws_quantize_options;

/* What will be done, known before any weight is read. */
typedef struct {
    ws_choice *choices; /* one per tensor of the source, in output order */
    size_t n;
    size_t n_fallback;
    uint64_t bytes_from, bytes_to; /* tensor data */
    uint64_t n_elements;
} ws_quantize_plan;

/* Choose and check: every conversion is one that this program has. Release with ws_quantize_plan_free(). */
WS_MUST_CHECK ws_status ws_quantize_plan_make(ws_quantize_plan *plan, const ws_gguf *g, const ws_quantize_options *o,
                                              ws_error *err);
void ws_quantize_plan_free(ws_quantize_plan *plan);

/* Carry it out. A value that is NaN or infinite, in the source or after rounding, is an error that names it. On
 * failure no file is left and an earlier file of that name is untouched. */
WS_MUST_CHECK ws_status ws_quantize_run(const ws_quantize_plan *plan, const ws_gguf *g, const char *out_path,
                                        const ws_quantize_options *o, ws_error *err);

#endif
