/* recipe.h - which type each tensor gets, as data: a file type ("Q4_K_M") is a default type and a list of rules
 * (category of tensor, conditions, type), of which the first that applies decides. Source of the built-in rules:
 * llama-quantize of llama.cpp, whose files these reproduce. docs/recipes.md shows the text form. */
#ifndef WS_RECIPE_H
#define WS_RECIPE_H

#include "arena.h"
#include "gguf.h"
#include "overrides.h"
#include "pattern.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    WS_CAT_OTHER = 1,
    WS_CAT_OUTPUT = 2, /* output.weight, or the token embedding of a model that has none (tied) */
    WS_CAT_TOKEN_EMBD = 4,
    WS_CAT_ATTN_V = 8, /* also fused QKV and MLA's kv_b */
    WS_CAT_ATTN_K = 16,
    WS_CAT_ATTN_Q = 32,
    WS_CAT_ATTN_OUTPUT = 64,
    WS_CAT_FFN_UP = 128,
    WS_CAT_FFN_GATE = 256,
    WS_CAT_FFN_DOWN = 512,
    WS_CAT_ANY = 1023,
} ws_category;

/* Conditions; a rule applies when all of its bits hold. i: index of the layer, n: number of layers. */
enum {
    WS_IF_MORE_BITS = 1,     /* i < n/8, or i >= 7n/8, or every third layer between */
    WS_IF_FIRST_EIGHTH = 2,  /* i < n/8 */
    WS_IF_FIRST_16TH = 4,    /* i < n/16 */
    WS_IF_MIDDLE = 8,        /* n/8 <= i < 7n/8 */
    WS_IF_FIRST_TWO = 16,    /* i < 2 */
    WS_IF_FIRST_FOUR = 32,   /* i < 4 */
    WS_IF_GQA_4 = 64,        /* four or more query heads per KV head */
    WS_IF_EXPERTS_4 = 128,   /* four or more experts */
    WS_IF_EXPERTS_8 = 256,   /* exactly eight experts (Mixtral) */
    WS_IF_STACKED = 512,     /* a stack of matrices, as experts are */
    WS_IF_70B = 1024,        /* a model that the reference classes as 70B */
    WS_IF_SHORT_ROWS = 2048, /* the default type's block does not divide the row */
    WS_IF_IMATRIX = 4096,    /* an importance matrix was given */
    WS_IF_NO_IMATRIX = 8192, /* none was given */
};

typedef struct {
    unsigned categories; /* bits of ws_category; 0 ends the list */
    unsigned conditions;
    ws_dtype type;
    const char *arch; /* "falcon": in this architecture only; "!falcon": in all others; NULL: in all */
    const char *name; /* a regular expression that is searched for in the tensor's name; NULL: any name */
} ws_rule;

typedef struct {
    const char *name;   /* "Q4_K_M" */
    const char *alias;  /* "Q4_K", or NULL */
    uint32_t file_type; /* general.file_type */
    ws_dtype type;      /* of every tensor that no rule matches */
    unsigned flags;     /* WS_RECIPE_* */
    const ws_rule *rules;
} ws_recipe;

enum {
    WS_RECIPE_COPY = 1,          /* every tensor keeps its type, the file its file type */
    WS_RECIPE_NEEDS_IMATRIX = 2, /* tensors of the default type need an importance matrix, whatever the type says */
    WS_RECIPE_COUNTS_LAYERS = 4, /* ffn_down layers are counted as they come, also where there are experts */
};

/* A recipe by name, alias (any case) or file type number; NULL when unknown. */
const ws_recipe *ws_recipe_by_name(const char *name);
const ws_recipe *ws_recipe_all(void); /* ended by name == NULL */

/* Name of a general.file_type ("Q4_K_M"; "F32"), or NULL when the number is unknown here. */
const char *ws_file_type_name(uint64_t file_type);

/* ---- choosing ---- */

/* What rules ask about a model. */
typedef struct {
    char arch[64];
    uint64_t n_layer, n_expert, n_head, n_head_kv; /* heads of the first layer; 0 when the file does not say */
} ws_model_facts;

/* From a file's keys, as changed by overrides (as in llama-quantize, they count for the choice too). */
WS_MUST_CHECK ws_status ws_model_facts_read(ws_model_facts *m, const ws_gguf *g, const ws_override *overrides,
                                            size_t n_overrides, ws_error *err);

typedef struct {
    bool set;
    ws_dtype type;
} ws_maybe_type;

/* --tensor-type: names that `pattern` is found in get `type`. */
typedef struct {
    ws_pattern *pattern;
    ws_dtype type;
} ws_tensor_type;

typedef struct {
    bool pure;         /* no rules: the default type everywhere */
    bool leave_output; /* output.weight keeps its type */
    bool keep_split;   /* visit tensors file by file, in the order of the source, not by layer and name */
    bool has_imatrix;
    ws_maybe_type output, token_embd; /* --output-tensor-type, --token-embedding-type */
    const ws_tensor_type *tensor_types;
    size_t n_tensor_types;
    const uint32_t *prune; /* layers that are left out, rising; those behind move up */
    size_t n_prune;
} ws_recipe_options;

typedef enum {
    WS_BY_KEEPING, /* not a matrix that may be quantized, or a copy */
    WS_BY_DEFAULT, /* the recipe's type */
    WS_BY_RULE,    /* a rule of the recipe */
    WS_BY_OPTION,  /* an option of the command line */
} ws_choice_reason;

typedef struct ws_imatrix_entry ws_imatrix_entry; /* imatrix.h */

typedef struct {
    const ws_tensor *tensor;
    const char *name;   /* in the output: tensor->name, or renumbered when layers are left out */
    ws_dtype type;      /* what it becomes */
    bool fallback;      /* the row length did not suit the type that was chosen */
    bool needs_imatrix; /* refused (by ws_imatrix_bind) without an importance matrix for this tensor */
    ws_choice_reason by;
    const ws_rule *rule;             /* for WS_BY_RULE */
    const ws_imatrix_entry *weights; /* set by ws_imatrix_bind(); NULL: none */
} ws_choice;

typedef struct {
    ws_choice *list; /* in the order of the output file */
    size_t n;
    uint32_t n_layer; /* when layers are left out: how many there are now */
    ws_arena names;   /* renumbered ones */
} ws_choices;

/* llama-quantize's order: tensors without a layer first, by name, then layer by layer, by name. < 0: a comes first. */
int ws_tensor_order(const ws_tensor *a, const ws_tensor *b);

/* Choose types for `n` tensors, in that order or, with keep_split, by file and offset. Release with
 * ws_choices_free(). */
WS_MUST_CHECK ws_status ws_recipe_choose(ws_choices *out, const ws_recipe *r, const ws_recipe_options *o,
                                         const ws_model_facts *m, const ws_tensor *tensors, size_t n, ws_error *err);
void ws_choices_free(ws_choices *c); /* a zeroed one is fine */

#endif
