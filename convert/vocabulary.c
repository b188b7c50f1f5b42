#include "vocabulary.h"

#include "alloc.h"
#include "chat_template.h"
#include "config.h"
#include "file.h"
#include "pre_name.h"
#include "sentencepiece.h"
#include "special_tokens.h"
#include "tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cJSON *get(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }

static bool has_file(const ws_source *s, const char *file) {
    char *path = ws_source_path(s, file, NULL);
    const bool there = path && ws_file_exists(path);
    free(path);
    return there;
}

static bool text_is(const cJSON *object, const char *key, const char *text) {
    const char *have = ws_json_str(object, key);
    return have && strcmp(have, text) == 0;
}

static uint64_t vocab_size(const ws_source *s) {
    uint64_t n = 0;
    return ws_json_u64(ws_config_find(s->config, "vocab_size"), &n) ? n : 0;
}

/* ---- pieces that both kinds share ---- */

static void put_tokens(ws_pairs *p, const ws_tokens *t, const char *model, const char *pre) {
    ws_pairs_put_str(p, "tokenizer.ggml.model", model);
    ws_pairs_put_str(p, "tokenizer.ggml.pre", pre);
    ws_pairs_put_str_array(p, "tokenizer.ggml.tokens", t->text, t->n);
    if (t->score) ws_pairs_put_array(p, "tokenizer.ggml.scores", WS_KV_F32, t->score, t->n);
    ws_pairs_put_array(p, "tokenizer.ggml.token_type", WS_KV_I32, t->type, t->n);
}

static void put_normalizer(ws_pairs *p, const cJSON *step, int depth) {
    enum { MAX_DEPTH = 8 };
    static const char lowercase[] = "tokenizer.ggml.normalizer.lowercase";
    static const char strip_accents[] = "tokenizer.ggml.normalizer.strip_accents";
    const cJSON *inner;
    if (text_is(step, "type", "Lowercase")) ws_pairs_put_bool(p, lowercase, true);
    if (text_is(step, "type", "StripAccents")) ws_pairs_put_bool(p, strip_accents, true);
    const bool bert = text_is(step, "type", "BertNormalizer");
    const cJSON *lower = get(step, "lowercase"), *strip = get(step, "strip_accents");
    if (bert && cJSON_IsBool(lower)) ws_pairs_put_bool(p, lowercase, cJSON_IsTrue(lower));
    if (bert && cJSON_IsBool(strip)) ws_pairs_put_bool(p, strip_accents, cJSON_IsTrue(strip));
    if (text_is(step, "type", "Sequence") && depth < MAX_DEPTH)
        cJSON_ArrayForEach(inner, get(step, "normalizers")) put_normalizer(p, inner, depth + 1);
}

static ws_status put_special(ws_pairs *p, const ws_source *s, size_t n_vocab, ws_error *err) {
    ws_special_tokens_put(p, s, n_vocab);
    WS_TRY(ws_chat_template_put(p, s, err));
    put_normalizer(p, get(s->tokenizer, "normalizer"), 0);
    return WS_OK;
}

/* ---- merges ---- */

/* A space in a merge separates its halves, so spaces within them are written as byte letters. Returns the end. */
static char *store_half(char *to, const char *half) {
    for (; *half; half++) {
        const bool space = *half == ' ';
        if (space) *to++ = '\xc4'; /* U+0120 */
        *to++ = space ? '\xa0' : *half;
    }
    return to;
}

/* "a b", or ["a", "b"] in newer files; NULL for anything else. The text lives in the arena. */
static const char *merge_text(const cJSON *item, ws_arena *arena, ws_error *err) {
    if (cJSON_IsString(item)) return item->valuestring;
    const char *left = cJSON_GetStringValue(cJSON_GetArrayItem(item, 0));
    const char *right = cJSON_GetStringValue(cJSON_GetArrayItem(item, 1));
    if (!left || !right || cJSON_GetArraySize(item) != 2) return NULL;
    char small[256], *text = small;
    const size_t most = 2 * (strlen(left) + strlen(right)) + 2;
    if (most > sizeof small && !(text = ws_alloc(most, 1, "a merge", err))) return NULL;
    char *end = store_half(text, left);
    *end++ = ' ';
    end = store_half(end, right);
    const char *out = ws_arena_strndup(arena, text, (size_t)(end - text), err);
    if (text != small) free(text);
    return out;
}

static ws_status put_merges(ws_pairs *p, const ws_source *s, ws_error *err) {
    const cJSON *merges = get(get(s->tokenizer, "model"), "merges"), *item;
    const size_t n = (size_t)cJSON_GetArraySize(merges);
    ws_str *texts = ws_alloc(n, sizeof *texts, "merges", err);
    ws_arena arena = {0};
    size_t i = 0;
    ws_status st = texts ? WS_OK : WS_NOMEM;
    cJSON_ArrayForEach(item, merges) {
        const char *text = st ? NULL : merge_text(item, &arena, err);
        if (!text) {
            if (!st) st = ws_fail(err, WS_FORMAT, "'%s/tokenizer.json': merge %zu is no pair of texts", s->dir, i);
            break;
        }
        texts[i++] = (ws_str){text, strlen(text)};
    }
    if (!st) ws_pairs_put_str_array(p, "tokenizer.ggml.merges", texts, n);
    ws_arena_free(&arena);
    free(texts);
    return st;
}

/* ---- the three kinds of vocabulary ---- */

static ws_status put_sentencepiece(ws_pairs *p, const ws_source *s, ws_tokens *t, ws_error *err) {
    WS_TRY(ws_tokens_sentencepiece(t, s, vocab_size(s), err));
    put_tokens(p, t, "llama", "default");
    return put_special(p, s, t->n, err);
}

static ws_status put_llama(ws_pairs *p, const ws_source *s, ws_tokens *t, ws_error *err) {
    WS_TRY(ws_tokens_llama(t, s, err));
    put_tokens(p, t, "llama", "default");
    return put_special(p, s, t->n, err);
}

static ws_status put_bpe(ws_pairs *p, const ws_source *s, const char *chosen, ws_tokens *t, ws_error *err) {
    const cJSON *model = get(s->tokenizer, "model");
    if (!text_is(model, "type", "BPE")) {
        const char *type = ws_json_str(model, "type");
        return ws_fail(err, WS_UNSUPPORTED, "'%s/tokenizer.json': tokenizers of type '%s' are not supported (BPE is)",
                       s->dir, type ? type : "?");
    }
    char *path = ws_source_path(s, "tokenizer.json", err);
    if (!path) return WS_NOMEM;
    const char *pre;
    ws_status st = ws_pre_name(&pre, s->arch, s->tokenizer, chosen, path, err);
    free(path);
    if (st) return st;
    WS_TRY(ws_tokens_bpe(t, s, vocab_size(s), err));
    put_tokens(p, t, "gpt2", pre);
    WS_TRY(put_merges(p, s, err));
    return put_special(p, s, UINT32_MAX, err);
}

/* SentencePiece's BPE in a tokenizer.json: bytes are tokens of their own, and the decoder is a list of steps. */
static bool is_llama_json(const ws_source *s) {
    const cJSON *model = get(s->tokenizer, "model");
    return text_is(model, "type", "BPE") && cJSON_IsTrue(get(model, "byte_fallback")) &&
           text_is(get(s->tokenizer, "decoder"), "type", "Sequence");
}

static void put_type_count(ws_pairs *p, const ws_source *s) {
    uint64_t types = 1;
    ws_json_u64(ws_config_find(s->config, "type_vocab_size"), &types);
    ws_pairs_put_u32(p, "tokenizer.ggml.token_type_count", (uint32_t)types);
}

/* BERT's, with the mark of SentencePiece on tokens that begin a word, instead of one on those that do not. */
static ws_status put_wordpiece(ws_pairs *p, const ws_source *s, const char *chosen, ws_tokens *t, ws_error *err) {
    const char *pre;
    if (!text_is(get(s->tokenizer, "model"), "type", "WordPiece"))
        return ws_fail(err, WS_UNSUPPORTED, "'%s' has no tokenizer.json with a WordPiece tokenizer", s->dir);
    char *path = ws_source_path(s, "tokenizer.json", err);
    if (!path) return WS_NOMEM;
    const ws_status st = ws_pre_name(&pre, s->arch, s->tokenizer, chosen, path, err);
    free(path);
    if (st) return st;
    WS_TRY(ws_tokens_wordpiece(t, s, vocab_size(s), err));
    put_type_count(p, s);
    put_tokens(p, t, "bert", pre);
    return put_special(p, s, t->n, err);
}

static ws_status put_unigram_tokens(ws_pairs *p, const ws_source *s, const ws_tokens *t, const ws_piece_rules *rules,
                                    ws_error *err) {
    put_tokens(p, t, "t5", "default");
    ws_pairs_put_bool(p, "tokenizer.ggml.add_space_prefix", rules->add_prefix);
    put_type_count(p, s);
    ws_pairs_put_bool(p, "tokenizer.ggml.remove_extra_whitespaces", rules->merge_spaces);
    if (rules->charsmap.len)
        ws_pairs_put_array(p, "tokenizer.ggml.precompiled_charsmap", WS_KV_U8, rules->charsmap.data,
                           rules->charsmap.len);
    return put_special(p, s, t->n, err);
}

static ws_status put_unigram_json(ws_pairs *p, const ws_source *s, ws_tokens *t, ws_error *err) {
    const cJSON *prefix = get(s->tokenizer_config, "add_prefix_space");
    ws_piece_rules rules = {.add_prefix = !cJSON_IsFalse(prefix),
                            .merge_spaces = cJSON_IsTrue(get(s->tokenizer_config, "clean_up_tokenization_spaces"))};
    uint8_t *map;
    WS_TRY(ws_tokens_unigram_json(t, s, vocab_size(s), err));
    WS_TRY(ws_unigram_charsmap(&map, &rules.charsmap.len, s, err));
    rules.charsmap.data = (const char *)map;
    const ws_status st = put_unigram_tokens(p, s, t, &rules, err);
    free(map);
    return st;
}

static ws_status put_unigram_model(ws_pairs *p, const ws_source *s, ws_tokens *t, const uint8_t *data, size_t size,
                                   const char *path, ws_error *err) {
    ws_piece_rules rules;
    WS_TRY(ws_sentencepiece_rules(&rules, data, size, path, err));
    if (!rules.unigram) return ws_fail(err, WS_UNSUPPORTED, "'%s' is no unigram model, as BERT's are", path);
    WS_TRY(ws_tokens_unigram(t, data, size, path, vocab_size(s), err));
    return put_unigram_tokens(p, s, t, &rules, err);
}

/* XLM-RoBERTa's. */
static ws_status put_unigram(ws_pairs *p, const ws_source *s, ws_tokens *t, ws_error *err) {
    enum { MAX_MODEL_BYTES = 256 << 20 };
    if (!has_file(s, "sentencepiece.bpe.model")) return put_unigram_json(p, s, t, err);
    char *data = NULL, *path = ws_source_path(s, "sentencepiece.bpe.model", err);
    size_t size;
    if (!path) return WS_NOMEM;
    ws_status st = ws_file_read(&data, &size, path, MAX_MODEL_BYTES, err);
    if (!st) st = put_unigram_model(p, s, t, (const uint8_t *)data, size, path, err);
    free(data);
    free(path);
    return st;
}

/* tokenizer.json's added tokens outrank all else in Phi 3. */
static ws_status put_phi(ws_pairs *p, const ws_source *s, ws_tokens *t, ws_error *err) {
    WS_TRY(ws_tokens_phi(t, s, vocab_size(s), err));
    put_tokens(p, t, "llama", "default");
    return put_special(p, s, t->n, err);
}

/* Byte-level BPE, in models that otherwise have SentencePiece. */
static bool is_bpe_phi(const ws_source *s) {
    return s->arch->vocab & WS_VOCAB_PHI && text_is(s->tokenizer_config, "tokenizer_class", "GPT2Tokenizer");
}

static ws_status put_any(ws_pairs *p, const ws_source *s, const char *chosen, ws_tokens *t, ws_error *err) {
    const unsigned kinds = s->arch->vocab;
    if (!s->tokenizer && has_file(s, "tekken.json"))
        return ws_fail(err, WS_UNSUPPORTED, "'%s/tekken.json': Mistral's own tokenizer files are not supported",
                       s->dir);
    if (kinds & WS_VOCAB_UNIGRAM) return put_unigram(p, s, t, err);
    if (kinds & WS_VOCAB_WORDPIECE) return put_wordpiece(p, s, chosen, t, err);
    const cJSON *prefix = get(s->tokenizer_config, "add_prefix_space");
    if (kinds & WS_VOCAB_PREFIX_KEY && cJSON_IsBool(prefix))
        ws_pairs_put_bool(p, "tokenizer.ggml.add_space_prefix", cJSON_IsTrue(prefix));
    const bool pieces = kinds & WS_VOCAB_SENTENCEPIECE && has_file(s, "tokenizer.model") && !is_bpe_phi(s);
    if (pieces) return kinds & WS_VOCAB_PHI ? put_phi(p, s, t, err) : put_sentencepiece(p, s, t, err);
    const bool json = kinds & (WS_VOCAB_LLAMA_JSON | WS_VOCAB_BPE) || is_bpe_phi(s);
    if (!json) return ws_fail(err, WS_FORMAT, "'%s' has no tokenizer.model", s->dir);
    if (!s->tokenizer)
        return ws_fail(err, WS_FORMAT, "'%s' has no tokenizer: %s", s->dir,
                       kinds & WS_VOCAB_SENTENCEPIECE ? "neither tokenizer.json nor tokenizer.model"
                                                      : "no tokenizer.json");
    return kinds & WS_VOCAB_LLAMA_JSON && is_llama_json(s) ? put_llama(p, s, t, err) : put_bpe(p, s, chosen, t, err);
}

/* Llama's families by the size of their vocabulary, as in the reference. */
static void put_llama_sizes(ws_pairs *p, const ws_source *s) {
    enum { CODE_LLAMA = 32016, CODE_LLAMA_EOT = 32010, GRANITE_AND_SMOLLM = 49152 };
    static const char eot[] = "tokenizer.ggml.eot_token_id";
    if (vocab_size(s) == CODE_LLAMA && !ws_pairs_find(p, eot)) ws_pairs_put_u32(p, eot, CODE_LLAMA_EOT);
    if (vocab_size(s) == GRANITE_AND_SMOLLM) ws_pairs_put_bool(p, "tokenizer.ggml.add_bos_token", false);
}

/* Hunyuan's. */
static void put_end_of_document(ws_pairs *p, const ws_source *s) {
    uint64_t id;
    const cJSON *ends = get(s->generation, "eos_token_id");
    if (ws_json_u64(get(s->config, "eod_token_id"), &id))
        ws_pairs_put_u32(p, "tokenizer.ggml.eos_token_id", (uint32_t)id);
    if (cJSON_GetArraySize(ends) >= 2 && ws_json_u64(cJSON_GetArrayItem(ends, 0), &id))
        ws_pairs_put_u32(p, "tokenizer.ggml.eot_token_id", (uint32_t)id);
}

uint64_t ws_vocabulary_tokens(const ws_source *s) {
    const cJSON *vocab = get(get(s->tokenizer, "model"), "vocab");
    if (has_file(s, "tokenizer.model") || !vocab) return vocab_size(s);
    return (uint64_t)cJSON_GetArraySize(vocab) + (uint64_t)cJSON_GetArraySize(get(s->tokenizer, "added_tokens"));
}

ws_status ws_vocabulary_put(ws_pairs *p, const ws_source *s, const char *pre_tokenizer, ws_error *err) {
    enum { GEMMA_EOT = 107 };
    const unsigned kinds = s->arch->vocab;
    ws_tokens t = {0};
    static const char *const adds[] = {"bos", "eos", "sep"};
    for (size_t i = 0; kinds & WS_VOCAB_ADDS_ALL && i < sizeof adds / sizeof *adds; i++) {
        char key[64];
        snprintf(key, sizeof key, "tokenizer.ggml.add_%s_token", adds[i]);
        ws_pairs_put_bool(p, key, true);
    }
    const ws_status st = put_any(p, s, pre_tokenizer, &t, err);
    ws_tokens_free(&t);
    if (st) return st;
    if (kinds & WS_VOCAB_LLAMA_SIZES) put_llama_sizes(p, s);
    if (kinds & WS_VOCAB_GEMMA_CODE) ws_pairs_put_u32(p, "tokenizer.ggml.eot_token_id", GEMMA_EOT);
    if (kinds & WS_VOCAB_NO_PREFIX && has_file(s, "tokenizer.model"))
        ws_pairs_put_bool(p, "tokenizer.ggml.add_space_prefix", false);
    if (kinds & WS_VOCAB_EOD) put_end_of_document(p, s);
    if (kinds & WS_VOCAB_TYPES_LAST) put_type_count(p, s);
    const cJSON *prefix = get(s->tokenizer_config, "add_prefix_space");
    if (kinds & WS_VOCAB_PREFIX_LAST && cJSON_IsBool(prefix))
        ws_pairs_put_bool(p, "tokenizer.ggml.add_space_prefix", cJSON_IsTrue(prefix));
    return ws_pairs_check(p, err);
}
