#include "hash.h"

#include "alloc.h"
#include "parallel.h"
#include "progress.h"
#include "text.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SLICE = 4 << 20, BATCH = 32, MAX_DIGEST = 32 };

const char *ws_hash_name(ws_hash_kind kind) { return kind == WS_HASH_SHA256 ? "sha256" : "xxh3"; }

/* ---- one stream of either kind ---- */

typedef struct {
    ws_hash_kind kind;
    XXH3_state_t *xxh3;
    EVP_MD_CTX *sha;
} stream;

static bool stream_open(stream *s, ws_hash_kind kind) {
    *s = (stream){.kind = kind};
    if (kind == WS_HASH_XXH3) return (s->xxh3 = XXH3_createState()) && XXH3_128bits_reset(s->xxh3) == XXH_OK;
    return (s->sha = EVP_MD_CTX_new()) && EVP_DigestInit_ex(s->sha, EVP_sha256(), NULL);
}

static bool stream_add(stream *s, const void *data, size_t n) {
    if (s->kind == WS_HASH_XXH3) return XXH3_128bits_update(s->xxh3, data, n) == XXH_OK;
    return EVP_DigestUpdate(s->sha, data, n);
}

/* The digest in hexadecimal; xxh3 in the order that its authors call canonical (xxhsum prints it, too). */
static bool stream_digest(stream *s, char *hex) {
    uint8_t digest[MAX_DIGEST];
    unsigned n = 0;
    if (s->kind == WS_HASH_XXH3) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(s->xxh3));
        memcpy(digest, canonical.digest, n = sizeof canonical.digest);
    } else if (!EVP_DigestFinal_ex(s->sha, digest, &n)) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return true;
}

static void stream_close(stream *s) {
    XXH3_freeState(s->xxh3);
    EVP_MD_CTX_free(s->sha);
}

/* ---- tensors ---- */

typedef struct {
    const ws_report *report;
    ws_hash_kind kind;
    ws_tensor_hash *tensors;
    atomic_bool failed;
} job;

static bool hash_tensor(const job *j, ws_tensor_hash *h) {
    const ws_report_tensor *t = h->tensor;
    const ws_map *map = &j->report->parts[t->part];
    stream s;
    bool ok = stream_open(&s, j->kind);
    for (uint64_t at = 0; at < t->bytes && ok; at += SLICE) {
        const size_t n = t->bytes - at < SLICE ? (size_t)(t->bytes - at) : SLICE;
        ws_map_will_need(map, t->offset + at, n);
        ok = stream_add(&s, t->data + at, n);
        ws_map_release(map, t->offset + at, n);
    }
    ok = ok && stream_digest(&s, h->hex);
    stream_close(&s);
    return ok;
}

static void hash_tensors(void *ctx, size_t begin, size_t end, int thread) {
    (void)thread;
    job *j = ctx;
    for (size_t i = begin; i < end; i++)
        if (!hash_tensor(j, &j->tensors[i])) atomic_store(&j->failed, true);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const ws_tensor_hash *)a)->tensor->name, ((const ws_tensor_hash *)b)->tensor->name);
}

/* ---- the model ---- */

/* "NAME\0TYPE\0D0xD1\0HASH\0"; the fastest dimension comes first in both kinds of file, ones at the end left out. */
static bool add_line(stream *s, const ws_report *r, const ws_tensor_hash *h) {
    char shape[WS_ST_MAX_DIMS * 24];
    ws_report_shape(shape, sizeof shape, r, h->tensor);
    return stream_add(s, h->tensor->name, strlen(h->tensor->name) + 1) &&
           stream_add(s, h->tensor->type, strlen(h->tensor->type) + 1) && stream_add(s, shape, strlen(shape) + 1) &&
           stream_add(s, h->hex, strlen(h->hex) + 1);
}

static ws_status hash_model(ws_model_hash *h, const ws_report *r, ws_error *err) {
    stream s;
    bool ok = stream_open(&s, h->kind);
    for (size_t i = 0; i < h->n && ok; i++) ok = add_line(&s, r, &h->tensors[i]);
    ok = ok && stream_digest(&s, h->model);
    stream_close(&s);
    return ok ? WS_OK : ws_fail(err, WS_NOMEM, "out of memory: a state of %s", ws_hash_name(h->kind));
}

ws_status ws_model_hash_run(ws_model_hash *h, const ws_report *r, ws_hash_kind kind, int n_threads, bool quiet,
                            ws_error *err) {
    *h = (ws_model_hash){.kind = kind, .n = r->n_tensors};
    if (!(h->tensors = ws_alloc(h->n, sizeof *h->tensors, "hashes", err))) return WS_NOMEM;
    for (size_t i = 0; i < h->n; i++) {
        h->tensors[i].tensor = &r->tensors[i];
        if (!r->tensors[i].data && r->tensors[i].bytes)
            return ws_fail(err, WS_UNSUPPORTED, "'%s': the data of tensor '%s' cannot be read in place", r->path,
                           ws_show(r->tensors[i].name, strlen(r->tensors[i].name)).text);
    }
    job all = {.report = r, .kind = kind};
    ws_progress progress;
    ws_progress_start(&progress, "hash", NULL, r->tensor_bytes, quiet);
    for (size_t at = 0; at < h->n; at += BATCH) {
        const size_t n = h->n - at < BATCH ? h->n - at : BATCH;
        all.tensors = h->tensors + at;
        ws_parallel_for(n, 1, n_threads, hash_tensors, &all);
        for (size_t i = at; i < at + n; i++) ws_progress_add(&progress, r->tensors[i].bytes);
    }
    ws_progress_finish(&progress);
    if (all.failed) return ws_fail(err, WS_NOMEM, "out of memory: a state of %s", ws_hash_name(kind));
    qsort(h->tensors, h->n, sizeof *h->tensors, compare_names);
    return hash_model(h, r, err);
}

void ws_model_hash_free(ws_model_hash *h) {
    free(h->tensors);
    *h = (ws_model_hash){0};
}
