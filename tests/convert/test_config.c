/* What the keys "llama.*" say for a config.json. */
#include "config.h"
#include "config_defaults.h"
#include "model_folder.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const ws_arch *llama(void) { return ws_arch_by_name("llama", 5); }

/* The keys of a config.json, as "suffix=value ..." without "llama.". */
static const char *keys_of(const char *json, ws_status wanted, ws_error *err) {
    static char text[2000];
    cJSON *raw = ws_json_parse(json, strlen(json), "c", err);
    cr_assert_not_null(raw, "%s", err->msg);
    cJSON *config = ws_config_complete(raw, err);
    ws_pairs p = {0};
    const ws_status st = ws_config_put(&p, llama(), config, 1, "config.json", err);
    cr_assert_eq(st, wanted, "%s: %s", json, err->msg);
    *text = 0;
    for (size_t i = 0; i < p.n; i++) {
        const char *key = strncmp(p.kv[i].key, "llama.", 6) ? p.kv[i].key : p.kv[i].key + 6;
        const size_t len = strlen(text);
        double number;
        ws_str s = {"", 0};
        if (ws_kv_f64(&p.kv[i], &number))
            snprintf(text + len, sizeof text - len, "%s=%.6g ", key, number);
        else if (ws_kv_str(&p.kv[i], &s))
            snprintf(text + len, sizeof text - len, "%s=%.*s ", key, (int)s.len, s.data);
    }
    ws_pairs_free(&p);
    cJSON_Delete(config);
    cJSON_Delete(raw);
    return text;
}

static void expect_keys(const char *json, const char *keys) {
    ws_error err = {0};
    cr_expect_str_eq(keys_of(json, WS_OK, &err), keys, "%s", json);
}

static void expect_key(const char *json, const char *key) {
    ws_error err = {0};
    const char *keys = keys_of(json, WS_OK, &err);
    cr_expect(strstr(keys, key), "%s: '%s' is not in '%s'", json, key, keys);
}

Test(config, missing_fields_get_the_defaults_of_their_class) {
    expect_keys("{\"model_type\": \"llama\"}",
                "block_count=32 context_length=2048 embedding_length=4096 feed_forward_length=11008 "
                "attention.head_count=32 attention.head_count_kv=32 rope.freq_base=10000 "
                "attention.layer_norm_rms_epsilon=1e-06 attention.key_length=128 attention.value_length=128 "
                "general.file_type=1 vocab_size=32000 rope.dimension_count=128 ");
    expect_key("{\"model_type\": \"mistral\"}", "context_length=131072 ");
    expect_key("{\"model_type\": \"mistral\"}", "head_count_kv=8 ");
    expect_key("{\"model_type\": \"llama\", \"num_attention_heads\": 8, \"num_key_value_heads\": null}",
               "head_count_kv=8 ");
}

/* A file that the class would refuse is taken as it is: no head_dim, so no key_length. */
/* Models of several parts: what is said about the one that reads text outranks what is said about all. */
Test(config, the_part_that_reads_text_counts) {
    expect_key("{\"model_type\": \"mistral3\", \"hidden_size\": 1, \"text_config\": {\"model_type\": \"mistral\", "
               "\"hidden_size\": 64, \"vocab_size\": 9}}",
               "embedding_length=64 feed_forward_length=14336 ");
    expect_key(
        "{\"text_config\": {\"model_type\": \"llama\", \"rope_scaling\": {\"type\": \"default\", \"mrope_section\": "
        "[4, 6, 6]}}}",
        "attention.head_count_kv=32 rope.freq_base=10000 ");
}

Test(config, a_refused_file_gets_no_defaults) {
    expect_keys("{\"model_type\": \"other\", \"hidden_size\": 64, \"num_attention_heads\": 4, \"rope_theta\": 5000}",
                "embedding_length=64 attention.head_count=4 rope.freq_base=5000 general.file_type=1 "
                "rope.dimension_count=16 ");
    expect_keys("{\"model_type\": \"llama\", \"hidden_size\": 100, \"num_attention_heads\": 3, \"head_dim\": 32}",
                "embedding_length=100 attention.head_count=3 attention.key_length=32 attention.value_length=32 "
                "general.file_type=1 rope.dimension_count=32 ");
}

#define LLAMA "{\"model_type\": \"llama\", "

Test(config, rotary_settings_of_both_generations) {
    expect_key(LLAMA "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.5}}",
               "rope.scaling.type=linear rope.scaling.factor=2.5 rope.freq_base=10000 ");
    expect_key(LLAMA "\"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 2, \"rope_theta\": 7}}",
               "rope.scaling.type=linear rope.scaling.factor=2 rope.freq_base=7 ");
    expect_key(LLAMA "\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4}}",
               "rope.scaling.type=yarn rope.scaling.factor=4 rope.scaling.original_context_length=2048 ");
    expect_key(LLAMA "\"rope_scaling\": {\"rope_type\": \"dynamic\", \"factor\": 4}, \"rope_theta\": 9}",
               "head_count_kv=32 rope.freq_base=9 ");
    expect_key(LLAMA "\"rope_scaling\": null, \"rope_theta\": null}", "head_count_kv=32 attention.layer_norm_rms");
    expect_key(LLAMA "\"is_causal\": false}", "attention.causal=0 ");
}

Test(config, values_of_the_wrong_kind_are_named) {
    static const char *const broken[][2] = {
        {"{\"num_hidden_layers\": \"two\"}", "'num_hidden_layers' is not a number"},
        {"{\"num_hidden_layers\": 1.5}", "'num_hidden_layers' is not a whole number below 2^32"},
        {"{\"hidden_size\": -1}", "'hidden_size' is not a whole number"},
        {"{\"vocab_size\": 5e9}", "'vocab_size' is not a whole number"},
        {"{\"rms_norm_eps\": {}}", "'rms_norm_eps' is not a number"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ws_error err = {0};
        keys_of(broken[i][0], WS_FORMAT, &err);
        expect_error(broken[i][0], err.code, &err, WS_FORMAT, broken[i][1]);
    }
}

Test(config, shapes_that_do_not_fit_are_refused) {
    static const char *const broken[][2] = {
        {LLAMA "\"num_hidden_layers\": 2, \"hidden_size\": 8, \"intermediate_size\": 8, \"num_attention_heads\": 0}",
         "'num_attention_heads' is not a whole number from 1 to 2^28"},
        {LLAMA "\"num_hidden_layers\": 1e6}", "layers are more than"},
        {LLAMA "\"hidden_size\": 48, \"num_attention_heads\": 6, \"num_key_value_heads\": 4}", "do not fit together"},
        {LLAMA "\"head_dim\": 33}", "do not fit together"},
        {LLAMA "\"vocab_size\": 1e12}", "'vocab_size'"},
        {"{\"hidden_size\": 64}", "has no 'n_layers|num_hidden_layers|"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ws_error err = {0};
        ws_hparams hp;
        cJSON *raw = ws_json_parse(broken[i][0], strlen(broken[i][0]), "c", &err);
        cJSON *config = ws_config_complete(raw, &err);
        const ws_status st = ws_config_hparams(&hp, llama(), config, "config.json", &err);
        expect_error(broken[i][0], st, &err, WS_FORMAT, broken[i][1]);
        cJSON_Delete(config);
        cJSON_Delete(raw);
    }
}
