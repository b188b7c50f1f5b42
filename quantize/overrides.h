/* overrides.h - --override-kv KEY=TYPE:VALUE. */
#ifndef WS_OVERRIDES_H
#define WS_OVERRIDES_H

#include "gguf.h"

typedef enum { WS_OVERRIDE_INT, WS_OVERRIDE_FLOAT, WS_OVERRIDE_BOOL, WS_OVERRIDE_STR } ws_override_kind;

enum { WS_OVERRIDE_TEXT = 128 }; /* longest key and string, with the NUL: the reference's limits */

typedef struct {
    char key[WS_OVERRIDE_TEXT];
    ws_override_kind kind;
    int64_t integer;
    double real;
    bool boolean;
    char text[WS_OVERRIDE_TEXT];
} ws_override;

/* "llama.context_length=int:8192"; types int, float, bool, str. WS_USAGE when it is anything else. */
WS_MUST_CHECK ws_status ws_override_parse(ws_override *o, const char *text, ws_error *err);

/* Put it as llama-quantize does: an int as u32 of its magnitude, a float as f32. */
void ws_override_put(ws_gguf_writer *w, const ws_override *o);

/* The first override of `key` if it is of this kind, else NULL. */
const ws_override *ws_override_find(const ws_override *list, size_t n, const char *key, ws_override_kind kind);

#endif
