/* The pieces of a SentencePiece model, and files that only look like one. */
#include "model_folder.h"
#include "sentencepiece.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static ws_piece *parse(const char *bytes, size_t size, size_t *n) {
    ws_error err = {0};
    ws_piece *pieces;
    cr_assert_eq(ws_sentencepiece_parse(&pieces, n, (const uint8_t *)bytes, size, "m", &err), WS_OK, "%s", err.msg);
    return pieces;
}

/* Three pieces among fields that are none of our business: a trainer_spec, a varint, fixed numbers. */
Test(sentencepiece, pieces_are_read) {
    static const char model[] = "\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02"
                                "\x12\x02\x08\x01"
                                "\x0a\x05\x0a\x03\xe2\x96\x81"
                                "\x18\x96\x01"
                                "\x21"
                                "12345678"
                                "\x0a\x0c\x0a\x01x\x15\0\0\x20\xc1\x18\x01\x20\x07"
                                "\x25"
                                "1234";
    size_t n;
    ws_piece *p = parse(model, sizeof model - 1, &n);
    cr_assert_eq(n, 3);
    cr_expect(p[0].text.len == 5 && memcmp(p[0].text.data, "<unk>", 5) == 0);
    cr_expect_eq(p[0].type, WS_PIECE_UNKNOWN);
    cr_expect(p[1].text.len == 3 && p[1].score == 0 && p[1].type == WS_PIECE_NORMAL, "defaults");
    cr_expect(p[2].text.data[0] == 'x' && p[2].score == -10.0f);
    free(p);
}

static const struct {
    const char *what, *bytes;
    size_t size;
} broken[] = {
    {"empty", "", 0},
    {"no pieces", "\x12\x02\x08\x01", 4},
    {"a text file", "{\"model\": 1}", 12},
    {"a piece past the end", "\x0a\x20\x0a\x01x", 5},
    {"a length of 2^64 - 1", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
    {"a varint without end", "\x0a\x03\x0a\x01x\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 17},
    {"a cut varint", "\x0a\x03\x0a\x01x\x08\xff", 7},
    {"an empty piece", "\x0a\x00", 2},
    {"an empty text", "\x0a\x02\x0a\x00", 4},
    {"a text past its piece", "\x0a\x03\x0a\x05x", 5},
    {"a cut score", "\x0a\x06\x0a\x01x\x15\0\0", 8},
    {"a group", "\x0a\x03\x0a\x01x\x0b", 6},
    {"field 0", "\x0a\x03\x0a\x01x\x00\x00", 7},
    {"a cut fixed64", "\x0a\x03\x0a\x01x\x21xx", 8},
};

Test(sentencepiece, broken_models_are_refused) {
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        uint8_t *exact = malloc(broken[i].size + !broken[i].size); /* so that reading past the end shows */
        memcpy(exact, broken[i].bytes, broken[i].size);
        ws_error err = {0};
        ws_piece *pieces;
        size_t n;
        const ws_status st = ws_sentencepiece_parse(&pieces, &n, exact, broken[i].size, "m", &err);
        expect_error(broken[i].what, st, &err, WS_FORMAT, NULL);
        cr_expect(!pieces && n == 0, "%s", broken[i].what);
        free(exact);
    }
}

Test(sentencepiece, rules_are_read_or_have_defaults) {
    static const char plain[] = "\x0a\x03\x0a\x01x", told[] = "\x0a\x03\x0a\x01x\x12\x02\x18\x02"
                                                              "\x1a\x09\x12\x03map\x18\x00\x20\x00";
    ws_piece_rules rules;
    ws_error err = {0};
    cr_assert_eq(ws_sentencepiece_rules(&rules, (const uint8_t *)plain, sizeof plain - 1, "m", &err), WS_OK);
    cr_expect(rules.unigram && rules.add_prefix && rules.merge_spaces && rules.charsmap.len == 0);
    cr_assert_eq(ws_sentencepiece_rules(&rules, (const uint8_t *)told, sizeof told - 1, "m", &err), WS_OK);
    cr_expect(!rules.unigram && !rules.add_prefix && !rules.merge_spaces);
    cr_expect(rules.charsmap.len == 3 && memcmp(rules.charsmap.data, "map", 3) == 0);
    cr_expect_eq(ws_sentencepiece_rules(&rules, (const uint8_t *)told, sizeof told - 2, "m", &err), WS_FORMAT);
}
