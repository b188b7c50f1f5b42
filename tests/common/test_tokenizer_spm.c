/* SentencePiece: merges by score with byte fallback, and unigram with its rewriting of characters. */
#include "tokenizer_check.h"

/* "\u2581" stands for a space. */
enum { UNK, BOS, EOS, FIRST_BYTE };

static vocab_file *scored(void) {
    vocab_file *v = vocab_new("llama", NULL);
    vocab_add(v, "<unk>", 0, WS_TOKEN_UNKNOWN);
    vocab_add(v, "<s>", 0, WS_TOKEN_CONTROL);
    vocab_add(v, "</s>", 0, WS_TOKEN_CONTROL);
    return v;
}

static void add_pieces(vocab_file *v) {
    static const struct {
        const char *text;
        float score;
    } rows[] = {{"\u2581", -3}, {"a", -3}, {"b", -3}, {"ab", -2}, {"ba", -1}, {"\u2581a", -2.5F}, {"aba", -0.5F}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) vocab_add(v, rows[i].text, rows[i].score, WS_TOKEN_NORMAL);
}

Test(tokenizer_spm, the_pair_with_the_best_score_is_merged_first) {
    vocab_file *v = scored();
    vocab_add_bytes(v);
    add_pieces(v);
    ws_gguf_put_bool(v->w, "tokenizer.ggml.add_space_prefix", false);
    opened o = open_vocab(v);
    EXPECT_PIECES(o.t, "ab", PLAIN, "ab|");
    EXPECT_PIECES(o.t, "aba", PLAIN, "aba|"); /* ba first, then a ba */
    EXPECT_PIECES(o.t, "abb", PLAIN, "ab|b|");
    EXPECT_PIECES(o.t, "baba", PLAIN, "ba|ba|");
    EXPECT_PIECES(o.t, "b ab", PLAIN, "b| |ab|"); /* ab beats the marked a */
    EXPECT_PIECES(o.t, "b a", PLAIN, "b| a|");
    close_vocab(o);
}

Test(tokenizer_spm, scores_order_through_zero_and_both_signs) {
    static const float ladder[] = {5, 0.25F, 0, -0.0F, -0.25F, -5};
    for (size_t i = 0; i + 1 < sizeof ladder / sizeof *ladder; i++) {
        vocab_file *v = scored();
        vocab_add_words(v, "a b c");
        vocab_add(v, "ab", ladder[i + 1], WS_TOKEN_NORMAL);
        vocab_add(v, "bc", ladder[i], WS_TOKEN_NORMAL);
        ws_gguf_put_bool(v->w, "tokenizer.ggml.add_space_prefix", false);
        opened o = open_vocab(v);
        EXPECT_PIECES(o.t, "abc", PLAIN, ladder[i] > ladder[i + 1] ? "a|bc|" : "ab|c|");
        close_vocab(o);
    }
}

Test(tokenizer_spm, a_space_comes_before_the_text_and_after_special_tokens) {
    vocab_file *v = scored();
    vocab_add_bytes(v);
    add_pieces(v);
    opened o = open_vocab(v);
    EXPECT_PIECES(o.t, "a", PLAIN, " a|");
    EXPECT_PIECES(o.t, "a</s>a", PARSE_SPECIAL, " a|| a|");
    EXPECT_IDS(o.t, "", ADD_SPECIAL, "1");
    EXPECT_IDS(o.t, "</s>", ADD_SPECIAL | PARSE_SPECIAL, "1 2");
    cr_expect(ws_tokenizer_adds_bos(o.t));
    cr_expect(ws_token_ends_generation(o.t, EOS));
    close_vocab(o);
}

Test(tokenizer_spm, characters_without_a_token_become_bytes_then_unknown) {
    vocab_file *v = scored();
    vocab_add_bytes(v);
    add_pieces(v);
    opened o = open_vocab(v);
    EXPECT_IDS(o.t, "\xc3\xa9", PLAIN, "259 198 172"); /* the prefix, 3 + 0xc3, 3 + 0xa9 */
    EXPECT_IDS(o.t, "\xff\n", PLAIN, "259 258 13");
    EXPECT_IDS(o.t, "\xe2\x96", PLAIN, "259 229 153"); /* a character cut short */
    cr_expect_eq(ws_token_text(o.t, FIRST_BYTE + 0xc3).len, 1);
    cr_expect_eq(ws_token_text(o.t, FIRST_BYTE + 0xc3).data[0], '\xc3');
    close_vocab(o);
    v = scored();
    add_pieces(v);
    o = open_vocab(v);
    EXPECT_IDS(o.t, "xy", PLAIN, "3 0 0");
    close_vocab(o);
}

/* ---- unigram ---- */

static vocab_file *unigram(void) {
    vocab_file *v = vocab_new("t5", NULL);
    vocab_add(v, "<pad>", 0, WS_TOKEN_CONTROL);
    vocab_add(v, "</s>", 0, WS_TOKEN_CONTROL);
    vocab_add(v, "<unk>", 0, WS_TOKEN_UNKNOWN);
    vocab_add(v, "\u2581", -2, WS_TOKEN_NORMAL);
    vocab_add(v, "a", -3, WS_TOKEN_NORMAL);
    vocab_add(v, "b", -3, WS_TOKEN_NORMAL);
    vocab_add(v, "ab", -3.5F, WS_TOKEN_NORMAL);
    vocab_add(v, "bab", -4, WS_TOKEN_NORMAL);
    vocab_add(v, "\u2581a", -1, WS_TOKEN_NORMAL);
    vocab_add(v, "<m>", -9, WS_TOKEN_USER_DEFINED);
    return v;
}

Test(tokenizer_unigram, the_best_sum_of_scores_wins) {
    opened o = open_vocab(unigram());
    EXPECT_PIECES(o.t, "abab", PLAIN, "a|bab|"); /* -7 beats ab ab: -7 is not below, the first found stays */
    EXPECT_PIECES(o.t, "bab", PLAIN, "bab|");
    EXPECT_PIECES(o.t, "ba", PLAIN, "b|a|");
    EXPECT_PIECES(o.t, "b ab", PLAIN, "b| a|b|");
    EXPECT_IDS(o.t, "a", ADD_SPECIAL, "4 1");
    close_vocab(o);
}

Test(tokenizer_unigram, unknown_characters_in_a_row_are_one_token) {
    opened o = open_vocab(unigram());
    EXPECT_IDS(o.t, "xyz", PLAIN, "2");
    EXPECT_IDS(o.t, "xay", PLAIN, "2 4 2");
    EXPECT_IDS(o.t, "a\xe4\xb8\x80\xff", PLAIN, "4 2");
    EXPECT_IDS(o.t, "a<m>b", PLAIN, "4 9 5");
    close_vocab(o);
}

Test(tokenizer_unigram, spaces_are_added_and_merged_as_the_file_says) {
    static const struct {
        bool prefix, merge;
        const char *text, *wanted;
    } rows[] = {
        {false, false, " a  b ", " a| | |b| |"},
        {true, false, "a  b", " a| | |b|"},
        {false, true, "  a  b  ", " a| |b|"},
        {true, true, "a", " a|"},
        {true, true, "   ", ""},
        {true, false, " ", " |"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        vocab_file *v = unigram();
        ws_gguf_put_bool(v->w, "tokenizer.ggml.add_space_prefix", rows[i].prefix);
        ws_gguf_put_bool(v->w, "tokenizer.ggml.remove_extra_whitespaces", rows[i].merge);
        opened o = open_vocab(v);
        EXPECT_PIECES(o.t, rows[i].text, PLAIN, rows[i].wanted);
        close_vocab(o);
    }
}

/* A double array for "A" -> "a" and "AB" -> "bab"; the children of a node lie at its base, combined with the byte by
 * exclusive or. */
enum { ROOT_BASE = 0x100, A_BASE = 0x200, AB_BASE = 0x400, N_NODES = 0x800, HAS_VALUE = 1 << 8 };

static void put_charsmap(vocab_file *v, uint32_t a_place, uint32_t n_nodes) {
    static const char strings[] = "a\0bab";
    uint32_t map[1 + N_NODES + 2] = {4 * N_NODES};
    uint32_t *node = map + 1;
    const uint32_t a = ROOT_BASE ^ 'A', a_end = a ^ A_BASE, ab = a_end ^ 'B', ab_end = ab ^ AB_BASE;
    node[0] = ROOT_BASE << 10;
    node[a] = (uint32_t)A_BASE << 10 | HAS_VALUE | 'A';
    node[a_end] = 1U << 31 | a_place;
    node[ab] = (uint32_t)AB_BASE << 10 | HAS_VALUE | 'B';
    node[ab_end] = 1U << 31 | 2;
    memcpy(node + N_NODES, strings, sizeof strings);
    map[0] = 4 * n_nodes;
    ws_gguf_put_array(v->w, "tokenizer.ggml.precompiled_charsmap", WS_KV_U8, map, 4 + 4 * N_NODES + sizeof strings);
}

Test(tokenizer_unigram, characters_are_rewritten_by_the_longest_match) {
    vocab_file *v = unigram();
    put_charsmap(v, 0, N_NODES);
    opened o = open_vocab(v);
    EXPECT_PIECES(o.t, "A", PLAIN, "a|");
    EXPECT_PIECES(o.t, "ABA", PLAIN, "bab|a|");
    EXPECT_PIECES(o.t, "AAb", PLAIN, "a|ab|");
    close_vocab(o);
}

Test(tokenizer_unigram, a_broken_rewriting_table_is_an_error) {
    vocab_file *v = unigram();
    put_charsmap(v, 1000, N_NODES); /* replacement past the end */
    opened o = open_vocab(v);
    ws_ids ids = {0};
    ws_error err = {0};
    cr_expect_eq(ws_tokenize(o.t, &ids, "aA", 2, true, false, &err), WS_FORMAT);
    cr_expect_not_null(strstr(err.msg, "precompiled_charsmap"), "%s", err.msg);
    cr_expect_eq(ids.n, 0, "a failed call leaves no ids");
    free(ids.id);
    close_vocab(o);
    v = unigram();
    put_charsmap(v, 0, 0x120); /* nodes past the end of the array */
    o = open_vocab(v);
    cr_expect_eq(ws_tokenize(o.t, &ids, "A", 1, false, false, &err), WS_FORMAT);
    close_vocab(o);
    v = unigram();
    put_charsmap(v, 0, N_NODES + 100);
    ws_gguf *g = vocab_open(v);
    cr_expect_eq(ws_tokenizer_open(&o.t, g, &err), WS_FORMAT);
    cr_expect_null(o.t);
    ws_gguf_close(g);
}
