/* Vocabularies that are broken or unknown, and those that are merely odd. */
#include "tokenizer_check.h"

#include <math.h>

typedef struct {
    const char *name;
    void (*fill)(vocab_file *v);
    ws_status status;
    const char *message;
} bad_vocab;

static void no_tokens(vocab_file *v) { vocab_put_merges(v, "a b"); }
static void empty_tokens(vocab_file *v) { vocab_put_lines(v, "tokenizer.ggml.tokens", ""); }
static void number_tokens(vocab_file *v) { ws_gguf_put_u32(v->w, "tokenizer.ggml.tokens", 3); }
static void no_merges(vocab_file *v) { vocab_add_words(v, "a b"); }

static void number_merges(vocab_file *v) {
    const int32_t numbers[] = {1, 2};
    vocab_add_words(v, "a b");
    ws_gguf_put_array(v->w, "tokenizer.ggml.merges", WS_KV_I32, numbers, 2);
}

/* Three tokens and everything else as it should be. */
static void good(vocab_file *v) {
    vocab_put_lines(v, "tokenizer.ggml.tokens", "a\nb\nab");
    vocab_put_merges(v, "a b");
}

static void few_scores(vocab_file *v) {
    const float scores[] = {1, 2};
    good(v);
    ws_gguf_put_array(v->w, "tokenizer.ggml.scores", WS_KV_F32, scores, 2);
}

static void few_types(vocab_file *v) {
    const int32_t types[] = {1, 1};
    good(v);
    ws_gguf_put_array(v->w, "tokenizer.ggml.token_type", WS_KV_I32, types, 2);
}

static void text_scores(vocab_file *v) {
    good(v);
    vocab_put_lines(v, "tokenizer.ggml.scores", "1\n2\n3");
}

static void scalar_types(vocab_file *v) {
    good(v);
    ws_gguf_put_u32(v->w, "tokenizer.ggml.token_type", 1);
}

static void text_bos(vocab_file *v) {
    good(v);
    ws_gguf_put_str(v->w, "tokenizer.ggml.bos_token_id", "<s>");
}

static void text_flag(vocab_file *v) {
    good(v);
    ws_gguf_put_str(v->w, "tokenizer.ggml.add_bos_token", "yes");
}

static void number_pre(vocab_file *v) {
    good(v);
    ws_gguf_put_u32(v->w, "tokenizer.ggml.pre", 1);
}

static void unknown_pre(vocab_file *v) {
    good(v);
    ws_gguf_put_str(v->w, "tokenizer.ggml.pre", "no-such\tname");
}

static void unknown_model(vocab_file *v) {
    good(v);
    ws_gguf_put_str(v->w, "tokenizer.ggml.model", "runes");
}

static void number_model(vocab_file *v) {
    good(v);
    ws_gguf_put_u32(v->w, "tokenizer.ggml.model", 1);
}

static void no_model(vocab_file *v) {
    good(v);
    ws_gguf_remove(v->w, "tokenizer.ggml.model");
}

static const bad_vocab rows[] = {
    {"no tokens", no_tokens, WS_FORMAT, "tokenizer.ggml.tokens"},
    {"empty tokens", empty_tokens, WS_FORMAT, "tokenizer.ggml.tokens"},
    {"tokens is a number", number_tokens, WS_FORMAT, "tokenizer.ggml.tokens is not an array of strings"},
    {"no merges", no_merges, WS_FORMAT, "tokenizer.ggml.merges"},
    {"merges are numbers", number_merges, WS_FORMAT, "tokenizer.ggml.merges is not an array of strings"},
    {"few scores", few_scores, WS_FORMAT, "tokenizer.ggml.scores has 2 elements for 3 tokens"},
    {"few types", few_types, WS_FORMAT, "tokenizer.ggml.token_type has 2 elements for 3 tokens"},
    {"scores are text", text_scores, WS_FORMAT, "tokenizer.ggml.scores is not an array of numbers"},
    {"types is a number", scalar_types, WS_FORMAT, "tokenizer.ggml.token_type is not an array of numbers"},
    {"bos is text", text_bos, WS_FORMAT, "tokenizer.ggml.bos_token_id"},
    {"flag is text", text_flag, WS_FORMAT, "tokenizer.ggml.add_bos_token"},
    {"pre is a number", number_pre, WS_FORMAT, "tokenizer.ggml.pre"},
    {"unknown pre", unknown_pre, WS_UNSUPPORTED, "pre-tokenizer 'no-such?name'"},
    {"unknown model", unknown_model, WS_UNSUPPORTED, "'runes'"},
    {"model is a number", number_model, WS_FORMAT, "tokenizer.ggml.model"},
    {"no model", no_model, WS_FORMAT, "tokenizer.ggml.model"},
    {"good", good, WS_OK, ""},
};

Test(tokenizer_bad, broken_vocabularies_are_refused_with_a_reason) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        vocab_file *v = vocab_new("gpt2", NULL);
        rows[i].fill(v);
        ws_gguf *g = vocab_open(v);
        ws_tokenizer *t = (ws_tokenizer *)1;
        ws_error err = {0};
        const ws_status status = ws_tokenizer_open(&t, g, &err);
        cr_expect_eq(status, rows[i].status, "%s: status %d (%s)", rows[i].name, status, err.msg);
        cr_expect_eq(err.code, rows[i].status, "%s", rows[i].name);
        cr_expect_not_null(strstr(err.msg, rows[i].message), "%s: '%s'", rows[i].name, err.msg);
        cr_expect(status ? t == NULL : t != NULL, "%s", rows[i].name);
        ws_tokenizer_close(status ? NULL : t);
        ws_gguf_close(g);
    }
}

Test(tokenizer_bad, odd_but_usable_vocabularies) {
    vocab_file *v = vocab_new("gpt2", NULL);
    vocab_add_words(v, "a b c ab a  ab"); /* duplicates, an empty token */
    v->type[2] = 99;                      /* no such type */
    v->score[0] = (float)NAN;
    vocab_put_merges(v, "ab\n\n a\na b\na b c\na ");
    ws_gguf_put_u32(v->w, "tokenizer.ggml.bos_token_id", 4000000000U);
    ws_gguf_put_u32(v->w, "tokenizer.ggml.eos_token_id", 7);
    opened o = open_vocab(v);
    EXPECT_IDS(o.t, "abc", ADD_SPECIAL, "3 2"); /* the first of equal tokens */
    cr_expect_eq(ws_token_text(o.t, 2).len, 0);
    cr_expect_eq(ws_token_text(o.t, 5).len, 0);
    cr_expect_eq(ws_tokenizer_bos(o.t), -1);
    cr_expect_eq(ws_tokenizer_eos(o.t), -1);
    close_vocab(o);
}

Test(tokenizer_bad, scores_that_are_no_numbers) {
    static const float odd[] = {(float)NAN, (float)INFINITY, -(float)INFINITY, 0};
    static const char *const models[] = {"llama", "t5"};
    for (size_t m = 0; m < 2; m++) {
        vocab_file *v = vocab_new(models[m], NULL);
        vocab_add_words(v, "<unk> <s> </s> a b ab ba aba");
        for (size_t i = 0; i < v->n; i++) v->score[i] = odd[i % 4];
        opened o = open_vocab(v);
        cr_expect_gt(strlen(ids_of(o.t, "abababaab b", 11, PLAIN)), 0);
        close_vocab(o);
    }
}
