/* diff.h - what differs between two models: metadata, lists of tensors, values. */
#ifndef WS_DIFF_H
#define WS_DIFF_H

#include "compare.h"

typedef struct {
    const ws_kv *a, *b; /* NULL: only in the other */
} ws_key_difference;

typedef enum {
    WS_SAME,  /* the same type and bytes */
    WS_EQUAL, /* another type, the same values */
    WS_ONLY_A,
    WS_ONLY_B,
    WS_SHAPES,  /* differ */
    WS_UNKNOWN, /* types that cannot be decoded, or values that convert moved around */
    WS_VALUES,  /* differ */
    WS_DIFF_KINDS,
} ws_diff_kind;

typedef struct {
    ws_pair pair;
    ws_diff_kind kind;
    const char *why;      /* UNKNOWN */
    ws_distance distance; /* VALUES */
} ws_tensor_difference;

typedef struct {
    ws_key_difference *keys; /* in the order of a, then what only b has; only between two GGUF files */
    size_t n_keys, keys_cap;
    ws_tensor_difference *tensors; /* values that differ first, the most damaged (lowest SQNR) first */
    size_t n_tensors;
    ws_match match; /* owner of slices that tensors may point to */
    size_t counts[WS_DIFF_KINDS];
    double sqnr; /* of all compared values together */
} ws_diff;

const char *ws_diff_kind_name(ws_diff_kind kind); /* "same", "only-a", ... */

/* Does anything differ but the types? */
bool ws_diff_any(const ws_diff *d);

/* Results do not depend on threads. Release with ws_diff_free(), also after failure. */
WS_MUST_CHECK ws_status ws_diff_run(ws_diff *d, const ws_report *a, const ws_report *b, int n_threads, bool quiet,
                                    ws_error *err);
void ws_diff_free(ws_diff *d);

#endif
