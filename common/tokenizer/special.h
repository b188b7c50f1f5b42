/* special.h - special tokens written in a text: where they are, before the rest is tokenized. */
#ifndef WS_SPECIAL_H
#define WS_SPECIAL_H

#include "trie.h"
#include "vocab.h"

typedef struct {
    ws_trie trie; /* texts of all special tokens; value: index in `id` */
    int32_t *id;  /* longest text first, then by id */
    bool any_user_defined;
} ws_special;

typedef struct {
    size_t at; /* in the text */
    int32_t id;
} ws_cut;

typedef struct {
    ws_cut *cut; /* in order, not overlapping */
    size_t n, cap;
} ws_cuts; /* starts as {0}; release with free(cuts.cut) */

WS_MUST_CHECK ws_status ws_special_open(ws_special *s, const ws_vocab *v, ws_error *err);
void ws_special_close(ws_special *s); /* a zeroed one is fine */

/* Find the user-defined tokens in a text, and with `all` also control and unknown tokens. Longer tokens are placed
 * first wherever they fit, each from left to right. */
WS_MUST_CHECK ws_status ws_special_find(const ws_special *s, const ws_vocab *v, ws_cuts *cuts, const char *text,
                                        size_t n, bool all, ws_error *err);

#endif
