/* Ids of special tokens and whether to add them. */
#include "special_tokens.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

static cJSON *parse(const char *json) {
    ws_error err = {0};
    cJSON *root = json ? ws_json_parse(json, strlen(json), "t", &err) : NULL;
    cr_assert(root || !json, "%s", err.msg);
    return root;
}

/* "bos=1 add_bos=1 ...": the keys without their common parts. */
static const char *result_for(const char *arch, const char *tokenizer, const char *tokenizer_config,
                              const char *config) {
    static char text[500];
    ws_source s = {.arch = ws_arch_by_name(arch, strlen(arch)),
                   .tokenizer = parse(tokenizer),
                   .tokenizer_config = parse(tokenizer_config),
                   .raw_config = parse(config)};
    ws_pairs p = {0};
    ws_special_tokens_put(&p, &s, 10);
    *text = 0;
    for (size_t i = 0; i < p.n; i++) {
        const char *key = p.kv[i].key + strlen("tokenizer.ggml.");
        uint64_t v = 99;
        ws_kv_u64(&p.kv[i], &v);
        const size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%.*s=%" PRIu64, len ? " " : "", (int)(strstr(key, "_token") - key),
                 key, v);
    }
    ws_pairs_free(&p);
    cJSON_Delete(s.tokenizer);
    cJSON_Delete(s.tokenizer_config);
    cJSON_Delete(s.raw_config);
    return text;
}

static const char *result(const char *tokenizer, const char *tokenizer_config, const char *config) {
    return result_for("llama", tokenizer, tokenizer_config, config);
}

#define ADDED                                                                                                          \
    "\"added_tokens\": [{\"id\": 1, \"content\": \"<s>\"}, {\"id\": 2, \"content\": \"</s>\"}, {\"id\": 3, "           \
    "\"content\": \"E\"}]"
#define TEMPLATE(single, pair)                                                                                         \
    "{" ADDED ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [" single "], \"pair\": [" pair    \
    "]}}"
#define T(s) "{\"SpecialToken\": {\"id\": \"" s "\"}}"
#define A    "{\"Sequence\": {\"id\": \"A\"}}"
#define B    "{\"Sequence\": {\"id\": \"B\"}}"
#define BOTH "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}"

Test(special_tokens, ids_come_from_the_tokenizer_then_from_the_model) {
    cr_expect_str_eq(result(NULL, NULL, "{\"bos_token_id\": 4, \"eos_token_id\": [5, 6], \"pad_token_id\": 0}"),
                     "bos=4 padding=0");
    cr_expect_str_eq(result("{" ADDED "}", BOTH, "{\"bos_token_id\": 7, \"sep_token_id\": 8}"),
                     "bos=1 eos=2 seperator=8");
    cr_expect_str_eq(result(NULL, BOTH, "{\"bos_token_id\": 10, \"eos_token_id\": -1, \"mask_token_id\": 9}"),
                     "mask=9");
    cr_expect_str_eq(result("{" ADDED "}", "{\"unk_token\": {\"content\": \"E\"}, \"cls_token\": \"<s>\"}", "{}"),
                     "bos=1 unknown=3");
    cr_expect_str_eq(result(NULL, NULL,
                            "{\"bos_token_id\": null, \"eos_token_id\": 3, \"text_config\": "
                            "{\"bos_token_id\": 4, \"eos_token_id\": 5}}"),
                     "bos=4 eos=3");
}

/* GLM's files leave out some of them. */
Test(special_tokens, glm_fills_in_what_is_missing) {
    static const char tokenizer[] = "{\"added_tokens\": [{\"id\": 1, \"content\": \"<|endoftext|>\"}, {\"id\": 2, "
                                    "\"content\": \"<|user|>\"}]}";
    cr_expect_str_eq(result_for("glm4", tokenizer, NULL, "{\"eos_token_id\": 7}"), "eos=7 eot=2 unknown=1 bos=1");
    cr_expect_str_eq(result(tokenizer, NULL, "{\"eos_token_id\": 7}"), "eos=7");
}

Test(special_tokens, flags_of_the_config_count_where_the_post_processor_is_silent) {
    cr_expect_str_eq(result(NULL, "{\"add_eos_token\": false, \"add_bos_token\": true, \"add_pad_token\": true}", "{}"),
                     "add_bos=1 add_eos=0");
    cr_expect_str_eq(result("{\"post_processor\": {\"type\": \"ByteLevel\"}}", "{\"add_bos_token\": true}", "{}"),
                     "add_bos=0 add_eos=0");
}

Test(special_tokens, templates_are_understood) {
    cr_expect_str_eq(result(TEMPLATE(T("<s>") ", " A, T("<s>") ", " A ", " B), BOTH, "{}"), "bos=1 eos=2 add_bos=1");
    cr_expect_str_eq(result(TEMPLATE(A ", " T("</s>"), A ", " B), BOTH, "{}"), "bos=1 eos=2 add_eos=1");
    cr_expect_str_eq(result(TEMPLATE(T("E") ", " A, ""), "{\"bos_token\": \"<s>\", \"cls_token\": \"C\"}", "{}"),
                     "bos=1 add_bos=0");
    cr_expect_str_eq(result(TEMPLATE(A, A ", " T("</s>") ", " B), BOTH, "{}"), "bos=1 eos=2 seperator=2 add_sep=1");
    cr_expect_str_eq(result(TEMPLATE(T("<s>") ", " A ", " T("</s>"),
                                     T("<s>") ", " A ", " T("</s>") ", " T("</s>") ", " B ", " T("</s>")),
                            BOTH, "{}"),
                     "bos=1 eos=2 seperator=2 add_bos=1 add_eos=1 add_sep=1");
}

/* The configured EOS becomes the end of a turn when the template ends texts with another token. */
Test(special_tokens, the_template_decides_what_ends_a_text) {
    cr_expect_str_eq(result(TEMPLATE(A ", " T("E"), ""), BOTH, "{}"), "bos=1 eos=3 eot=2 add_eos=1");
}

/* A token written as an object equals no text, as in Python. */
Test(special_tokens, objects_are_no_texts) {
    cr_expect_str_eq(
        result(TEMPLATE(T("<s>") ", " A, ""), "{\"bos_token\": {\"content\": \"<s>\"}, \"cls_token\": \"C\"}", "{}"),
        "bos=1 add_bos=0");
}
