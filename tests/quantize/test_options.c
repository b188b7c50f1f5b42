/* The options of llama-quantize: from words to what they mean. */
#include "model_file.h"
#include "options.h"

#include <string.h>

static ws_error err;
static ws_option_texts texts;
static ws_settings settings;
static ws_args args;

static void teardown(void) {
    ws_settings_free(&settings);
    ws_option_texts_free(&texts);
}

/* Words behind the program's name, ended by NULL. */
static ws_status read_words(const char *const *words) {
    char *argv[32] = {"quantize"};
    int argc = 1;
    ws_common_options common = {0};
    ws_option rows[WS_OPTION_ROWS + 1];
    teardown();
    err = (ws_error){0};
    while (*words) argv[argc++] = (char *)*words++;
    ws_option_rows(rows, &texts);
    rows[WS_OPTION_ROWS] = (ws_option){0};
    const ws_command cmd = {.tool = "quantize", .options = rows, .max_args = 5};
    const ws_status status = ws_cli_parse(&cmd, argc, argv, &common, &args, &err);
    return status ? status : ws_settings_read(&settings, &texts, &err);
}

#define READ(...) read_words((const char *const[]){__VA_ARGS__, NULL})

Test(options, tensor_types_keep_their_order, .fini = teardown) {
    char path[] = "/tmp/ws-types-XXXXXX";
    const int fd = mkstemp(path);
    static const char lines[] = "FFN=q8_0\n\tattn_v=iq4_nl\n";
    cr_assert_eq(write(fd, lines, strlen(lines)), (ssize_t)strlen(lines));
    close(fd);
    cr_assert_eq(READ("--tensor-type", "a=q4_k", "--tensor-type-file", path, "--tensor-type", "b=F16"), WS_OK, "%s",
                 err.msg);
    unlink(path);
    const ws_recipe_options *o = &settings.plan.choose;
    static const ws_dtype types[] = {WS_TYPE_Q4_K, WS_TYPE_Q8_0, WS_TYPE_IQ4_NL, WS_TYPE_F16};
    cr_assert_eq(o->n_tensor_types, 4);
    for (size_t i = 0; i < 4; i++) cr_assert_eq(o->tensor_types[i].type, types[i]);
    cr_assert(ws_pattern_found(o->tensor_types[1].pattern, "blk.0.ffn_up.weight")); /* lower-cased */
}

Test(options, layers_are_sorted_and_counted_once, .fini = teardown) {
    cr_assert_eq(READ("--prune-layers", "7,1,7,0"), WS_OK, "%s", err.msg);
    const ws_recipe_options *o = &settings.plan.choose;
    cr_assert(o->n_prune == 3 && o->prune[0] == 0 && o->prune[1] == 1 && o->prune[2] == 7);
}

Test(options, keys, .fini = teardown) {
    cr_assert_eq(READ("--override-kv", "a=int:-5", "--override-kv", "b=float:0.5", "--override-kv", "c=bool:true",
                      "--override-kv", "d=str:x=y"),
                 WS_OK, "%s", err.msg);
    const ws_override *o = settings.plan.overrides;
    cr_assert_eq(settings.plan.n_overrides, 4);
    cr_assert(o[0].kind == WS_OVERRIDE_INT && o[0].integer == -5 && strcmp(o[0].key, "a") == 0);
    cr_assert(o[1].kind == WS_OVERRIDE_FLOAT && o[1].real == 0.5);
    cr_assert(o[2].kind == WS_OVERRIDE_BOOL && o[2].boolean);
    cr_assert(o[3].kind == WS_OVERRIDE_STR && strcmp(o[3].text, "x=y") == 0);
    cr_assert_eq(ws_override_find(o, 4, "a", WS_OVERRIDE_INT), &o[0]);
    cr_assert_null(ws_override_find(o, 4, "a", WS_OVERRIDE_STR));
}

Test(options, sizes_of_parts, .fini = teardown) {
    cr_assert_eq(READ("--split-max-size", "4G"), WS_OK);
    cr_assert_eq(settings.split.max_bytes, 4000000000u);
    cr_assert_eq(READ("--split-max-size", "500M"), WS_OK);
    cr_assert_eq(settings.split.max_bytes, 500000000u);
    cr_assert_eq(READ("--keep-split"), WS_OK);
    cr_assert(settings.split.keep && settings.plan.choose.keep_split);
}

Test(options, mistakes, .fini = teardown) {
    static const char *const cases[][3] = {
        {"--tensor-type", "ffn", "REGEX=TYPE"},
        {"--tensor-type", "=q4_0", "REGEX=TYPE"},
        {"--tensor-type", "ffn=", "REGEX=TYPE"},
        {"--tensor-type", "ffn=q9", "'q9'"},
        {"--tensor-type", "(=q4_0", "regular expression"},
        {"--output-tensor-type", "q9", "'q9'"},
        {"--token-embedding-type", "", "''"},
        {"--prune-layers", "1,,2", "',2'"},
        {"--prune-layers", "", "''"},
        {"--prune-layers", "-1", "'-1'"},
        {"--override-kv", "a=7", "int:"},
        {"--override-kv", "=int:7", "KEY=TYPE:VALUE"},
        {"--override-kv", "a=int:7x", "'7x'"},
        {"--override-kv", "a=bool:1", "'1'"},
        {"--override-kv", "general.alignment=int:64", "general.alignment"},
        {"--split-max-size", "4", "'4'"},
        {"--split-max-size", "0G", "'0G'"},
        {"--split-max-size", "99999999999999G", "99999999999999G"},
        {"--max-buffer-size", "0", "outside"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(READ(cases[i][0], cases[i][1]), WS_USAGE, "%s %s", cases[i][0], cases[i][1]);
        cr_expect_not_null(strstr(err.msg, cases[i][2]), "%s %s: %s", cases[i][0], cases[i][1], err.msg);
    }
    cr_expect_eq(READ("--keep-split", "--split-max-size", "4G"), WS_USAGE);
    cr_expect_eq(READ("--include-weights", "a", "--exclude-weights", "b"), WS_USAGE);
}

Test(options, arguments, .fini = teardown) {
    ws_quantize_arguments a;
    cr_assert_eq(READ("dir/in.gguf", "out.gguf", "Q4_K", "3"), WS_OK);
    cr_assert_eq(ws_quantize_arguments_read(&a, &args, &settings, &err), WS_OK, "%s", err.msg);
    cr_assert(strcmp(a.out, "out.gguf") == 0 && strcmp(a.recipe->name, "Q4_K_M") == 0 && a.threads == 3);
    free(a.out);
    cr_assert_eq(READ("dir/in.gguf", "iq2_m", "2"), WS_OK);
    cr_assert_eq(ws_quantize_arguments_read(&a, &args, &settings, &err), WS_OK, "%s", err.msg);
    cr_assert(strcmp(a.out, "dir/ggml-model-IQ2_M.gguf") == 0 && a.threads == 2);
    free(a.out);
    static const char *const bad[][5] = {
        {"in"}, {"in", "out"}, {"in", "out", "q9"}, {"in", "out", "q8_0", "x"}, {"in", "q8_0", "1", "2"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(read_words(bad[i]), WS_OK);
        cr_expect_eq(ws_quantize_arguments_read(&a, &args, &settings, &err), WS_USAGE, "%zu", i);
        free(a.out);
    }
}
