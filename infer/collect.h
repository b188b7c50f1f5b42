/* collect.h - importance matrices (quantize/imatrix.h reads them): for every matrix of a model, the sum over tokens of
 * the squares of what met each of its columns, before anything is quantized. A stack of experts has a row of sums and
 * a count of tokens for each. Sums are double and in the order of the tokens, so they are the same bits for every
 * number of threads and every way to cut a text into batches. */
#ifndef WS_COLLECT_H
#define WS_COLLECT_H

#include "imatrix.h"
#include "model.h"

typedef struct ws_collector ws_collector;

/* Sums of zero for the matrices of m's layers and, with `output`, for output.weight, where the model has one. m is
 * borrowed until close. */
WS_MUST_CHECK ws_status ws_collector_open(ws_collector **out, const ws_model *m, bool output, ws_error *err);
void ws_collector_close(ws_collector *c); /* NULL is fine */

/* n_rows rows of x are about to be multiplied by w. Matrices that nobody asked for are ignored, and so are all parts
 * but the first of one that holds several: they meet the same rows. */
void ws_collect_rows(ws_collector *c, ws_team *team, const ws_matrix *w, const ws_rows *x, size_t n_rows);

/* Sums of matrix i of the tensor, n_in of them, and how many tokens it met; NULL when it was not collected. */
const double *ws_collected(const ws_collector *c, const char *tensor, uint64_t i, uint64_t *n_tokens);

/* Add what is in another importance matrix, as llama-imatrix --in-file does: a .dat counts calls, of chunk_size tokens
 * each, and does not tell experts apart. Entries of tensors that the model lacks, or of other sizes, are WS_FORMAT. */
WS_MUST_CHECK ws_status ws_collector_merge(ws_collector *c, const ws_imatrix *m, const char *path, uint64_t chunk_size,
                                           ws_error *err);

/* The most tokens that any matrix met. */
uint64_t ws_collector_tokens(const ws_collector *c);

typedef struct {
    const ws_str *datasets; /* names of the texts, n_datasets >= 1 of them */
    size_t n_datasets;
    uint32_t n_chunks, chunk_size; /* chunk_size: tokens of one */
    bool legacy;                   /* llama-imatrix's older format (.dat) instead of GGUF */
} ws_collect_info;

/* Write what was collected as llama-imatrix does, sorted by name. A sum that is not finite as F32 is WS_FORMAT. */
WS_MUST_CHECK ws_status ws_collector_write(const ws_collector *c, const char *path, const ws_collect_info *info,
                                           ws_error *err);

#endif
