#include "arena.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 1 << 14 };

struct ws_arena_block {
    struct ws_arena_block *next;
    char bytes[];
};

static ws_status add_block(ws_arena *a, size_t need, ws_error *err) {
    const size_t size = need > BLOCK_BYTES ? need : BLOCK_BYTES;
    struct ws_arena_block *block = ws_alloc(1, sizeof *block + size, "names", err);
    if (!block) return WS_NOMEM;
    block->next = a->blocks;
    *a = (ws_arena){block, 0, size};
    return WS_OK;
}

char *ws_arena_strndup(ws_arena *a, const char *s, size_t n, ws_error *err) {
    if (n >= a->size - a->used && add_block(a, n + 1, err)) return NULL;
    char *copy = a->blocks->bytes + a->used;
    if (n) memcpy(copy, s, n);
    copy[n] = 0;
    a->used += n + 1;
    return copy;
}

void ws_arena_free(ws_arena *a) {
    while (a->blocks) {
        struct ws_arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    *a = (ws_arena){0};
}
