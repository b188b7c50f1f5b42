/* edit.h - change the metadata of a GGUF file: in place where the padding before the tensor data takes up the
 * difference, else by a copy that replaces the file when it is complete. Keys keep their place; new ones come last. */
#ifndef WS_EDIT_H
#define WS_EDIT_H

#include "gguf.h"

typedef struct {
    char *key;
    bool remove;
    ws_kv_type type;
    uint8_t *value; /* as it will be in the file, without the type */
    size_t bytes, cap;
} ws_edit;

/* Read "KEY=VALUE" or "KEY:TYPE=VALUE". TYPE is u8 ... f64, bool, string, or an array of one of them ("[u32]"); without
 * it the key keeps its type, and a new key gets one that its value looks like: bool, u32 (i32 when negative), f32 or
 * string. Arrays are given as 1,2,3 or as a JSON array; a string that begins with '@' is read from that file ('@@'
 * stands for one '@'). WS_USAGE when the value does not suit its type. Release with ws_edit_free(), also after
 * failure. */
WS_MUST_CHECK ws_status ws_edit_parse(ws_edit *e, const ws_gguf *g, const char *text, ws_error *err);

/* The removal of a key, which must be there. */
WS_MUST_CHECK ws_status ws_edit_removal(ws_edit *e, const ws_gguf *g, const char *key, ws_error *err);

void ws_edit_free(ws_edit *e);

typedef struct {
    bool in_place;
    uint64_t bytes_written;
} ws_edit_result;

/* Apply n edits to the (first) file of g and close g in every case. `out_path` NULL: replace the file itself. */
WS_MUST_CHECK ws_status ws_edit_apply(ws_gguf *g, const char *out_path, const ws_edit *edits, size_t n,
                                      ws_edit_result *result, ws_error *err);

#endif
