/* WordPiece: words, their longest tokens, accents, Chinese characters. */
#include "tokenizer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define W "\xe2\x96\x81" /* begins a word */

static const char *const tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", W "run",          "ning", "n",     W "caf",
                                     "e",     W ",",   W "!",   W "a",   W "\xe6\xbc\xa2", W "A",  W "cafe"};
enum { N = sizeof tokens / sizeof *tokens };

static ws_tokenizer *open_with(bool lowercase, ws_gguf **g, char path[64]) {
    ws_str texts[N];
    int32_t types[N];
    ws_gguf_writer *w;
    ws_tokenizer *t;
    ws_error err = {0};
    for (int i = 0; i < N; i++) texts[i] = (ws_str){tokens[i], strlen(tokens[i])}, types[i] = i < 4 ? 3 : 1;
    snprintf(path, 64, "/tmp/ws-wordpiece-%ld.gguf", (long)getpid());
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_str(w, "tokenizer.ggml.model", "bert");
    ws_gguf_put_str_array(w, "tokenizer.ggml.tokens", texts, N);
    ws_gguf_put_array(w, "tokenizer.ggml.token_type", WS_KV_I32, types, N);
    ws_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 2);
    ws_gguf_put_u32(w, "tokenizer.ggml.seperator_token_id", 3);
    ws_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", 1);
    ws_gguf_put_bool(w, "tokenizer.ggml.normalizer.lowercase", lowercase);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_open(g, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_tokenizer_open(&t, *g, &err), WS_OK, "%s", err.msg);
    return t;
}

static const struct {
    bool lowercase;
    const char *text;
    int32_t ids[8]; /* between [CLS] and [SEP], ended by 0 */
} cases[] = {
    {true, "", {0}},
    {true, "running", {4, 5}},
    {true, "run  runn\tRUNNING", {4, 4, 6, 4, 5}},
    {true, "runs", {1}}, /* no token for the rest: unknown as a whole */
    {true, "caf\xc3\xa9, cafe!", {14, 9, 14, 10}},
    {false, "caf\xc3\xa9", {1}},
    {true,
     "a\xe6\xbc\xa2"
     "A",
     {11, 12, 11}},
    {false, "a A", {11, 13}},
    {true,
     "a\x01\xef\xbf\xbd\xff"
     "a",
     {1}}, /* controls and what is no text are dropped: "aa" */
};

Test(wordpiece, words_are_cut_into_their_longest_tokens) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[64];
        ws_gguf *g;
        ws_ids ids = {0};
        ws_error err = {0};
        ws_tokenizer *t = open_with(cases[i].lowercase, &g, path);
        cr_assert_eq(ws_tokenize(t, &ids, cases[i].text, strlen(cases[i].text), true, false, &err), WS_OK);
        size_t n = 0;
        while (cases[i].ids[n]) n++;
        cr_assert_eq(ids.n, n + 2, "'%s': %zu tokens", cases[i].text, ids.n);
        cr_expect(ids.id[0] == 2 && ids.id[n + 1] == 3);
        cr_expect_arr_eq(ids.id + 1, cases[i].ids, n * sizeof *ids.id, "'%s'", cases[i].text);
        free(ids.id);
        ws_tokenizer_close(t);
        ws_gguf_close(g);
        unlink(path);
    }
}
