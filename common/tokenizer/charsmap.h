/* charsmap.h - the table by which a SentencePiece model rewrites characters before it tokenizes: a trie over the
 * bytes to replace (a double array whose entries are combined by exclusive or), then NUL-terminated replacements.
 * Layout: u32 bytes of the array, u32 entries, strings. Source: google/sentencepiece, Darts. */
#ifndef WS_CHARSMAP_H
#define WS_CHARSMAP_H

#include "gguf.h"

typedef struct {
    const uint8_t *nodes;
    size_t n_nodes;
    const char *strings;
    size_t n_strings; /* bytes */
} ws_charsmap;        /* {0}: replaces nothing */

/* Check the sizes in tokenizer.ggml.precompiled_charsmap; the map borrows from the file. */
WS_MUST_CHECK ws_status ws_charsmap_open(ws_charsmap *m, const ws_gguf *g, ws_error *err);

/* The longest beginning of `text` that has a replacement: *matched bytes (0: none) become *out. */
WS_MUST_CHECK ws_status ws_charsmap_match(const ws_charsmap *m, const char *text, size_t n, size_t *matched,
                                          ws_str *out, ws_error *err);

#endif
