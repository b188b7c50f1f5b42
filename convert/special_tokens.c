#include "special_tokens.h"

#include <stdio.h>
#include <string.h>

typedef enum { BOS, EOS, UNK, SEP, PAD, CLS, MASK, EOT, EOM, N_KINDS } kind;

static const struct {
    const char *name;     /* of "NAME_token" and "NAME_token_id" */
    const char *id, *add; /* "tokenizer.ggml.ID_token_id", "tokenizer.ggml.ADD"; NULL: not written */
} kinds[N_KINDS] = {
    [BOS] = {"bos", "bos", "add_bos_token"},
    [EOS] = {"eos", "eos", "add_eos_token"},
    [UNK] = {"unk", "unknown", NULL},
    [SEP] = {"sep", "seperator", "add_sep_token"}, /* the key is spelled so */
    [PAD] = {"pad", "padding", NULL},
    [CLS] = {"cls", NULL, NULL},
    [MASK] = {"mask", "mask", NULL},
    [EOT] = {"eot", "eot", NULL},
    [EOM] = {"eom", "eom", NULL},
};

/* A token in tokenizer_config.json is a text, or an object with the text as its content, which equals no text. */
typedef struct {
    const char *text; /* NULL: none */
    bool is_object;
} token;

/* Kinds in the order in which they were set, which is the order of the keys. */
typedef struct {
    kind order[N_KINDS];
    bool set[N_KINDS];
    uint64_t value[N_KINDS];
    size_t n;
} table;

typedef struct {
    const cJSON *config; /* tokenizer_config.json; NULL when missing or empty */
    token tokens[N_KINDS];
    bool wanted[N_KINDS]; /* EOT and EOM only after a post-processor has taken the place of EOS */
    table add, ids;
} state;

static const cJSON *get(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }

static void set(table *t, kind k, uint64_t value) {
    if (!t->set[k]) t->order[t->n++] = k;
    t->set[k] = true;
    t->value[k] = value;
}

static void set_default(table *t, kind k, uint64_t value) {
    if (!t->set[k]) set(t, k, value);
}

static bool is_there(token t) { return t.is_object || (t.text && *t.text); }
static bool equals(token t, const char *text) { return !t.is_object && t.text && strcmp(t.text, text) == 0; }
static token text_token(const char *text) { return (token){text, false}; }

static token read_token(const cJSON *config, kind k) {
    char name[16];
    snprintf(name, sizeof name, "%s_token", kinds[k].name);
    const cJSON *item = get(config, name);
    if (cJSON_IsObject(item) && item->child) return (token){ws_json_str(item, "content"), true};
    return text_token(cJSON_GetStringValue(item));
}

/* ---- post-processors ---- */

/* The text of an element of a template if it is a special token, else NULL. */
static const char *special_text(const cJSON *element) {
    const char *text = ws_json_str(get(element, "SpecialToken"), "id");
    return text && *text ? text : NULL;
}

static bool is_sequence(const cJSON *element, const char *id) {
    const char *have = ws_json_str(get(element, "Sequence"), "id");
    return have && strcmp(have, id) == 0;
}

static void begins_with(state *s, const char *first) {
    token *bos = &s->tokens[BOS], *cls = &s->tokens[CLS];
    if (!s->config) {
        *bos = text_token(first);
    } else if (!equals(*bos, first) && !equals(*cls, first)) {
        if (!is_there(*bos)) *bos = text_token(first);
        if (!is_there(*cls)) *cls = text_token(first);
    }
    set(&s->add, BOS, equals(*bos, first) || equals(*cls, first));
}

/* A template that ends in another token than the configured EOS demotes that to end of turn, then of message. */
static void ends_with(state *s, const char *last) {
    token *eos = &s->tokens[EOS];
    if (s->config && !equals(*eos, last)) {
        const kind lower = !s->wanted[EOT] ? EOT : EOM;
        if (!s->wanted[lower]) s->tokens[lower] = *eos;
        s->wanted[lower] = true;
    }
    *eos = text_token(last);
    set(&s->add, EOS, true);
}

static bool separates(const state *s, const cJSON *element) {
    const char *text = special_text(element);
    return text && (equals(s->tokens[SEP], text) || equals(s->tokens[EOS], text));
}

/* In a pair of texts, A [sep] [eos] B: is there a separator? */
static void read_pair(state *s, const cJSON *pair, const char *first, const char *last) {
    int begin = 0, end = cJSON_GetArraySize(pair);
    if (end == 0) return;
    const char *text = special_text(cJSON_GetArrayItem(pair, 0));
    if (first && text && strcmp(first, text) == 0) begin++;
    text = special_text(cJSON_GetArrayItem(pair, end - 1));
    if (last && text && strcmp(last, text) == 0) end--;
    const int between = end - begin - 2;
    if (between < 1 || !is_sequence(cJSON_GetArrayItem(pair, begin), "A") ||
        !is_sequence(cJSON_GetArrayItem(pair, end - 1), "B"))
        return;
    bool separated = !last && separates(s, cJSON_GetArrayItem(pair, begin + 1));
    if (between == 2) separated |= separates(s, cJSON_GetArrayItem(pair, begin + 2));
    set(&s->add, SEP, separated);
    if (separated && s->config && !is_there(s->tokens[SEP])) s->tokens[SEP] = s->tokens[EOS];
}

static void read_template(state *s, const cJSON *processor) {
    const cJSON *single = get(processor, "single");
    const int n = cJSON_GetArraySize(single);
    const char *first = n > 1 ? special_text(cJSON_GetArrayItem(single, 0)) : NULL;
    const char *last = n > 1 ? special_text(cJSON_GetArrayItem(single, n - 1)) : NULL;
    if (first) begins_with(s, first);
    if (last) ends_with(s, last);
    read_pair(s, get(processor, "pair"), first, last);
}

/* ["</s>", 2] */
static token pair_token(const cJSON *pair, token fallback) {
    const char *text = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 0));
    return text ? text_token(text) : fallback;
}

static void read_roberta(state *s, const cJSON *processor) {
    set(&s->add, BOS, true);
    set(&s->add, EOS, true);
    set(&s->add, SEP, true);
    token *cls = &s->tokens[CLS], *sep = &s->tokens[SEP];
    if (!is_there(*cls)) *cls = pair_token(get(processor, "cls"), s->tokens[BOS]);
    if (!is_there(*sep)) *sep = pair_token(get(processor, "sep"), s->tokens[EOS]);
}

static void read_processor(state *s, const cJSON *processor) {
    const char *type = ws_json_str(processor, "type");
    if (!type) return;
    if (strcmp(type, "ByteLevel") == 0) {
        set_default(&s->add, BOS, false);
        set_default(&s->add, EOS, false);
    } else if (strcmp(type, "RobertaProcessing") == 0) {
        read_roberta(s, processor);
    } else if (strcmp(type, "TemplateProcessing") == 0) {
        read_template(s, processor);
    }
}

static void read_tokenizer(state *s, const cJSON *tokenizer) {
    if (!is_there(s->tokens[BOS]) && is_there(s->tokens[CLS])) s->tokens[BOS] = s->tokens[CLS];
    if (!is_there(s->tokens[EOS]) && is_there(s->tokens[SEP])) s->tokens[EOS] = s->tokens[SEP];
    const cJSON *post = get(tokenizer, "post_processor"), *several = get(post, "processors"), *processor;
    if (!several) {
        read_processor(s, post);
        return;
    }
    cJSON_ArrayForEach(processor, several) read_processor(s, processor);
}

/* ---- ids ---- */

static bool id_of_added(const cJSON *tokenizer, const char *text, uint64_t *id) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, get(tokenizer, "added_tokens")) {
        const char *content = ws_json_str(entry, "content");
        if (content && strcmp(content, text) == 0) return ws_json_u64(get(entry, "id"), id);
    }
    return false;
}

static void read_config(state *s, const cJSON *tokenizer, size_t n_vocab) {
    for (int k = 0; k < N_KINDS; k++) {
        if (!s->wanted[k]) continue;
        char name[24];
        snprintf(name, sizeof name, "add_%s_token", kinds[k].name);
        const cJSON *add = get(s->config, name);
        if (cJSON_IsBool(add)) set_default(&s->add, (kind)k, cJSON_IsTrue(add));
        uint64_t id;
        if (s->tokens[k].text && id_of_added(tokenizer, s->tokens[k].text, &id) && id < n_vocab)
            set_default(&s->ids, (kind)k, id);
    }
}

static void read_model_config(state *s, const cJSON *config, size_t n_vocab) {
    for (int k = 0; k < N_KINDS; k++) {
        char name[24];
        uint64_t id;
        snprintf(name, sizeof name, "%s_token_id", kinds[k].name);
        const cJSON *item = get(config, name);
        if (!item || cJSON_IsNull(item)) item = get(get(config, "text_config"), name);
        if (s->wanted[k] && ws_json_u64(item, &id) && id < n_vocab) set_default(&s->ids, (kind)k, id);
    }
}

static void read_glm(state *s, const cJSON *tokenizer) {
    static const struct {
        kind kind;
        const char *text;
    } tokens[] = {{EOS, "<|endoftext|>"}, {EOT, "<|user|>"}, {UNK, "<|endoftext|>"}, {BOS, "<|endoftext|>"}};
    uint64_t id;
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        if (id_of_added(tokenizer, tokens[i].text, &id)) set_default(&s->ids, tokens[i].kind, id);
}

void ws_special_tokens_put(ws_pairs *p, const ws_source *source, size_t n_vocab) {
    state s = {.config = source->tokenizer_config && source->tokenizer_config->child ? source->tokenizer_config : NULL};
    char key[64];
    for (int k = 0; k < N_KINDS; k++) {
        s.wanted[k] = k < EOT;
        s.tokens[k] = read_token(s.config, (kind)k);
    }
    if (source->tokenizer) read_tokenizer(&s, source->tokenizer);
    if (s.config) read_config(&s, source->tokenizer, n_vocab);
    read_model_config(&s, source->raw_config, n_vocab);
    if (source->arch->vocab & WS_VOCAB_GLM) read_glm(&s, source->tokenizer);
    for (size_t i = 0; i < s.ids.n; i++) {
        const kind k = s.ids.order[i];
        if (!kinds[k].id) continue;
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", kinds[k].id);
        ws_pairs_put_u32(p, key, (uint32_t)s.ids.value[k]);
    }
    for (size_t i = 0; i < s.add.n; i++) {
        const kind k = s.add.order[i];
        if (!kinds[k].add) continue;
        snprintf(key, sizeof key, "tokenizer.ggml.%s", kinds[k].add);
        ws_pairs_put_bool(p, key, s.add.value[k]);
    }
}
