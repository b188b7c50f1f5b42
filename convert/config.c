#include "config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what transformers' AutoConfig makes of config.json ---- */

typedef struct {
    const char *key;
    double value;
} number_field;

typedef struct {
    const char *model_type;
    number_field fields[9];
    bool heads_divide; /* a hidden size that the heads do not divide is refused */
} config_class;

static const config_class classes[] = {
    {"llama",
     {{"vocab_size", 32000},
      {"hidden_size", 4096},
      {"intermediate_size", 11008},
      {"num_hidden_layers", 32},
      {"num_attention_heads", 32},
      {"max_position_embeddings", 2048},
      {"rms_norm_eps", 1e-6}},
     true},
    {"mistral",
     {{"vocab_size", 32000},
      {"hidden_size", 4096},
      {"intermediate_size", 14336},
      {"num_hidden_layers", 32},
      {"num_attention_heads", 32},
      {"num_key_value_heads", 8},
      {"max_position_embeddings", 131072},
      {"rms_norm_eps", 1e-6}},
     false},
};

/* What each kind of rotary scaling must have. */
static const struct {
    const char *type, *fields[4]; /* ended by NULL */
} rope_needs[] = {
    {"linear", {"factor"}},
    {"dynamic", {"factor"}},
    {"yarn", {"factor"}},
    {"longrope", {"short_factor", "long_factor"}},
    {"llama3", {"factor", "low_freq_factor", "high_freq_factor"}},
};

static const cJSON *get(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }

static double number(const cJSON *object, const char *key) {
    const cJSON *item = get(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* Python's dict.setdefault(). `value` is taken over. */
static void set_default(cJSON *object, const char *key, cJSON *value) {
    if (get(object, key))
        cJSON_Delete(value);
    else
        cJSON_AddItemToObject(object, key, value);
}

/* A number in place of a missing or null field. */
static void fill_number(cJSON *object, const char *key, double value) {
    const cJSON *item = get(object, key);
    if (cJSON_IsNull(item)) cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    set_default(object, key, cJSON_CreateNumber(value));
}

static const config_class *class_of(const cJSON *config) {
    const char *type = ws_json_str(config, "model_type");
    for (size_t i = 0; type && i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i].model_type, type) == 0) return &classes[i];
    return NULL;
}

static const char *rope_type(const cJSON *rope) {
    const char *type = ws_json_str(rope, "rope_type");
    return type ? type : ws_json_str(rope, "type");
}

static bool is_filled_object(const cJSON *item) { return cJSON_IsObject(item) && item->child; }

/* The rotary settings of either generation of files: rope_scaling, then rope_parameters. */
static const cJSON *rope_source(const cJSON *config) {
    const cJSON *scaling = get(config, "rope_scaling");
    return is_filled_object(scaling) ? scaling : get(config, "rope_parameters");
}

/* The value of a field after defaults; 0 when the class has none. */
static double value_of(const config_class *cls, const cJSON *config, const char *key) {
    if (cJSON_IsNumber(get(config, key))) return number(config, key);
    for (const number_field *f = cls->fields; f->key; f++)
        if (strcmp(f->key, key) == 0) return f->value;
    return 0;
}

/* Would the class accept the file? If not, the reference falls back to the file as it is, without defaults. */
static bool accepts(const config_class *cls, const cJSON *config) {
    for (const number_field *f = cls->fields; f->key; f++) {
        const cJSON *item = get(config, f->key);
        if (item && !cJSON_IsNumber(item)) return false;
    }
    const double heads = value_of(cls, config, "num_attention_heads");
    if (heads < 1 || (cls->heads_divide && fmod(value_of(cls, config, "hidden_size"), heads) != 0)) return false;
    const cJSON *rope = rope_source(config);
    const char *type = rope_type(rope);
    for (size_t i = 0; type && i < sizeof rope_needs / sizeof *rope_needs; i++)
        for (const char *const *field = rope_needs[i].fields; *field; field++)
            if (strcmp(type, rope_needs[i].type) == 0 && !get(rope, *field)) return false;
    return true;
}

static void complete_numbers(cJSON *config, const config_class *cls) {
    for (const number_field *f = cls->fields; f->key; f++) fill_number(config, f->key, f->value);
    const double heads = number(config, "num_attention_heads");
    fill_number(config, "head_dim", floor(number(config, "hidden_size") / heads));
    fill_number(config, "num_key_value_heads", heads);
}

/* All rotary settings in one object, as transformers arrange them. */
static void complete_rope(cJSON *config) {
    const cJSON *theta = get(config, "rope_theta"), *source = rope_source(config);
    cJSON *rope = cJSON_IsObject(source) ? cJSON_Duplicate(source, true) : cJSON_CreateObject();
    set_default(rope, "rope_theta", theta ? cJSON_Duplicate(theta, true) : cJSON_CreateNumber(10000));
    const char *type = rope_type(rope);
    set_default(rope, "rope_type", cJSON_CreateString(type ? type : "default"));
    type = rope_type(rope);
    if (type && (!strcmp(type, "llama3") || !strcmp(type, "yarn") || !strcmp(type, "longrope")))
        set_default(rope, "original_max_position_embeddings",
                    cJSON_CreateNumber(number(config, "max_position_embeddings")));
    cJSON_DeleteItemFromObjectCaseSensitive(config, "rope_parameters");
    cJSON_AddItemToObject(config, "rope_parameters", rope);
}

/* The same for a file that is taken as it is: the reference copies loose fields into the object. */
static void gather_rope(cJSON *config) {
    const cJSON *source = get(config, "rope_parameters") ? get(config, "rope_parameters") : get(config, "rope_scaling");
    cJSON *rope = cJSON_IsObject(source) ? cJSON_Duplicate(source, true) : cJSON_CreateObject();
    const cJSON *theta =
        ws_config_find(config, "global_rope_theta|rope_global_theta|rope_theta_global|rope_theta|rotary_emb_base");
    const cJSON *trained = ws_config_find(config, "original_max_position_embeddings");
    if (theta) set_default(rope, "rope_theta", cJSON_Duplicate(theta, true));
    if (rope_type(rope)) set_default(rope, "rope_type", cJSON_CreateString(rope_type(rope)));
    if (trained) set_default(rope, "original_max_position_embeddings", cJSON_Duplicate(trained, true));
    cJSON_DeleteItemFromObjectCaseSensitive(config, "rope_parameters");
    cJSON_AddItemToObject(config, "rope_parameters", rope);
}

cJSON *ws_config_complete(const cJSON *raw, ws_error *err) {
    cJSON *config = cJSON_Duplicate(raw, true);
    if (!config) {
        ws_fail(err, WS_NOMEM, "out of memory: a copy of config.json");
        return NULL;
    }
    const config_class *cls = class_of(config);
    if (cls && accepts(cls, config)) {
        complete_numbers(config, cls);
        complete_rope(config);
    } else {
        gather_rope(config);
    }
    return config;
}

/* ---- reading ---- */

const cJSON *ws_config_find(const cJSON *config, const char *names) {
    char name[64];
    while (*names) {
        const size_t len = strcspn(names, "|");
        snprintf(name, sizeof name, "%.*s", (int)len, names);
        const cJSON *item = get(config, name);
        if (item) return cJSON_IsNull(item) ? NULL : item;
        names += len + (names[len] == '|');
    }
    return NULL;
}

/* A field as a double. False: it is missing (*bad is false) or no number (*bad is true). */
static bool find_number(const cJSON *config, const char *names, double *out, bool *bad) {
    const cJSON *item = ws_config_find(config, names);
    *bad = item && !cJSON_IsNumber(item);
    if (cJSON_IsNumber(item)) *out = item->valuedouble;
    return cJSON_IsNumber(item);
}

/* A field or, when it is missing, the quotient that ends its names ("head_dim|hidden_size/num_attention_heads"). */
static bool find_value(const cJSON *config, const char *names, double *out, bool *bad) {
    char plain[160];
    snprintf(plain, sizeof plain, "%s", names);
    char *slash = strchr(plain, '/'), *bar = slash ? strrchr(plain, '|') : NULL;
    if (bar) *bar = 0;
    if (find_number(config, plain, out, bad)) return true;
    if (*bad || !bar) return false;
    *slash = 0;
    double divisor = 0;
    const bool found = find_number(config, bar + 1, out, bad) && find_number(config, slash + 1, &divisor, bad);
    if (!found || divisor < 1) return false;
    *out = floor(*out / divisor);
    return true;
}

static ws_status fail_number(const char *path, const cJSON *config, const char *names, const char *what,
                             ws_error *err) {
    const cJSON *item = ws_config_find(config, names);
    const char *name = item && item->string ? item->string : names;
    return ws_fail(err, WS_FORMAT, "'%s': '%s' is not %s", path, name, what);
}

/* ---- the shape ---- */

typedef struct {
    const char *names;
    uint64_t *out;
    uint64_t fallback; /* 0: the field must be there */
} size_field;

static ws_status read_size(const size_field *f, const cJSON *config, const char *path, ws_error *err) {
    static const double MAX_SIZE = 1 << 28;
    double value = (double)f->fallback;
    bool bad;
    if (!find_value(config, f->names, &value, &bad) && (bad || !f->fallback))
        return bad ? fail_number(path, config, f->names, "a number", err)
                   : ws_fail(err, WS_FORMAT, "'%s' has no '%s'", path, f->names);
    if (!(value >= 1 && value <= MAX_SIZE) || value != floor(value))
        return fail_number(path, config, f->names, "a whole number from 1 to 2^28", err);
    *f->out = (uint64_t)value;
    return WS_OK;
}

enum { MAX_LAYERS = 1 << 16 };

ws_status ws_config_hparams(ws_hparams *hp, const cJSON *config, const char *path, ws_error *err) {
    *hp = (ws_hparams){.rope_scale = 1};
    const size_field fields[] = {
        {"n_layers|num_hidden_layers|n_layer|num_layers", &hp->n_layer, 0},
        {"hidden_size|n_embd|dim", &hp->n_embd, 0},
        {"intermediate_size|n_inner|hidden_dim", &hp->n_ff, 0},
        {"num_attention_heads|n_head|n_heads", &hp->n_head, 0},
        {"vocab_size", &hp->n_vocab, 0},
        {"head_dim|hidden_size/num_attention_heads", &hp->head_k, 0},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) WS_TRY(read_size(&fields[i], config, path, err));
    const size_field kv = {"num_key_value_heads|n_kv_heads", &hp->n_head_kv, hp->n_head};
    WS_TRY(read_size(&kv, config, path, err));
    hp->head_v = hp->n_rot = hp->head_k;
    if (hp->n_layer > MAX_LAYERS)
        return ws_fail(err, WS_FORMAT, "'%s': %llu layers are more than %d", path, (unsigned long long)hp->n_layer,
                       MAX_LAYERS);
    if (hp->head_k % 2 != 0 || hp->n_head % hp->n_head_kv != 0)
        return ws_fail(err, WS_FORMAT, "'%s': %llu heads of %llu with %llu key/value heads do not fit together", path,
                       (unsigned long long)hp->n_head, (unsigned long long)hp->head_k,
                       (unsigned long long)hp->n_head_kv);
    return WS_OK;
}

/* ---- keys ---- */

/* Keys that every text model has, as far as its config.json does, in the reference's order; the rotary ones come
 * in between. */
static const ws_arch_key before_rope[] = {
    {"block_count", WS_KV_U32, "n_layers|num_hidden_layers|n_layer|num_layers"},
    {"context_length", WS_KV_U32,
     "max_position_embeddings|n_ctx|n_positions|max_length|max_sequence_length|model_max_length"},
    {"embedding_length", WS_KV_U32, "hidden_size|n_embd|dim"},
    {"feed_forward_length", WS_KV_U32,
     "prefix_dense_intermediate_size|dense_intermediate_size|intermediate_size|n_inner|hidden_dim"},
    {"attention.head_count", WS_KV_U32, "num_attention_heads|n_head|n_heads"},
    {"attention.head_count_kv", WS_KV_U32, "num_key_value_heads|n_kv_heads"},
    {0},
};
static const ws_arch_key after_rope[] = {
    {"attention.layer_norm_rms_epsilon", WS_KV_F32, "rms_norm_eps|norm_eps"},
    {"attention.layer_norm_epsilon", WS_KV_F32, "layer_norm_eps|layer_norm_epsilon|norm_epsilon"},
    {"attention.key_length", WS_KV_U32, "head_dim"},
    {"attention.value_length", WS_KV_U32, "head_dim"},
    {0},
};
static const ws_arch_key linear_keys[] = {{"rope.scaling.factor", WS_KV_F32, "factor"}, {0}};
static const ws_arch_key yarn_keys[] = {
    {"rope.scaling.factor", WS_KV_F32, "factor"},
    {"rope.scaling.original_context_length", WS_KV_U32, "original_max_position_embeddings"},
    {"rope.scaling.yarn_ext_factor", WS_KV_F32, "extrapolation_factor"},
    {"rope.scaling.yarn_attn_factor", WS_KV_F32, "attention_factor|attn_factor"},
    {"rope.scaling.yarn_beta_fast", WS_KV_F32, "beta_fast"},
    {"rope.scaling.yarn_beta_slow", WS_KV_F32, "beta_slow"},
    {0},
};
static const ws_arch_key freq_keys[] = {{"rope.freq_base", WS_KV_F32, "rope_theta"}, {0}};

/* Where keys go and what messages name. */
typedef struct {
    ws_pairs *pairs;
    const char *arch, *path;
} sink;

static ws_status put_keys(const sink *to, const ws_arch_key *keys, const cJSON *config, ws_error *err) {
    char name[96];
    for (const ws_arch_key *k = keys; k->suffix; k++) {
        double value;
        bool bad;
        snprintf(name, sizeof name, "%s.%s", to->arch, k->suffix);
        if (!find_value(config, k->config, &value, &bad)) {
            if (bad) return fail_number(to->path, config, k->config, "a number", err);
            continue;
        }
        if (k->type == WS_KV_F32)
            ws_pairs_put_f32(to->pairs, name, (float)value);
        else if (value >= 0 && value <= UINT32_MAX && value == floor(value))
            ws_pairs_put_u32(to->pairs, name, (uint32_t)value);
        else
            return fail_number(to->path, config, k->config, "a whole number below 2^32", err);
    }
    return WS_OK;
}

/* "llama3" scaling has no keys: it becomes the tensor rope_freqs (rope_freqs.h). */
static const struct {
    const char *type, *written;
    const ws_arch_key *keys;
    bool needs_factor;
} scalings[] = {
    {"linear", "linear", linear_keys, true},
    {"yarn", "yarn", yarn_keys, true},
    {"longrope", "longrope", NULL, false},
    {"su", "longrope", NULL, false},
};

static ws_status put_rope(const sink *to, const cJSON *rope, ws_error *err) {
    char name[96];
    const char *type = ws_json_str(rope, "rope_type");
    snprintf(name, sizeof name, "%s.rope.scaling.type", to->arch);
    for (size_t i = 0; type && i < sizeof scalings / sizeof *scalings; i++) {
        if (strcmp(type, scalings[i].type) != 0) continue;
        if (scalings[i].needs_factor && !ws_config_find(rope, "factor")) continue;
        ws_pairs_put_str(to->pairs, name, scalings[i].written);
        if (scalings[i].keys) WS_TRY(put_keys(to, scalings[i].keys, rope, err));
    }
    return put_keys(to, freq_keys, rope, err);
}

ws_status ws_config_put(ws_pairs *p, const ws_arch *arch, const cJSON *config, uint32_t file_type, const char *path,
                        ws_error *err) {
    const sink to = {p, arch->name, path};
    char name[96];
    WS_TRY(put_keys(&to, before_rope, config, err));
    snprintf(name, sizeof name, "%s.attention.causal", arch->name);
    if (cJSON_IsFalse(get(config, "is_causal"))) ws_pairs_put_bool(p, name, false);
    WS_TRY(put_rope(&to, get(config, "rope_parameters"), err));
    WS_TRY(put_keys(&to, after_rope, config, err));
    ws_pairs_put_u32(p, "general.file_type", file_type);
    return put_keys(&to, arch->keys, config, err);
}
