/* recipe_text.h - recipes as text, for people to read and to write (docs/recipes.md).
 *
 *   name Q4_K_S
 *   file-type 14
 *   type Q4_K
 *   output short-rows Q8_0            categories, conditions, type
 *   attn_v,attn_k experts-8 Q8_0
 *
 * A line is words; one that begins with '#' says nothing. "like NAME" takes over all of a built-in recipe, at that
 * place in the list of rules. */
#ifndef WS_RECIPE_TEXT_H
#define WS_RECIPE_TEXT_H

#include "recipe.h"

/* A recipe with all that it points to. */
typedef struct {
    ws_recipe recipe;
    ws_rule *rules;
    size_t n, cap;
    ws_arena texts;
} ws_own_recipe;

/* Parse; `path` is for messages and, without a line "name", names the recipe. *r is released with
 * ws_own_recipe_free() in every case. */
WS_MUST_CHECK ws_status ws_recipe_parse(ws_own_recipe *r, const char *text, size_t size, const char *path,
                                        ws_error *err);
WS_MUST_CHECK ws_status ws_recipe_read(ws_own_recipe *r, const char *path, ws_error *err);
void ws_own_recipe_free(ws_own_recipe *r);

/* The text of a recipe, which ws_recipe_parse() reads back; NULL when memory is out. Release with free(). */
char *ws_recipe_text(const ws_recipe *r, ws_error *err);

/* Categories and conditions of a rule ("attn_v,ffn_down more-bits"), cut to n bytes with the NUL. */
void ws_rule_text(const ws_rule *r, char *text, size_t n);

#endif
