#include "sentencepiece.h"

#include "alloc.h"
#include "cursor.h"

#include <stdlib.h>
#include <string.h>

/* Protocol buffers: a field is a varint (number * 8 + wire type) and a value; varints have 7 bits per byte, lowest
 * first, the high bit marks that more follow. */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static uint64_t varint(ws_cursor *c) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t *byte = ws_take(c, 1);
        if (!byte) return 0;
        v |= (uint64_t)(*byte & 0x7f) << shift;
        if (!(*byte & 0x80)) return v;
    }
    c->bad = true;
    return 0;
}

typedef struct {
    uint64_t number;
    unsigned wire;
    uint64_t value; /* VARINT, FIXED64, FIXED32 */
    ws_cursor bytes;
} field;

/* The next field; false at the end of the message or when it is broken (c->bad). */
static bool next_field(ws_cursor *c, field *f) {
    if (c->bad || ws_left(c) == 0) return false;
    const uint64_t tag = varint(c);
    *f = (field){.number = tag >> 3, .wire = tag & 7};
    switch (f->wire) {
    case VARINT: f->value = varint(c); break;
    case FIXED64: f->value = ws_u64(c); break;
    case FIXED32: f->value = ws_u32(c); break;
    case BYTES: {
        const uint64_t n = varint(c);
        const uint8_t *at = ws_take(c, n);
        if (at) f->bytes = (ws_cursor){at, at + n, false};
        break;
    }
    default: c->bad = true; /* groups, which no version of the message had */
    }
    c->bad |= f->number == 0;
    return !c->bad;
}

static float float_from_bits(uint32_t bits) {
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* message SentencePiece { string piece = 1; float score = 2; Type type = 3 [default = NORMAL]; } */
static bool parse_piece(ws_piece *p, ws_cursor c) {
    field f;
    *p = (ws_piece){.type = WS_PIECE_NORMAL};
    while (next_field(&c, &f)) {
        if (f.number == 1 && f.wire == BYTES)
            p->text = (ws_str){(const char *)f.bytes.at, ws_left(&f.bytes)};
        else if (f.number == 2 && f.wire == FIXED32)
            p->score = float_from_bits((uint32_t)f.value);
        else if (f.number == 3 && f.wire == VARINT && f.value >= WS_PIECE_NORMAL && f.value <= WS_PIECE_BYTE)
            p->type = (ws_piece_type)f.value;
    }
    return !c.bad && ws_left(&c) == 0 && p->text.len > 0;
}

/* message ModelProto { repeated SentencePiece pieces = 1; ... } */
static ws_status parse_model(ws_piece **out, size_t *n, ws_cursor *c, const char *what, ws_error *err) {
    size_t cap = 0;
    field f;
    while (next_field(c, &f)) {
        if (f.number != 1 || f.wire != BYTES) continue;
        WS_TRY(ws_grow(out, &cap, *n + 1, sizeof **out, err));
        if (!parse_piece(*out + *n, f.bytes))
            return ws_fail(err, WS_FORMAT, "'%s': piece %zu of the SentencePiece model is broken", what, *n);
        ++*n;
    }
    if (c->bad || ws_left(c) != 0 || *n == 0) return ws_fail(err, WS_FORMAT, "'%s' is not a SentencePiece model", what);
    return WS_OK;
}

ws_status ws_sentencepiece_parse(ws_piece **out, size_t *n, const uint8_t *data, size_t size, const char *what,
                                 ws_error *err) {
    ws_cursor c = {data, data + size, false};
    *out = NULL;
    *n = 0;
    const ws_status st = parse_model(out, n, &c, what, err);
    if (st) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    return st;
}

/* ---- how texts are prepared ---- */

/* message TrainerSpec { ModelType model_type = 3 [default = UNIGRAM (1)]; ... } */
static void read_trainer(ws_piece_rules *rules, ws_cursor c) {
    field f;
    while (next_field(&c, &f))
        if (f.number == 3 && f.wire == VARINT) rules->unigram = f.value == 1;
}

/* message NormalizerSpec { bytes precompiled_charsmap = 2; bool add_dummy_prefix = 3 [default = true];
 * bool remove_extra_whitespaces = 4 [default = true]; ... } */
static void read_normalizer(ws_piece_rules *rules, ws_cursor c) {
    field f;
    while (next_field(&c, &f)) {
        if (f.number == 2 && f.wire == BYTES)
            rules->charsmap = (ws_str){(const char *)f.bytes.at, ws_left(&f.bytes)};
        else if (f.number == 3 && f.wire == VARINT)
            rules->add_prefix = f.value != 0;
        else if (f.number == 4 && f.wire == VARINT)
            rules->merge_spaces = f.value != 0;
    }
}

ws_status ws_sentencepiece_rules(ws_piece_rules *out, const uint8_t *data, size_t size, const char *what,
                                 ws_error *err) {
    ws_cursor c = {data, data + size, false};
    field f;
    *out = (ws_piece_rules){.unigram = true, .add_prefix = true, .merge_spaces = true};
    while (next_field(&c, &f)) {
        if (f.number == 2 && f.wire == BYTES) read_trainer(out, f.bytes);
        if (f.number == 3 && f.wire == BYTES) read_normalizer(out, f.bytes);
    }
    return c.bad ? ws_fail(err, WS_FORMAT, "'%s' is not a SentencePiece model", what) : WS_OK;
}
