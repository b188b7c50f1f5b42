/* Metadata under construction. */
#include "pairs.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *text_of(const ws_pairs *p, const char *key) {
    static char text[64];
    ws_str s;
    const ws_kv *kv = ws_pairs_find(p, key);
    if (!kv || !ws_kv_str(kv, &s)) return NULL;
    snprintf(text, sizeof text, "%.*s", (int)s.len, s.data);
    return text;
}

Test(pairs, a_second_value_takes_the_place_of_the_first) {
    ws_pairs p = {0};
    ws_error err = {0};
    ws_pairs_put_str(&p, "a", "first");
    ws_pairs_put_u32(&p, "b", 7);
    ws_pairs_put_str(&p, "a", "second, and longer");
    ws_pairs_put_bool(&p, "b", true);
    cr_assert_eq(ws_pairs_check(&p, &err), WS_OK);
    cr_assert_eq(p.n, 2);
    cr_expect_str_eq(p.kv[0].key, "a");
    cr_expect_str_eq(text_of(&p, "a"), "second, and longer");
    cr_expect_eq(ws_pairs_find(&p, "b")->type, WS_KV_BOOL);
    ws_pairs_free(&p);
}

Test(pairs, what_is_empty_is_not_stored) {
    ws_pairs p = {0};
    ws_pairs_put_str(&p, "a", "");
    ws_pairs_put_str(&p, "b", NULL);
    ws_pairs_put_str_array(&p, "c", NULL, 0);
    ws_pairs_put_array(&p, "d", WS_KV_F32, NULL, 0);
    cr_expect_eq(p.n, 0);
    ws_pairs_put_str(&p, "a", "x");
    ws_pairs_put_str(&p, "a", "");
    cr_expect_str_eq(text_of(&p, "a"), "x");
    ws_pairs_free(&p);
}

Test(pairs, arrays_read_back) {
    ws_pairs p = {0};
    const ws_str words[] = {{"one", 3}, {"", 0}, {NULL, 0}, {"th\0ree", 6}};
    const int32_t numbers[] = {-1, 2, INT32_MAX};
    ws_pairs_put_str_array(&p, "w", words, 4);
    ws_pairs_put_array(&p, "n", WS_KV_I32, numbers, 3);
    const ws_kv *w = ws_pairs_find(&p, "w"), *n = ws_pairs_find(&p, "n");
    cr_assert(w && w->elem_type == WS_KV_STRING && w->n == 4);
    const uint8_t *it = w->elems;
    for (int i = 0; i < 4; i++) {
        const ws_str s = ws_kv_next_str(&it);
        cr_expect(s.len == words[i].len && (s.len == 0 || memcmp(s.data, words[i].data, s.len) == 0));
    }
    cr_expect_eq(it, w->raw + w->raw_bytes);
    for (uint64_t i = 0; i < 3; i++) {
        int64_t v = 0;
        cr_expect(ws_kv_elem_i64(n, i, &v) && v == numbers[i]);
    }
    ws_pairs_free(&p);
}
