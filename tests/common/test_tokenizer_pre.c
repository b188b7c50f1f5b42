/* Pre-tokenizers: how texts are cut into words. */
#include "pretokenizer.h"
#include "tokenizer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ws_pretokenizer *open_pre(const char *name) {
    ws_pretokenizer *p;
    ws_error err = {0};
    cr_assert_eq(ws_pretokenizer_open(&p, (ws_str){name, strlen(name)}, &err), WS_OK, "%s: %s", name, err.msg);
    return p;
}

/* The words of a text, each followed by '|', in a static buffer. */
static const char *words_of(const char *name, const char *text) {
    static char out[4096];
    ws_pretokenizer *p = open_pre(name);
    ws_words words = {0};
    ws_error err = {0};
    cr_assert_eq(ws_pretokenize(p, &words, text, strlen(text), &err), WS_OK, "%s: %s", name, err.msg);
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < words.n; text += words.len[i++])
        n += (size_t)snprintf(out + n, sizeof out - n, "%.*s|", (int)words.len[i], text);
    free(words.len);
    ws_pretokenizer_close(p);
    return out;
}

/* Cuts as llama.cpp makes them. */
static const struct {
    const char *name, *text, *words;
} rows[] = {
    {"gpt-2", "Hello  world's 123abc...", "Hello| | world|'s| 123|abc|...|"},
    {"gpt-2", "a\n\n b \t", "a|\n\n| b| \t|"},
    {"smollm", "x 2024", "x| |2|0|2|4|"},
    {"starcoder", "It'll 10", "It|'ll| |1|0|"},
    {"llama-bpe", "I'LL pay 12345$, ok?\n\n  go", "I|'LL| pay| |123|45|$,| ok|?\n\n| | go|"},
    {"qwen2", "(abc) 12 \u00e9t\u00e9", "(abc|)| |1|2| \u00e9t\u00e9|"},
    {"qwen35", "a\u0301b c\u0301", "a\u0301b| c\u0301|"},
    {"llama-bpe", "a\u0301b", "a|\u0301b|"},
    {"gpt-4o", "helloWorld HTTPServer it's", "hello|World| HTTPServer| it's|"},
    {"tekken", "aBC 12", "a|BC| |1|2|"},
    {"falcon", "a+b 12345", "a|+|b| |123|45|"},
    {"default", "a-b 1234", "a|-|b| |123|4|"},
    {"deepseek-llm", "hi \u4e00\u4e8c, 42  ", "hi| |\u4e00\u4e8c|,| |42|  |"},
    {"deepseek-coder", "if(x) 42", "if|(|x|)| |4|2|"},
    {"deepseek-v3", "#include 1234", "#include| |123|4|"},
    {"bloom", "a, b(c) d", "a|,| b|(|c|)| d|"},
    {"viking", "a 12", "a| |1|2|"},
    {"chameleon", "<sentinel:12>a", "<|sentinel|:|1|2|>|a|"},
    {"laguna", "a\n\nb", "a|\n\n|b|"},
    {"exaone-moe", "hello big world 1", "hello big world| |1|"},
    {"bailingmoe", "it'LL\n\nx", "it|'LL|\n\n|x|"},
    {"minicpm5", "12345", "123|45|"},
    {"jais-2", "a          b", "a|        | | b|"},
    {"command-r", "", ""},
    /* White space is Unicode's: no-break space and next line, but not the Mongolian vowel separator. */
    {"gpt-2", "a \302\205b \u00a0c", "a| |\302\205|b| |\u00a0|c|"},
    {"gpt-2", "a \u180eb", "a| \u180e|b|"},
};

Test(pretokenizer, texts_are_cut_as_the_models_were_trained) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(words_of(rows[i].name, rows[i].text), rows[i].words, "%s: '%s' gives %s", rows[i].name,
                         rows[i].text, words_of(rows[i].name, rows[i].text));
}

Test(pretokenizer, names_are_listed_once_and_can_all_be_opened) {
    const char *const *names = ws_pretokenizer_names();
    size_t n = 0;
    for (; names[n]; n++) {
        ws_pretokenizer_close(open_pre(names[n]));
        for (size_t i = 0; i < n; i++) cr_expect_str_neq(names[i], names[n]);
    }
    cr_expect_geq(n, 80);
}

Test(pretokenizer, an_unknown_name_is_named) {
    ws_pretokenizer *p = (ws_pretokenizer *)1;
    ws_error err = {0};
    cr_expect_eq(ws_pretokenizer_open(&p, (ws_str){"smoll", 5}, &err), WS_UNSUPPORTED);
    cr_expect_null(p);
    cr_expect_not_null(strstr(err.msg, "'smoll'"), "%s", err.msg);
}

/* Whatever the text: words are not empty and together they are the text. Long runs of one kind of character must
 * neither exhaust a stack nor take quadratic time. */
Test(pretokenizer, long_runs_are_cut_by_every_pre_tokenizer, .timeout = 120) {
    enum { REPEATS = 1 << 15 };
    static const char *const units[] = {"a", "Ab", " ", "1", "\xc3\xa9", "a\xcc\x81", "a ", "\n ", "'", "!", "\u4e00"};
    const char *const *names = ws_pretokenizer_names();
    char *text = malloc(REPEATS * 4);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        const size_t unit = strlen(units[u]), n = REPEATS * unit;
        for (size_t i = 0; i < n; i++) text[i] = units[u][i % unit];
        for (size_t k = 0; names[k]; k++) {
            ws_pretokenizer *p = open_pre(names[k]);
            ws_words words = {0};
            ws_error err = {0};
            cr_expect_eq(ws_pretokenize(p, &words, text, n, &err), WS_OK, "%s, '%s': %s", names[k], units[u], err.msg);
            size_t sum = 0;
            for (size_t i = 0; i < words.n; sum += words.len[i++]) cr_assert_gt(words.len[i], 0);
            cr_expect_eq(sum, n, "%s, '%s'", names[k], units[u]);
            free(words.len);
            ws_pretokenizer_close(p);
        }
    }
    free(text);
}
