#include "trie.h"

#include "alloc.h"

#include <stdlib.h>

struct ws_trie_node {
    int32_t value; /* -1: none */
    uint32_t parent;
    uint8_t byte; /* on the way from there */
};

/* The slot of the node that `byte` leads to from `parent`, or the free one where it belongs. */
static uint32_t *slot_of(const ws_trie *t, uint32_t parent, uint8_t byte) {
    const uint64_t hash = ((uint64_t)parent << 8 | byte) * 0x9e3779b97f4a7c15U;
    size_t at = (size_t)(hash >> 32) & (t->n_slots - 1);
    for (; t->slots[at]; at = (at + 1) & (t->n_slots - 1)) {
        const struct ws_trie_node *n = &t->nodes[t->slots[at]];
        if (n->parent == parent && n->byte == byte) break;
    }
    return &t->slots[at];
}

static ws_status grow(ws_trie *t, ws_error *err) {
    if (t->n >= INT32_MAX) return ws_fail(err, WS_NOMEM, "out of memory: a trie of %zu nodes", t->n);
    WS_TRY(ws_grow(&t->nodes, &t->cap, t->n + 1, sizeof *t->nodes, err));
    if (2 * t->n < t->n_slots) return WS_OK;
    const size_t n_slots = t->n_slots ? 2 * t->n_slots : 64;
    uint32_t *slots = ws_alloc(n_slots, sizeof *slots, "a trie", err);
    if (!slots) return WS_NOMEM;
    free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    for (size_t i = 1; i < t->n; i++) *slot_of(t, t->nodes[i].parent, t->nodes[i].byte) = (uint32_t)i;
    return WS_OK;
}

static ws_status child(ws_trie *t, uint32_t parent, uint8_t byte, uint32_t *node, ws_error *err) {
    WS_TRY(grow(t, err));
    uint32_t *slot = slot_of(t, parent, byte);
    if (*slot == WS_TRIE_NONE) {
        *slot = (uint32_t)t->n;
        t->nodes[t->n++] = (struct ws_trie_node){-1, parent, byte};
    }
    *node = *slot;
    return WS_OK;
}

ws_status ws_trie_add(ws_trie *t, ws_str s, int32_t value, ws_error *err) {
    uint32_t node = WS_TRIE_ROOT;
    WS_TRY(grow(t, err));
    if (t->n == 0) t->nodes[t->n++] = (struct ws_trie_node){.value = -1};
    for (size_t i = 0; i < s.len; i++) WS_TRY(child(t, node, (uint8_t)s.data[i], &node, err));
    t->nodes[node].value = value;
    return WS_OK;
}

void ws_trie_free(ws_trie *t) {
    free(t->nodes);
    free(t->slots);
    *t = (ws_trie){0};
}

uint32_t ws_trie_step(const ws_trie *t, uint32_t node, uint8_t byte) {
    return t->n ? *slot_of(t, node, byte) : (uint32_t)WS_TRIE_NONE;
}

int32_t ws_trie_value(const ws_trie *t, uint32_t node) { return t->n ? t->nodes[node].value : -1; }
