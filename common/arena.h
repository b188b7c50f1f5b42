/* arena.h - storage for many small strings that live and die together. */
#ifndef WS_ARENA_H
#define WS_ARENA_H

#include "error.h"

typedef struct {
    struct ws_arena_block *blocks; /* newest first */
    size_t used, size;             /* bytes of the newest block */
} ws_arena;                        /* starts as {0} */

/* A NUL-terminated copy of n bytes, valid until ws_arena_free(). NULL with err filled when memory is out. */
char *ws_arena_strndup(ws_arena *a, const char *s, size_t n, ws_error *err);

void ws_arena_free(ws_arena *a); /* a zeroed arena is fine */

#endif
