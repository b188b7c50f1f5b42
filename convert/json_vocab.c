#include "json_vocab.h"

#include "alloc.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static const cJSON *get(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }

static ws_added_token *find_added(const ws_json_vocab *v, const char *text) {
    for (size_t i = 0; i < v->n_added; i++)
        if (strcmp(v->added[i].text, text) == 0) return &v->added[i];
    return NULL;
}

static bool find_in_model(const ws_json_vocab *v, const char *text, uint64_t *id) {
    const int32_t at = ws_strmap_find(&v->index, text, strlen(text));
    if (at != WS_STRMAP_NONE) *id = v->id[at];
    return at != WS_STRMAP_NONE;
}

/* ---- the model's tokens ---- */

static ws_status read_model(ws_json_vocab *v, const ws_source *s, ws_error *err) {
    const cJSON *vocab = get(get(s->tokenizer, "model"), "vocab"), *entry;
    if (!cJSON_IsObject(vocab)) return ws_fail(err, WS_FORMAT, "'%s/tokenizer.json' has no vocabulary", s->dir);
    const size_t n = (size_t)cJSON_GetArraySize(vocab);
    v->text = ws_alloc(n, sizeof *v->text, "a vocabulary", err);
    v->id = ws_alloc(n, sizeof *v->id, "a vocabulary", err);
    if (!v->text || !v->id) return WS_NOMEM;
    cJSON_ArrayForEach(entry, vocab) {
        v->text[v->n] = (ws_str){entry->string, strlen(entry->string)};
        if (!ws_json_u64(entry, &v->id[v->n]))
            return ws_fail(err, WS_FORMAT, "'%s/tokenizer.json': token '%s' has no id", s->dir,
                           ws_show(entry->string, strlen(entry->string)).text);
        v->n++;
    }
    return ws_strmap_build(&v->index, v->text, v->n, err);
}

/* ---- added tokens ---- */

static ws_status push_added(ws_json_vocab *v, ws_added_token t, ws_error *err) {
    WS_TRY(ws_grow(&v->added, &v->added_cap, v->n_added + 1, sizeof *v->added, err));
    v->added[v->n_added++] = t;
    return WS_OK;
}

/* The id of a token that is added without one: the model's, or the first that is free above all others. */
static uint64_t id_for(const ws_json_vocab *v, const char *text) {
    uint64_t id = v->n;
    if (find_in_model(v, text, &id)) return id;
    for (size_t i = 0; i < v->n_added; i++)
        if (v->added[i].id >= id) id = v->added[i].id + 1;
    return id;
}

static bool flag(const cJSON *entry, const char *key, bool fallback) {
    const cJSON *item = get(entry, key);
    return item ? cJSON_IsTrue(item) : fallback;
}

static ws_status read_added(ws_json_vocab *v, const ws_source *s, ws_error *err) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, get(s->tokenizer, "added_tokens")) {
        ws_added_token t = {.text = ws_json_str(entry, "content"), .special = flag(entry, "special", false)};
        t.normalized = flag(entry, "normalized", !t.special);
        if (!t.text || !ws_json_u64(get(entry, "id"), &t.id))
            return ws_fail(err, WS_FORMAT, "'%s/tokenizer.json': added token %zu has no text or no id", s->dir,
                           v->n_added);
        WS_TRY(push_added(v, t, err));
    }
    return WS_OK;
}

/* An entry of added_tokens_decoder or a special token: sets the flags of the token or adds it. */
static ws_status add(ws_json_vocab *v, const char *text, bool special, bool normalized, ws_error *err) {
    ws_added_token *t = find_added(v, text);
    if (!t) return push_added(v, (ws_added_token){text, id_for(v, text), special, normalized}, err);
    t->special = special;
    t->normalized = normalized;
    return WS_OK;
}

static int by_id(const void *a, const void *b) {
    const long ia = strtol((*(const cJSON *const *)a)->string, NULL, 10);
    const long ib = strtol((*(const cJSON *const *)b)->string, NULL, 10);
    return (ia > ib) - (ia < ib);
}

/* tokenizer_config.json's table, in order of ids. */
static ws_status apply_decoder(ws_json_vocab *v, const cJSON *decoder, ws_error *err) {
    const size_t n = (size_t)cJSON_GetArraySize(decoder);
    const cJSON **entries = ws_alloc(n, sizeof *entries, "added tokens", err), *entry;
    if (!entries) return WS_NOMEM;
    size_t used = 0;
    cJSON_ArrayForEach(entry, decoder) {
        if (entry->string && ws_json_str(entry, "content")) entries[used++] = entry;
    }
    qsort(entries, used, sizeof *entries, by_id);
    ws_status st = WS_OK;
    for (size_t i = 0; i < used && !st; i++) {
        const bool special = flag(entries[i], "special", false);
        st = add(v, ws_json_str(entries[i], "content"), special, flag(entries[i], "normalized", !special), err);
    }
    free(entries);
    return st;
}

/* ---- special tokens ---- */

/* A special token is a text or an object with its content. */
static const char *token_text(const cJSON *item) {
    return cJSON_IsObject(item) ? ws_json_str(item, "content") : cJSON_GetStringValue(item);
}

/* Note a special token, and make it an added one if it is not. */
static ws_status add_special(ws_json_vocab *v, const char *text, const cJSON *item, ws_error *err) {
    if (!text || !*text) return WS_OK;
    if (!find_added(v, text)) WS_TRY(add(v, text, true, flag(item, "normalized", false), err));
    WS_TRY(ws_grow(&v->special, &v->special_cap, v->n_special + 1, sizeof *v->special, err));
    v->special[v->n_special++] = find_added(v, text)->id;
    return WS_OK;
}

static bool ends_with_token(const char *name) {
    static const char tail[] = "_token";
    const size_t n = strlen(name), n_tail = sizeof tail - 1;
    return n > n_tail && strcmp(name + n - n_tail, tail) == 0;
}

static const char *const named[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                    "pad_token", "cls_token", "mask_token"};
enum { N_NAMED = sizeof named / sizeof *named };

static bool is_named(const char *name) {
    for (int i = 0; i < N_NAMED; i++)
        if (strcmp(named[i], name) == 0) return true;
    return false;
}

static ws_status add_named(ws_json_vocab *v, const cJSON *config, const ws_default_tokens *defaults, ws_error *err) {
    const char *fallback[N_NAMED] = {0};
    if (defaults) fallback[0] = defaults->bos, fallback[1] = defaults->eos, fallback[2] = defaults->unk;
    for (int i = 0; i < N_NAMED; i++) {
        const cJSON *item = get(config, named[i]);
        WS_TRY(add_special(v, item ? token_text(item) : fallback[i], item, err));
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, config) { /* tokens of this model only, such as "image_token" */
        if (!cJSON_IsString(item) || !item->string || !ends_with_token(item->string) || is_named(item->string))
            continue;
        WS_TRY(add_special(v, item->valuestring, NULL, err));
    }
    return WS_OK;
}

static ws_status add_extra(ws_json_vocab *v, const cJSON *config, ws_error *err) {
    const cJSON *extra = get(config, "extra_special_tokens"), *item;
    if (!extra || !extra->child) extra = get(config, "additional_special_tokens");
    if (!cJSON_IsArray(extra) && !cJSON_IsObject(extra)) return WS_OK;
    cJSON_ArrayForEach(item, extra) { WS_TRY(add_special(v, token_text(item), item, err)); }
    return WS_OK;
}

static ws_status read_all(ws_json_vocab *v, const ws_source *s, const ws_default_tokens *defaults, ws_error *err) {
    WS_TRY(read_model(v, s, err));
    WS_TRY(read_added(v, s, err));
    WS_TRY(apply_decoder(v, get(s->tokenizer_config, "added_tokens_decoder"), err));
    WS_TRY(add_named(v, s->tokenizer_config, defaults, err));
    return add_extra(v, s->tokenizer_config, err);
}

ws_status ws_json_vocab_read(ws_json_vocab *v, const ws_source *s, const ws_default_tokens *defaults, ws_error *err) {
    *v = (ws_json_vocab){0};
    const ws_status st = read_all(v, s, defaults, err);
    if (st) ws_json_vocab_free(v);
    return st;
}

void ws_json_vocab_free(ws_json_vocab *v) {
    ws_strmap_free(&v->index);
    free(v->text);
    free(v->id);
    free(v->added);
    free(v->special);
    *v = (ws_json_vocab){0};
}
