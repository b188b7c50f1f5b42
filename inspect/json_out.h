/* json_out.h - JSON written as it is produced: a vocabulary of a quarter million tokens needs no tree in memory, and
 * keys may be any bytes. Texts of strings and numbers come from common/json.h. */
#ifndef WS_JSON_OUT_H
#define WS_JSON_OUT_H

#include "error.h"
#include "gguf.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { WS_JSON_DEPTH = 16 };

/* A value being written. Containers opened with `lines` put each element on a line of its own. */
typedef struct {
    FILE *f;
    int depth;
    bool failed; /* memory ran out; writing errors stay with f */
    struct {
        bool object, lines, any;
    } level[WS_JSON_DEPTH];
} ws_json_out;

void ws_json_begin(ws_json_out *j, FILE *f);

/* Ends the text with a newline and reports what failed on the way. */
WS_MUST_CHECK ws_status ws_json_end(ws_json_out *j, ws_error *err);

/* In an object `key` names the value; in an array and at the top it is NULL. */
void ws_json_open(ws_json_out *j, const char *key, bool object, bool lines);
void ws_json_close(ws_json_out *j);
void ws_json_bytes_out(ws_json_out *j, const char *key, const char *s, size_t n);
void ws_json_text(ws_json_out *j, const char *key, const char *s); /* NULL: null */
void ws_json_u64_out(ws_json_out *j, const char *key, uint64_t v);
void ws_json_real(ws_json_out *j, const char *key, double v);
void ws_json_bool(ws_json_out *j, const char *key, bool v);

/* The value of a metadata pair, arrays whole. */
void ws_json_kv(ws_json_out *j, const ws_kv *kv);

#endif
