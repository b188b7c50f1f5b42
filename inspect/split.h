/* split.h - one GGUF file into several and back, byte for byte as llama-gguf-split does it: the parts are named
 * PREFIX-00001-of-00003.gguf, the first holds all metadata, and each says its number and the number of all. */
#ifndef WS_SPLIT_H
#define WS_SPLIT_H

#include "gguf.h"

typedef struct {
    uint64_t max_tensors; /* of a part; counts when max_bytes is 0 */
    uint64_t max_bytes;   /* of a part's tensor data, each tensor padded to 32 */
    bool no_tensor_first; /* the first part holds metadata only */
} ws_split_options;

/* Which tensors go to which part: those of part i are [first[i], first[i + 1]) in the order of the file. */
typedef struct {
    size_t n_parts;
    size_t *first; /* n_parts + 1 entries */
} ws_split_plan;

/* A part without tensors (a tensor over max_bytes) is refused, as the reference refuses it. Release the plan with
 * ws_split_plan_free(), also after failure. */
WS_MUST_CHECK ws_status ws_split_plan_make(ws_split_plan *plan, const ws_gguf *g, const ws_split_options *o,
                                           ws_error *err);
void ws_split_plan_free(ws_split_plan *plan);

/* "PREFIX-00002-of-00003.gguf" for no == 1; release with free(). */
char *ws_split_path(const char *prefix, size_t no, size_t count, ws_error *err);

/* Write all parts. None may be a file of `g`. When a part fails, those written before it are removed. */
WS_MUST_CHECK ws_status ws_split_run(const ws_split_plan *plan, const ws_gguf *g, const char *prefix, bool quiet,
                                     ws_error *err);

/* Write a split model as one file. */
WS_MUST_CHECK ws_status ws_merge_run(const ws_gguf *g, const char *out_path, bool quiet, ws_error *err);

#endif
