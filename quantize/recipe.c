#include "recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Eight experts share these matrices, so they are small beside the experts. */
#define EIGHT_EXPERTS_KV                                                                                               \
    { WS_CAT_ATTN_V | WS_CAT_ATTN_K, WS_IF_EXPERTS_8, WS_TYPE_Q8_0 }
#define EIGHT_EXPERTS_OUT                                                                                              \
    { WS_CAT_ATTN_OUTPUT, WS_IF_EXPERTS_8, WS_TYPE_Q5_K }
/* Eight query heads share each value head of the 70B model. */
#define BIG_70B_V                                                                                                      \
    { WS_CAT_ATTN_V, WS_IF_70B, WS_TYPE_Q5_K }
#define OUTPUT_RULES                                                                                                   \
    {WS_CAT_OUTPUT, WS_IF_FALCON, WS_TYPE_Q8_0}, {WS_CAT_OUTPUT, WS_IF_SHORT_ROWS, WS_TYPE_Q8_0}, {                    \
        WS_CAT_OUTPUT, 0, WS_TYPE_Q6_K                                                                                 \
    }
#define END                                                                                                            \
    { 0, 0, WS_TYPE_F32 }

static const ws_rule plain_rules[] = {OUTPUT_RULES, EIGHT_EXPERTS_KV, END};
static const ws_rule q8_0_rules[] = {{WS_CAT_OUTPUT, 0, WS_TYPE_Q8_0}, EIGHT_EXPERTS_KV, END};

static const ws_rule q2_k_rules[] = {
    OUTPUT_RULES,
    EIGHT_EXPERTS_KV,
    BIG_70B_V,
    {WS_CAT_ATTN_V, WS_IF_GQA_4, WS_TYPE_Q4_K},
    {WS_CAT_ATTN_V, 0, WS_TYPE_Q3_K},
    {WS_CAT_ATTN_OUTPUT, WS_IF_FALCON, WS_TYPE_Q2_K},
    EIGHT_EXPERTS_OUT,
    {WS_CAT_ATTN_OUTPUT | WS_CAT_FFN_DOWN, 0, WS_TYPE_Q3_K},
    END,
};

static const ws_rule q3_k_s_rules[] = {
    OUTPUT_RULES, EIGHT_EXPERTS_KV, BIG_70B_V, {WS_CAT_ATTN_OUTPUT, WS_IF_FALCON, WS_TYPE_Q3_K}, EIGHT_EXPERTS_OUT, END,
};

static const ws_rule q3_k_m_rules[] = {
    OUTPUT_RULES,
    EIGHT_EXPERTS_KV,
    BIG_70B_V,
    {WS_CAT_ATTN_V, WS_IF_FIRST_TWO, WS_TYPE_Q5_K},
    {WS_CAT_ATTN_V, 0, WS_TYPE_Q4_K},
    {WS_CAT_FFN_DOWN, WS_IF_FIRST_16TH, WS_TYPE_Q5_K},
    {WS_CAT_FFN_DOWN, WS_IF_FALCON | WS_IF_MORE_BITS, WS_TYPE_Q4_K},
    {WS_CAT_FFN_DOWN | WS_CAT_ATTN_OUTPUT, WS_IF_FALCON, WS_TYPE_Q3_K},
    EIGHT_EXPERTS_OUT,
    {WS_CAT_FFN_DOWN | WS_CAT_ATTN_OUTPUT, 0, WS_TYPE_Q4_K},
    END,
};

static const ws_rule q3_k_l_rules[] = {
    OUTPUT_RULES,
    EIGHT_EXPERTS_KV,
    {WS_CAT_ATTN_V, 0, WS_TYPE_Q5_K},
    {WS_CAT_FFN_DOWN | WS_CAT_ATTN_OUTPUT, WS_IF_FALCON, WS_TYPE_Q4_K},
    {WS_CAT_ATTN_OUTPUT, WS_IF_EXPERTS_8, WS_TYPE_Q3_K},
    {WS_CAT_FFN_DOWN | WS_CAT_ATTN_OUTPUT, 0, WS_TYPE_Q5_K},
    END,
};

static const ws_rule q4_k_s_rules[] = {
    OUTPUT_RULES,
    EIGHT_EXPERTS_KV,
    BIG_70B_V,
    {WS_CAT_ATTN_V, WS_IF_FIRST_FOUR, WS_TYPE_Q5_K},
    {WS_CAT_FFN_DOWN | WS_CAT_ATTN_OUTPUT, WS_IF_FALCON, WS_TYPE_Q4_K},
    {WS_CAT_FFN_DOWN, WS_IF_FIRST_EIGHTH, WS_TYPE_Q5_K},
    EIGHT_EXPERTS_OUT,
    END,
};

static const ws_rule q4_k_m_rules[] = {
    OUTPUT_RULES,
    EIGHT_EXPERTS_KV,
    {WS_CAT_ATTN_V, WS_IF_MORE_BITS, WS_TYPE_Q6_K},
    BIG_70B_V,
    {WS_CAT_FFN_DOWN, WS_IF_FALCON | WS_IF_FIRST_16TH, WS_TYPE_Q6_K},
    {WS_CAT_FFN_DOWN, WS_IF_FALCON | WS_IF_MORE_BITS, WS_TYPE_Q5_K},
    {WS_CAT_FFN_DOWN | WS_CAT_ATTN_OUTPUT, WS_IF_FALCON, WS_TYPE_Q4_K},
    {WS_CAT_FFN_DOWN, WS_IF_MORE_BITS, WS_TYPE_Q6_K},
    EIGHT_EXPERTS_OUT,
    END,
};

static const ws_rule q5_k_m_rules[] = {
    OUTPUT_RULES,
    EIGHT_EXPERTS_KV,
    {WS_CAT_ATTN_V | WS_CAT_FFN_DOWN, WS_IF_MORE_BITS, WS_TYPE_Q6_K},
    END,
};

/* F32, F16 and BF16 convert every candidate: the rules are for quantized types. */
static const ws_rule no_rules[] = {END};

static const ws_recipe recipes[] = {
    {"F32", NULL, 0, WS_TYPE_F32, no_rules},
    {"F16", NULL, 1, WS_TYPE_F16, no_rules},
    {"BF16", NULL, 32, WS_TYPE_BF16, no_rules},
    {"Q4_0", NULL, 2, WS_TYPE_Q4_0, plain_rules},
    {"Q4_1", NULL, 3, WS_TYPE_Q4_1, plain_rules},
    {"Q5_0", NULL, 8, WS_TYPE_Q5_0, plain_rules},
    {"Q5_1", NULL, 9, WS_TYPE_Q5_1, plain_rules},
    {"Q8_0", NULL, 7, WS_TYPE_Q8_0, q8_0_rules},
    {"Q2_K", NULL, 10, WS_TYPE_Q2_K, q2_k_rules},
    {"Q3_K_S", NULL, 11, WS_TYPE_Q3_K, q3_k_s_rules},
    {"Q3_K_M", "Q3_K", 12, WS_TYPE_Q3_K, q3_k_m_rules},
    {"Q3_K_L", NULL, 13, WS_TYPE_Q3_K, q3_k_l_rules},
    {"Q4_K_S", NULL, 14, WS_TYPE_Q4_K, q4_k_s_rules},
    {"Q4_K_M", "Q4_K", 15, WS_TYPE_Q4_K, q4_k_m_rules},
    {"Q5_K_S", NULL, 16, WS_TYPE_Q5_K, plain_rules},
    {"Q5_K_M", "Q5_K", 17, WS_TYPE_Q5_K, q5_k_m_rules},
    {"Q6_K", NULL, 18, WS_TYPE_Q6_K, plain_rules},
    {NULL, NULL, 0, WS_TYPE_F32, NULL},
};

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

/* File types that can be read here but not made. */
static const struct {
    uint32_t number;
    const char *name;
} other_file_types[] = {
    {19, "IQ2_XXS"}, {20, "IQ2_XS"},    {21, "Q2_K_S"}, {22, "IQ3_XS"}, {23, "IQ3_XXS"}, {24, "IQ1_S"}, {25, "IQ4_NL"},
    {26, "IQ3_S"},   {27, "IQ3_M"},     {28, "IQ2_S"},  {29, "IQ2_M"},  {30, "IQ4_XS"},  {31, "IQ1_M"}, {36, "TQ1_0"},
    {37, "TQ2_0"},   {38, "MXFP4_MOE"}, {39, "NVFP4"},  {40, "Q1_0"},   {41, "Q2_0"},
};

const char *ws_file_type_name(uint64_t file_type) {
    for (const ws_recipe *r = recipes; r->name; r++)
        if (r->file_type == file_type) return r->name;
    for (size_t i = 0; i < sizeof other_file_types / sizeof other_file_types[0]; i++)
        if (other_file_types[i].number == file_type) return other_file_types[i].name;
    return NULL;
}

/* ---- what a tensor is ---- */

static bool contains(const char *name, const char *part) { return strstr(name, part) != NULL; }

static ws_category category_of(const char *name) {
    static const struct {
        const char *part;
        ws_category category;
    } parts[] = {
        {"attn_qkv.weight", WS_CAT_ATTN_V}, {"attn_kv_b.weight", WS_CAT_ATTN_V},
        {"attn_v.weight", WS_CAT_ATTN_V},   {"attn_k.weight", WS_CAT_ATTN_K},
        {"attn_q.weight", WS_CAT_ATTN_Q},   {"attn_output.weight", WS_CAT_ATTN_OUTPUT},
        {"ffn_up", WS_CAT_FFN_UP},          {"ffn_gate", WS_CAT_FFN_GATE},
        {"ffn_down", WS_CAT_FFN_DOWN},
    };
    if (strcmp(name, "output.weight") == 0) return WS_CAT_OUTPUT;
    if (strcmp(name, "token_embd.weight") == 0 || strcmp(name, "per_layer_token_embd.weight") == 0)
        return WS_CAT_TOKEN_EMBD;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (contains(name, parts[i].part)) return parts[i].category;
    return WS_CAT_OTHER;
}

/* Matrices that stay as they are: small, or harmed by rounding. */
static const char *const kept[] = {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
};

static bool is_candidate(const ws_tensor *t, const ws_recipe_options *o) {
    const size_t n = strlen(t->name);
    if (t->n_elements == t->ne[0]) return false; /* one row: norms, biases */
    if (n < 6 || strcmp(t->name + n - 6, "weight") != 0) return false;
    if (o->leave_output && strcmp(t->name, "output.weight") == 0) return false;
    if (strcmp(t->name, "position_embd.weight") == 0 || strcmp(t->name, "token_types.weight") == 0) return false;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (contains(t->name, kept[i])) return false;
    return true;
}

/* Layer in "blk.N.…", or -1. */
static int layer_of(const char *name) {
    int layer = -1;
    return sscanf(name, "blk.%d.", &layer) == 1 ? layer : -1;
}

static int by_layer_then_name(const void *a, const void *b) {
    const ws_tensor *x = ((const ws_choice *)a)->tensor, *y = ((const ws_choice *)b)->tensor;
    const int lx = layer_of(x->name), ly = layer_of(y->name);
    return lx != ly ? (lx > ly) - (lx < ly) : strcmp(x->name, y->name);
}

/* ---- choosing ---- */

/* What the conditions ask about. Layers are counted as the tensors of a category come by (the reference does the
 * same), or read from the name when there are experts. */
typedef struct {
    const ws_recipe *recipe;
    bool tied, falcon, is_70b;
    uint64_t n_layer, n_expert, gqa;
    int n_attn_v, seen_attn_v, seen_ffn[3]; /* up, gate, down */
} state;

/* A number, or the first of a per-layer array; 0 when the key is missing. */
static uint64_t model_number(const ws_gguf *g, const char *arch, const char *suffix) {
    char key[128];
    uint64_t v = 0;
    int64_t first;
    snprintf(key, sizeof key, "%s.%s", arch, suffix);
    const ws_kv *kv = ws_gguf_kv(g, key);
    if (kv && !ws_kv_u64(kv, &v) && kv->type == WS_KV_ARRAY && kv->n && ws_kv_elem_i64(kv, 0, &first) && first > 0)
        v = (uint64_t)first;
    return v;
}

/* By architecture and number of layers; 80 layers of llama without grouped queries are the first 65B. */
static bool is_70b(const char *arch, uint64_t n_layer, bool grouped) {
    static const struct {
        const char *arch;
        uint64_t n_layer;
    } models[] = {{"llama", 80}, {"qwen2", 80}, {"deci", 80}, {"olmo", 80}, {"jais2", 68}};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        if (strcmp(models[i].arch, arch) == 0 && models[i].n_layer == n_layer) return i > 0 || grouped;
    return false;
}

static ws_status read_state(state *s, const ws_gguf *g, ws_error *err) {
    ws_str name;
    char arch[64];
    WS_TRY(ws_gguf_need_str(g, "general.architecture", &name, err));
    if (name.len >= sizeof arch)
        return ws_fail(err, WS_FORMAT, "'%s': general.architecture has %zu bytes", ws_gguf_path(g), name.len);
    snprintf(arch, sizeof arch, "%.*s", (int)name.len, name.data);
    const uint64_t heads = model_number(g, arch, "attention.head_count");
    const uint64_t kv_heads = model_number(g, arch, "attention.head_count_kv");
    const bool grouped = kv_heads && kv_heads != heads;
    s->n_layer = model_number(g, arch, "block_count");
    s->n_expert = model_number(g, arch, "expert_count");
    s->gqa = kv_heads ? heads / kv_heads : 0;
    s->falcon = strcmp(arch, "falcon") == 0;
    s->is_70b = is_70b(arch, s->n_layer, grouped);
    s->tied = true;
    for (size_t i = 0; i < g->n_tensors; i++) {
        const ws_category c = category_of(g->tensors[i].name);
        s->n_attn_v += c == WS_CAT_ATTN_V;
        if (c == WS_CAT_OUTPUT) s->tied = false;
    }
    return WS_OK;
}

/* Index and number of layers for a tensor of category c; counts it. */
static ws_status layer_info(state *s, ws_category c, const ws_tensor *t, int64_t *i, int64_t *n, ws_error *err) {
    *i = 0, *n = 1;
    if (c == WS_CAT_ATTN_V) {
        *i = s->seen_attn_v++, *n = s->n_attn_v;
        return WS_OK;
    }
    if (c != WS_CAT_FFN_UP && c != WS_CAT_FFN_GATE && c != WS_CAT_FFN_DOWN) return WS_OK;
    *i = s->seen_ffn[c == WS_CAT_FFN_UP ? 0 : c == WS_CAT_FFN_GATE ? 1 : 2]++;
    *n = (int64_t)s->n_layer;
    if (s->n_expert <= 1) return WS_OK;
    *i = layer_of(t->name);
    if (*i < 0 || *i >= *n)
        return ws_fail(err, WS_FORMAT, "tensor '%s' is in no layer of 0 to %lld", t->name, (long long)*n - 1);
    return WS_OK;
}

static unsigned conditions_of(const state *s, const ws_tensor *t, int64_t i, int64_t n) {
    unsigned c = 0;
    if (i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2) c |= WS_IF_MORE_BITS;
    if (i < n / 8) c |= WS_IF_FIRST_EIGHTH;
    if (i < n / 16) c |= WS_IF_FIRST_16TH;
    if (i < 2) c |= WS_IF_FIRST_TWO;
    if (i < 4) c |= WS_IF_FIRST_FOUR;
    if (s->gqa >= 4) c |= WS_IF_GQA_4;
    if (s->n_expert == 8) c |= WS_IF_EXPERTS_8;
    if (s->is_70b) c |= WS_IF_70B;
    if (s->falcon) c |= WS_IF_FALCON;
    if (t->ne[0] % ws_dtype_get(s->recipe->type)->block_elements) c |= WS_IF_SHORT_ROWS;
    return c;
}

/* The type for rows that the block of `type` does not divide. */
static ws_dtype fallback_of(ws_dtype type, uint64_t row) {
    static const ws_dtype table[][2] = {
        {WS_TYPE_Q2_K, WS_TYPE_Q4_0}, {WS_TYPE_Q3_K, WS_TYPE_Q4_0}, {WS_TYPE_Q4_K, WS_TYPE_Q5_0},
        {WS_TYPE_Q5_K, WS_TYPE_Q5_1}, {WS_TYPE_Q6_K, WS_TYPE_Q8_0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i][0] == type) type = table[i][1];
    return row % ws_dtype_get(type)->block_elements ? WS_TYPE_F16 : type;
}

static ws_status choose_one(state *s, const ws_recipe_options *o, ws_choice *choice, ws_error *err) {
    const ws_tensor *t = choice->tensor;
    choice->type = t->type;
    if (!is_candidate(t, o)) return WS_OK;
    choice->type = s->recipe->type;
    if (!ws_dtype_is_quantized(choice->type)) return WS_OK;
    if (!o->pure) {
        ws_category category = category_of(t->name);
        int64_t i, n;
        WS_TRY(layer_info(s, category, t, &i, &n, err));
        if (category == WS_CAT_TOKEN_EMBD && s->tied) category = WS_CAT_OUTPUT;
        const unsigned holds = conditions_of(s, t, i, n);
        const ws_rule *r = s->recipe->rules;
        while (r->categories && !((r->categories & category) && (r->conditions & ~holds) == 0)) r++;
        if (r->categories) choice->type = r->type;
    }
    choice->fallback = t->ne[0] % ws_dtype_get(choice->type)->block_elements != 0;
    if (choice->fallback) choice->type = fallback_of(choice->type, t->ne[0]);
    return WS_OK;
}

ws_status ws_recipe_choose(const ws_recipe *r, const ws_recipe_options *o, const ws_gguf *g, ws_choice *choices,
                           ws_error *err) {
    state s = {.recipe = r};
    WS_TRY(read_state(&s, g, err));
    for (size_t i = 0; i < g->n_tensors; i++) choices[i] = (ws_choice){.tensor = &g->tensors[i]};
    qsort(choices, g->n_tensors, sizeof *choices, by_layer_then_name);
    for (size_t i = 0; i < g->n_tensors; i++) WS_TRY(choose_one(&s, o, &choices[i], err));
    return WS_OK;
}
