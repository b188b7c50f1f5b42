/* tokenizer_check.h - a tokenizer over a small file, and what it makes of texts. */
#ifndef WS_TEST_TOKENIZER_CHECK_H
#define WS_TEST_TOKENIZER_CHECK_H

#include "vocab_file.h"

#include <criterion/criterion.h>

typedef struct {
    ws_gguf *g;
    ws_tokenizer *t;
} opened;

static inline opened open_vocab(vocab_file *v) {
    opened o = {.g = vocab_open(v)};
    ws_error err = {0};
    cr_assert_eq(ws_tokenizer_open(&o.t, o.g, &err), WS_OK, "%s", err.msg);
    return o;
}

static inline void close_vocab(opened o) {
    ws_tokenizer_close(o.t);
    ws_gguf_close(o.g);
}

enum { PLAIN = 0, ADD_SPECIAL = 1, PARSE_SPECIAL = 2 };

/* The ids of a text as "1 2 3", in a static buffer. */
static inline const char *ids_of(const ws_tokenizer *t, const char *text, size_t n, unsigned flags) {
    static char out[4096];
    ws_ids ids = {0};
    ws_error err = {0};
    cr_assert_eq(ws_tokenize(t, &ids, text, n, flags & ADD_SPECIAL, flags & PARSE_SPECIAL, &err), WS_OK, "%s", err.msg);
    size_t len = 0;
    out[0] = 0;
    for (size_t i = 0; i < ids.n && len < sizeof out - 16; i++)
        len += (size_t)snprintf(out + len, sizeof out - len, i ? " %d" : "%d", ids.id[i]);
    free(ids.id);
    return out;
}

/* The printed pieces of a text's ids, each followed by '|', in a static buffer. */
static inline const char *pieces_of(const ws_tokenizer *t, const char *text, unsigned flags) {
    static char out[4096];
    ws_ids ids = {0};
    ws_error err = {0};
    cr_assert_eq(ws_tokenize(t, &ids, text, strlen(text), flags & ADD_SPECIAL, flags & PARSE_SPECIAL, &err), WS_OK,
                 "%s", err.msg);
    size_t len = 0;
    out[0] = 0;
    for (size_t i = 0; i < ids.n; i++) {
        const ws_str piece = ws_token_text(t, ids.id[i]);
        len += (size_t)snprintf(out + len, sizeof out - len, "%.*s|", (int)piece.len, piece.data);
    }
    free(ids.id);
    return out;
}

#define EXPECT_IDS(t, text, flags, wanted)                                                                             \
    cr_expect_str_eq(ids_of(t, text, sizeof(text) - 1, flags), wanted, "'%s' gives %s instead of %s", text,            \
                     ids_of(t, text, sizeof(text) - 1, flags), wanted)
#define EXPECT_PIECES(t, text, flags, wanted)                                                                          \
    cr_expect_str_eq(pieces_of(t, text, flags), wanted, "'%s' gives %s instead of %s", text,                           \
                     pieces_of(t, text, flags), wanted)

#endif
