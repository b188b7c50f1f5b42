/* recipe.h - which type each tensor gets, as data: a file type ("Q4_K_M") is a default type and a list of rules
 * (category of tensor, conditions, type), of which the first that applies decides. Source of the rules:
 * llama-quantize of llama.cpp, whose files these reproduce. */
#ifndef WS_RECIPE_H
#define WS_RECIPE_H

#include "gguf.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    WS_CAT_OTHER = 0,
    WS_CAT_OUTPUT = 1, /* output.weight, or the token embedding of a model that has none (tied) */
    WS_CAT_TOKEN_EMBD = 2,
    WS_CAT_ATTN_V = 4, /* also fused QKV and MLA's kv_b */
    WS_CAT_ATTN_K = 8,
    WS_CAT_ATTN_Q = 16,
    WS_CAT_ATTN_OUTPUT = 32,
    WS_CAT_FFN_UP = 64,
    WS_CAT_FFN_GATE = 128,
    WS_CAT_FFN_DOWN = 256,
} ws_category;

/* Conditions; a rule applies when all of its bits hold. i: index of the layer, n: number of layers. */
enum {
    WS_IF_MORE_BITS = 1,    /* i < n/8, or i >= 7n/8, or every third layer between */
    WS_IF_FIRST_EIGHTH = 2, /* i < n/8 */
    WS_IF_FIRST_16TH = 4,   /* i < n/16 */
    WS_IF_FIRST_TWO = 8,    /* i < 2 */
    WS_IF_FIRST_FOUR = 16,  /* i < 4 */
    WS_IF_GQA_4 = 32,       /* four or more query heads per KV head */
    WS_IF_EXPERTS_8 = 64,   /* exactly eight experts (Mixtral) */
    WS_IF_70B = 128,        /* a model that the reference classes as 70B */
    WS_IF_FALCON = 256,     /* falcon architecture */
    WS_IF_SHORT_ROWS = 512, /* the default type's block does not divide the row */
};

typedef struct {
    unsigned categories; /* bits of ws_category; 0 ends the list */
    unsigned conditions;
    ws_dtype type;
} ws_rule;

typedef struct {
    const char *name;   /* "Q4_K_M" */
    const char *alias;  /* "Q4_K", or NULL */
    uint32_t file_type; /* general.file_type */
    ws_dtype type;      /* of every tensor that no rule matches */
    const ws_rule *rules;
} ws_recipe;

/* A recipe by name, alias (any case) or file type number; NULL when unknown. */
const ws_recipe *ws_recipe_by_name(const char *name);
const ws_recipe *ws_recipe_all(void); /* ended by name == NULL */

/* Name of a general.file_type ("Q4_K_M"; "F32"), or NULL when the number is unknown here. */
const char *ws_file_type_name(uint64_t file_type);

typedef struct {
    bool pure;         /* no rules: the default type everywhere */
    bool leave_output; /* output.weight keeps its type */
} ws_recipe_options;

typedef struct {
    const ws_tensor *tensor;
    ws_dtype type; /* what it becomes */
    bool fallback; /* the row length did not suit the type that the rules chose */
} ws_choice;

/* Choose types for all tensors of g. `choices` has g->n_tensors entries and comes out in the order of the output
 * file: tensors without a layer first, by name, then layer by layer, by name. */
WS_MUST_CHECK ws_status ws_recipe_choose(const ws_recipe *r, const ws_recipe_options *o, const ws_gguf *g,
                                         ws_choice *choices, ws_error *err);

#endif
