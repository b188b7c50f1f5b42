/* tokens_unigram.c - XLM-RoBERTa's tokens from a tokenizer.json, and the rewriting of characters that it has as base64.
 */
#include "alloc.h"
#include "tokens.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const cJSON *get(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }

/* The id of a token among the added ones; `fallback` where it is not. */
static uint64_t id_of_added(const cJSON *tokenizer, const char *text, uint64_t fallback) {
    const cJSON *entry;
    uint64_t id;
    cJSON_ArrayForEach(entry, get(tokenizer, "added_tokens")) {
        const char *content = ws_json_str(entry, "content");
        if (content && text && strcmp(content, text) == 0 && ws_json_u64(get(entry, "id"), &id)) return id;
    }
    return fallback;
}

static void mark_added(ws_tokens *t, const cJSON *tokenizer, size_t n) {
    const cJSON *entry;
    uint64_t id;
    cJSON_ArrayForEach(entry, get(tokenizer, "added_tokens")) {
        if (!ws_json_u64(get(entry, "id"), &id) || id >= n) continue;
        t->type[id] = cJSON_IsTrue(get(entry, "special")) ? WS_TOKEN_CONTROL : WS_TOKEN_USER_DEFINED;
    }
}

ws_status ws_tokens_unigram_json(ws_tokens *t, const ws_source *s, size_t n_vocab, ws_error *err) {
    const cJSON *model = get(s->tokenizer, "model"), *vocab = get(model, "vocab"), *entry;
    const size_t n = (size_t)cJSON_GetArraySize(vocab);
    const char *type = ws_json_str(model, "type");
    uint64_t unk = 3;
    size_t i = 0;
    if (!type || strcmp(type, "Unigram") != 0 || n == 0)
        return ws_fail(err, WS_FORMAT,
                       "'%s' has neither sentencepiece.bpe.model nor a tokenizer.json with a unigram model", s->dir);
    WS_TRY(ws_tokens_init(t, n_vocab > n ? n_vocab : n, true, err));
    cJSON_ArrayForEach(entry, vocab) {
        const char *text = cJSON_GetStringValue(cJSON_GetArrayItem(entry, 0));
        const cJSON *score = cJSON_GetArrayItem(entry, 1);
        if (!text || !cJSON_IsNumber(score))
            return ws_fail(err, WS_FORMAT, "'%s/tokenizer.json': token %zu is no pair of text and score", s->dir, i);
        WS_TRY(ws_tokens_set(t, i, text, strlen(text), WS_TOKEN_NORMAL, err));
        t->score[i++] = (float)score->valuedouble;
    }
    mark_added(t, s->tokenizer, n);
    ws_json_u64(get(model, "unk_id"), &unk);
    unk = id_of_added(s->tokenizer, ws_json_str(s->tokenizer_config, "unk_token"), unk);
    if (unk < n) t->type[unk] = WS_TOKEN_UNKNOWN;
    return WS_OK;
}

ws_status ws_unigram_charsmap(uint8_t **out, size_t *n, const ws_source *s, ws_error *err) {
    const char *text = ws_json_str(get(s->tokenizer, "normalizer"), "precompiled_charsmap");
    const size_t len = text ? strlen(text) : 0;
    *out = ws_alloc(len + 1, 1, "a map of characters", err);
    if (!*out) return WS_NOMEM;
    const int bytes =
        text && len <= INT_MAX ? EVP_DecodeBlock(*out, (const unsigned char *)text, (int)len) : -1; /* with padding */
    if (bytes >= 0) {
        *n = (size_t)bytes - (len > 0 && text[len - 1] == '=') - (len > 1 && text[len - 2] == '=');
        return WS_OK;
    }
    free(*out);
    *out = NULL;
    *n = 0;
    return ws_fail(err, WS_UNSUPPORTED, "'%s/tokenizer.json': the normalizer is not just a precompiled_charsmap",
                   s->dir);
}
