#include "metadata.h"

#include "alloc.h"
#include "arena.h"
#include "model_id.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts of a card ---- */

/* The text of a scalar; NULL for lists, mappings and null. A plain "no" or "false" is an empty text. */
static const char *scalar_text(const cJSON *item) {
    static const char *const no[] = {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
    if (!cJSON_IsString(item) && !cJSON_IsRaw(item)) return NULL;
    for (size_t i = 0; cJSON_IsRaw(item) && i < sizeof no / sizeof *no; i++)
        if (strcmp(item->valuestring, no[i]) == 0) return "";
    return item->valuestring;
}

/* The first of the names ("name|model_name") that has a value. */
static const cJSON *find(const cJSON *card, const char *names) {
    char name[64];
    while (*names) {
        const size_t len = strcspn(names, "|");
        snprintf(name, sizeof name, "%.*s", (int)len, names);
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(card, name);
        if (item && !cJSON_IsNull(item)) return item;
        names += len + (names[len] == '|');
    }
    return NULL;
}

/* A list's texts joined by commas; NULL when memory is out. */
static const char *join_list(const cJSON *list, ws_arena *arena, ws_error *err) {
    const char *joined = "";
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        const char *text = scalar_text(item);
        if (!text) continue;
        char *longer = ws_sprintf(err, "%s%s%s", joined, *joined ? "," : "", text);
        joined = longer ? ws_arena_strndup(arena, longer, strlen(longer), err) : NULL;
        free(longer);
        if (!joined) return NULL;
    }
    return joined;
}

/* ---- single values ---- */

/* The heuristics fill some fields; the order of the rows is the order of the keys. */
enum { NAME, AUTHOR, VERSION, ORGANIZATION, FINETUNE, BASENAME, DESCRIPTION, SIZE_LABEL };

static const struct {
    const char *key, *card;
} fields[] = {
    [NAME] = {"general.name", "name|model_name"},
    [AUTHOR] = {"general.author", "author|model_author|model_creator"},
    [VERSION] = {"general.version", "version|model_version"},
    [ORGANIZATION] = {"general.organization", "organization|model_organization"},
    [FINETUNE] = {"general.finetune", "finetune|model_finetune"},
    [BASENAME] = {"general.basename", "basename|model_basename|model_type"},
    [DESCRIPTION] = {"general.description", "description|model_description"},
    [SIZE_LABEL] = {"general.size_label", "size_label|model_size_label"},
    {"general.license", "license"},
    {"general.license.name", "license_name"},
    {"general.license.link", "license_link"},
    {"general.source.url", "url|model_url"},
    {"general.source.doi", "doi|model_doi"},
    {"general.source.uuid", "uuid|model_uuid"},
    {"general.source.repo_url", "repo_url|model_repo_url"},
};
enum { N_FIELDS = sizeof fields / sizeof *fields };

typedef struct {
    const char *value[N_FIELDS]; /* NULL: unknown; "": known to be none */
    ws_arena arena;
} values;

static ws_status take_card(values *v, const cJSON *card, ws_error *err) {
    for (int i = 0; i < N_FIELDS; i++) {
        const cJSON *item = find(card, fields[i].card);
        v->value[i] = cJSON_IsArray(item) ? join_list(item, &v->arena, err) : scalar_text(item);
        if (cJSON_IsArray(item) && !v->value[i]) return WS_NOMEM;
    }
    return WS_OK;
}

/* What a name tells, where nothing better is known. */
static ws_status take_id(values *v, const char *id, uint64_t n_params, ws_error *err) {
    ws_model_id m;
    WS_TRY(ws_model_id_parse(&m, id, n_params, &v->arena, err));
    const char *name = ws_title_case(m.name, &v->arena, err);
    const char *organization = m.organization ? ws_title_case(m.organization, &v->arena, err) : NULL;
    if (!name || (m.organization && !organization)) return WS_NOMEM;
    const struct {
        int field;
        const char *value;
    } found[] = {{NAME, name},           {ORGANIZATION, organization}, {BASENAME, m.basename},
                 {FINETUNE, m.finetune}, {VERSION, m.version},         {SIZE_LABEL, m.size_label}};
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        if (!v->value[found[i].field]) v->value[found[i].field] = found[i].value;
    return WS_OK;
}

/* "org/name" or "name", but no path of the computer that the model was made on. */
static bool is_model_id(const char *id) {
    const char *slash = id ? strchr(id, '/') : NULL;
    return id && !(slash && strchr(slash + 1, '/'));
}

/* "135M", or "8x7B" with experts. */
static const char *size_label(char size[64], const ws_metadata_source *from) {
    if (!from->n_experts) return ws_size_label(size, from->n_params);
    const int n = snprintf(size, 64, "%llux", (unsigned long long)from->n_experts);
    ws_size_label(size + n, from->n_active);
    return size;
}

static ws_status put_fields(values *v, ws_pairs *p, const ws_metadata_source *from, ws_error *err) {
    char size[64];
    WS_TRY(take_card(v, from->card, err));
    const char *id = ws_json_str(from->config, "_name_or_path");
    if (is_model_id(id)) WS_TRY(take_id(v, id, from->n_params, err));
    WS_TRY(take_id(v, from->folder, from->n_params, err));
    if (from->name) v->value[NAME] = from->name;
    if (!v->value[SIZE_LABEL] && from->n_params) v->value[SIZE_LABEL] = size_label(size, from);
    for (int i = 0; i < N_FIELDS; i++) ws_pairs_put_str(p, fields[i].key, v->value[i]);
    return WS_OK;
}

/* ---- sampling ---- */

static const struct {
    const char *name, *key;
    ws_kv_type type;
} sampling[] = {
    {"top_k", "top_k", WS_KV_I32},
    {"top_p", "top_p", WS_KV_F32},
    {"min_p", "min_p", WS_KV_F32},
    {"xtc_probability", "xtc_probability", WS_KV_F32},
    {"xtc_threshold", "xtc_threshold", WS_KV_F32},
    {"temperature", "temp", WS_KV_F32},
    {"penalty_last_n", "penalty_last_n", WS_KV_I32},
    {"penalty_repeat|repetition_penalty", "penalty_repeat", WS_KV_F32},
    {"mirostat", "mirostat", WS_KV_I32},
    {"mirostat_tau", "mirostat_tau", WS_KV_F32},
    {"mirostat_eta", "mirostat_eta", WS_KV_F32},
};

static void put_sampling(ws_pairs *p, const cJSON *generation) {
    char key[64];
    ws_pairs_put_str(p, "general.sampling.sequence", ws_json_str(generation, "sequence"));
    for (size_t i = 0; i < sizeof sampling / sizeof *sampling; i++) {
        const cJSON *item = find(generation, sampling[i].name);
        if (!cJSON_IsNumber(item)) continue;
        const double value = item->valuedouble;
        snprintf(key, sizeof key, "general.sampling.%s", sampling[i].key);
        if (sampling[i].type == WS_KV_F32)
            ws_pairs_put_f32(p, key, (float)value);
        else if (value >= INT32_MIN && value <= INT32_MAX && value == floor(value))
            ws_pairs_put_i32(p, key, (int32_t)value);
    }
}

/* ---- base models and data sets ---- */

typedef struct {
    ws_pairs *pairs;
    const char *kind; /* "base_model" or "dataset" */
    unsigned index;
    uint64_t n_params;
    ws_arena *arena;
} lineage;

static void put_entry(const lineage *l, const char *suffix, const char *value) {
    char key[96];
    snprintf(key, sizeof key, "general.%s.%u.%s", l->kind, l->index, suffix);
    ws_pairs_put_str(l->pairs, key, value);
}

static bool begins_with(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

/* "https://huggingface.co/org/name" -> "org/name"; NULL for other addresses. */
static const char *hub_id(const char *url) {
    static const char *const hubs[] = {"https://huggingface.co/", "http://huggingface.co/"};
    for (size_t i = 0; i < sizeof hubs / sizeof *hubs; i++) {
        if (!begins_with(url, hubs[i])) continue;
        const char *id = url + strlen(hubs[i]), *slash = strchr(id, '/');
        if (slash && slash > id && slash[1] && !strchr(slash + 1, '/')) return id;
    }
    return NULL;
}

/* An entry that is a model's or data set's id, or the address of its page. */
static ws_status put_named(const lineage *l, const char *text, ws_error *err) {
    const bool is_url = begins_with(text, "http://") || begins_with(text, "https://") || begins_with(text, "ssh://");
    const char *id = is_url ? hub_id(text) : text;
    ws_model_id m = {0};
    if (id) {
        WS_TRY(ws_model_id_parse(&m, id, l->n_params, l->arena, err));
        const char *name = ws_title_case(m.name, l->arena, err);
        const char *organization = m.organization ? ws_title_case(m.organization, l->arena, err) : NULL;
        if (!name || (m.organization && !organization)) return WS_NOMEM;
        put_entry(l, "name", name);
        put_entry(l, "version", m.version);
        put_entry(l, "organization", organization);
    }
    if (is_url) {
        put_entry(l, "repo_url", text);
    } else if (m.organization) {
        char *url = ws_sprintf(err, "https://huggingface.co/%s/%s", m.organization, m.name);
        if (!url) return WS_NOMEM;
        put_entry(l, "repo_url", url);
        free(url);
    }
    return WS_OK;
}

/* An entry that spells its fields out. */
static void put_described(const lineage *l, const cJSON *entry) {
    static const char *const names[] = {"name", "author", "version", "organization", "description",
                                        "url",  "doi",    "uuid",    "repo_url"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put_entry(l, names[i], scalar_text(cJSON_GetObjectItemCaseSensitive(entry, names[i])));
}

static ws_status put_parent(const lineage *l, const cJSON *entry, ws_error *err) {
    if (cJSON_IsString(entry)) return put_named(l, entry->valuestring, err);
    if (cJSON_IsObject(entry)) put_described(l, entry);
    return WS_OK;
}

/* One parent or a list of them. That the card has the field at all is enough for the count to be written. */
static ws_status put_parents(lineage l, const cJSON *card, const char *const names[3], ws_error *err) {
    const cJSON *value = NULL, *entry;
    for (int i = 0; i < 3 && !value; i++) value = cJSON_GetObjectItemCaseSensitive(card, names[i]);
    if (!value) return WS_OK;
    char key[64];
    snprintf(key, sizeof key, "general.%s.count", l.kind);
    const int n = cJSON_IsArray(value) ? cJSON_GetArraySize(value) : cJSON_IsString(value);
    ws_pairs_put_u32(l.pairs, key, (uint32_t)n);
    if (cJSON_IsString(value)) return put_parent(&l, value, err);
    if (!cJSON_IsArray(value)) return WS_OK;
    cJSON_ArrayForEach(entry, value) {
        WS_TRY(put_parent(&l, entry, err));
        l.index++;
    }
    return WS_OK;
}

/* ---- lists of words ---- */

enum { MAX_WORDS = 4096 };

static size_t add_words(ws_str *words, size_t n, const cJSON *value) {
    const cJSON *item;
    if (cJSON_IsString(value)) words[n++] = (ws_str){value->valuestring, strlen(value->valuestring)};
    if (!cJSON_IsArray(value)) return n;
    cJSON_ArrayForEach(item, value) {
        if (n < MAX_WORDS - 1 && (cJSON_IsString(item) || cJSON_IsRaw(item)))
            words[n++] = (ws_str){item->valuestring, strlen(item->valuestring)};
    }
    return n;
}

static void put_words(ws_pairs *p, const char *key, const cJSON *card, const char *first, const char *second) {
    ws_str words[MAX_WORDS];
    size_t n = add_words(words, 0, cJSON_GetObjectItemCaseSensitive(card, first));
    n = add_words(words, n, cJSON_GetObjectItemCaseSensitive(card, second));
    ws_pairs_put_str_array(p, key, words, n);
}

ws_status ws_metadata_put(ws_pairs *p, const ws_metadata_source *from, ws_error *err) {
    static const char *const base_models[] = {"base_model", "base_models", "base_model_sources"};
    static const char *const datasets[] = {"datasets", "dataset", "dataset_sources"};
    values v = {0};
    put_sampling(p, from->generation);
    ws_status st = put_fields(&v, p, from, err);
    lineage l = {p, "base_model", 0, from->n_params, &v.arena};
    if (!st) st = put_parents(l, from->card, base_models, err);
    l.kind = "dataset";
    if (!st) st = put_parents(l, from->card, datasets, err);
    if (!st) put_words(p, "general.tags", from->card, "tags", "pipeline_tag");
    if (!st) put_words(p, "general.languages", from->card, "languages", "language");
    ws_arena_free(&v.arena);
    return st;
}
