/* Which type each tensor gets. Expectations are llama-quantize's choices. */
#include "model_file.h"
#include "recipe.h"

#include <string.h>

static char dir[32], path[64];
static ws_gguf *model;
static ws_choices choices;

static void setup(void) {
    test_temp_dir(dir);
    snprintf(path, sizeof path, "%s/m.gguf", dir);
}

static void teardown(void) {
    ws_choices_free(&choices);
    ws_gguf_close(model);
    unlink(path);
    rmdir(dir);
}

/* One attn_v, attn_k, attn_output, ffn_down and norm per layer, embedding, output unless tied. */
static void make_model(const char *arch, uint32_t n_layer, uint32_t heads, uint32_t kv, uint32_t experts, uint64_t row,
                       bool tied) {
    static char names[600][48];
    test_tensor tensors[600];
    static const char *const parts[] = {"attn_v", "attn_k", "attn_output", "ffn_down", "attn_norm"};
    size_t n = 0;
    tensors[n++] = (test_tensor){"token_embd.weight", WS_TYPE_F16, {row, 4}};
    if (!tied) tensors[n++] = (test_tensor){"output.weight", WS_TYPE_F16, {row, 4}};
    for (uint32_t l = 0; l < n_layer; l++)
        for (size_t p = 0; p < 5; p++, n++) {
            snprintf(names[n], sizeof names[n], "blk.%u.%s.weight", l, parts[p]);
            tensors[n] = (test_tensor){names[n], p == 4 ? WS_TYPE_F32 : WS_TYPE_F16, {row, p == 4 ? 1 : 2}};
        }
    test_write_model(path, arch, n_layer, heads, kv, experts, tensors, n);
    ws_error err = {0};
    cr_assert_eq(ws_gguf_open(&model, path, &err), WS_OK, "%s", err.msg);
}

static void choose(const char *recipe, ws_recipe_options o) {
    ws_error err = {0};
    ws_model_facts facts;
    const ws_recipe *r = ws_recipe_by_name(recipe);
    cr_assert_not_null(r, "%s", recipe);
    cr_assert_eq(ws_model_facts_read(&facts, model, NULL, 0, &err), WS_OK, "%s", err.msg);
    ws_choices_free(&choices);
    cr_assert_eq(ws_recipe_choose(&choices, r, &o, &facts, model->tensors, model->n_tensors, &err), WS_OK, "%s",
                 err.msg);
}

static const char *type_of(const char *name) {
    for (size_t i = 0; i < choices.n; i++)
        if (strcmp(choices.list[i].name, name) == 0) return ws_dtype_name(choices.list[i].type);
    return "no such tensor";
}

#define EXPECT(name, type) cr_expect_str_eq(type_of(name), type, "%s: %s, not %s", name, type_of(name), type)

Test(recipe, names) {
    cr_assert_str_eq(ws_recipe_by_name("q4_k")->name, "Q4_K_M");
    cr_assert_str_eq(ws_recipe_by_name("Q5_k_s")->name, "Q5_K_S");
    cr_assert_str_eq(ws_recipe_by_name("15")->name, "Q4_K_M");
    cr_assert_str_eq(ws_recipe_by_name("0")->name, "F32");
    cr_assert_null(ws_recipe_by_name(""));
    cr_assert_null(ws_recipe_by_name("q4_k_xl"));
    cr_assert_null(ws_recipe_by_name("4"));
    cr_assert_str_eq(ws_file_type_name(30), "IQ4_XS");
    cr_assert_null(ws_file_type_name(1024));
}

/* 16 layers: more bits for 0 1 4 7 10 13 14 15. */
Test(recipe, q4_k_m_layers, .init = setup, .fini = teardown) {
    make_model("llama", 16, 4, 4, 0, 256, false);
    choose("Q4_K_M", (ws_recipe_options){0});
    for (int l = 0; l < 16; l++) {
        const bool more = strchr("\x1\x2\x5\x8\xb\xe\xf\x10", l + 1) != NULL;
        char name[48];
        snprintf(name, sizeof name, "blk.%d.ffn_down.weight", l);
        EXPECT(name, more ? "Q6_K" : "Q4_K");
        snprintf(name, sizeof name, "blk.%d.attn_v.weight", l);
        EXPECT(name, more ? "Q6_K" : "Q4_K");
        snprintf(name, sizeof name, "blk.%d.attn_norm.weight", l);
        EXPECT(name, "F32");
    }
    EXPECT("output.weight", "Q6_K");
    EXPECT("token_embd.weight", "Q4_K");
}

Test(recipe, order_is_by_layer_number_then_name, .init = setup, .fini = teardown) {
    make_model("llama", 11, 4, 4, 0, 256, false);
    choose("Q8_0", (ws_recipe_options){0});
    cr_assert_str_eq(choices.list[0].name, "output.weight");
    cr_assert_str_eq(choices.list[1].name, "token_embd.weight");
    cr_assert_str_eq(choices.list[2].name, "blk.0.attn_k.weight");
    cr_assert_str_eq(choices.list[choices.n - 1].name, "blk.10.ffn_down.weight");
}

Test(recipe, mixes_of_small_types, .init = setup, .fini = teardown) {
    make_model("llama", 16, 8, 2, 0, 256, true);
    choose("q2_k", (ws_recipe_options){0});
    EXPECT("blk.3.attn_v.weight", "Q4_K"); /* four query heads per KV head */
    EXPECT("blk.3.attn_output.weight", "Q3_K");
    EXPECT("blk.3.ffn_down.weight", "Q3_K");
    EXPECT("blk.3.attn_k.weight", "Q2_K");
    EXPECT("token_embd.weight", "Q6_K"); /* tied */
    choose("q3_k_m", (ws_recipe_options){0});
    EXPECT("blk.1.attn_v.weight", "Q5_K");
    EXPECT("blk.2.attn_v.weight", "Q4_K");
    EXPECT("blk.0.ffn_down.weight", "Q5_K");
    EXPECT("blk.1.ffn_down.weight", "Q4_K");
    choose("q4_k_s", (ws_recipe_options){0});
    EXPECT("blk.3.attn_v.weight", "Q5_K");
    EXPECT("blk.4.attn_v.weight", "Q4_K");
    EXPECT("blk.1.ffn_down.weight", "Q5_K");
    EXPECT("blk.2.ffn_down.weight", "Q4_K");
}

Test(recipe, eight_experts, .init = setup, .fini = teardown) {
    make_model("llama", 4, 4, 4, 8, 256, false);
    choose("q4_k_m", (ws_recipe_options){0});
    EXPECT("blk.1.attn_v.weight", "Q8_0");
    EXPECT("blk.1.attn_k.weight", "Q8_0");
    EXPECT("blk.1.attn_output.weight", "Q5_K");
    choose("q3_k_l", (ws_recipe_options){0});
    EXPECT("blk.1.attn_output.weight", "Q3_K");
}

Test(recipe, big_models_and_falcon, .init = setup, .fini = teardown) {
    make_model("qwen2", 16, 4, 4, 0, 256, false);
    choose("q4_k_s", (ws_recipe_options){0});
    EXPECT("blk.9.attn_v.weight", "Q4_K");
    ws_gguf_close(model);
    make_model("falcon", 16, 4, 4, 0, 256, false);
    choose("q4_k_m", (ws_recipe_options){0});
    EXPECT("output.weight", "Q8_0");
    EXPECT("blk.0.ffn_down.weight", "Q6_K");
    EXPECT("blk.1.ffn_down.weight", "Q5_K");
    EXPECT("blk.2.ffn_down.weight", "Q4_K");
}

Test(recipe, rows_that_do_not_fit, .init = setup, .fini = teardown) {
    make_model("llama", 4, 4, 4, 0, 288, false);
    choose("q4_k_m", (ws_recipe_options){0});
    EXPECT("blk.1.attn_k.weight", "Q5_0");
    EXPECT("blk.3.ffn_down.weight", "Q8_0"); /* Q6_K's fallback */
    EXPECT("output.weight", "Q8_0");
    cr_assert(choices.list[2].fallback);
    choose("q5_k_s", (ws_recipe_options){0});
    EXPECT("blk.1.attn_k.weight", "Q5_1");
    choose("q3_k_s", (ws_recipe_options){0});
    EXPECT("blk.1.attn_k.weight", "Q4_0");
    ws_gguf_close(model);
    make_model("llama", 4, 4, 4, 0, 40, false);
    choose("q4_0", (ws_recipe_options){0});
    EXPECT("blk.1.attn_k.weight", "F16");
}

Test(recipe, options, .init = setup, .fini = teardown) {
    make_model("llama", 16, 8, 2, 0, 256, false);
    choose("q4_k_m", (ws_recipe_options){.pure = true});
    EXPECT("blk.0.ffn_down.weight", "Q4_K");
    EXPECT("output.weight", "Q4_K");
    choose("q4_k_m", (ws_recipe_options){.leave_output = true});
    EXPECT("output.weight", "F16");
    choose("bf16", (ws_recipe_options){0});
    EXPECT("blk.0.ffn_down.weight", "BF16");
    EXPECT("blk.0.attn_norm.weight", "F32");
}

static bool needs(const char *name) {
    for (size_t i = 0; i < choices.n; i++)
        if (strcmp(choices.list[i].name, name) == 0) return choices.list[i].needs_imatrix;
    return false;
}

Test(recipe, below_four_bits, .init = setup, .fini = teardown) {
    make_model("llama", 16, 8, 2, 0, 256, false);
    choose("iq3_xxs", (ws_recipe_options){0});
    EXPECT("output.weight", "Q5_K");
    EXPECT("token_embd.weight", "IQ3_S");
    EXPECT("blk.5.attn_k.weight", "IQ2_S");
    EXPECT("blk.5.attn_v.weight", "Q4_K");
    EXPECT("blk.1.ffn_down.weight", "Q4_K"); /* without an importance matrix */
    EXPECT("blk.2.ffn_down.weight", "Q3_K");
    cr_expect(needs("blk.5.attn_k.weight") && !needs("blk.5.attn_v.weight"));
    choose("iq3_xxs", (ws_recipe_options){.has_imatrix = true});
    EXPECT("blk.2.ffn_down.weight", "IQ3_XXS");
    choose("iq1_s", (ws_recipe_options){.has_imatrix = true});
    EXPECT("token_embd.weight", "Q2_K");
    EXPECT("blk.1.ffn_down.weight", "Q2_K");
    EXPECT("blk.2.ffn_down.weight", "IQ1_S");
    EXPECT("blk.2.attn_output.weight", "IQ2_XXS");
    choose("q2_k_s", (ws_recipe_options){0});
    cr_expect(needs("blk.5.ffn_down.weight") && !needs("token_embd.weight"));
    choose("q2_k", (ws_recipe_options){0});
    cr_expect(!needs("blk.5.attn_k.weight"));
    choose("q4_0", (ws_recipe_options){.has_imatrix = true});
    EXPECT("blk.1.ffn_down.weight", "Q4_1");
    EXPECT("blk.2.ffn_down.weight", "Q4_0");
}

Test(recipe, options_name_types, .init = setup, .fini = teardown) {
    make_model("llama", 4, 4, 4, 0, 288, false);
    ws_error err = {0};
    const ws_tensor_type named[] = {{ws_pattern_new("attn_", &err), WS_TYPE_IQ3_S},
                                    {ws_pattern_new("attn_v", &err), WS_TYPE_Q8_0},
                                    {ws_pattern_new("ffn_down", &err), WS_TYPE_F16}};
    const ws_recipe_options o = {
        .tensor_types = named, .n_tensor_types = 3, .output = {true, WS_TYPE_Q5_1}, .token_embd = {true, WS_TYPE_Q4_K}};
    choose("q4_k_m", o);
    EXPECT("blk.1.attn_v.weight", "IQ4_NL"); /* the first that matches, then its stand-in */
    EXPECT("blk.1.ffn_down.weight", "F16");
    EXPECT("output.weight", "Q5_1");
    EXPECT("token_embd.weight", "Q4_K"); /* as told, though it does not fit: the plan refuses it */
    choose("f32", o);
    EXPECT("blk.1.attn_v.weight", "F32"); /* names count for quantized files only */
    for (size_t i = 0; i < 3; i++) ws_pattern_free(named[i].pattern);
}

Test(recipe, no_type_stands_in, .init = setup, .fini = teardown) {
    ws_error err = {0};
    ws_model_facts facts;
    make_model("llama", 4, 4, 4, 0, 288, false);
    cr_assert_eq(ws_model_facts_read(&facts, model, NULL, 0, &err), WS_OK);
    cr_assert_eq(ws_recipe_choose(&choices, ws_recipe_by_name("q1_0"), &(ws_recipe_options){0}, &facts, model->tensors,
                                  model->n_tensors, &err),
                 WS_UNSUPPORTED);
    cr_assert_not_null(strstr(err.msg, "rows of 288"));
    cr_assert_null(choices.list);
}

Test(recipe, layers_left_out, .init = setup, .fini = teardown) {
    static const uint32_t prune[] = {1, 3};
    make_model("llama", 11, 4, 4, 0, 256, false);
    choose("q4_k_m", (ws_recipe_options){.prune = prune, .n_prune = 2});
    cr_assert_eq(choices.n_layer, 9);
    cr_assert_eq(choices.n, model->n_tensors - 10);
    const ws_choice *last = &choices.list[choices.n - 1];
    cr_assert_str_eq(last->name, "blk.8.ffn_down.weight");
    cr_assert_str_eq(last->tensor->name, "blk.10.ffn_down.weight");
    EXPECT("blk.1.attn_v.weight", "Q4_K"); /* nine are counted: 0 3 6 7 8 get more bits */
    EXPECT("blk.3.attn_v.weight", "Q6_K");
    EXPECT("blk.7.attn_v.weight", "Q6_K");
}

Test(recipe, in_the_order_of_the_file, .init = setup, .fini = teardown) {
    make_model("llama", 11, 4, 4, 0, 256, false);
    choose("q4_k_m", (ws_recipe_options){.keep_split = true});
    for (size_t i = 0; i < choices.n; i++) cr_assert_eq(choices.list[i].tensor, &model->tensors[i]);
}

Test(recipe, overrides_count_for_the_choice, .init = setup, .fini = teardown) {
    ws_error err = {0};
    ws_model_facts facts;
    ws_override o[2];
    make_model("llama", 4, 8, 8, 0, 256, false);
    cr_assert_eq(ws_override_parse(&o[0], "llama.expert_count=int:8", &err), WS_OK);
    cr_assert_eq(ws_override_parse(&o[1], "llama.block_count=str:9", &err), WS_OK); /* not of its kind: no effect */
    cr_assert_eq(ws_model_facts_read(&facts, model, o, 2, &err), WS_OK);
    cr_assert(facts.n_expert == 8 && facts.n_layer == 4 && facts.n_head == 8 && facts.n_head_kv == 8);
}

Test(recipe, a_copy_changes_nothing, .init = setup, .fini = teardown) {
    make_model("llama", 4, 8, 8, 0, 256, false);
    choose("copy", (ws_recipe_options){0});
    for (size_t i = 0; i < choices.n; i++) cr_assert_eq(choices.list[i].type, choices.list[i].tensor->type);
}
