/* Any bytes as a file of logits: they are refused, or tokens are of the vocabulary and every row can be read. */
#include "cursor.h"
#include "logits_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ws_logits_file f;
    ws_error err = {0};
    if (ws_logits_file_bytes(&f, data, size, "fuzz", &err)) {
        require(err.code && err.msg[0] && !strchr(err.msg, '\n'));
        return 0;
    }
    ws_cursor c = {.at = f.tokens, .end = data + size};
    for (size_t i = 0; i < (size_t)f.n_chunks * f.n_ctx; i++) require(ws_u32(&c) < f.n_vocab);
    float *x = malloc(f.n_vocab * sizeof *x);
    if (!x) abort();
    for (size_t i = 0; i < f.n_chunks * f.n_rows; i++) {
        const double nll = ws_logits_unpack(f.rows + i * f.row_bytes, f.n_vocab, 0, x);
        for (size_t k = 0; !isnan(nll) && k < f.n_vocab; k++) require(isfinite(x[k]));
    }
    free(x);
    return 0;
}
