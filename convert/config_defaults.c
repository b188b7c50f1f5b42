#include "config_defaults.h"

#include <math.h>
#include <string.h>

/* ---- classes ---- */

/* How a class treats a field that is null. */
typedef enum {
    NUMBER, /* refuses it */
    EMPTY,  /* keeps it */
    HEADS,  /* the number of heads takes its place, */
    HEAD,   /* or hidden size / heads, */
    ROPE,   /* or qk_rope_head_dim, whatever the file says */
} field_kind;

typedef struct {
    const char *key;
    double value;
    field_kind kind;
} number_field;

typedef struct {
    const char *model_type;
    const number_field *fields; /* ended by key == NULL */
    double theta;               /* base of the rotary frequencies */
    double turned;              /* partial_rotary_factor; 0: none */
    bool heads_divide;          /* a hidden size that the heads do not divide is refused */
} config_class;

/* What nearly all classes have. */
#define PLAIN(vocab, hidden, inner, layers, heads, positions)                                                          \
    {"vocab_size", vocab, NUMBER}, {"hidden_size", hidden, NUMBER}, {"intermediate_size", inner, NUMBER},              \
        {"num_hidden_layers", layers, NUMBER}, {"num_attention_heads", heads, NUMBER}, {                               \
        "max_position_embeddings", positions, NUMBER                                                                   \
    }
#define SHAPE(vocab, hidden, inner, layers, heads, positions, eps)                                                     \
    PLAIN(vocab, hidden, inner, layers, heads, positions), { "rms_norm_eps", eps, NUMBER }
#define KV(n)                                                                                                          \
    { "num_key_value_heads", n, HEADS }
#define HEAD_DIM(n)                                                                                                    \
    { "head_dim", n, NUMBER }
#define ANY_HEAD                                                                                                       \
    { "head_dim", 0, HEAD }

static const number_field llama[] = {SHAPE(32000, 4096, 11008, 32, 32, 2048, 1e-6), KV(0), ANY_HEAD, {0}};
static const number_field mistral[] = {SHAPE(32000, 4096, 14336, 32, 32, 131072, 1e-6), KV(8), ANY_HEAD, {0}};
static const number_field mixtral[] = {SHAPE(32000, 4096, 14336, 32, 32, 131072, 1e-5),
                                       KV(8),
                                       {"num_experts_per_tok", 2, NUMBER},
                                       {"num_local_experts", 8, NUMBER},
                                       {0}};
static const number_field qwen2[] = {SHAPE(151936, 4096, 22016, 32, 32, 32768, 1e-6), KV(32), {0}};
static const number_field qwen3[] = {SHAPE(151936, 4096, 22016, 32, 32, 32768, 1e-6), KV(32), HEAD_DIM(128), {0}};
static const number_field qwen2_moe[] = {SHAPE(151936, 2048, 5632, 24, 16, 32768, 1e-6),
                                         KV(16),
                                         {"moe_intermediate_size", 1408, NUMBER},
                                         {"shared_expert_intermediate_size", 5632, NUMBER},
                                         {"num_experts_per_tok", 4, NUMBER},
                                         {"num_experts", 60, NUMBER},
                                         {0}};
static const number_field qwen3_moe[] = {SHAPE(151936, 2048, 6144, 24, 32, 32768, 1e-6),
                                         KV(4),
                                         {"moe_intermediate_size", 768, NUMBER},
                                         {"num_experts_per_tok", 8, NUMBER},
                                         {"num_experts", 128, NUMBER},
                                         {0}};
static const number_field gemma[] = {SHAPE(256000, 3072, 24576, 28, 16, 8192, 1e-6), KV(16), HEAD_DIM(256), {0}};
static const number_field gemma2[] = {SHAPE(256000, 2304, 9216, 26, 8, 8192, 1e-6),
                                      KV(4),
                                      HEAD_DIM(256),
                                      {"sliding_window", 4096, EMPTY},
                                      {"final_logit_softcapping", 30, EMPTY},
                                      {"attn_logit_softcapping", 50, EMPTY},
                                      {0}};
static const number_field gemma3[] = {
    SHAPE(262208, 2304, 9216, 26, 8, 131072, 1e-6), KV(4), HEAD_DIM(256), {"sliding_window", 4096, EMPTY}, {0}};
static const number_field phi3[] = {
    SHAPE(32064, 3072, 8192, 32, 32, 4096, 1e-5), KV(0), {"original_max_position_embeddings", 4096, NUMBER}, {0}};
static const number_field granite[] = {SHAPE(32000, 4096, 11008, 32, 32, 2048, 1e-6),
                                       KV(0),
                                       {"embedding_multiplier", 1, NUMBER},
                                       {"logits_scaling", 1, NUMBER},
                                       {"residual_multiplier", 1, NUMBER},
                                       {"attention_multiplier", 1, NUMBER},
                                       {0}};
static const number_field olmo2[] = {SHAPE(50304, 4096, 11008, 32, 32, 2048, 1e-5), KV(0), {0}};
static const number_field gpt2[] = {{"vocab_size", 50257, NUMBER},
                                    {"n_positions", 1024, NUMBER},
                                    {"n_embd", 768, NUMBER},
                                    {"n_layer", 12, NUMBER},
                                    {"n_head", 12, NUMBER},
                                    {"layer_norm_epsilon", 1e-5, NUMBER},
                                    {0}};
static const number_field bert[] = {
    {"vocab_size", 30522, NUMBER},       {"hidden_size", 768, NUMBER},        {"num_hidden_layers", 12, NUMBER},
    {"num_attention_heads", 12, NUMBER}, {"intermediate_size", 3072, NUMBER}, {"max_position_embeddings", 512, NUMBER},
    {"type_vocab_size", 2, NUMBER},      {"layer_norm_eps", 1e-12, NUMBER},   {0}};
static const number_field roberta[] = {PLAIN(50265, 768, 3072, 12, 12, 512),
                                       {"type_vocab_size", 2, NUMBER},
                                       {"layer_norm_eps", 1e-12, NUMBER},
                                       {"pad_token_id", 1, EMPTY},
                                       {0}};
static const number_field xlm_roberta[] = {PLAIN(30522, 768, 3072, 12, 12, 512),
                                           {"type_vocab_size", 2, NUMBER},
                                           {"layer_norm_eps", 1e-12, NUMBER},
                                           {"pad_token_id", 1, EMPTY},
                                           {0}};
static const number_field distilbert[] = {{"vocab_size", 30522, NUMBER},
                                          {"max_position_embeddings", 512, NUMBER},
                                          {"n_layers", 6, NUMBER},
                                          {"n_heads", 12, NUMBER},
                                          {"dim", 768, NUMBER},
                                          {"hidden_dim", 3072, NUMBER},
                                          {0}};
static const number_field nomic_bert[] = {{"vocab_size", 30528, NUMBER},
                                          {"hidden_size", 768, NUMBER},
                                          {"num_hidden_layers", 12, NUMBER},
                                          {"num_attention_heads", 12, NUMBER},
                                          {"intermediate_size", 3072, NUMBER},
                                          {"max_position_embeddings", 2048, NUMBER},
                                          {"type_vocab_size", 2, NUMBER},
                                          {"layer_norm_eps", 1e-12, NUMBER},
                                          ANY_HEAD,
                                          {0}};
static const number_field deepseek_v2[] = {SHAPE(102400, 4096, 11008, 32, 32, 2048, 1e-6),
                                           KV(0),
                                           {"first_k_dense_replace", 0, NUMBER},
                                           {"kv_lora_rank", 512, NUMBER},
                                           {"q_lora_rank", 1536, EMPTY},
                                           {"n_routed_experts", 64, NUMBER},
                                           {"n_shared_experts", 2, NUMBER},
                                           {"qk_nope_head_dim", 128, NUMBER},
                                           {"qk_rope_head_dim", 64, NUMBER},
                                           {"routed_scaling_factor", 1, NUMBER},
                                           {"v_head_dim", 128, NUMBER},
                                           {"moe_intermediate_size", 1407, NUMBER},
                                           {"head_dim", 0, ROPE},
                                           {0}};
static const number_field deepseek_v3[] = {SHAPE(129280, 7168, 18432, 61, 128, 4096, 1e-6),
                                           KV(128),
                                           {"first_k_dense_replace", 3, EMPTY},
                                           {"kv_lora_rank", 512, NUMBER},
                                           {"q_lora_rank", 1536, EMPTY},
                                           {"n_routed_experts", 256, NUMBER},
                                           {"n_shared_experts", 1, NUMBER},
                                           {"qk_nope_head_dim", 128, NUMBER},
                                           {"qk_rope_head_dim", 64, NUMBER},
                                           {"routed_scaling_factor", 2.5, NUMBER},
                                           {"v_head_dim", 128, NUMBER},
                                           {"moe_intermediate_size", 2048, NUMBER},
                                           {"n_group", 8, EMPTY},
                                           {"topk_group", 4, EMPTY},
                                           {"num_experts_per_tok", 8, EMPTY},
                                           {"head_dim", 0, ROPE},
                                           {0}};
static const number_field qwen2_vl[] = {SHAPE(152064, 8192, 29568, 80, 64, 32768, 1e-5), KV(8), {0}};
static const number_field qwen3_vl[] = {SHAPE(151936, 4096, 22016, 32, 32, 128000, 1e-6), KV(32), HEAD_DIM(128), {0}};
static const number_field ministral3[] = {
    SHAPE(131072, 4096, 14336, 34, 32, 262144, 1e-5), {"num_key_value_heads", 8, NUMBER}, HEAD_DIM(128), {0}};
static const number_field smollm3[] = {SHAPE(128256, 2048, 11008, 36, 16, 32768, 1e-6), KV(4), {0}};
static const number_field glm4[] = {
    SHAPE(151552, 4096, 13696, 40, 32, 131072, 1.5625e-7), {"num_key_value_heads", 2, NUMBER}, HEAD_DIM(128), {0}};
static const number_field seed_oss[] = {SHAPE(155136, 4096, 27648, 64, 80, 524288, 1e-6), KV(8), HEAD_DIM(128), {0}};
static const number_field exaone4[] = {SHAPE(102400, 4096, 16384, 32, 32, 2048, 1e-5),
                                       {"num_key_value_heads", 32, NUMBER},
                                       {"sliding_window", 4096, EMPTY},
                                       {0}};
static const number_field ernie4_5[] = {SHAPE(103424, 1024, 3072, 18, 16, 131072, 1e-5), KV(2), HEAD_DIM(128), {0}};
static const number_field olmoe[] = {SHAPE(50304, 2048, 2048, 16, 16, 4096, 1e-5),
                                     KV(0),
                                     {"num_experts_per_tok", 8, NUMBER},
                                     {"num_experts", 64, NUMBER},
                                     {0}};
static const number_field granitemoe[] = {SHAPE(32000, 4096, 11008, 32, 32, 2048, 1e-6),
                                          KV(0),
                                          {"num_local_experts", 8, EMPTY},
                                          {"num_experts_per_tok", 2, EMPTY},
                                          {"embedding_multiplier", 1, EMPTY},
                                          {"logits_scaling", 1, EMPTY},
                                          {"residual_multiplier", 1, EMPTY},
                                          {"attention_multiplier", 1, EMPTY},
                                          {0}};
static const number_field starcoder2[] = {
    PLAIN(49152, 3072, 12288, 30, 24, 4096), {"num_key_value_heads", 2, NUMBER}, {"norm_epsilon", 1e-5, NUMBER}, {0}};
static const number_field cohere[] = {PLAIN(256000, 8192, 22528, 40, 64, 8192),
                                      KV(0),
                                      {"layer_norm_eps", 1e-5, EMPTY},
                                      {"logit_scale", 0.0625, EMPTY},
                                      {0}};
static const number_field cohere2[] = {PLAIN(256000, 8192, 22528, 40, 64, 8192),
                                       KV(0),
                                       {"layer_norm_eps", 1e-5, NUMBER},
                                       {"logit_scale", 0.0625, NUMBER},
                                       {"sliding_window", 4096, EMPTY},
                                       ANY_HEAD,
                                       {0}};
static const number_field hunyuan[] = {
    SHAPE(290943, 4096, 11008, 32, 32, 2048, 1e-5), KV(0), {"eod_token_id", 3, EMPTY}, {0}};
static const number_field olmo3[] = {
    SHAPE(50304, 4096, 11008, 32, 32, 2048, 1e-5), KV(0), {"sliding_window", 4096, EMPTY}, {0}};
static const number_field modernbert[] = {
    PLAIN(50368, 768, 1152, 22, 12, 8192), {"norm_eps", 1e-5, NUMBER}, {"local_attention", 128, NUMBER}, {0}};
static const number_field phi[] = {
    PLAIN(51200, 2048, 8192, 24, 32, 2048), KV(0), {"layer_norm_eps", 1e-5, NUMBER}, {0}};
static const number_field stablelm[] = {
    PLAIN(50304, 2560, 6912, 32, 32, 4096), {"num_key_value_heads", 32, NUMBER}, {"layer_norm_eps", 1e-5, NUMBER}, {0}};
static const number_field gpt_oss[] = {SHAPE(201088, 2880, 2880, 36, 64, 131072, 1e-5),
                                       KV(8),
                                       HEAD_DIM(64),
                                       {"num_local_experts", 128, NUMBER},
                                       {"num_experts_per_tok", 4, NUMBER},
                                       {"sliding_window", 128, EMPTY},
                                       {0}};

static const config_class classes[] = {
    {"llama", llama, 1e4, 0, true},
    {"mistral", mistral, 1e4, 0, false},
    {"mixtral", mixtral, 1e6, 0, false},
    {"qwen2", qwen2, 1e4, 0, false},
    {"qwen3", qwen3, 1e4, 0, false},
    {"qwen2_moe", qwen2_moe, 1e4, 0, false},
    {"qwen3_moe", qwen3_moe, 1e4, 0, false},
    {"gemma", gemma, 1e4, 0, false},
    {"gemma2", gemma2, 1e4, 0, true},
    {"gemma3_text", gemma3, 1e6, 0, true},
    {"phi3", phi3, 1e4, 0, false},
    {"granite", granite, 1e4, 0, false},
    {"olmo2", olmo2, 1e4, 0, true},
    {"gpt2", gpt2, 0, 0, false},
    {"bert", bert, 0, 0, false},
    {"roberta", roberta, 0, 0, false},
    {"xlm-roberta", xlm_roberta, 0, 0, false},
    {"distilbert", distilbert, 0, 0, false},
    {"nomic_bert", nomic_bert, 1e3, 0, false},
    {"deepseek_v2", deepseek_v2, 1e4, 0, true},
    {"deepseek_v3", deepseek_v3, 1e4, 0, false},
    {"gpt_oss", gpt_oss, 1.5e5, 0, false},
    {"qwen2_vl_text", qwen2_vl, 1e6, 0, false},
    {"qwen2_5_vl_text", qwen2_vl, 1e6, 0, false},
    {"qwen3_vl_text", qwen3_vl, 5e5, 0, false},
    {"ministral3", ministral3, 1e6, 0, false},
    {"smollm3", smollm3, 2e6, 0, false},
    {"glm4", glm4, 1e4, 0.5, false},
    {"seed_oss", seed_oss, 1e4, 0, false},
    {"exaone4", exaone4, 1e4, 0, false},
    {"ernie4_5", ernie4_5, 5e5, 0, false},
    {"olmoe", olmoe, 1e4, 0, false},
    {"granitemoe", granitemoe, 1e4, 0, false},
    {"granitemoeshared", granitemoe, 1e4, 0, false},
    {"starcoder2", starcoder2, 1e4, 0, false},
    {"cohere", cohere, 5e5, 0, false},
    {"cohere2", cohere2, 1e4, 0, true},
    {"hunyuan_v1_dense", hunyuan, 1e4, 0, false},
    {"olmo3", olmo3, 5e5, 0, false},
    {"modernbert", modernbert, 1e4, 0, false},
    {"phi", phi, 1e4, 0.5, false},
    {"stablelm", stablelm, 1e4, 0.25, false},
};

/* What each kind of rotary scaling must have. */
static const struct {
    const char *type, *fields[4]; /* ended by NULL */
} rope_needs[] = {
    {"linear", {"factor"}},
    {"dynamic", {"factor"}},
    {"yarn", {"factor"}},
    {"longrope", {"short_factor", "long_factor"}},
    {"su", {"original_max_position_embeddings"}}, /* old files have that elsewhere */
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

static const char *heads_field(const config_class *cls) {
    return cls->fields == gpt2 ? "n_head" : cls->fields == distilbert ? "n_heads" : "num_attention_heads";
}

/* Would the class accept the file? If not, the reference falls back to the file as it is, without defaults. */
static bool accepts(const config_class *cls, const cJSON *config) {
    for (const number_field *f = cls->fields; f->key; f++) {
        const cJSON *item = get(config, f->key);
        if (item && !cJSON_IsNumber(item) && !(cJSON_IsNull(item) && f->kind != NUMBER)) return false;
    }
    const double heads = value_of(cls, config, heads_field(cls));
    if (heads < 1 || (cls->heads_divide && fmod(value_of(cls, config, "hidden_size"), heads) != 0)) return false;
    const cJSON *rope = rope_source(config);
    const char *type = rope_type(rope);
    for (size_t i = 0; type && i < sizeof rope_needs / sizeof *rope_needs; i++)
        for (const char *const *field = rope_needs[i].fields; *field; field++)
            if (strcmp(type, rope_needs[i].type) == 0 && !get(rope, *field)) return false;
    return true;
}

static void complete_numbers(cJSON *config, const config_class *cls) {
    for (const number_field *f = cls->fields; f->key; f++)
        if (f->kind == NUMBER || (f->kind == HEADS && f->value > 0 && !cJSON_IsNull(get(config, f->key))))
            fill_number(config, f->key, f->value);
        else if (f->kind == EMPTY)
            set_default(config, f->key, cJSON_CreateNumber(f->value));
    const double heads = number(config, "num_attention_heads");
    for (const number_field *f = cls->fields; f->key; f++) {
        if (f->kind == ROPE) cJSON_DeleteItemFromObjectCaseSensitive(config, f->key);
        if (f->kind == HEADS) fill_number(config, f->key, heads);
        if (f->kind == HEAD) fill_number(config, f->key, floor(number(config, "hidden_size") / heads));
        if (f->kind == ROPE) fill_number(config, f->key, number(config, "qk_rope_head_dim"));
    }
}

static bool names(const char *type, const char *other) { return type && strcmp(type, other) == 0; }

static bool is_stretched(const char *type) {
    return names(type, "llama3") || names(type, "yarn") || names(type, "longrope");
}

static void set_rope_type(cJSON *rope) {
    const char *type = rope_type(rope);
    set_default(rope, "rope_type", cJSON_CreateString(type ? type : "default"));
}

/* All rotary settings in one object, as transformers arrange them. */
static void complete_rope(cJSON *config, const config_class *cls) {
    const cJSON *theta = get(config, "rope_theta"), *source = rope_source(config);
    const cJSON *part = get(config, "partial_rotary_factor"),
                *trained = get(config, "original_max_position_embeddings");
    cJSON *rope = cJSON_IsObject(source) ? cJSON_Duplicate(source, true) : cJSON_CreateObject();
    set_default(rope, "rope_theta", theta ? cJSON_Duplicate(theta, true) : cJSON_CreateNumber(cls->theta));
    if (cJSON_IsNumber(part)) set_default(rope, "partial_rotary_factor", cJSON_Duplicate(part, true));
    if (cls->turned > 0) set_default(rope, "partial_rotary_factor", cJSON_CreateNumber(cls->turned));
    set_rope_type(rope);
    if (is_stretched(rope_type(rope)) && cJSON_IsNumber(trained))
        cJSON_DeleteItemFromObjectCaseSensitive(rope, "original_max_position_embeddings");
    if (cJSON_IsNumber(trained)) set_default(rope, "original_max_position_embeddings", cJSON_Duplicate(trained, true));
    if (is_stretched(rope_type(rope)))
        set_default(rope, "original_max_position_embeddings",
                    cJSON_CreateNumber(number(config, "max_position_embeddings")));
    cJSON_DeleteItemFromObjectCaseSensitive(config, "rope_parameters");
    cJSON_AddItemToObject(config, "rope_parameters", rope);
}

/* Gemma 3, OLMo 3 and ModernBERT have one set of them for full layers and one for sliding layers. */
typedef struct {
    const char *set, *theta;
    double value;
} rope_set;
static const rope_set gemma3_sets[] = {{"full_attention", "rope_theta", 1e6},
                                       {"sliding_attention", "rope_local_base_freq", 1e4}};
static const rope_set modernbert_sets[] = {{"full_attention", "global_rope_theta", 1.6e5},
                                           {"sliding_attention", "local_rope_theta", 1e4}};
static const rope_set olmo3_sets[] = {{"full_attention", "rope_theta", 5e5}, {"sliding_attention", "", 5e5}};

static void complete_rope_sets(cJSON *config, const rope_set sets[2]) {
    const cJSON *given = get(config, "rope_parameters"), *scaling = get(config, "rope_scaling"), *item;
    cJSON *all = is_filled_object(given) ? cJSON_Duplicate(given, true) : cJSON_CreateObject();
    for (size_t i = 0; i < 2; i++) {
        const cJSON *theta = get(config, sets[i].theta);
        set_default(all, sets[i].set, cJSON_CreateObject());
        cJSON *rope = cJSON_GetObjectItemCaseSensitive(all, sets[i].set);
        if (i == 0) cJSON_ArrayForEach(item, scaling) set_default(rope, item->string, cJSON_Duplicate(item, true));
        set_default(rope, "rope_theta", theta ? cJSON_Duplicate(theta, true) : cJSON_CreateNumber(sets[i].value));
        set_rope_type(rope);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(config, "rope_parameters");
    cJSON_AddItemToObject(config, "rope_parameters", all);
}

/* What gpt-oss does when the file says nothing. */
static void complete_oss_rope(cJSON *config) {
    if (rope_source(config)) return;
    cJSON *rope = cJSON_AddObjectToObject(config, "rope_parameters");
    cJSON_AddStringToObject(rope, "rope_type", "yarn");
    cJSON_AddNumberToObject(rope, "factor", 32);
    cJSON_AddNumberToObject(rope, "beta_fast", 32);
    cJSON_AddNumberToObject(rope, "beta_slow", 1);
    cJSON_AddNumberToObject(rope, "original_max_position_embeddings", 4096);
}

/* The first of the fields that is there; NULL if that is null. */
static const cJSON *first(const cJSON *config, const char *a, const char *b, const char *c, const char *d,
                          const char *e) {
    const char *const keys[] = {a, b, c, d, e};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const cJSON *item = get(config, keys[i]);
        if (item) return cJSON_IsNull(item) ? NULL : item;
    }
    return NULL;
}

/* The same for a file that is taken as it is: the reference copies loose fields into the object. */
static void gather_rope(cJSON *config) {
    const cJSON *source = get(config, "rope_parameters") ? get(config, "rope_parameters") : get(config, "rope_scaling");
    cJSON *rope = cJSON_IsObject(source) ? cJSON_Duplicate(source, true) : cJSON_CreateObject();
    const cJSON *theta =
        first(config, "global_rope_theta", "rope_global_theta", "rope_theta_global", "rope_theta", "rotary_emb_base");
    const cJSON *local = first(config, "local_rope_theta", "rope_local_theta", "rope_theta_local", "swa_rope_theta",
                               "rope_local_base_freq");
    const cJSON *part = first(config, "partial_rotary_factor", "rope_pct", "rope_percent", "", "");
    const cJSON *trained = first(config, "original_max_position_embeddings", "", "", "", "");
    if (local) {
        cJSON *sliding = cJSON_CreateObject();
        cJSON_AddItemToObject(sliding, "rope_theta", cJSON_Duplicate(local, true));
        set_default(rope, "sliding_attention", sliding);
    }
    if (theta) set_default(rope, "rope_theta", cJSON_Duplicate(theta, true));
    if (part) set_default(rope, "partial_rotary_factor", cJSON_Duplicate(part, true));
    if (rope_type(rope)) set_default(rope, "rope_type", cJSON_CreateString(rope_type(rope)));
    if (trained) set_default(rope, "original_max_position_embeddings", cJSON_Duplicate(trained, true));
    cJSON_DeleteItemFromObjectCaseSensitive(config, "rope_parameters");
    cJSON_AddItemToObject(config, "rope_parameters", rope);
}

/* The files of nomic-embed-text have GPT-2's names for their sizes. */
static void add_plain_names(cJSON *config) {
    static const struct {
        const char *given, *plain;
    } names[] = {
        {"n_embd", "hidden_size"},
        {"n_layer", "num_hidden_layers"},
        {"n_head", "num_attention_heads"},
        {"n_inner", "intermediate_size"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (get(config, names[i].given))
            set_default(config, names[i].plain, cJSON_Duplicate(get(config, names[i].given), true));
}

static void complete(cJSON *config) {
    const config_class *cls = class_of(config);
    if (!cls || !accepts(cls, config)) {
        gather_rope(config);
        return;
    }
    if (cls->fields == nomic_bert) add_plain_names(config);
    complete_numbers(config, cls);
    if (cls->fields == modernbert) set_default(config, "classifier_pooling", cJSON_CreateString("cls"));
    if (cls->fields == gpt_oss) complete_oss_rope(config);
    if (cls->fields == gemma3)
        complete_rope_sets(config, gemma3_sets);
    else if (cls->fields == modernbert)
        complete_rope_sets(config, modernbert_sets);
    else if (cls->fields == olmo3)
        complete_rope_sets(config, olmo3_sets);
    else if (cls->theta > 0)
        complete_rope(config, cls);
}

/* What a model of several parts says about the one that reads text moves up. */
static void lift_text(cJSON *config) {
    cJSON *text = cJSON_DetachItemFromObjectCaseSensitive(config, "text_config");
    complete(text);
    while (text->child) {
        cJSON *item = cJSON_DetachItemViaPointer(text, text->child);
        cJSON_DeleteItemFromObjectCaseSensitive(config, item->string);
        cJSON_AddItemToObject(config, item->string, item);
    }
    cJSON_Delete(text);
}

cJSON *ws_config_complete(const cJSON *raw, ws_error *err) {
    cJSON *config = cJSON_Duplicate(raw, true);
    if (!config)
        ws_fail(err, WS_NOMEM, "out of memory: a copy of config.json");
    else if (cJSON_IsObject(get(config, "text_config")))
        lift_text(config);
    else
        complete(config);
    return config;
}
