/* imatrix.h - importance matrices: for each tensor how much an error in each column counts, the mean square of the
 * activations that met it. Read from a GGUF file (tensors NAME.in_sum2 and NAME.counts) or from the older .dat:
 *   i32 n, then n times { i32 length, name, i32 calls, i32 n_values, f32 values[] }, i32 chunks, i32 length, text
 * (the last three may be missing). The file stays mapped; means are computed when they are asked for, so that
 * memory does not depend on its size. */
#ifndef WS_IMATRIX_H
#define WS_IMATRIX_H

#include "recipe.h"

typedef struct ws_imatrix ws_imatrix;

/* Keep entries whose name contains one of `include` (all when it is empty), less those with one of `exclude`. */
typedef struct {
    const char *const *include, *const *exclude;
    size_t n_include, n_exclude;
} ws_imatrix_filter;

/* Open and validate: every value that is kept is finite and not negative. *out is the caller's, to release with
 * ws_imatrix_close(); NULL on failure. */
WS_MUST_CHECK ws_status ws_imatrix_open(ws_imatrix **out, const char *path, const ws_imatrix_filter *filter,
                                        ws_error *err);
void ws_imatrix_close(ws_imatrix *m); /* NULL is fine */

/* The same for a file in memory, which is borrowed until close. */
WS_MUST_CHECK ws_status ws_imatrix_open_bytes(ws_imatrix **out, const void *data, size_t size, const char *name,
                                              const ws_imatrix_filter *filter, ws_error *err);

size_t ws_imatrix_entries(const ws_imatrix *m); /* that are kept */

/* Entry i, in the order of names: n float sums at any address; of a GGUF file n_counts float counts of tokens, and of a
 * .dat (n_counts == 0) how many calls it says they are of. */
typedef struct {
    const char *name;
    const void *data, *counts;
    uint64_t n, n_counts;
    int32_t calls;
} ws_imatrix_sums;
ws_imatrix_sums ws_imatrix_at(const ws_imatrix *m, size_t i);

/* What it was made from, as far as the file tells. */
typedef struct {
    ws_str dataset;
    uint32_t n_chunks;
} ws_imatrix_origin;
ws_imatrix_origin ws_imatrix_origin_of(const ws_imatrix *m);

/* The names of the first `max` texts that it was made from -> out; returns their number. */
size_t ws_imatrix_datasets(const ws_imatrix *m, ws_str *out, size_t max);

/* Find the weights of every tensor that will be quantized (choice->weights) and refuse what llama-quantize refuses:
 * a tensor that needs an importance matrix and has none, and a size that is not that of the tensor (but for the token
 * embedding, which then goes without). m: NULL when there is no matrix. */
WS_MUST_CHECK ws_status ws_imatrix_bind(const ws_imatrix *m, ws_choices *choices, ws_error *err);

/* The weights of n columns of one matrix of a stack (0 for a tensor that is no stack), as ws_format's
 * from_float_weighted takes them. Thread-safe. */
void ws_imatrix_row(const ws_imatrix_entry *e, uint64_t matrix, uint64_t n, float *out);
void ws_imatrix_done(const ws_imatrix_entry *e); /* its pages will not be needed again */

/* The keys quantize.imatrix.* that llama-quantize adds: the path as it was given, the first data set, counts. Nothing
 * when no entry was kept. */
void ws_imatrix_put_keys(ws_gguf_writer *w, const ws_imatrix *m);

#endif
