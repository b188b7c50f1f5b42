/* XLM-RoBERTa's vocabulary in a tokenizer.json. */
#include "tokens.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ws_source source_of(const char *json) {
    ws_error err = {0};
    ws_source s = {.dir = "dir", .tokenizer = ws_json_parse(json, strlen(json), "t", &err)};
    cr_assert_not_null(s.tokenizer, "%s", err.msg);
    return s;
}

#define MODEL(vocab) "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 1, \"vocab\": [" vocab "]}"
#define ADDED                                                                                                          \
    ", \"added_tokens\": [{\"id\": 0, \"content\": \"<s>\", \"special\": true}, {\"id\": 1, \"content\": \"<unk>\", "  \
    "\"special\": true}, {\"id\": 3, \"content\": \"y\", \"special\": false}]"

Test(unigram, tokens_have_types_and_scores) {
    ws_source s = source_of(MODEL("[\"<s>\", 0], [\"<unk>\", 0], [\"x\", -1.5], [\"y\", -2]") ADDED "}");
    static const int32_t types[] = {WS_TOKEN_CONTROL, WS_TOKEN_UNKNOWN, WS_TOKEN_NORMAL, WS_TOKEN_USER_DEFINED,
                                    WS_TOKEN_UNUSED};
    ws_tokens t = {0};
    ws_error err = {0};
    cr_assert_eq(ws_tokens_unigram_json(&t, &s, 5, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(t.n, 5);
    cr_expect_arr_eq(t.type, types, sizeof types);
    cr_expect(t.score[2] == -1.5f && t.text[2].len == 1 && t.text[2].data[0] == 'x');
    cr_expect_eq(memcmp(t.text[4].data, "[PAD4]", 6), 0);
    ws_tokens_free(&t);
    cJSON_Delete(s.tokenizer);
}

Test(unigram, other_vocabularies_are_refused) {
    static const char *const broken[] = {"{}", MODEL("") "}", MODEL("[\"x\"]") "}", MODEL("7") "}",
                                         "{\"model\": {\"type\": \"BPE\", \"vocab\": [[\"x\", 0]]}}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ws_source s = source_of(broken[i]);
        ws_tokens t = {0};
        ws_error err = {0};
        cr_expect_eq(ws_tokens_unigram_json(&t, &s, 5, &err), WS_FORMAT, "%s", broken[i]);
        ws_tokens_free(&t);
        cJSON_Delete(s.tokenizer);
    }
}

Test(unigram, maps_of_characters_are_base64) {
    static const struct {
        const char *json, *bytes; /* NULL: refused */
    } cases[] = {{"bWFwcw==", "maps"}, {"bWFwc28=", "mapso"}, {"bWFw", "map"}, {"", ""}, {"b!Fw", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[100];
        uint8_t *bytes;
        size_t n;
        ws_error err = {0};
        snprintf(json, sizeof json, "{\"normalizer\": {\"precompiled_charsmap\": \"%s\"}}", cases[i].json);
        ws_source s = source_of(json);
        const ws_status st = ws_unigram_charsmap(&bytes, &n, &s, &err);
        cr_assert_eq(st, cases[i].bytes ? WS_OK : WS_UNSUPPORTED, "%s", cases[i].json);
        if (!st) cr_expect(n == strlen(cases[i].bytes) && memcmp(bytes, cases[i].bytes, n) == 0, "%s", cases[i].json);
        free(bytes);
        cJSON_Delete(s.tokenizer);
    }
}
