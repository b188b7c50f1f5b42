/* merge.h - bottom-up merging, which byte-level BPE and SentencePiece share: a text begins as its characters,
 * and of all adjacent pairs that may be merged the best one is, until there is none. */
#ifndef WS_MERGE_H
#define WS_MERGE_H

#include "error.h"
#include "gguf.h"

#include <stdbool.h>
#include <stdint.h>

/* May the pair be merged, and how early (lower first; of equals the leftmost)? */
typedef bool ws_pair_fn(const void *ctx, ws_str left, ws_str right, uint32_t *rank);

typedef struct {
    uint32_t at, len; /* in the text; len 0: merged into a symbol to the left */
    uint32_t prev, next;
} ws_symbol;

/* Working memory, starts as {0} and serves any number of texts. */
typedef struct {
    ws_symbol *symbols;
    size_t n_symbols, cap_symbols;
    struct ws_candidate *heap;
    size_t n_heap, cap_heap;
    const char *text;
    ws_pair_fn *pair;
    const void *ctx;
} ws_merger;

/* Split `text` (n < 2^32 bytes) into characters by the length that the first byte of each announces, and merge.
 * Afterwards the pieces are the symbols with len > 0, in order. Time is O(n log n) calls of `pair`. */
WS_MUST_CHECK ws_status ws_merge(ws_merger *m, const char *text, size_t n, ws_pair_fn *pair, const void *ctx,
                                 ws_error *err);
void ws_merger_free(ws_merger *m);

/* Bytes of the UTF-8 character that begins with `first`; 1 where no character can begin. */
static inline size_t ws_utf8_announced(char first) {
    const uint8_t b = (uint8_t)first;
    return b < 0xc0 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

#endif
