/* logits_file.h - llama.cpp's file of a model's predictions (llama-perplexity --save-all-logits), all little-endian:
 *
 *   "_logits_", n_ctx, n_vocab, n_chunks           32-bit numbers
 *   tokens[n_chunks][n_ctx]                        32-bit, as in the text
 *   n_chunks * (n_ctx - 1 - n_ctx / 2) rows        predictions in the second half of each chunk
 *
 * A row is a float `scale`, a float `least` and n_vocab 16-bit numbers q (one more for an odd n_vocab): the log of a
 * token's probability is about scale * q + least, or less where that is below the largest minus 16. */
#ifndef WS_LOGITS_FILE_H
#define WS_LOGITS_FILE_H

#include "error.h"
#include "file.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    ws_map map;
    const char *path; /* borrowed */
    uint32_t n_ctx, n_vocab, n_chunks;
    size_t n_rows; /* of a chunk */
    size_t row_bytes;
    const uint8_t *tokens, *rows; /* borrowed from the map; any alignment */
} ws_logits_file;

/* Does the file at `path` begin like one? A file that cannot be read does not. */
bool ws_is_logits_file(const char *path);

/* All sizes are checked here, and that tokens are below n_vocab; what rows hold is not. */
WS_MUST_CHECK ws_status ws_logits_file_open(ws_logits_file *f, const char *path, ws_error *err);
WS_MUST_CHECK ws_status ws_logits_file_bytes(ws_logits_file *f, const uint8_t *data, size_t n, const char *path,
                                             ws_error *err); /* of data that stays the caller's */
void ws_logits_file_close(ws_logits_file *f);

size_t ws_logits_row_bytes(size_t n_vocab);

/* Logits of n tokens as a row of ws_logits_row_bytes(n) bytes; lse: log of the sum of their exponentials. */
void ws_logits_pack(const float *x, size_t n, double lse, uint8_t *row);

/* A row as logs of probabilities. Those that llama-perplexity does not count, of -16 or less, become so small that they
 * count for nothing. Returns minus that of `token`, as the row has it; NaN if the row's numbers are not finite. */
double ws_logits_unpack(const uint8_t *row, size_t n, int32_t token, float *x);

/* Writing: the header, then rows in order. */
WS_MUST_CHECK ws_status ws_logits_write_header(ws_outfile *out, uint32_t n_ctx, uint32_t n_vocab, uint32_t n_chunks,
                                               const int32_t *tokens, ws_error *err);

#endif
