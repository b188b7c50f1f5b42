#include "strmap.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>

/* Open addressing with linear probing, at most half full. */
struct ws_strmap_slot {
    uint32_t hash;
    uint32_t index; /* + 1; 0 marks a free slot */
};

/* FNV-1a; hash_end() spreads the result, since the slot is taken from its low bits. */
static const uint32_t HASH_START = 2166136261U;

static uint32_t hash_more(uint32_t h, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) h = (h ^ (uint8_t)s[i]) * 16777619U;
    return h;
}

static uint32_t hash_end(uint32_t h) {
    h = (h ^ (h >> 16)) * 0x7feb352dU;
    return h ^ (h >> 15);
}

static bool equals(ws_str s, const char *other, size_t n) { return s.len == n && memcmp(s.data, other, n) == 0; }

ws_status ws_strmap_build(ws_strmap *m, const ws_str *strings, size_t n, ws_error *err) {
    size_t size = 16;
    while (size / 2 < n) size *= 2;
    *m = (ws_strmap){.strings = strings, .mask = size - 1};
    m->slots = ws_alloc(size, sizeof *m->slots, "an index of strings", err);
    if (!m->slots) return WS_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const ws_str s = strings[i];
        if (s.len == 0) continue;
        const uint32_t hash = hash_end(hash_more(HASH_START, s.data, s.len));
        size_t at = hash & m->mask;
        while (m->slots[at].index &&
               !(m->slots[at].hash == hash && equals(strings[m->slots[at].index - 1], s.data, s.len)))
            at = (at + 1) & m->mask;
        if (!m->slots[at].index) m->slots[at] = (struct ws_strmap_slot){hash, (uint32_t)i + 1};
    }
    return WS_OK;
}

void ws_strmap_free(ws_strmap *m) {
    free(m->slots);
    *m = (ws_strmap){0};
}

int32_t ws_strmap_find(const ws_strmap *m, const char *s, size_t n) {
    const uint32_t hash = hash_end(hash_more(HASH_START, s, n));
    for (size_t at = hash & m->mask; m->slots[at].index; at = (at + 1) & m->mask)
        if (m->slots[at].hash == hash && equals(m->strings[m->slots[at].index - 1], s, n))
            return (int32_t)m->slots[at].index - 1;
    return WS_STRMAP_NONE;
}

static bool equals_pair(ws_str s, ws_str left, ws_str right) {
    return s.len == left.len + 1 + right.len && s.data[left.len] == ' ' && memcmp(s.data, left.data, left.len) == 0 &&
           memcmp(s.data + left.len + 1, right.data, right.len) == 0;
}

int32_t ws_strmap_find_pair(const ws_strmap *m, ws_str left, ws_str right) {
    uint32_t hash = hash_more(HASH_START, left.data, left.len);
    hash = hash_end(hash_more(hash_more(hash, " ", 1), right.data, right.len));
    for (size_t at = hash & m->mask; m->slots[at].index; at = (at + 1) & m->mask)
        if (m->slots[at].hash == hash && equals_pair(m->strings[m->slots[at].index - 1], left, right))
            return (int32_t)m->slots[at].index - 1;
    return WS_STRMAP_NONE;
}
