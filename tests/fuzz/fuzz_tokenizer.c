/* Any text over small vocabularies, and any vocabulary over a small text: ids lie in the vocabulary, the same text
 * gives the same ids, and where every byte has a token the text comes back. The first byte chooses the vocabulary
 * and the flags; with 3 in its low bits, the rest is a GGUF file. */
#include "../common/vocab_file.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok) abort();
}

static ws_gguf *bpe_file(void) {
    vocab_file *v = vocab_new("gpt2", "llama-bpe");
    vocab_add_letters(v);
    vocab_add_words(v, "th the \u0120the in ing \u0120\u0120 \u00c3\u00a9 12 123 ab abab");
    vocab_add(v, "<s>", 0, WS_TOKEN_CONTROL);
    vocab_add(v, "<|im_end|>", 0, WS_TOKEN_CONTROL);
    vocab_add(v, "[m]", 0, WS_TOKEN_USER_DEFINED);
    vocab_add(v, "m]m", 0, WS_TOKEN_USER_DEFINED);
    vocab_put_merges(v, "t h\nth e\n\u0120 the\ni n\nin g\n\u0120 \u0120\n\u00c3 \u00a9\n1 2\n12 3\na b\nx y\nxy x");
    return vocab_open(v);
}

static ws_gguf *spm_file(void) {
    vocab_file *v = vocab_new("llama", NULL);
    vocab_add(v, "<unk>", 0, WS_TOKEN_UNKNOWN);
    vocab_add(v, "<s>", 0, WS_TOKEN_CONTROL);
    vocab_add(v, "</s>", 0, WS_TOKEN_CONTROL);
    vocab_add_bytes(v);
    vocab_add_words(v, "\u2581 t h e th the \u2581the a b ab ba aba \u2581\u2581 \u00e9 \n");
    for (size_t i = 259; i < v->n; i++) v->score[i] = -(float)(i * 7 % 11);
    vocab_add(v, "[m]", 0, WS_TOKEN_USER_DEFINED);
    return vocab_open(v);
}

static ws_gguf *unigram_file(void) {
    vocab_file *v = vocab_new("t5", NULL);
    vocab_add(v, "<pad>", 0, WS_TOKEN_CONTROL);
    vocab_add(v, "</s>", 0, WS_TOKEN_CONTROL);
    vocab_add(v, "<unk>", 0, WS_TOKEN_UNKNOWN);
    vocab_add_words(v, "\u2581 a b ab ba aba \u2581a the t h e \u00e9");
    for (size_t i = 3; i < v->n; i++) v->score[i] = -(float)(i * 7 % 11);
    vocab_add(v, "<m>", 0, WS_TOKEN_USER_DEFINED);
    ws_gguf_put_bool(v->w, "tokenizer.ggml.remove_extra_whitespaces", true);
    return vocab_open(v);
}

enum { BPE, SPM, UNIGRAM, ANY_FILE };

static const ws_tokenizer *small(unsigned which) {
    static ws_gguf *file[ANY_FILE];
    static ws_tokenizer *made[ANY_FILE];
    ws_gguf *(*const make[])(void) = {bpe_file, spm_file, unigram_file};
    if (!made[which]) {
        file[which] = make[which]();
        require(ws_tokenizer_open(&made[which], file[which], NULL) == WS_OK);
    }
    return made[which];
}

static bool tokenize(const ws_tokenizer *t, ws_ids *ids, const char *text, size_t n, unsigned flags) {
    ws_error err = {0};
    const ws_status st = ws_tokenize(t, ids, text, n, flags & 4, flags & 8, &err);
    require(st == err.code && (st == WS_OK || (ids->n == 0 && err.msg[0])));
    for (size_t i = 0; i < ids->n; i++) require(ids->id[i] >= 0 && (size_t)ids->id[i] < ws_tokenizer_size(t));
    return st == WS_OK;
}

/* The text again. SentencePiece puts a space before it, and there U+2581 and a space are the same. */
static void comes_back(const ws_tokenizer *t, const ws_ids *ids, const char *text, size_t n, bool spm) {
    size_t len = 0, wanted = n;
    for (size_t i = 0; i < ids->n; i++) len += ws_token_text(t, ids->id[i]).len;
    char *back = malloc(len + 1), *original = malloc(n + 1);
    require(back && original);
    memcpy(original, text, n);
    len = 0;
    for (size_t i = 0; i < ids->n; i++) {
        const ws_str piece = ws_token_text(t, ids->id[i]);
        memcpy(back + len, piece.data, piece.len);
        len += piece.len;
    }
    if (spm) {
        len = ws_unspell(back, (ws_str){back, len}, WS_SPELL_SPACES);
        wanted = ws_unspell(original, (ws_str){original, n}, WS_SPELL_SPACES);
    }
    const size_t prefix = spm && n > 0;
    require(len == wanted + prefix && memcmp(back + prefix, original, wanted) == 0);
    require(!prefix || back[0] == ' ');
    free(back);
    free(original);
}

static void check_text(unsigned which, unsigned flags, const char *text, size_t n) {
    const ws_tokenizer *t = small(which);
    ws_ids ids = {0}, again = {0};
    char *repaired;
    size_t len;
    require(tokenize(t, &ids, text, n, flags) && tokenize(t, &again, text, n, flags));
    require(ids.n == again.n && (ids.n == 0 || memcmp(ids.id, again.id, ids.n * sizeof *ids.id) == 0));
    if (which == SPM && !(flags & 12) && !memmem(text, n, "[m]", 3)) comes_back(t, &ids, text, n, true);
    if (which == BPE && !(flags & 12)) {
        require(ws_utf8_repair(&repaired, &len, text, n, NULL) == WS_OK);
        comes_back(t, &ids, repaired ? repaired : text, repaired ? len : n, false);
        free(repaired);
    }
    free(ids.id);
    free(again.id);
}

static void check_file(unsigned flags, const uint8_t *data, size_t size) {
    static const char text[] = "The <s>na\xc3\xafve  fox's 123 a\xff\n</s>";
    ws_gguf *g;
    ws_tokenizer *t;
    ws_error err = {0};
    if (ws_gguf_open_bytes(&g, data, size, "fuzz", &err)) return;
    const ws_status st = ws_tokenizer_open(&t, g, &err);
    require(st == err.code && (st ? !t && err.msg[0] : t != NULL));
    if (t) {
        ws_ids ids = {0};
        tokenize(t, &ids, text, sizeof text - 1, flags);
        for (size_t i = 0; i < ids.n; i++) ws_token_text(t, ids.id[i]);
        free(ids.id);
    }
    ws_tokenizer_close(t);
    ws_gguf_close(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const unsigned which = data[0] & 3, flags = data[0];
    if (which == ANY_FILE)
        check_file(flags, data + 1, size - 1);
    else
        check_text(which, flags, (const char *)data + 1, size - 1);
    return 0;
}
