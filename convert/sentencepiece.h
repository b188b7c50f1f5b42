/* sentencepiece.h - the pieces in a tokenizer.model: a protocol buffer of the message ModelProto.
 * Source: google/sentencepiece, sentencepiece_model.proto. */
#ifndef WS_SENTENCEPIECE_H
#define WS_SENTENCEPIECE_H

#include "gguf.h"

typedef enum {
    WS_PIECE_NORMAL = 1,
    WS_PIECE_UNKNOWN,
    WS_PIECE_CONTROL,
    WS_PIECE_USER_DEFINED,
    WS_PIECE_UNUSED,
    WS_PIECE_BYTE,
} ws_piece_type;

typedef struct {
    ws_str text; /* points into the parsed bytes */
    float score;
    ws_piece_type type;
} ws_piece;

/* The pieces in order; release with free(*out). `what` names the source in messages. */
WS_MUST_CHECK ws_status ws_sentencepiece_parse(ws_piece **out, size_t *n, const uint8_t *data, size_t size,
                                               const char *what, ws_error *err);

/* How a text is prepared, and whether the model is a unigram model. */
typedef struct {
    bool unigram, add_prefix, merge_spaces;
    ws_str charsmap; /* rewriting of characters, compiled; points into the parsed bytes */
} ws_piece_rules;

WS_MUST_CHECK ws_status ws_sentencepiece_rules(ws_piece_rules *out, const uint8_t *data, size_t size, const char *what,
                                               ws_error *err);

#endif
