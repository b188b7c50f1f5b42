/* cursor.h - bounded little-endian reads from a span of bytes. Reading past the end gives 0 and sets `bad`,
 * so a parser is written straight through and checks once. */
#ifndef WS_CURSOR_H
#define WS_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *at, *end;
    bool bad;
} ws_cursor;

static inline size_t ws_left(const ws_cursor *c) { return (size_t)(c->end - c->at); }

/* The next n bytes, or NULL (and bad) when fewer are left. */
static inline const uint8_t *ws_take(ws_cursor *c, uint64_t n) {
    if (c->bad || n > ws_left(c)) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *p = c->at;
    c->at += n;
    return p;
}

static inline uint64_t ws_take_le(ws_cursor *c, size_t n) {
    const uint8_t *p = ws_take(c, n);
    uint64_t v = 0;
    for (size_t i = 0; p && i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static inline uint8_t ws_u8(ws_cursor *c) { return (uint8_t)ws_take_le(c, 1); }
static inline uint16_t ws_u16(ws_cursor *c) { return (uint16_t)ws_take_le(c, 2); }
static inline uint32_t ws_u32(ws_cursor *c) { return (uint32_t)ws_take_le(c, 4); }
static inline uint64_t ws_u64(ws_cursor *c) { return ws_take_le(c, 8); }

/* Bits of a little-endian float at p (any alignment). */
static inline float ws_f32_at(const void *p) {
    float v;
    memcpy(&v, p, sizeof v);
    return v;
}

#endif
