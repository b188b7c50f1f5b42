#include "config.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static const cJSON *get(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }

/* A field by its name, which may lead into objects ("rope_parameters.rope_theta"). */
static const cJSON *field(const cJSON *config, const char *name, size_t len) {
    char part[64];
    for (const char *end = name + len; name < end && config;) {
        const char *dot = memchr(name, '.', (size_t)(end - name));
        const size_t n = (size_t)((dot ? dot : end) - name);
        snprintf(part, sizeof part, "%.*s", (int)n, name);
        config = get(config, part);
        name += n + 1;
    }
    return config;
}

const cJSON *ws_config_find(const cJSON *config, const char *names) {
    while (*names) {
        const size_t len = strcspn(names, "|");
        const cJSON *item = field(config, names, len);
        if (item) return cJSON_IsNull(item) ? NULL : item;
        names += len + (names[len] == '|');
    }
    return NULL;
}

typedef enum { FOUND, MISSING, EMPTY, BAD } finding; /* EMPTY: null */

/* A number as it is or a field: text[0..len). Booleans are 0 and 1. */
static finding term(const cJSON *config, const char *text, size_t len, double *out) {
    if (isdigit((unsigned char)*text)) {
        *out = strtod(text, NULL);
        return FOUND;
    }
    const cJSON *item = field(config, text, len);
    if (!item) return MISSING;
    if (cJSON_IsNull(item)) return EMPTY;
    if (!cJSON_IsNumber(item) && !cJSON_IsBool(item)) return BAD;
    *out = cJSON_IsNumber(item) ? item->valuedouble : cJSON_IsTrue(item);
    return FOUND;
}

/* Terms joined by * / + from left to right. */
static finding alternative(const cJSON *config, const char *text, size_t len, double *out) {
    const char *const end = text + len;
    size_t n = strcspn(text, "*/+|");
    finding f = term(config, text, n, out);
    for (text += n; text < end && f == FOUND; text += n + 1) {
        double right = 0;
        n = strcspn(text + 1, "*/+|");
        f = term(config, text + 1, n, &right);
        if (*text == '*') *out *= right;
        if (*text == '+') *out += right;
        if (*text == '/') *out = right >= 1 ? floor(*out / right) : 0;
    }
    return f;
}

/* The value of a key's description (arch.h). A null ends the search among fields, but not a number or an expression. */
static finding find_value(const cJSON *config, const char *text, double *out) {
    finding last = MISSING;
    text += *text == '?';
    while (*text) {
        const size_t len = strcspn(text, "|");
        const bool plain = strcspn(text, "*/+|") == len && !isdigit((unsigned char)*text);
        if (!(plain && last == EMPTY)) {
            const finding f = alternative(config, text, len, out);
            if (f == FOUND || f == BAD) return f;
            if (plain) last = f;
        }
        text += len + (text[len] == '|');
    }
    return last;
}

static ws_status fail_number(const char *path, const cJSON *config, const char *names, const char *what,
                             ws_error *err) {
    const cJSON *item = ws_config_find(config, names);
    const char *name = item && item->string ? item->string : names;
    return ws_fail(err, WS_FORMAT, "'%s': '%s' is not %s", path, name, what);
}

/* ---- the shape ---- */

typedef enum { NEEDED, OPTIONAL } presence; /* optional sizes keep their value, and may be 0 */

typedef struct {
    const char *names;
    uint64_t *out;
    presence presence;
} size_field;

static ws_status read_size(const size_field *f, const cJSON *config, const char *path, ws_error *err) {
    static const double MAX_SIZE = 1 << 28;
    double value = 0;
    const finding found = find_value(config, f->names, &value);
    if (found == BAD) return fail_number(path, config, f->names, "a number", err);
    if (found != FOUND && f->presence == NEEDED) return ws_fail(err, WS_FORMAT, "'%s' has no '%s'", path, f->names);
    if (found != FOUND) return WS_OK;
    const double min = f->presence == NEEDED ? 1 : 0;
    if (!(value >= min && value <= MAX_SIZE) || value != floor(value))
        return fail_number(path, config, f->names, "a whole number from 1 to 2^28", err);
    *f->out = (uint64_t)value;
    return WS_OK;
}

enum { MAX_LAYERS = 1 << 16 };

static ws_status read_sizes(const size_field *fields, size_t n, const cJSON *config, const char *path, ws_error *err) {
    for (size_t i = 0; i < n; i++) WS_TRY(read_size(&fields[i], config, path, err));
    return WS_OK;
}

#define READ_SIZES(fields, config, path, err) read_sizes(fields, sizeof fields / sizeof *fields, config, path, err)

static ws_status read_experts(ws_hparams *hp, const cJSON *config, const char *path, ws_error *err) {
    const size_field fields[] = {
        {"num_local_experts|num_experts|n_routed_experts", &hp->n_expert, OPTIONAL},
        {"first_k_dense_replace", &hp->n_dense_lead, OPTIONAL},
        {"moe_intermediate_size|intermediate_size", &hp->n_ff_expert, OPTIONAL},
        {"n_shared_experts", &hp->n_expert_shared, OPTIONAL},
        {"n_shared_experts*moe_intermediate_size|shared_expert_intermediate_size|shared_intermediate_size",
         &hp->n_ff_shared, OPTIONAL},
    };
    WS_TRY(READ_SIZES(fields, config, path, err));
    enum { MOST_EXPERTS = 1 << 16 };
    if (hp->n_expert > MOST_EXPERTS)
        return ws_fail(err, WS_FORMAT, "'%s': %llu experts are more than %d", path, (unsigned long long)hp->n_expert,
                       MOST_EXPERTS);
    return WS_OK;
}

static ws_status read_latent(ws_hparams *hp, const cJSON *config, const char *path, ws_error *err) {
    const size_field latent[] = {
        {"kv_lora_rank", &hp->kv_latent, NEEDED}, {"q_lora_rank", &hp->q_latent, OPTIONAL},
        {"qk_rope_head_dim", &hp->n_rot, NEEDED}, {"qk_nope_head_dim+qk_rope_head_dim", &hp->head_k_mla, NEEDED},
        {"v_head_dim", &hp->head_v_mla, NEEDED},  {"kv_lora_rank+qk_rope_head_dim", &hp->head_k, NEEDED},
        {"kv_lora_rank", &hp->head_v, NEEDED},
    };
    hp->n_head_kv = 1;
    WS_TRY(READ_SIZES(latent, config, path, err));
    if (hp->head_k_mla > hp->n_rot) return WS_OK;
    return ws_fail(err, WS_FORMAT, "'%s': 'qk_nope_head_dim' is 0", path);
}

ws_status ws_config_hparams(ws_hparams *hp, const ws_arch *arch, const cJSON *config, const char *path, ws_error *err) {
    *hp = (ws_hparams){.rope_scale = 1};
    const size_field fields[] = {
        {"n_layers|num_hidden_layers|n_layer|num_layers", &hp->n_layer, NEEDED},
        {"hidden_size|n_embd|dim", &hp->n_embd, NEEDED},
        {"intermediate_size|n_inner|hidden_dim|n_embd*4", &hp->n_ff, NEEDED},
        {"num_attention_heads|n_head|n_heads", &hp->n_head, NEEDED},
        {"vocab_size", &hp->n_vocab, NEEDED},
        {"head_dim|hidden_size/num_attention_heads|n_embd/n_head|dim/n_heads", &hp->head_k, NEEDED},
        {"max_position_embeddings|n_ctx|n_positions", &hp->n_ctx_train, OPTIONAL},
        {"type_vocab_size", &hp->n_token_types, OPTIONAL},
        {"n_padding", &hp->n_padding, OPTIONAL},
    };
    const bool no_head_dim = arch->traits & WS_NO_HEAD_DIM;
    WS_TRY(READ_SIZES(fields, config, path, err));
    const size_field plain_head = {"hidden_size/num_attention_heads", &hp->head_k, NEEDED};
    if (no_head_dim) WS_TRY(read_size(&plain_head, config, path, err));
    hp->n_head_kv = hp->n_head;
    hp->head_v = hp->n_rot = hp->head_k;
    const size_field more[] = {
        {"num_key_value_heads|n_kv_heads", &hp->n_head_kv, OPTIONAL},
        {"rope_parameters.partial_rotary_factor*hidden_size/num_attention_heads", &hp->n_rot, OPTIONAL},
    };
    WS_TRY(READ_SIZES(more, config, path, err));
    if (ws_config_find(config, "kv_lora_rank")) WS_TRY(read_latent(hp, config, path, err));
    WS_TRY(read_experts(hp, config, path, err));
    if (hp->n_layer > MAX_LAYERS)
        return ws_fail(err, WS_FORMAT, "'%s': %llu layers are more than %d", path, (unsigned long long)hp->n_layer,
                       MAX_LAYERS);
    if (hp->head_k % 2 != 0 || hp->n_head_kv == 0 || hp->n_head % hp->n_head_kv != 0)
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
    {"expert_count", WS_KV_U32, "num_local_experts|num_experts|n_routed_experts"},
    {"expert_used_count", WS_KV_U32, "num_experts_per_tok|num_experts_per_token|top_k_experts"},
    {"expert_group_count", WS_KV_U32, "n_group"},
    {"expert_group_used_count", WS_KV_U32, "topk_group"},
    {0},
};
static const ws_arch_key head_keys[] = {
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
static const ws_arch_key freq_keys[] = {
    {"rope.freq_base", WS_KV_F32, "full_attention.rope_theta|rope_theta"},
    {"rope.freq_base_swa", WS_KV_F32, "sliding_attention.rope_theta"},
    {0},
};

/* Where keys go and what messages name. */
typedef struct {
    ws_pairs *pairs;
    const char *arch, *path;
} sink;

/* Which layers see a window only: true for each that does. */
static void put_layer_types(const sink *to, const char *name, const cJSON *types) {
    bool slides[1024];
    const size_t n = (size_t)cJSON_GetArraySize(types);
    for (size_t i = 0; i < n && i < sizeof slides; i++) {
        const char *type = cJSON_GetStringValue(cJSON_GetArrayItem(types, (int)i));
        slides[i] = type && strcmp(type, "sliding_attention") == 0;
    }
    if (n > 0 && n <= sizeof slides) ws_pairs_put_array(to->pairs, name, WS_KV_BOOL, slides, n);
}

/* Keys that are no numbers; false for those that are. */
static bool put_other(const sink *to, const ws_arch_key *k, const char *name, const cJSON *config) {
    if (k->type == WS_KV_STRING) ws_pairs_put_str(to->pairs, name, k->config);
    if (k->type == WS_KV_ARRAY && ws_config_find(config, k->config))
        put_layer_types(to, name, ws_config_find(config, "layer_types"));
    if (*k->config == '#')
        ws_pairs_put_u32(to->pairs, name, (uint32_t)cJSON_GetArraySize(ws_config_find(config, k->config + 1)));
    return k->type == WS_KV_STRING || k->type == WS_KV_ARRAY || *k->config == '#';
}

/* Keys that do not begin with the architecture's name. */
static bool is_whole(const char *key) {
    return strncmp(key, "general.", 8) == 0 || strncmp(key, "tokenizer.", 10) == 0;
}

static ws_status put_keys(const sink *to, const ws_arch_key *keys, const cJSON *config, ws_error *err) {
    char name[96];
    for (const ws_arch_key *k = keys; k->suffix; k++) {
        double value = 0;
        snprintf(name, sizeof name, is_whole(k->suffix) ? "%.0s%s" : "%s.%s", to->arch, k->suffix);
        if (put_other(to, k, name, config)) continue;
        const finding found = find_value(config, k->config, &value);
        if (found == BAD) return fail_number(to->path, config, k->config, "a number", err);
        if (found != FOUND || (*k->config == '?' && value == 0)) continue;
        if (k->type == WS_KV_BOOL)
            ws_pairs_put_bool(to->pairs, name, value != 0);
        else if (k->type == WS_KV_F32)
            ws_pairs_put_f32(to->pairs, name, (float)value);
        else if (value >= 0 && value <= UINT32_MAX && value == floor(value))
            ws_pairs_put_u32(to->pairs, name, (uint32_t)value);
        else
            return fail_number(to->path, config, k->config, "a whole number below 2^32", err);
    }
    return WS_OK;
}

/* "llama3" scaling has no keys: it becomes the tensor rope_freqs (rope_factors.h). */
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

/* Positions of pictures have up to four numbers: how many pairs of a head each one turns. */
static void put_sections(const sink *to, const cJSON *sections) {
    char name[96];
    int32_t pairs[4] = {0};
    for (int i = 0; i < 4 && i < cJSON_GetArraySize(sections); i++)
        pairs[i] = (int32_t)cJSON_GetNumberValue(cJSON_GetArrayItem(sections, i));
    snprintf(name, sizeof name, "%s.rope.dimension_sections", to->arch);
    if (cJSON_IsArray(sections)) ws_pairs_put_array(to->pairs, name, WS_KV_I32, pairs, 4);
}

static ws_status put_rope(const sink *to, const cJSON *rope, ws_error *err) {
    char name[96];
    const cJSON *full = get(rope, "full_attention") ? get(rope, "full_attention") : rope;
    const char *type = ws_json_str(full, "rope_type");
    snprintf(name, sizeof name, "%s.rope.scaling.type", to->arch);
    for (size_t i = 0; type && i < sizeof scalings / sizeof *scalings; i++) {
        if (strcmp(type, scalings[i].type) != 0) continue;
        if (scalings[i].needs_factor && !ws_config_find(full, "factor")) continue;
        ws_pairs_put_str(to->pairs, name, scalings[i].written);
        if (scalings[i].keys) WS_TRY(put_keys(to, scalings[i].keys, full, err));
    }
    put_sections(to, get(rope, "mrope_section"));
    return put_keys(to, freq_keys, rope, err);
}

/* How experts are chosen, as a number. */
static ws_status put_gating(const sink *to, const cJSON *config, ws_error *err) {
    static const char names[] = "score_function|scoring_func|score_func|moe_router_activation|"
                                "moe_router_activation_func|expert_selection_fn";
    static const char *const functions[] = {"softmax", "sigmoid", NULL, "sqrtsoftplus"};
    char name[96];
    const cJSON *item = ws_config_find(config, names);
    const char *function = cJSON_GetStringValue(item);
    if (!item) return WS_OK;
    snprintf(name, sizeof name, "%s.expert_gating_func", to->arch);
    for (uint32_t i = 0; function && i < sizeof functions / sizeof *functions; i++) {
        if (!functions[i] || strcmp(functions[i], function) != 0) continue;
        ws_pairs_put_u32(to->pairs, name, i + 1);
        return WS_OK;
    }
    return ws_fail(err, WS_UNSUPPORTED, "'%s': '%s' is no function of experts that is known", to->path,
                   item->string ? item->string : "scoring_func");
}

static ws_status put_common(const sink *to, const ws_arch *arch, const cJSON *config, ws_error *err) {
    char name[96];
    WS_TRY(put_keys(to, before_rope, config, err));
    snprintf(name, sizeof name, "%s.attention.causal", to->arch);
    if (cJSON_IsFalse(get(config, "is_causal"))) ws_pairs_put_bool(to->pairs, name, false);
    WS_TRY(put_rope(to, get(config, "rope_parameters"), err));
    WS_TRY(put_keys(to, after_rope, config, err));
    WS_TRY(put_gating(to, config, err));
    return arch->traits & WS_NO_HEAD_DIM ? WS_OK : put_keys(to, head_keys, config, err);
}

/* Hunyuan's "dynamic" scaling is a base that a fixed alpha makes larger; contexts are said to be of 256k tokens. */
static ws_status put_alpha(const sink *to, const ws_arch *arch, const cJSON *config, const char *path, ws_error *err) {
    enum { CONTEXT = 256 << 10 };
    static const ws_arch_key keys[] = {{"rope.scaling.type", WS_KV_STRING, "none"},
                                       {"rope.scaling.factor", WS_KV_F32, "1"},
                                       {"rope.scaling.original_context_length", WS_KV_U32, "262144"},
                                       {"context_length", WS_KV_U32, "262144"},
                                       {0}};
    char name[96];
    const cJSON *rope = get(config, "rope_parameters");
    const char *type = ws_json_str(rope, "rope_type");
    double alpha = 50, base = 1e4, dim = 0, n_ctx = 0;
    if (!(arch->traits & WS_NTK_ALPHA) || !type || strcmp(type, "dynamic") != 0) return WS_OK;
    find_value(rope, "alpha", &alpha);
    find_value(rope, "rope_theta", &base);
    find_value(config, "head_dim", &dim);
    find_value(config, "max_position_embeddings", &n_ctx);
    if (!(dim > 2) || base != 1e4 || (n_ctx != CONTEXT / 8 && n_ctx != CONTEXT))
        return ws_fail(
            err, WS_UNSUPPORTED,
            "'%s': dynamic scaling is known with 'rope_theta' 10000, 'head_dim' and contexts of %d or %d only", path,
            CONTEXT / 8, CONTEXT);
    snprintf(name, sizeof name, "%s.rope.freq_base", arch->name);
    ws_pairs_put_f32(to->pairs, name, (float)(base * pow(alpha, dim / (dim - 2))));
    return put_keys(to, keys, config, err);
}

ws_status ws_config_put(ws_pairs *p, const ws_arch *arch, cJSON *config, uint32_t file_type, const char *path,
                        ws_error *err) {
    const sink to = {p, arch->name, path};
    static const ws_arch_key file_type_key[] = {{"general.file_type", WS_KV_U32, "file_type"}, {0}};
    cJSON_DeleteItemFromObjectCaseSensitive(config, "file_type");
    if (!cJSON_AddNumberToObject(config, "file_type", file_type))
        return ws_fail(err, WS_NOMEM, "out of memory: the numbers of config.json");
    if (!(arch->traits & WS_OWN_KEYS)) {
        WS_TRY(put_common(&to, arch, config, err));
        WS_TRY(put_keys(&to, file_type_key, config, err));
    }
    WS_TRY(put_alpha(&to, arch, config, path, err));
    return put_keys(&to, arch->keys, config, err);
}

ws_status ws_config_put_late(ws_pairs *p, const ws_arch *arch, const cJSON *config, const char *path, ws_error *err) {
    const sink to = {p, arch->name, path};
    return arch->late_keys ? put_keys(&to, arch->late_keys, config, err) : WS_OK;
}
