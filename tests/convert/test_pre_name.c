/* Which pre-tokenizer a tokenizer.json describes. */
#include "model_folder.h"
#include "pre_name.h"

#include <criterion/criterion.h>
#include <string.h>

#define BYTES    "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}"
#define GPT2     "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true}"
#define DIGITS   "{\"type\": \"Digits\", \"individual_digits\": true}"
#define SEQUENCE "{\"type\": \"Sequence\", \"pretokenizers\": ["
#define SPLIT(re)                                                                                                      \
    "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"" re "\"}, \"behavior\": \"Isolated\", \"invert\": false}"
#define QWEN2                                                                                                          \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| "                                  \
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"

static ws_status name_in(const char **name, const ws_arch *arch, const char *json, const char *chosen, ws_error *err) {
    cJSON *root = ws_json_parse(json, strlen(json), "t", err);
    cr_assert_not_null(root, "%s", err->msg);
    const ws_status st = ws_pre_name(name, arch, root, chosen, "tokenizer.json", err);
    cJSON_Delete(root);
    return st;
}

static ws_status name_of(const char **name, const char *json, const char *chosen, ws_error *err) {
    return name_in(name, ws_arch_by_name("llama", 5), json, chosen, err);
}

static const char *const known[][2] = {
    {"{\"pre_tokenizer\": " GPT2 "}", "gpt-2"},
    {"{\"pre_tokenizer\": " SEQUENCE GPT2 "]}}", "gpt-2"},
    {"{\"pre_tokenizer\": " SEQUENCE DIGITS ", " GPT2 "]}}", "smollm"},
    {"{\"pre_tokenizer\": " SEQUENCE SEQUENCE DIGITS "]}, " GPT2 "]}, \"normalizer\": null}", "smollm"},
    {"{\"normalizer\": {\"type\": \"NFC\"}, \"pre_tokenizer\": " SEQUENCE SPLIT(QWEN2) ", " BYTES "]}}", "qwen2"},
};

Test(pre_name, known_rules_are_recognised) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        ws_error err = {0};
        const char *name = NULL;
        cr_expect_eq(name_of(&name, known[i][0], NULL, &err), WS_OK, "%s", err.msg);
        cr_expect(name && strcmp(name, known[i][1]) == 0, "'%s', not '%s'", name ? name : "none", known[i][1]);
    }
}

static const char *const unknown[][2] = {
    {"{}", "'none'"},
    {"{\"pre_tokenizer\": {\"type\": \"Whitespace\"}}", "'Whitespace'"},
    {"{\"pre_tokenizer\": " SEQUENCE SPLIT("abc+") ", " BYTES "]}}", "'/abc+/'"},
    {"{\"pre_tokenizer\": " SEQUENCE DIGITS ", " BYTES "]}}", "'digit'"},
    {"{\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true}}", "'prefix space > words'"},
    {"{\"normalizer\": {\"type\": \"Replace\"}, \"pre_tokenizer\": " GPT2 "}", "'normalizer Replace > words'"},
    {"{\"pre_tokenizer\": {\"type\": 5}}", "'?'"},
};

Test(pre_name, unknown_rules_are_named_and_can_be_overruled) {
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        ws_error err = {0};
        const char *name;
        const ws_status st = name_of(&name, unknown[i][0], NULL, &err);
        expect_error(unknown[i][0], st, &err, WS_UNSUPPORTED, unknown[i][1]);
        cr_expect_not_null(strstr(err.msg, "--pre-tokenizer"));
        cr_expect_eq(name_of(&name, unknown[i][0], "gpt-2", &err), WS_OK);
        cr_expect_str_eq(name, "gpt-2");
    }
}

Test(pre_name, a_wrong_choice_is_misuse) {
    ws_error err = {0};
    cr_expect_eq(ws_pre_name_check("smollm", &err), WS_OK);
    expect_error("gpt-7", ws_pre_name_check("gpt-7", &err), &err, WS_USAGE,
                 "'gpt-7' is not known; some that are: default, ");
}

/* Rules that many share have the name that the architecture's models have. */
Test(pre_name, names_depend_on_the_architecture) {
    static const struct {
        const char *arch, *name;
    } cases[] = {{"bert", "roberta-bpe"}, {"phi2", "phi-2"}, {"exaone4", "exaone4"}, {"gpt2", "gpt-2"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name;
        ws_error err = {0};
        const ws_arch *arch = ws_arch_by_name(cases[i].arch, strlen(cases[i].arch));
        cr_assert_eq(name_in(&name, arch, "{\"pre_tokenizer\": " GPT2 "}", NULL, &err), WS_OK, "%s", err.msg);
        cr_expect_str_eq(name, cases[i].name);
    }
}
