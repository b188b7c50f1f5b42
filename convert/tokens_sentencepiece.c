/* tokens_sentencepiece.c - tokenizer.model and the two JSON files that add to it or overrule it. */
#include "alloc.h"
#include "file.h"
#include "sentencepiece.h"
#include "text.h"
#include "tokens.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_MODEL_BYTES = 256 << 20 };
static const float ADDED_SCORE = -1000;

/* Pieces that users defined when they trained the tokenizer are normal tokens, as in the reference. */
static ws_token_type token_type(ws_piece_type type) {
    static const ws_token_type types[] = {
        [WS_PIECE_NORMAL] = WS_TOKEN_NORMAL,   [WS_PIECE_UNKNOWN] = WS_TOKEN_UNKNOWN,
        [WS_PIECE_CONTROL] = WS_TOKEN_CONTROL, [WS_PIECE_USER_DEFINED] = WS_TOKEN_NORMAL,
        [WS_PIECE_UNUSED] = WS_TOKEN_UNUSED,   [WS_PIECE_BYTE] = WS_TOKEN_BYTE,
    };
    return types[type];
}

static ws_status set_pieces(ws_tokens *t, const ws_piece *piece, size_t n_pieces, size_t n_vocab, ws_error *err) {
    size_t n = n_vocab ? n_vocab : n_pieces;
    WS_TRY(ws_tokens_init(t, n, true, err));
    if (n > n_pieces) n = n_pieces;
    for (size_t i = 0; i < n; i++) {
        WS_TRY(ws_tokens_set(t, i, piece[i].text.data, piece[i].text.len, token_type(piece[i].type), err));
        t->score[i] = piece[i].score;
    }
    return WS_OK;
}

static ws_status read_model(ws_tokens *t, const char *path, size_t n_vocab, ws_error *err) {
    char *data;
    size_t size, n_pieces;
    ws_piece *pieces;
    WS_TRY(ws_file_read(&data, &size, path, MAX_MODEL_BYTES, err));
    ws_status st = ws_sentencepiece_parse(&pieces, &n_pieces, (const uint8_t *)data, size, path, err);
    if (!st) st = set_pieces(t, pieces, n_pieces, n_vocab, err);
    free(pieces);
    free(data);
    return st;
}

static ws_status add_token(ws_tokens *t, uint64_t id, const char *text, ws_token_type type, ws_error *err) {
    if (id >= t->n) return WS_OK; /* the reference drops them, too: the model has no row for them */
    t->score[id] = ADDED_SCORE;
    return ws_tokens_set(t, id, text, strlen(text), type, err);
}

static ws_status fail_entry(const ws_source *s, const char *file, const cJSON *entry, ws_error *err) {
    const char *name = entry->string ? entry->string : "";
    return ws_fail(err, WS_FORMAT, "'%s/%s': the added token '%s' is broken", s->dir, file,
                   ws_show(name, strlen(name)).text);
}

/* {"<text>": id, ...} */
static ws_status read_added_tokens(ws_tokens *t, const ws_source *s, ws_error *err) {
    static const char file[] = "added_tokens.json";
    cJSON *root;
    const cJSON *entry;
    WS_TRY(ws_source_json(&root, s, file, err));
    ws_status st = WS_OK;
    cJSON_ArrayForEach(entry, root) {
        uint64_t id;
        if (!ws_json_u64(entry, &id))
            st = fail_entry(s, file, entry, err);
        else
            st = add_token(t, id, entry->string, WS_TOKEN_USER_DEFINED, err);
        if (st) break;
    }
    cJSON_Delete(root);
    return st;
}

/* {"added_tokens_decoder": {"id": {"content": text, "special": bool, ...}, ...}} */
static ws_status read_decoder(ws_tokens *t, const ws_source *s, ws_error *err) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(s->tokenizer_config, "added_tokens_decoder")) {
        char *end;
        const unsigned long long id = strtoull(entry->string ? entry->string : "", &end, 10);
        const char *text = ws_json_str(entry, "content");
        if (!entry->string || end == entry->string || *end || !text)
            return fail_entry(s, "tokenizer_config.json", entry, err);
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "special")) || ws_token_looks_special(text)) {
            WS_TRY(add_token(t, id, text, WS_TOKEN_CONTROL, err));
            continue;
        }
        char *spaced = ws_token_spaced(text, err);
        const ws_status st = spaced ? add_token(t, id, spaced, WS_TOKEN_USER_DEFINED, err) : WS_NOMEM;
        free(spaced);
        WS_TRY(st);
    }
    return WS_OK;
}

/* The model's pieces and the tokens of added_tokens.json. */
static ws_status read_pieces(ws_tokens *t, const ws_source *s, size_t n_vocab, ws_error *err) {
    char *path = ws_source_path(s, "tokenizer.model", err);
    if (!path) return WS_NOMEM;
    const ws_status st = read_model(t, path, n_vocab, err);
    free(path);
    return st ? st : read_added_tokens(t, s, err);
}

ws_status ws_tokens_sentencepiece(ws_tokens *t, const ws_source *s, size_t n_vocab, ws_error *err) {
    WS_TRY(read_pieces(t, s, n_vocab, err));
    return read_decoder(t, s, err);
}

/* ---- XLM-RoBERTa ---- */

static ws_status set_first_four(ws_tokens *t, ws_error *err) {
    static const char *const first[] = {"<s>", "<pad>", "</s>", "<unk>"};
    for (size_t i = 0; i < 4; i++) {
        WS_TRY(ws_tokens_set(t, i, first[i], strlen(first[i]), i < 3 ? WS_TOKEN_CONTROL : WS_TOKEN_UNKNOWN, err));
        t->score[i] = 0;
    }
    return WS_OK;
}

ws_status ws_tokens_unigram(ws_tokens *t, const uint8_t *data, size_t size, const char *path, size_t n_vocab,
                            ws_error *err) {
    size_t n_pieces;
    ws_piece *pieces;
    WS_TRY(ws_sentencepiece_parse(&pieces, &n_pieces, data, size, path, err));
    ws_status st = set_pieces(t, pieces, n_pieces, n_vocab > n_pieces ? n_vocab : n_pieces, err);
    free(pieces);
    if (st) return st;
    if (t->n < 4) return ws_fail(err, WS_FORMAT, "'%s' has %zu tokens only", path, t->n);
    memmove(t->text + 4, t->text + 3, (t->n - 4) * sizeof *t->text);
    memmove(t->type + 4, t->type + 3, (t->n - 4) * sizeof *t->type);
    memmove(t->score + 4, t->score + 3, (t->n - 4) * sizeof *t->score);
    return set_first_four(t, err);
}

/* ---- Phi 3 ---- */

static ws_status set_phi_token(ws_tokens *t, uint64_t id, const char *text, const cJSON *entry, ws_error *err) {
    const bool special = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "special"));
    return add_token(t, id, text, special ? WS_TOKEN_CONTROL : WS_TOKEN_USER_DEFINED, err);
}

/* tokenizer_config.json's table, then tokenizer.json's list. */
static ws_status read_phi_added(ws_tokens *t, const ws_source *s, ws_error *err) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(s->tokenizer_config, "added_tokens_decoder")) {
        char *end;
        const unsigned long long id = strtoull(entry->string ? entry->string : "", &end, 10);
        const char *text = ws_json_str(entry, "content");
        if (!entry->string || end == entry->string || *end || !text)
            return fail_entry(s, "tokenizer_config.json", entry, err);
        WS_TRY(set_phi_token(t, id, text, entry, err));
    }
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(s->tokenizer, "added_tokens")) {
        uint64_t id;
        const char *text = ws_json_str(entry, "content");
        if (!text || !ws_json_u64(cJSON_GetObjectItemCaseSensitive(entry, "id"), &id))
            return fail_entry(s, "tokenizer.json", entry, err);
        WS_TRY(set_phi_token(t, id, text, entry, err));
    }
    return WS_OK;
}

ws_status ws_tokens_phi(ws_tokens *t, const ws_source *s, size_t n_vocab, ws_error *err) {
    WS_TRY(read_pieces(t, s, n_vocab, err));
    return read_phi_added(t, s, err);
}
