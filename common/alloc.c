#include "alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *out_of_memory(ws_error *err, size_t n, size_t size, const char *what) {
    ws_fail(err, WS_NOMEM, "out of memory: %s needs %zu x %zu bytes", what, n, size);
    return NULL;
}

void *ws_alloc(size_t n, size_t size, const char *what, ws_error *err) {
    uint64_t bytes;
    void *p = ws_mul_overflows(n, size, &bytes) || bytes > PTRDIFF_MAX ? NULL : calloc(n ? n : 1, size);
    return p ? p : out_of_memory(err, n, size, what);
}

void *ws_alloc_aligned(size_t n, size_t size, const char *what, ws_error *err) {
    uint64_t bytes;
    void *p;
    if (ws_mul_overflows(n, size, &bytes) || bytes > PTRDIFF_MAX || posix_memalign(&p, 64, bytes ? bytes : 64) != 0)
        return out_of_memory(err, n, size, what);
    return p;
}

ws_status ws_grow(void *array, size_t *cap, size_t need, size_t size, ws_error *err) {
    if (need <= *cap) return WS_OK;
    size_t wanted = *cap ? *cap : 16;
    while (wanted < need) wanted = wanted > SIZE_MAX / 2 ? need : wanted * 2;
    void *old, *grown;
    memcpy(&old, array, sizeof old);
    uint64_t bytes;
    if (ws_mul_overflows(wanted, size, &bytes) || bytes > PTRDIFF_MAX || !(grown = realloc(old, bytes)))
        return ws_fail(err, WS_NOMEM, "out of memory: an array needs %zu x %zu bytes", need, size);
    memcpy(array, &grown, sizeof grown);
    *cap = wanted;
    return WS_OK;
}

char *ws_strndup(const char *s, size_t n, ws_error *err) {
    char *copy = ws_alloc(n + 1, 1, "a string", err);
    if (copy && n) memcpy(copy, s, n);
    return copy;
}

char *ws_sprintf(ws_error *err, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *s = NULL;
    if (vasprintf(&s, fmt, args) < 0) {
        s = NULL;
        ws_fail(err, WS_NOMEM, "out of memory: a string");
    }
    va_end(args);
    return s;
}
