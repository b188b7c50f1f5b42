/* quantize.h - stream tensors from an input through the formats into sinks: one pass over the input for any number of
 * targets. Memory is bounded by slices of rows for every thread, whatever the size of the model. */
#ifndef WS_QUANTIZE_H
#define WS_QUANTIZE_H

#include "damage.h"
#include "imatrix.h"
#include "input.h"
#include "recipe.h"
#include "sink.h"

typedef struct {
    const ws_recipe *recipe;
    ws_recipe_options choose;
    const ws_override *overrides;
    size_t n_overrides;
    const ws_imatrix *imatrix; /* NULL: none */
    bool allow_requantize;     /* sources that are quantized already */
    bool dry_run;              /* a plan only: what the work would be refused for is noted in it */
    uint32_t cpu_flags;
} ws_plan_options;

/* What will become of the tensors, known before any weight is read. */
typedef struct {
    ws_plan_options options; /* what is borrowed by them must outlive the plan */
    ws_model_facts facts;
    ws_choices chosen;
    ws_choice *choices; /* chosen.list: the tensors of the output, in its order */
    size_t n;
    size_t n_fallback;
    uint64_t bytes_from, bytes_to; /* tensor data */
    uint64_t n_elements;
    ws_error problem; /* of a dry run; code WS_OK: none */
} ws_quantize_plan;

/* Choose and check: every conversion is one that this program has. Release with ws_quantize_plan_free(). */
WS_MUST_CHECK ws_status ws_quantize_plan_make(ws_quantize_plan *plan, const ws_gguf *g, const ws_plan_options *o,
                                              ws_error *err);
void ws_quantize_plan_free(ws_quantize_plan *plan);

/* Does this program have the conversion, with the weights that the choice has? */
bool ws_quantize_can_convert(const ws_choice *c, uint32_t cpu_flags);

/* Keys of the source, then those that say what the plan's file is. */
void ws_quantize_put_metadata(ws_gguf_writer *w, const ws_quantize_plan *plan, const ws_gguf *source);

/* All tensors of the plan, as they come out. */
void ws_quantize_add_tensors(ws_gguf_writer *w, const ws_quantize_plan *plan);
void ws_quantize_add_tensor(ws_gguf_writer *w, const ws_choice *c);

/* Parts of a split output. */
typedef struct {
    bool keep;          /* as the source is split */
    uint64_t max_bytes; /* of tensors in a part; 0: no limit */
} ws_split;

/* One result of a run. Plans of one run choose for the same tensors in the same order. */
typedef struct {
    const ws_quantize_plan *plan;
    ws_sink *sink;
    ws_damage *damage; /* receives, for every choice, what its values suffered; NULL: not asked for */
} ws_target;

typedef struct {
    bool allow_nonfinite; /* NaN and infinities, in the source or after rounding, are no errors */
    int n_threads;
    uint32_t cpu_flags;
    /* Bytes of the input that were dealt with; one thread at a time. May be NULL. */
    void (*progress)(void *ctx, uint64_t bytes);
    void *progress_ctx;
} ws_run_options;

/* Carry the plans out and finish the sinks, which the caller closes. A value that is NaN or infinite is an error that
 * names the first one, whatever the number of threads. */
WS_MUST_CHECK ws_status ws_quantize_run(const ws_input *in, ws_target *targets, size_t n_targets,
                                        const ws_run_options *o, ws_error *err);

#endif
