/* Byte-level BPE, special tokens, and what is added at the ends. */
#include "tokenizer_check.h"

/* "\u0120" is the letter of a space. */
static vocab_file *small(const char *pre) {
    vocab_file *v = vocab_new("gpt2", pre);
    vocab_add_words(v, "a b c d ab bc abc \u0120 \u0120a abcd");
    vocab_put_merges(v, "b c\na b\na bc\n\u0120 a\nc d\nx y");
    return v;
}
enum { A, B, C, D, AB, BC, ABC, SPACE, SPACE_A, ABCD };

Test(tokenizer_bpe, earlier_merges_win_and_of_equal_ones_the_leftmost) {
    opened o = open_vocab(small("gpt-2"));
    EXPECT_IDS(o.t, "abc", PLAIN, "6"); /* bc first, then a bc */
    EXPECT_IDS(o.t, "ab", PLAIN, "4");
    EXPECT_IDS(o.t, "abab", PLAIN, "4 4");
    EXPECT_IDS(o.t, "bcbcb", PLAIN, "5 5 1");
    EXPECT_IDS(o.t, "a a", PLAIN, "0 8");
    EXPECT_IDS(o.t, "  a", PLAIN, "7 8");
    EXPECT_IDS(o.t, "", PLAIN, "");
    close_vocab(o);
}

Test(tokenizer_bpe, pieces_without_a_token_fall_apart_and_unknown_bytes_are_left_out) {
    opened o = open_vocab(small("gpt-2"));
    EXPECT_IDS(o.t, "cd", PLAIN, "2 3"); /* merged, but "cd" is no token */
    EXPECT_IDS(o.t, "cdc", PLAIN, "2 3 2");
    EXPECT_IDS(o.t, "azb\xc3\xa9", PLAIN, "0 1");
    EXPECT_IDS(o.t, "xy", PLAIN, "");
    close_vocab(o);
}

Test(tokenizer_bpe, whole_words_come_first_where_the_pre_tokenizer_says_so) {
    opened o = open_vocab(small("gpt-2"));
    EXPECT_IDS(o.t, "abcd", PLAIN, "6 3");
    close_vocab(o);
    o = open_vocab(small("llama-bpe"));
    EXPECT_IDS(o.t, "abcd", PLAIN, "9");
    EXPECT_IDS(o.t, "abcdab", PLAIN, "6 3 4");
    close_vocab(o);
}

/* The letters of GPT-2. */
Test(tokenizer_bpe, bytes_have_the_letters_that_models_were_trained_with) {
    static const struct {
        uint8_t byte;
        const char *letter;
    } known[] = {{'!', "!"},       {'~', "~"},      {0xa1, "\u00a1"}, {0xff, "\u00ff"}, {0x00, "\u0100"},
                 {'\n', "\u010a"}, {' ', "\u0120"}, {0x7f, "\u0121"}, {0xa0, "\u0142"}, {0xad, "\u0143"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char letter[2], back;
        const size_t n = ws_spell_letter(letter, known[i].byte);
        cr_expect(n == strlen(known[i].letter) && memcmp(letter, known[i].letter, n) == 0, "byte %02x", known[i].byte);
        cr_expect_eq(ws_unspell(&back, (ws_str){letter, n}, WS_SPELL_LETTERS), 1);
        cr_expect_eq((uint8_t)back, known[i].byte);
    }
}

Test(tokenizer_bpe, text_comes_back) {
    static const char text[] = "It's 3 caf\xc3\xa9s, \t\xf0\x9f\x9a\x80\n\n  \xe4\xb8\x80\xe4\xba\x8c end ";
    vocab_file *v = vocab_new("gpt2", "smollm");
    vocab_add_letters(v);
    vocab_add_words(v, "\u0120c af \u0120\u0120 en");
    vocab_put_merges(v, "\u0120 c\na f\n\u0120 \u0120\ne n");
    opened o = open_vocab(v);
    ws_ids ids = {0};
    cr_assert_eq(ws_tokenize(o.t, &ids, text, sizeof text - 1, false, false, NULL), WS_OK);
    char back[sizeof text] = "";
    size_t n = 0;
    for (size_t i = 0; i < ids.n; i++) {
        const ws_str piece = ws_token_text(o.t, ids.id[i]);
        cr_assert_leq(n + piece.len, sizeof text - 1);
        memcpy(back + n, piece.data, piece.len);
        n += piece.len;
    }
    cr_expect_eq(n, sizeof text - 1);
    cr_expect_arr_eq(back, text, sizeof text - 1);
    EXPECT_PIECES(o.t, "cafe cen", PLAIN, "c|af|e| c|en|");
    free(ids.id);
    close_vocab(o);
}

/* Every byte that belongs to no well-formed character counts as U+FFFD. */
Test(tokenizer_bpe, broken_utf8_becomes_replacement_characters) {
    vocab_file *v = vocab_new("gpt2", "smollm");
    vocab_add_letters(v);
    vocab_put_merges(v, "x y");
    opened o = open_vocab(v);
    EXPECT_IDS(o.t, "a\xff", PLAIN, "97 239 191 189");
    EXPECT_IDS(o.t, "\xe4\xb8z", PLAIN, "239 191 189 239 191 189 122"); /* cut short */
    EXPECT_IDS(o.t, "\xc0\x80", PLAIN, "239 191 189 239 191 189");      /* overlong */
    EXPECT_IDS(o.t, "\xed\xa0\x80", PLAIN, "239 191 189 239 191 189 239 191 189");
    EXPECT_IDS(o.t, "a\0b", PLAIN, "97 0 98");
    close_vocab(o);
}

Test(tokenizer_bpe, a_long_word_takes_no_quadratic_time) {
    enum { N = 1 << 20 };
    opened o = open_vocab(small("gpt-2"));
    char *text = malloc(N);
    for (size_t i = 0; i < N; i++) text[i] = "abc"[i % 3];
    ws_ids ids = {0};
    cr_assert_eq(ws_tokenize(o.t, &ids, text, N, false, false, NULL), WS_OK);
    cr_expect_eq(ids.n, N / 3 + 1);
    cr_expect_eq(ids.id[0], ABC);
    cr_expect_eq(ids.id[ids.n - 1], A);
    free(ids.id);
    free(text);
    close_vocab(o);
}

/* ---- special tokens ---- */

enum { END = 10, MARK, LONG_MARK, UNKNOWN, TURN };

static vocab_file *with_special(void) {
    vocab_file *v = small("gpt-2");
    vocab_add(v, "<end>", 0, WS_TOKEN_CONTROL);
    vocab_add(v, "[m]", 0, WS_TOKEN_USER_DEFINED);
    vocab_add(v, "[m]b[m]", 0, WS_TOKEN_USER_DEFINED);
    vocab_add(v, "<unk>", 0, WS_TOKEN_UNKNOWN);
    vocab_add(v, "<|im_end|>", 0, WS_TOKEN_NORMAL);
    return v;
}

Test(tokenizer_special, control_tokens_are_recognised_on_demand_and_user_defined_ones_always) {
    opened o = open_vocab(with_special());
    EXPECT_IDS(o.t, "a<end>b", PARSE_SPECIAL, "0 10 1");
    EXPECT_IDS(o.t, "a<end>b", PLAIN, "0 3 1"); /* of "end" only the d is a token */
    EXPECT_IDS(o.t, "<unk>a", PARSE_SPECIAL, "13 0");
    EXPECT_IDS(o.t, "a[m] a", PLAIN, "0 11 8");
    EXPECT_IDS(o.t, "[m]", PLAIN, "11");
    EXPECT_IDS(o.t, "<end><end>", PARSE_SPECIAL, "10 10");
    close_vocab(o);
}

Test(tokenizer_special, longer_tokens_are_placed_first) {
    opened o = open_vocab(with_special());
    EXPECT_IDS(o.t, "[m]b[m]", PLAIN, "12");
    EXPECT_IDS(o.t, "[m]b[m]b[m]", PLAIN, "12 1 11"); /* from left to right */
    EXPECT_IDS(o.t, "[m][m]b[m]", PLAIN, "11 12");
    close_vocab(o);
}

Test(tokenizer_special, only_ordinary_and_user_defined_tokens_print) {
    opened o = open_vocab(with_special());
    cr_expect_eq(ws_token_text(o.t, END).len, 0);
    cr_expect_eq(ws_token_text(o.t, UNKNOWN).len, 0);
    cr_expect_eq(ws_token_text(o.t, TURN).len, 0);
    cr_expect_eq(ws_token_text(o.t, MARK).len, 3);
    cr_expect_eq(ws_token_text(o.t, SPACE_A).len, 2);
    cr_expect_eq(ws_token_text(o.t, -1).len, 0);
    cr_expect_eq(ws_token_text(o.t, 15).len, 0);
    cr_expect_eq(ws_tokenizer_size(o.t), 15);
    close_vocab(o);
}

Test(tokenizer_special, end_tokens_are_known_by_id_and_by_text) {
    vocab_file *v = with_special();
    ws_gguf_put_u32(v->w, "tokenizer.ggml.eos_token_id", END);
    ws_gguf_put_u32(v->w, "tokenizer.ggml.eot_token_id", ABCD);
    opened o = open_vocab(v);
    cr_expect_eq(ws_tokenizer_eos(o.t), END);
    cr_expect(ws_token_ends_generation(o.t, END));
    cr_expect(ws_token_ends_generation(o.t, ABCD));
    cr_expect(ws_token_ends_generation(o.t, TURN));
    cr_expect_not(ws_token_ends_generation(o.t, A));
    cr_expect_not(ws_token_ends_generation(o.t, -1));
    cr_expect_not(ws_token_ends_generation(o.t, 1000));
    EXPECT_IDS(o.t, "a<|im_end|>", PARSE_SPECIAL, "0 14"); /* a control token, whatever its type in the file */
    close_vocab(o);
}

/* In vocabularies with calls and returns, <|end|> ends a message, not the turn. */
Test(tokenizer_special, the_end_of_a_message_is_not_the_end_of_the_turn) {
    vocab_file *v = small("gpt-4o");
    const int32_t end = vocab_add(v, "<|end|>", 0, WS_TOKEN_CONTROL);
    opened o = open_vocab(v);
    cr_expect(ws_token_ends_generation(o.t, end));
    close_vocab(o);
    v = small("gpt-4o");
    vocab_add(v, "<|end|>", 0, WS_TOKEN_CONTROL);
    const int32_t call = vocab_add(v, "<|call|>", 0, WS_TOKEN_CONTROL);
    vocab_add(v, "<|return|>", 0, WS_TOKEN_CONTROL);
    const int32_t channel = vocab_add(v, "<|channel|>", 0, WS_TOKEN_CONTROL);
    o = open_vocab(v);
    cr_expect_not(ws_token_ends_generation(o.t, end));
    cr_expect(ws_token_ends_generation(o.t, call));
    cr_expect_eq(ws_token_text(o.t, end).len, strlen("<|end|>"));
    cr_expect_eq(ws_token_text(o.t, channel).len, strlen("<|channel|>"));
    close_vocab(o);
}

/* ---- the ends of the text ---- */

Test(tokenizer_special, bos_and_eos_are_added_where_file_or_pre_tokenizer_ask) {
    static const struct {
        const char *pre;
        int add_bos, add_eos; /* -1: no key */
        const char *wanted;
    } rows[] = {
        {"gpt-2", -1, -1, "0"},     {"gpt-2", 1, -1, "10 0"}, {"gpt-2", 1, 1, "10 0 12"},
        {"tekken", -1, -1, "10 0"}, {"tekken", 0, -1, "0"},   {"tekken", 0, 1, "0 12"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        vocab_file *v = small(rows[i].pre);
        vocab_add_words(v, "<s> x </s>");
        ws_gguf_put_u32(v->w, "tokenizer.ggml.bos_token_id", 10);
        ws_gguf_put_u32(v->w, "tokenizer.ggml.eos_token_id", 12);
        if (rows[i].add_bos >= 0) ws_gguf_put_bool(v->w, "tokenizer.ggml.add_bos_token", rows[i].add_bos);
        if (rows[i].add_eos >= 0) ws_gguf_put_bool(v->w, "tokenizer.ggml.add_eos_token", rows[i].add_eos);
        opened o = open_vocab(v);
        EXPECT_IDS(o.t, "a", ADD_SPECIAL, rows[i].wanted);
        EXPECT_IDS(o.t, "a", PLAIN, "0");
        cr_expect_eq(ws_tokenizer_adds_bos(o.t), rows[i].wanted[0] == '1');
        close_vocab(o);
    }
}

/* llama.cpp's defaults for files that do not say: 11 and 11, none for the GLM family. */
Test(tokenizer_special, ids_that_the_file_does_not_name) {
    vocab_file *v = small("gpt-2");
    vocab_add_words(v, "x y");
    opened o = open_vocab(v);
    cr_expect_eq(ws_tokenizer_bos(o.t), 11);
    cr_expect_eq(ws_tokenizer_eos(o.t), 11);
    close_vocab(o);
    v = small("glm4");
    vocab_add_words(v, "x y");
    ws_gguf_put_bool(v->w, "tokenizer.ggml.add_bos_token", true);
    o = open_vocab(v);
    cr_expect_eq(ws_tokenizer_bos(o.t), -1);
    cr_expect_not(ws_tokenizer_adds_bos(o.t));
    EXPECT_IDS(o.t, "a", ADD_SPECIAL, "0");
    close_vocab(o);
    o = open_vocab(small("gpt-2")); /* 11 is outside of the ten tokens */
    cr_expect_eq(ws_tokenizer_bos(o.t), -1);
    cr_expect_eq(ws_tokenizer_eos(o.t), -1);
    close_vocab(o);
}
