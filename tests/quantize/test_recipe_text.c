/* Recipes as text: what is printed can be read, what is wrong is named with its line. */
#include "recipe_text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_text(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

Test(recipe_text, every_recipe_reads_back) {
    for (const ws_recipe *r = ws_recipe_all(); r->name; r++) {
        ws_error err = {0};
        ws_own_recipe back;
        char *text = ws_recipe_text(r, &err);
        cr_assert_not_null(text);
        cr_assert_eq(ws_recipe_parse(&back, text, strlen(text), "f", &err), WS_OK, "%s: %s", r->name, err.msg);
        cr_assert_str_eq(back.recipe.name, r->name);
        cr_assert(back.recipe.file_type == r->file_type && back.recipe.type == r->type &&
                  back.recipe.flags == r->flags);
        size_t n = 0;
        for (; r->rules[n].categories; n++) {
            const ws_rule *x = &r->rules[n], *y = &back.recipe.rules[n];
            cr_assert(x->categories == y->categories && x->conditions == y->conditions && x->type == y->type, "%s %zu",
                      r->name, n);
            cr_assert(same_text(x->arch, y->arch) && same_text(x->name, y->name), "%s %zu", r->name, n);
        }
        cr_assert_eq(back.recipe.rules[n].categories, 0);
        ws_own_recipe_free(&back);
        free(text);
    }
}

Test(recipe_text, a_file_of_ones_own) {
    static const char text[] = "# mine\n"
                               "\n"
                               "ffn_down name=blk\\.[0-3]\\. q8_0\n"
                               "  like q4_k_m\r\n"
                               "type q5_k\n"
                               "any q6_k";
    ws_error err = {0};
    ws_own_recipe r;
    cr_assert_eq(ws_recipe_parse(&r, text, strlen(text), "dir/mine.recipe", &err), WS_OK, "%s", err.msg);
    const ws_recipe *base = ws_recipe_by_name("q4_k_m");
    size_t n = 0;
    while (base->rules[n].categories) n++;
    cr_assert_str_eq(r.recipe.name, "mine.recipe");
    cr_assert(r.recipe.file_type == 15 && r.recipe.type == WS_TYPE_Q5_K);
    cr_assert_eq(r.n, n + 2);
    cr_assert_str_eq(r.rules[0].name, "blk\\.[0-3]\\.");
    cr_assert_eq(r.rules[n + 1].categories, WS_CAT_ANY);
    char line[64];
    ws_rule_text(&r.rules[0], line, sizeof line);
    cr_assert_str_eq(line, "ffn_down name=blk\\.[0-3]\\.");
    ws_own_recipe_free(&r);
}

Test(recipe_text, mistakes) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "no line 'type"},
        {"type q9", "line 1: unknown tensor type 'q9'"},
        {"type q4_k\nffn_dwn q6_k", "line 2: unknown kind of tensor 'ffn_dwn'; known: output"},
        {"type q4_k\nffn_down often q6_k", "line 2: unknown condition 'often'; known: more-bits"},
        {"type q4_k\nffn_down", "line 2: no type behind 'ffn_down'"},
        {"type q4_k\nffn_down, q6_k", "unknown kind of tensor ''"},
        {"type q4_k\nany name=( q6_k", "line 2: '(' is no regular expression"},
        {"type q4_k q5_k", "line 1: unexpected 'q5_k'"},
        {"like q4_k_xl", "line 1: unknown recipe 'q4_k_xl'"},
        {"name", "line 1: nothing behind 'name'"},
        {"type q4_k\nfile-type 4x", "line 2: unknown file type '4x'"},
        {"type nvfp4", "no line 'file-type'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_error err = {0};
        ws_own_recipe r;
        cr_expect_neq(ws_recipe_parse(&r, cases[i].text, strlen(cases[i].text), "f", &err), WS_OK, "%s", cases[i].text);
        cr_expect_not_null(strstr(err.msg, cases[i].says), "%s: %s", cases[i].text, err.msg);
        ws_own_recipe_free(&r);
    }
    ws_error err = {0};
    ws_own_recipe r;
    cr_assert_eq(ws_recipe_parse(&r, "type\0q4_k", 9, "f", &err), WS_FORMAT);
}
