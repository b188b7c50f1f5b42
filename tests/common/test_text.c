/* Text from files in messages. */
#include "text.h"

#include <criterion/criterion.h>
#include <string.h>

Test(text, harmless_text_stays) {
    cr_expect_str_eq(ws_show("blk.0.attn_q.weight", 19).text, "blk.0.attn_q.weight");
    cr_expect_str_eq(ws_show("caf\xc3\xa9 \xe6\xbc\xa2", 9).text, "caf\xc3\xa9 \xe6\xbc\xa2");
    cr_expect_str_eq(ws_show(NULL, 0).text, "");
}

Test(text, what_a_terminal_would_obey_does_not) {
    cr_expect_str_eq(ws_show("a\n\33[2J\0b\x7f", 9).text, "a??[2J?b?");
    cr_expect_str_eq(ws_show("\xc2\x9b"
                             "2J \xff\xc3",
                             7)
                         .text,
                     "?2J ??");
}

Test(text, long_text_is_cut) {
    char s[200], wanted[81];
    memset(s, 'x', sizeof s);
    memset(wanted, 'x', 80);
    wanted[80] = 0;
    cr_expect_str_eq(ws_show(s, 80).text, wanted);
    memcpy(wanted + 77, "...", 3);
    cr_expect_str_eq(ws_show(s, 81).text, wanted);
    memcpy(s + 76, "\xc3\xa9", 2); /* whole characters only */
    wanted[76] = '?';
    cr_expect_str_eq(ws_show(s, 200).text, wanted);
}

Test(text, tails) {
    cr_expect(ws_ends_with("blk.0.ssm_a", ".ssm_a") && ws_ends_with("a", "a") && ws_ends_with("a", ""));
    cr_expect(!ws_ends_with("a", "ba") && !ws_ends_with("ab", "a") && !ws_ends_with("", "a"));
}
