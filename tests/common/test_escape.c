/* Nothing that a file contains may act on a terminal. */
#include "escape.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What ws_escape_put() prints; release with free(). */
static char *shown(const char *s, size_t n, size_t columns, size_t *used) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    const size_t width = ws_escape_put(f, s, n, columns);
    if (used) *used = width;
    fclose(f);
    return text;
}

typedef struct {
    const char *in;
    size_t n; /* 0: strlen */
    const char *out;
    size_t columns;
} escape_case;

Test(escape, characters) {
    static const escape_case cases[] = {
        {"plain text", 0, "plain text", 10},
        {"tab\tfeed\nreturn\r", 0, "tab\\tfeed\\nreturn\\r", 19},
        {"\x1b]0;owned\x07", 0, "\\x1b]0;owned\\x07", 16},
        {"a\0b", 3, "a\\x00b", 6},
        {"\x7f", 0, "\\x7f", 4},
        {"\xff\xfe", 0, "\\xff\\xfe", 8},
        {"\xc2\x9b"
         "31m",
         0, "\\u{009b}31m", 11}, /* the one-character CSI */
        {"\xe2\x80\xae"
         "gpj",
         0, "\\u{202e}gpj", 11},                                        /* right-to-left override */
        {"\xe2\x80\x8b", 0, "\\u{200b}", 8},                            /* zero-width space */
        {"\xe2\x80\xa8", 0, "\\u{2028}", 8},                            /* line separator */
        {"\xed\xa0\x80", 0, "\\xed\\xa0\\x80", 12},                     /* a surrogate in UTF-8 */
        {"\xc0\xaf", 0, "\\xc0\\xaf", 8},                               /* an overlong '/' */
        {"caf\xc3\xa9 \xe6\x97\xa5", 0, "caf\xc3\xa9 \xe6\x97\xa5", 7}, /* wide: two columns */
        {"back\\slash", 0, "back\\slash", 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const escape_case *c = &cases[i];
        const size_t n = c->n ? c->n : strlen(c->in);
        size_t used;
        char *text = shown(c->in, n, SIZE_MAX, &used);
        cr_expect_str_eq(text, c->out, "case %zu", i);
        cr_expect_eq(used, c->columns, "case %zu: %zu", i, used);
        cr_expect_eq(ws_escape_width(c->in, n), c->columns, "case %zu", i);
        free(text);
    }
}

Test(escape, every_byte_alone_is_harmless) {
    for (int b = 0; b < 256; b++) {
        const char c = (char)b;
        char *text = shown(&c, 1, SIZE_MAX, NULL);
        for (const char *p = text; *p; p++) cr_assert(*p >= 0x20 && *p < 0x7f, "byte %d gives %s", b, text);
        free(text);
    }
}

Test(escape, cuts_to_columns_and_never_inside_an_escape) {
    static const struct {
        const char *in;
        size_t columns;
        const char *out;
    } cases[] = {
        {"abcdefgh", 8, "abcdefgh"},   {"abcdefghi", 8, "abcde..."}, {"ab\x1b\x1b\x1b", 8, "ab..."}, {"", 8, ""},
        {"\x1b\x1b", 8, "\\x1b\\x1b"}, {"abcdef", 3, "..."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = shown(cases[i].in, strlen(cases[i].in), cases[i].columns, NULL);
        cr_expect_str_eq(text, cases[i].out, "case %zu: %s", i, text);
        free(text);
    }
}

Test(escape, blocks_keep_lines_only) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    static const char in[] = "one\n\x1b[2Jtwo\n\nfour";
    cr_expect_eq(ws_escape_block(f, in, sizeof in - 1, 2, 3), 4);
    fclose(f);
    cr_expect_str_eq(text, "  one\n  \\x1b[2Jtwo\n  \n");
    free(text);
}

Test(escape, numbers) {
    char buf[32];
    cr_expect_str_eq(ws_format_count(buf, 0), "0");
    cr_expect_str_eq(ws_format_count(buf, 999), "999");
    cr_expect_str_eq(ws_format_count(buf, 1234567), "1,234,567");
    cr_expect_str_eq(ws_format_count(buf, 18446744073709551615ULL), "18,446,744,073,709,551,615");
    cr_expect_str_eq(ws_format_short(buf, 134515008), "134.5 M");
    cr_expect_str_eq(ws_format_short(buf, 8.03e9), "8.03 B");
    cr_expect_str_eq(ws_format_short(buf, 12), "12");
}
