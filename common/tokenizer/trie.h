/* trie.h - byte strings with a value each, walked byte by byte from a position in a text. */
#ifndef WS_TRIE_H
#define WS_TRIE_H

#include "error.h"
#include "gguf.h"

#include <stdint.h>

typedef struct {
    struct ws_trie_node *nodes; /* 0 is the root */
    size_t n, cap;
    uint32_t *slots; /* nodes by parent and byte: open addressing, 0 is free */
    size_t n_slots;
} ws_trie; /* starts as {0} */

enum { WS_TRIE_ROOT = 0, WS_TRIE_NONE = 0 };

/* Add a string (not empty) with a value >= 0; the value of an equal string is replaced. */
WS_MUST_CHECK ws_status ws_trie_add(ws_trie *t, ws_str s, int32_t value, ws_error *err);
void ws_trie_free(ws_trie *t);

/* The node that `byte` leads to from `node`, or WS_TRIE_NONE (nothing leads back to the root). */
uint32_t ws_trie_step(const ws_trie *t, uint32_t node, uint8_t byte);

int32_t ws_trie_value(const ws_trie *t, uint32_t node); /* -1: no string ends here */

#endif
