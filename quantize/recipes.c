/* recipes.c - the file types of llama-quantize as rules. `quantize --print-recipe NAME` shows one as text. */
#include "recipe.h"

#include <stdlib.h>
#include <strings.h>

enum {
    OUTPUT = WS_CAT_OUTPUT,
    EMBD = WS_CAT_TOKEN_EMBD,
    V = WS_CAT_ATTN_V,
    K = WS_CAT_ATTN_K,
    Q = WS_CAT_ATTN_Q,
    O = WS_CAT_ATTN_OUTPUT,
    UP = WS_CAT_FFN_UP,
    GATE = WS_CAT_FFN_GATE,
    DOWN = WS_CAT_FFN_DOWN,
    ANY = WS_CAT_ANY,
};

#define RULE(categories, conditions, type)                                                                             \
    { categories, conditions, WS_TYPE_##type, NULL, NULL }
#define IN(arch, categories, conditions, type)                                                                         \
    { categories, conditions, WS_TYPE_##type, arch, NULL }
#define END                                                                                                            \
    { 0, 0, WS_TYPE_F32, NULL, NULL }

/* These matrices of GLM 5 stay at eight bits. */
#define GLM5_KEEPS                                                                                                     \
    { ANY, 0, WS_TYPE_Q8_0, "glm5-next", "attn_q_[ab]|nextn\\.eh_proj" }
/* What begins every list but Q8_0's: the output matrix, in six bits or five. */
#define OUTPUT_IN(type)                                                                                                \
    GLM5_KEEPS, IN("falcon", OUTPUT, 0, Q8_0), RULE(OUTPUT, WS_IF_SHORT_ROWS, Q8_0), RULE(OUTPUT, 0, type)
/* Eight experts share these matrices, so they are small beside the experts. */
#define EIGHT_EXPERTS_KV  RULE(V | K, WS_IF_EXPERTS_8, Q8_0)
#define EIGHT_EXPERTS_OUT IN("!falcon", O, WS_IF_EXPERTS_8, Q5_K)
/* Query heads that share each value head make it matter more and cost less; the 70B model has eight of them. */
#define GROUPED_V RULE(V, WS_IF_70B | WS_IF_GQA_4, Q5_K), RULE(V, WS_IF_GQA_4, Q4_K)

/* clang-format off */

static const ws_rule plain[] = {OUTPUT_IN(Q6_K), EIGHT_EXPERTS_KV, END};

static const ws_rule q8_0[] = {GLM5_KEEPS, RULE(OUTPUT, 0, Q8_0), EIGHT_EXPERTS_KV, END};

/* The first ffn_down matrices can go wild under an importance matrix, without an offset of their own. */
static const ws_rule q4_0[] = {
    OUTPUT_IN(Q6_K), EIGHT_EXPERTS_KV, RULE(DOWN, WS_IF_IMATRIX | WS_IF_FIRST_EIGHTH, Q4_1), END,
};
static const ws_rule q5_0[] = {
    OUTPUT_IN(Q6_K), EIGHT_EXPERTS_KV, RULE(DOWN, WS_IF_IMATRIX | WS_IF_FIRST_EIGHTH, Q5_1), END,
};

static const ws_rule ternary[] = {OUTPUT_IN(Q6_K), RULE(EMBD, 0, Q4_K), EIGHT_EXPERTS_KV, END};

/* MXFP4 for experts, eight bits for the rest. Bailing's latent attention is stacked too, but has no experts. */
static const ws_rule mxfp4_moe[] = {
    GLM5_KEEPS,
    RULE(OUTPUT, 0, Q8_0),
    RULE(UP | GATE | DOWN, WS_IF_STACKED, MXFP4),
    IN("!bailingmoe3", ANY, WS_IF_STACKED, MXFP4),
    RULE(ANY, 0, Q8_0),
    END,
};

static const ws_rule q2_k[] = {
    OUTPUT_IN(Q6_K),
    EIGHT_EXPERTS_KV,
    RULE(V, WS_IF_70B, Q5_K),
    RULE(V, WS_IF_GQA_4, Q4_K),
    RULE(V, 0, Q3_K),
    IN("falcon", O, 0, Q2_K),
    EIGHT_EXPERTS_OUT,
    RULE(O | DOWN, 0, Q3_K),
    END,
};

static const ws_rule q2_k_s[] = {
    OUTPUT_IN(Q6_K), EIGHT_EXPERTS_KV, GROUPED_V, RULE(DOWN, WS_IF_FIRST_EIGHTH, Q4_K), END,
};

static const ws_rule q3_k_s[] = {
    OUTPUT_IN(Q6_K), EIGHT_EXPERTS_KV, RULE(V, WS_IF_70B, Q5_K), EIGHT_EXPERTS_OUT, END,
};

static const ws_rule q3_k_m[] = {
    OUTPUT_IN(Q6_K),
    EIGHT_EXPERTS_KV,
    RULE(V, WS_IF_70B, Q5_K),
    RULE(V, WS_IF_FIRST_TWO, Q5_K),
    RULE(V, 0, Q4_K),
    RULE(DOWN, WS_IF_FIRST_16TH, Q5_K),
    IN("falcon", DOWN, WS_IF_MORE_BITS, Q4_K),
    IN("falcon", DOWN | O, 0, Q3_K),
    EIGHT_EXPERTS_OUT,
    RULE(DOWN | O, 0, Q4_K),
    END,
};

static const ws_rule q3_k_l[] = {
    OUTPUT_IN(Q6_K),
    EIGHT_EXPERTS_KV,
    RULE(V, 0, Q5_K),
    IN("falcon", DOWN | O, 0, Q4_K),
    RULE(O, WS_IF_EXPERTS_8, Q3_K),
    RULE(DOWN | O, 0, Q5_K),
    END,
};

static const ws_rule q4_k_s[] = {
    OUTPUT_IN(Q6_K),
    EIGHT_EXPERTS_KV,
    RULE(V, WS_IF_70B, Q5_K),
    RULE(V, WS_IF_FIRST_FOUR, Q5_K),
    IN("!falcon", DOWN, WS_IF_FIRST_EIGHTH, Q5_K),
    EIGHT_EXPERTS_OUT,
    END,
};

static const ws_rule q4_k_m[] = {
    OUTPUT_IN(Q6_K),
    EIGHT_EXPERTS_KV,
    RULE(V, WS_IF_MORE_BITS, Q6_K),
    RULE(V, WS_IF_70B, Q5_K),
    IN("falcon", DOWN, WS_IF_FIRST_16TH, Q6_K),
    IN("falcon", DOWN, WS_IF_MORE_BITS, Q5_K),
    IN("!falcon", DOWN, WS_IF_MORE_BITS, Q6_K),
    EIGHT_EXPERTS_OUT,
    END,
};

static const ws_rule q5_k_m[] = {OUTPUT_IN(Q6_K), EIGHT_EXPERTS_KV, RULE(V | DOWN, WS_IF_MORE_BITS, Q6_K), END};

static const ws_rule iq4[] = {
    OUTPUT_IN(Q6_K),
    EIGHT_EXPERTS_KV,
    RULE(V, WS_IF_GQA_4, Q5_K),
    RULE(DOWN, WS_IF_NO_IMATRIX | WS_IF_FIRST_EIGHTH, Q5_K),
    EIGHT_EXPERTS_OUT,
    END,
};

static const ws_rule iq3_s[] = {OUTPUT_IN(Q6_K), EIGHT_EXPERTS_KV, GROUPED_V, EIGHT_EXPERTS_OUT, END};

static const ws_rule iq3_m[] = {
    OUTPUT_IN(Q6_K),
    EIGHT_EXPERTS_KV,
    RULE(V, WS_IF_70B, Q5_K),
    RULE(V, 0, Q4_K),
    RULE(DOWN, WS_IF_FIRST_EIGHTH, Q4_K),
    RULE(DOWN, WS_IF_EXPERTS_8 | WS_IF_MORE_BITS, Q4_K),
    EIGHT_EXPERTS_OUT,
    IN("!falcon", O, 0, Q4_K),
    END,
};

static const ws_rule iq3_xs[] = {
    OUTPUT_IN(Q6_K),
    EIGHT_EXPERTS_KV,
    GROUPED_V,
    RULE(K | Q, 0, IQ3_XXS),
    EIGHT_EXPERTS_OUT,
    RULE(UP | GATE, WS_IF_MIDDLE, IQ3_XXS),
    END,
};

static const ws_rule iq3_xxs[] = {
    OUTPUT_IN(Q5_K),
    RULE(EMBD, 0, IQ3_S),
    EIGHT_EXPERTS_KV,
    GROUPED_V,
    RULE(V, WS_IF_NO_IMATRIX, IQ3_S),
    RULE(K | Q, 0, IQ2_S),
    RULE(DOWN, WS_IF_NO_IMATRIX | WS_IF_FIRST_EIGHTH, Q4_K),
    RULE(DOWN, WS_IF_NO_IMATRIX, Q3_K),
    EIGHT_EXPERTS_OUT,
    IN("!falcon", O, 0, IQ3_S),
    END,
};

/* Below three bits: what few weights matter most get more. */
#define TINY(type)                                \
    OUTPUT_IN(Q5_K),                              \
    RULE(EMBD, 0, type),                          \
    RULE(V, WS_IF_GQA_4, Q4_K),                   \
    RULE(V, WS_IF_EXPERTS_4, Q4_K),               \
    RULE(V, 0, type),                             \
    RULE(K, WS_IF_EXPERTS_8, Q4_K),               \
    RULE(DOWN, WS_IF_FIRST_EIGHTH, type),         \
    RULE(O, WS_IF_EXPERTS_8, Q5_K)

static const ws_rule iq2_s[] = {TINY(IQ3_S), RULE(O, 0, IQ3_S), END};
static const ws_rule iq2_xs[] = {TINY(Q2_K), END};
static const ws_rule iq1[] = {TINY(Q2_K), RULE(O, 0, IQ2_XXS), END};

/* F32, F16 and BF16 convert every candidate: the rules are for quantized types. */
static const ws_rule none[] = {END};

enum { COUNTS = WS_RECIPE_COUNTS_LAYERS };

static const ws_recipe recipes[] = {
    {"F32",       NULL,   0,  WS_TYPE_F32,     0,      none},
    {"F16",       NULL,   1,  WS_TYPE_F16,     0,      none},
    {"BF16",      NULL,   32, WS_TYPE_BF16,    0,      none},
    {"Q8_0",      NULL,   7,  WS_TYPE_Q8_0,    0,      q8_0},
    {"Q6_K",      NULL,   18, WS_TYPE_Q6_K,    0,      plain},
    {"Q5_K_M",    "Q5_K", 17, WS_TYPE_Q5_K,    0,      q5_k_m},
    {"Q5_K_S",    NULL,   16, WS_TYPE_Q5_K,    0,      plain},
    {"Q5_1",      NULL,   9,  WS_TYPE_Q5_1,    0,      plain},
    {"Q5_0",      NULL,   8,  WS_TYPE_Q5_0,    0,      q5_0},
    {"Q4_K_M",    "Q4_K", 15, WS_TYPE_Q4_K,    0,      q4_k_m},
    {"Q4_K_S",    NULL,   14, WS_TYPE_Q4_K,    0,      q4_k_s},
    {"IQ4_NL",    NULL,   25, WS_TYPE_IQ4_NL,  0,      iq4},
    {"IQ4_XS",    NULL,   30, WS_TYPE_IQ4_XS,  0,      iq4},
    {"Q4_1",      NULL,   3,  WS_TYPE_Q4_1,    0,      plain},
    {"Q4_0",      NULL,   2,  WS_TYPE_Q4_0,    0,      q4_0},
    {"MXFP4_MOE", NULL,   38, WS_TYPE_MXFP4,   COUNTS, mxfp4_moe},
    {"Q3_K_L",    NULL,   13, WS_TYPE_Q3_K,    0,      q3_k_l},
    {"Q3_K_M",    "Q3_K", 12, WS_TYPE_Q3_K,    0,      q3_k_m},
    {"Q3_K_S",    NULL,   11, WS_TYPE_Q3_K,    0,      q3_k_s},
    {"IQ3_M",     NULL,   27, WS_TYPE_IQ3_S,   0,      iq3_m},
    {"IQ3_S",     NULL,   26, WS_TYPE_IQ3_S,   0,      iq3_s},
    {"IQ3_XS",    NULL,   22, WS_TYPE_IQ3_S,   0,      iq3_xs},
    {"IQ3_XXS",   NULL,   23, WS_TYPE_IQ3_XXS, 0,      iq3_xxs},
    {"Q2_K",      NULL,   10, WS_TYPE_Q2_K,    0,      q2_k},
    {"Q2_K_S",    NULL,   21, WS_TYPE_Q2_K,    WS_RECIPE_NEEDS_IMATRIX, q2_k_s},
    {"IQ2_M",     NULL,   29, WS_TYPE_IQ2_S,   COUNTS, iq2_s},
    {"IQ2_S",     NULL,   28, WS_TYPE_IQ2_XS,  COUNTS, iq2_s},
    {"IQ2_XS",    NULL,   20, WS_TYPE_IQ2_XS,  COUNTS, iq2_xs},
    {"IQ2_XXS",   NULL,   19, WS_TYPE_IQ2_XXS, COUNTS, iq2_xs},
    {"Q2_0",      NULL,   41, WS_TYPE_Q2_0,    0,      ternary},
    {"TQ2_0",     NULL,   37, WS_TYPE_TQ2_0,   0,      ternary},
    {"TQ1_0",     NULL,   36, WS_TYPE_TQ1_0,   0,      ternary},
    {"IQ1_M",     NULL,   31, WS_TYPE_IQ1_M,   COUNTS, iq1},
    {"IQ1_S",     NULL,   24, WS_TYPE_IQ1_S,   COUNTS, iq1},
    {"Q1_0",      NULL,   40, WS_TYPE_Q1_0,    0,      plain},
    {"COPY",      NULL,   0,  WS_TYPE_F32,     WS_RECIPE_COPY, none},
    {NULL,        NULL,   0,  WS_TYPE_F32,     0,      NULL},
};

/* clang-format on */

const ws_recipe *ws_recipe_all(void) { return recipes; }

const ws_recipe *ws_recipe_by_name(const char *name) {
    char *end;
    const unsigned long number = strtoul(name, &end, 10);
    const bool is_number = *name >= '0' && *name <= '9' && !*end;
    for (const ws_recipe *r = recipes; r->name; r++)
        if (strcasecmp(r->name, name) == 0 || (r->alias && strcasecmp(r->alias, name) == 0) ||
            (is_number && r->file_type == number))
            return r;
    return NULL;
}

const char *ws_file_type_name(uint64_t file_type) {
    enum { NVFP4 = 39 }; /* has a number, but is reached by --tensor-type only */
    for (const ws_recipe *r = recipes; r->name; r++)
        if (r->file_type == file_type) return r->name;
    return file_type == NVFP4 ? "NVFP4" : NULL;
}
