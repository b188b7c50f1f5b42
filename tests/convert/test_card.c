/* Front matter of model cards. */
#include "card.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* The card as JSON without spaces; NULL: no front matter. */
static char *parse(const char *markdown) {
    ws_error err = {0};
    cJSON *card;
    cr_assert_eq(ws_card_parse(&card, markdown, strlen(markdown), &err), WS_OK, "%s", err.msg);
    char *text = card ? cJSON_PrintUnformatted(card) : NULL;
    cJSON_Delete(card);
    return text;
}

static void expect(const char *markdown, const char *json) {
    char *have = parse(markdown);
    cr_expect((!have && !json) || (have && json && strcmp(have, json) == 0), "'%s' gives %s, not %s", markdown,
              have ? have : "nothing", json ? json : "nothing");
    free(have);
}

Test(card, scalars_and_lists) {
    expect("---\nlicense: mit\ntags:\n- a\n- \"b c\"\n---\nlicense: gpl\n",
           "{\"license\":\"mit\",\"tags\":[\"a\",\"b c\"]}");
    expect("---\nlanguage: [en, 'fr']\nmore: {a: b}\n", "{\"language\":[\"en\",\"fr\"],\"more\":{\"a\":\"b\"}}");
    expect("---\r\nx: |\r\n  one\r\n  two\r\n---\r\n", "{\"x\":\"one\\ntwo\\n\"}");
    expect("---\nx: &a [y]\nz: *a\nx: last\n---", "{\"z\":[\"y\"],\"x\":\"last\"}");
}

Test(card, what_is_no_text_keeps_its_spelling) {
    expect("---\nv: 1.0\nn: 0x1F\nb: yes\nd: 2024-01-31\nq: '1.0'\ne:\nt: ~\ns: 1.0.0\n---\n",
           "{\"v\":1.0,\"n\":0x1F,\"b\":yes,\"d\":2024-01-31,\"q\":\"1.0\",\"e\":null,\"t\":null,\"s\":\"1.0.0\"}");
}

Test(card, norwegian_and_tabs_are_meant_well) {
    expect("---\nlanguage:\n- en\n- no\n- not\n---\n", "{\"language\":[\"en\",\"no\",\"not\"]}");
    expect("---\nlanguage:\n\t- no\n---\n", "{\"language\":[\"no\"]}");
}

Test(card, other_texts_have_no_front_matter) {
    static const char *const texts[] = {
        "", "# Title\n", "----\na: b\n", "---", "---\n---\n", "---\n- a\n- b\n---\n", "---\ntext\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) expect(texts[i], NULL);
}

Test(card, broken_yaml_is_an_error) {
    static const char *const texts[] = {"---\na: [b\n---\n", "---\na: b: c\n---\n", "---\n\"a\n---\n",
                                        "---\na: *b\n---\n", "---\n\x01: x\n---\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ws_error err = {0};
        cJSON *card = NULL;
        cr_expect_eq(ws_card_parse(&card, texts[i], strlen(texts[i]), &err), WS_FORMAT, "'%s'", texts[i]);
        cr_expect_null(card);
        cr_expect(strncmp(err.msg, "front matter, line ", 19) == 0, "%s", err.msg);
    }
}

/* Ten aliases of ten aliases of ...: 10^9 nodes if they were all written out. */
Test(card, repeated_repetition_ends) {
    char text[2000] = "---\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 9; i++) {
        const size_t len = strlen(text);
        snprintf(text + len, sizeof text - len,
                 "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1,
                 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    strcat(text, "self: &s [*s]\n---\n");
    char *json = parse(text);
    cr_expect_not_null(json);
    free(json);
}
