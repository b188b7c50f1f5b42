/* vocab_file.h - small GGUF files with a vocabulary, for tests and fuzzing: filled through the library's writer,
 * opened, and gone from the disk. Whatever goes wrong here aborts. */
#ifndef WS_TEST_VOCAB_FILE_H
#define WS_TEST_VOCAB_FILE_H

#include "gguf.h"
#include "spelling.h"
#include "tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VOCAB_MAX = 512 };

typedef struct {
    ws_gguf_writer *w;
    char path[64];
    ws_str token[VOCAB_MAX];
    float score[VOCAB_MAX];
    int32_t type[VOCAB_MAX];
    size_t n;
    char storage[VOCAB_MAX * 8]; /* of byte letters and byte tokens */
    size_t n_stored;
} vocab_file;

static inline void vocab_require(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "cannot make a vocabulary: %s\n", what);
    abort();
}

/* `pre` may be NULL. */
static inline vocab_file *vocab_new(const char *model, const char *pre) {
    static int n_made;
    vocab_file *v = calloc(1, sizeof *v);
    vocab_require(v && ws_gguf_writer_new(&v->w, NULL) == WS_OK, "no memory");
    snprintf(v->path, sizeof v->path, "/tmp/ws-vocab-%ld-%d.gguf", (long)getpid(), n_made++);
    ws_gguf_put_str(v->w, "tokenizer.ggml.model", model);
    if (pre) ws_gguf_put_str(v->w, "tokenizer.ggml.pre", pre);
    return v;
}

/* The next token; its id. */
static inline int32_t vocab_add(vocab_file *v, const char *text, float score, ws_token_type type) {
    vocab_require(v->n < VOCAB_MAX, "too many tokens");
    v->token[v->n] = (ws_str){text, strlen(text)};
    v->score[v->n] = score;
    v->type[v->n] = (int32_t)type;
    return (int32_t)v->n++;
}

/* Normal tokens: "a b c", separated by spaces. */
static inline void vocab_add_words(vocab_file *v, const char *words) {
    while (*words) {
        const size_t len = strcspn(words, " ");
        vocab_add(v, "", 0, WS_TOKEN_NORMAL);
        v->token[v->n - 1] = (ws_str){words, len};
        words += len + (words[len] == ' ');
    }
}

static inline char *vocab_store(vocab_file *v, const char *text, size_t n) {
    char *to = v->storage + v->n_stored;
    memcpy(to, text, n);
    to[n] = 0;
    v->n_stored += n + 1;
    return to;
}

/* The letters of all bytes, or the byte tokens <0x00> to <0xFF>. */
static inline void vocab_add_letters(vocab_file *v) {
    for (unsigned b = 0; b < 256; b++) {
        char letter[2];
        const size_t n = ws_spell_letter(letter, (uint8_t)b);
        vocab_add(v, vocab_store(v, letter, n), 0, WS_TOKEN_NORMAL);
    }
}

static inline void vocab_add_bytes(vocab_file *v) {
    for (unsigned b = 0; b < 256; b++) {
        const ws_byte_token t = ws_spell_byte_token((uint8_t)b);
        vocab_add(v, vocab_store(v, t.text, sizeof t.text), 0, WS_TOKEN_BYTE);
    }
}

/* A list of strings that are separated by newlines. */
static inline void vocab_put_lines(vocab_file *v, const char *key, const char *lines) {
    ws_str s[VOCAB_MAX];
    size_t n = 0;
    while (*lines) {
        vocab_require(n < VOCAB_MAX, "too many lines");
        s[n] = (ws_str){lines, strcspn(lines, "\n")};
        lines += s[n].len + (lines[s[n].len] == '\n');
        n++;
    }
    ws_gguf_put_str_array(v->w, key, s, n);
}

static inline void vocab_put_merges(vocab_file *v, const char *merges) {
    vocab_put_lines(v, "tokenizer.ggml.merges", merges);
}

/* Write the arrays of tokens that were added, if there are any, open the file, free v. */
static inline ws_gguf *vocab_open(vocab_file *v) {
    if (v->n) {
        ws_gguf_put_str_array(v->w, "tokenizer.ggml.tokens", v->token, v->n);
        ws_gguf_put_array(v->w, "tokenizer.ggml.scores", WS_KV_F32, v->score, v->n);
        ws_gguf_put_array(v->w, "tokenizer.ggml.token_type", WS_KV_I32, v->type, v->n);
    }
    ws_error err = {0};
    ws_gguf *g;
    vocab_require(ws_gguf_writer_begin(v->w, v->path, &err) == WS_OK, err.msg);
    vocab_require(ws_gguf_writer_finish(v->w, &err) == WS_OK, err.msg);
    vocab_require(ws_gguf_open(&g, v->path, &err) == WS_OK, err.msg);
    unlink(v->path);
    free(v);
    return g;
}

#endif
