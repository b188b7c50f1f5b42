/* match.h - which tensor of one model is which of another: by name, and between a GGUF file and a checkpoint through
 * the architecture's table of names. */
#ifndef WS_MATCH_H
#define WS_MATCH_H

#include "arena.h"
#include "report.h"
#include "view.h"

typedef struct {
    const ws_report_tensor *a, *b; /* NULL: only in the other model */
    bool converted;                /* one is in a GGUF file, the other in a checkpoint: */
    ws_view_source source;         /* what convert makes the former of, and how, */
    bool moved;                    /* not only by copying */
    const char *problem;           /* why that is not known; else NULL */
} ws_pair;

typedef struct {
    ws_pair *pairs; /* in the order of a; then what only b has */
    size_t n, cap;
    struct ws_match_slices *slices; /* matrices of stacks, which are tensors of their own in the checkpoint */
    ws_arena names;                 /* and their names, "STACK[3]" */
} ws_match;

/* A GGUF file of an architecture that is not described here cannot be matched with a checkpoint: WS_UNSUPPORTED.
 * Release with ws_match_free(), also after failure. */
WS_MUST_CHECK ws_status ws_match_make(ws_match *m, const ws_report *a, const ws_report *b, ws_error *err);
void ws_match_free(ws_match *m);

/* Names of architectures' tables: "%u" stands for the layer, "%x" for the expert. Does `name` follow the pattern?
 * *layer is set when it has one. The other way round: false when there is no room. */
bool ws_match_follows(const char *pattern, const char *name, uint64_t *layer);
bool ws_match_fill(char *name, size_t size, const char *pattern, uint64_t layer, uint64_t expert);

/* The checkpoint's tensor of that name, or whose plain name (arch.h) is that; NULL: none. */
const ws_report_tensor *ws_match_find(const ws_report *st, const ws_arch *arch, const char *pattern, uint64_t layer,
                                      uint64_t expert);

#endif
