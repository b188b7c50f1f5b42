/* hash.h - fingerprints of weights. A tensor's is the hash of its bytes as they lie in the file; the model's is the
 * hash of all names (sorted), types, shapes and fingerprints, so it does not depend on metadata, the order of tensors,
 * padding, or how the model is split into files. */
#ifndef WS_HASH_H
#define WS_HASH_H

#include "report.h"

typedef enum { WS_HASH_XXH3 /* 128 bits */, WS_HASH_SHA256, WS_HASH_KINDS } ws_hash_kind;

enum { WS_HASH_HEX = 64 + 1 };

typedef struct {
    const ws_report_tensor *tensor; /* borrowed */
    char hex[WS_HASH_HEX];
} ws_tensor_hash;

typedef struct {
    ws_hash_kind kind;
    size_t n;
    ws_tensor_hash *tensors; /* sorted by name */
    char model[WS_HASH_HEX];
} ws_model_hash;

const char *ws_hash_name(ws_hash_kind kind); /* "xxh3", "sha256" */

/* Release with ws_model_hash_free(), also after failure. */
WS_MUST_CHECK ws_status ws_model_hash_run(ws_model_hash *h, const ws_report *r, ws_hash_kind kind, int n_threads,
                                          bool quiet, ws_error *err);
void ws_model_hash_free(ws_model_hash *h);

/* ---- manifests: a text file, a line per tensor ---- */

WS_MUST_CHECK ws_status ws_manifest_write(const ws_model_hash *h, const char *path, ws_error *err);

/* The kind of hash that a manifest holds. */
WS_MUST_CHECK ws_status ws_manifest_kind(ws_hash_kind *kind, const char *path, ws_error *err);

typedef enum { WS_MANIFEST_CHANGED, WS_MANIFEST_MISSING, WS_MANIFEST_EXTRA } ws_manifest_problem;

/* Called for every tensor that differs from the manifest; `name` is valid during the call. */
typedef void ws_manifest_fn(void *ctx, ws_manifest_problem problem, const char *name);

/* Compare with a manifest of the same kind; *n_problems counts the calls. */
WS_MUST_CHECK ws_status ws_manifest_check(const ws_model_hash *h, const char *path, ws_manifest_fn *fn, void *ctx,
                                          size_t *n_problems, ws_error *err);

#endif
