/* pairs.h - metadata under construction. Unlike in the GGUF writer, setting a key again replaces its value in
 * place: the order of a file's metadata is the order in which keys were first set. Empty strings and empty arrays
 * are not stored. Both are rules of the reference converter. */
#ifndef WS_PAIRS_H
#define WS_PAIRS_H

#include "gguf.h"

typedef struct {
    ws_kv *kv; /* keys and values are owned; readable with the ws_kv_* functions of gguf.h */
    size_t n, cap;
    ws_error err; /* the first failure (memory); kept until ws_pairs_check() */
} ws_pairs;       /* starts as {0} */

void ws_pairs_put_u32(ws_pairs *p, const char *key, uint32_t v);
void ws_pairs_put_i32(ws_pairs *p, const char *key, int32_t v);
void ws_pairs_put_f32(ws_pairs *p, const char *key, float v);
void ws_pairs_put_bool(ws_pairs *p, const char *key, bool v);
void ws_pairs_put_str(ws_pairs *p, const char *key, const char *v); /* NULL counts as empty */
void ws_pairs_put_array(ws_pairs *p, const char *key, ws_kv_type elem, const void *v, size_t n);
void ws_pairs_put_str_array(ws_pairs *p, const char *key, const ws_str *v, size_t n);

const ws_kv *ws_pairs_find(const ws_pairs *p, const char *key); /* NULL: not set */

/* Did every put succeed? */
WS_MUST_CHECK ws_status ws_pairs_check(const ws_pairs *p, ws_error *err);

/* Hand all pairs to a writer (which copies them). */
WS_MUST_CHECK ws_status ws_pairs_write(const ws_pairs *p, ws_gguf_writer *w, ws_error *err);

void ws_pairs_free(ws_pairs *p);

#endif
