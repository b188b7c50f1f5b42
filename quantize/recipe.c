#include "recipe.h"

#include "alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* And these in GLM 5 only. */
static const char *const kept_in_glm5[] = {
    "hc_",
    "indexer.attn_q_b",
    "indexer.attn_k",
    "indexer.proj",
    "indexer_compressor_gate",
    "indexer_compressor_ape",
    "ssm_f_a.weight",
    "ssm_f_b.weight",
    "ssm_g_a.weight",
    "ssm_g_b.weight",
    "ssm_beta.weight",
    "attn_kv_a_mqa.weight",
    "attn_k_b.weight",
    "attn_v_b.weight",
};

static bool contains_any(const char *name, const char *const *parts, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (contains(name, parts[i])) return true;
    return false;
}

static bool is_candidate(const ws_choice *c, const ws_recipe_options *o, const ws_model_facts *m) {
    const size_t n = strlen(c->name);
    if (c->tensor->n_elements == c->tensor->ne[0]) return false; /* one row: norms, biases */
    if (n < 6 || strcmp(c->name + n - 6, "weight") != 0) return false;
    if (o->leave_output && strcmp(c->name, "output.weight") == 0) return false;
    if (strcmp(c->name, "position_embd.weight") == 0 || strcmp(c->name, "token_types.weight") == 0) return false;
    if (contains_any(c->name, kept, sizeof kept / sizeof *kept)) return false;
    return strcmp(m->arch, "glm5-next") != 0 ||
           !contains_any(c->name, kept_in_glm5, sizeof kept_in_glm5 / sizeof *kept_in_glm5);
}

/* ---- what a model is ---- */

/* An override, a number, or the first of a per-layer array; 0 when there is none of them. */
static uint64_t model_number(const ws_gguf *g, const char *arch, const char *suffix, const ws_override *overrides,
                             size_t n_overrides) {
    char key[128];
    uint64_t v = 0;
    int64_t first;
    snprintf(key, sizeof key, "%s.%s", arch, suffix);
    const ws_kv *kv = ws_gguf_kv(g, key);
    const bool array = kv && kv->type == WS_KV_ARRAY;
    const ws_override *o = array ? NULL : ws_override_find(overrides, n_overrides, key, WS_OVERRIDE_INT);
    if (o) return (uint32_t)o->integer;
    if (array && kv->n && ws_kv_elem_i64(kv, 0, &first) && first > 0) return (uint64_t)first;
    if (kv) ws_kv_u64(kv, &v);
    return v;
}

ws_status ws_model_facts_read(ws_model_facts *m, const ws_gguf *g, const ws_override *overrides, size_t n_overrides,
                              ws_error *err) {
    ws_str name;
    *m = (ws_model_facts){.n_layer = 0};
    WS_TRY(ws_gguf_need_str(g, "general.architecture", &name, err));
    const ws_override *o = ws_override_find(overrides, n_overrides, "general.architecture", WS_OVERRIDE_STR);
    if (o) name = (ws_str){o->text, strlen(o->text)};
    if (name.len >= sizeof m->arch)
        return ws_fail(err, WS_FORMAT, "'%s': general.architecture has %zu bytes", ws_gguf_path(g), name.len);
    memcpy(m->arch, name.data, name.len);
    m->n_layer = model_number(g, m->arch, "block_count", overrides, n_overrides);
    m->n_expert = model_number(g, m->arch, "expert_count", overrides, n_overrides);
    m->n_head = model_number(g, m->arch, "attention.head_count", overrides, n_overrides);
    m->n_head_kv = model_number(g, m->arch, "attention.head_count_kv", overrides, n_overrides);
    return WS_OK;
}

/* By architecture and number of layers; 80 layers of llama without grouped queries are the first 65B. */
static bool is_70b(const ws_model_facts *m) {
    static const struct {
        const char *arch;
        uint64_t n_layer;
    } models[] = {{"llama", 80}, {"qwen2", 80}, {"deci", 80}, {"olmo", 80}, {"jais2", 68}};
    const bool grouped = m->n_head_kv && m->n_head_kv != m->n_head;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        if (strcmp(models[i].arch, m->arch) == 0 && models[i].n_layer == m->n_layer) return i > 0 || grouped;
    return false;
}

/* ---- order and numbering of layers ---- */

/* Layer in "blk.N.…", or -1. */
static int layer_of(const char *name) {
    int layer = -1;
    return sscanf(name, "blk.%d.", &layer) == 1 ? layer : -1;
}

int ws_tensor_order(const ws_tensor *a, const ws_tensor *b) {
    const int la = layer_of(a->name), lb = layer_of(b->name);
    return la != lb ? (la > lb) - (la < lb) : strcmp(a->name, b->name);
}

static int by_layer_then_name(const void *a, const void *b) {
    return ws_tensor_order(((const ws_choice *)a)->tensor, ((const ws_choice *)b)->tensor);
}

static int by_file_then_offset(const void *a, const void *b) {
    const ws_tensor *x = ((const ws_choice *)a)->tensor, *y = ((const ws_choice *)b)->tensor;
    if (x->part != y->part) return (x->part > y->part) - (x->part < y->part);
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int by_number(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool is_pruned(const ws_recipe_options *o, uint32_t layer) {
    return bsearch(&layer, o->prune, o->n_prune, sizeof layer, by_number) != NULL;
}

/* "blk.7.attn_q.weight" with another number, which is not above the old one. */
static const char *renumbered(ws_arena *names, const char *name, uint32_t layer, ws_error *err) {
    const size_t n = strlen(name);
    const char *rest = strchr(name + strlen("blk."), '.');
    char *copy = ws_arena_strndup(names, name, n, err);
    if (copy) snprintf(copy, n + 1, "blk.%" PRIu32 "%s", layer, rest ? rest : "");
    return copy;
}

/* Leave out tensors of the layers in o->prune (the list is in the order of layers) and renumber those behind. As in
 * llama-quantize, numbers count the layers that are met, so a layer without tensors takes none. */
static ws_status prune(ws_choices *c, const ws_recipe_options *o, ws_error *err) {
    size_t n = 0;
    int layer = -1;
    for (size_t i = 0; i < c->n; i++) {
        ws_choice *choice = &c->list[n];
        *choice = c->list[i];
        const int l = layer_of(choice->name);
        if (l >= 0 && is_pruned(o, (uint32_t)l)) continue;
        if (l >= 0 && l != layer) {
            layer = l;
            c->n_layer = (uint32_t)l < o->prune[0] ? (uint32_t)l + 1 : c->n_layer + 1;
        }
        if (l >= 0 && !(choice->name = renumbered(&c->names, choice->name, c->n_layer - 1, err))) return WS_NOMEM;
        n++;
    }
    c->n = n;
    return WS_OK;
}

/* ---- choosing ---- */

/* What the conditions ask about. Layers are counted as the tensors of a category come by (the reference does the
 * same), or read from the name when there are experts. */
typedef struct {
    const ws_recipe *recipe;
    const ws_recipe_options *o;
    const ws_model_facts *m;
    ws_pattern **patterns; /* of the rules, compiled */
    bool tied;
    int n_attn_v, seen_attn_v, seen_ffn[3]; /* up, gate, down */
} state;

/* Index and number of layers for a tensor of category c; counts it. */
static ws_status layer_info(state *s, ws_category c, const char *name, int64_t *i, int64_t *n, ws_error *err) {
    *i = 0, *n = 1;
    if (c == WS_CAT_ATTN_V) {
        *i = s->seen_attn_v++, *n = s->n_attn_v;
        return WS_OK;
    }
    if (c != WS_CAT_FFN_UP && c != WS_CAT_FFN_GATE && c != WS_CAT_FFN_DOWN) return WS_OK;
    *i = s->seen_ffn[c == WS_CAT_FFN_UP ? 0 : c == WS_CAT_FFN_GATE ? 1 : 2]++;
    *n = (int64_t)s->m->n_layer;
    if (s->m->n_expert <= 1 || (s->recipe->flags & WS_RECIPE_COUNTS_LAYERS)) return WS_OK;
    *i = layer_of(name);
    if (*i < 0 || *i >= *n)
        return ws_fail(err, WS_FORMAT, "tensor '%s' is in no layer of 0 to %lld", name, (long long)*n - 1);
    return WS_OK;
}

static bool divides(ws_dtype type, const ws_tensor *t) { return t->ne[0] % ws_dtype_get(type)->block_elements == 0; }

static unsigned conditions_of(const state *s, const ws_tensor *t, int64_t i, int64_t n) {
    const ws_model_facts *m = s->m;
    const struct {
        bool holds;
        unsigned bit;
    } facts[] = {
        {i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2, WS_IF_MORE_BITS},
        {i < n / 8, WS_IF_FIRST_EIGHTH},
        {i < n / 16, WS_IF_FIRST_16TH},
        {i >= n / 8 && i < 7 * n / 8, WS_IF_MIDDLE},
        {i < 2, WS_IF_FIRST_TWO},
        {i < 4, WS_IF_FIRST_FOUR},
        {m->n_head_kv && m->n_head / m->n_head_kv >= 4, WS_IF_GQA_4},
        {m->n_expert >= 4, WS_IF_EXPERTS_4},
        {m->n_expert == 8, WS_IF_EXPERTS_8},
        {t->ne[2] > 1, WS_IF_STACKED},
        {is_70b(m), WS_IF_70B},
        {!divides(s->recipe->type, t), WS_IF_SHORT_ROWS},
        {s->o->has_imatrix, WS_IF_IMATRIX},
        {!s->o->has_imatrix, WS_IF_NO_IMATRIX},
    };
    unsigned c = 0;
    for (size_t f = 0; f < sizeof facts / sizeof *facts; f++) c |= facts[f].holds ? facts[f].bit : 0;
    return c;
}

static bool is_arch(const char *wanted, const char *arch) {
    if (!wanted) return true;
    return *wanted == '!' ? strcmp(wanted + 1, arch) != 0 : strcmp(wanted, arch) == 0;
}

static ws_status apply_rules(state *s, ws_choice *c, ws_error *err) {
    ws_category category = category_of(c->name);
    int64_t i, n;
    WS_TRY(layer_info(s, category, c->name, &i, &n, err));
    if (category == WS_CAT_TOKEN_EMBD && s->tied) category = WS_CAT_OUTPUT;
    if (category == WS_CAT_OUTPUT && s->o->output.set) {
        c->type = s->o->output.type, c->by = WS_BY_OPTION;
        return WS_OK;
    }
    const unsigned holds = conditions_of(s, c->tensor, i, n);
    for (const ws_rule *r = s->recipe->rules; r->categories; r++) {
        const ws_pattern *pattern = s->patterns[r - s->recipe->rules];
        if (!(r->categories & category) || (r->conditions & ~holds) || !is_arch(r->arch, s->m->arch)) continue;
        if (pattern && !ws_pattern_found(pattern, c->name)) continue;
        c->type = r->type, c->by = WS_BY_RULE, c->rule = r;
        return WS_OK;
    }
    return WS_OK;
}

/* The first --tensor-type that names the tensor, or NULL. */
static const ws_tensor_type *named_type(const ws_recipe_options *o, const char *name) {
    for (size_t i = 0; i < o->n_tensor_types; i++)
        if (ws_pattern_found(o->tensor_types[i].pattern, name)) return &o->tensor_types[i];
    return NULL;
}

/* The type for rows that the block of the chosen type does not divide. */
static ws_status fall_back(ws_choice *c, ws_error *err) {
    static const ws_dtype table[][2] = {
        {WS_TYPE_IQ1_S, WS_TYPE_IQ4_NL},  {WS_TYPE_IQ1_M, WS_TYPE_IQ4_NL},  {WS_TYPE_IQ2_XXS, WS_TYPE_IQ4_NL},
        {WS_TYPE_IQ2_XS, WS_TYPE_IQ4_NL}, {WS_TYPE_IQ2_S, WS_TYPE_IQ4_NL},  {WS_TYPE_IQ3_XXS, WS_TYPE_IQ4_NL},
        {WS_TYPE_IQ3_S, WS_TYPE_IQ4_NL},  {WS_TYPE_IQ4_XS, WS_TYPE_IQ4_NL}, {WS_TYPE_Q2_0, WS_TYPE_Q4_0},
        {WS_TYPE_Q2_K, WS_TYPE_Q4_0},     {WS_TYPE_Q3_K, WS_TYPE_Q4_0},     {WS_TYPE_TQ1_0, WS_TYPE_Q4_0},
        {WS_TYPE_TQ2_0, WS_TYPE_Q4_0},    {WS_TYPE_Q4_K, WS_TYPE_Q5_0},     {WS_TYPE_Q5_K, WS_TYPE_Q5_1},
        {WS_TYPE_Q6_K, WS_TYPE_Q8_0},
    };
    enum { SMALL_BLOCK = 32 };
    const ws_dtype chosen = c->type;
    size_t i = 0;
    if (divides(chosen, c->tensor)) return WS_OK;
    while (i < sizeof table / sizeof *table && table[i][0] != chosen) i++;
    if (i < sizeof table / sizeof *table)
        c->type = table[i][1];
    else if (ws_dtype_get(chosen)->block_elements > SMALL_BLOCK)
        return ws_fail(err, WS_UNSUPPORTED,
                       "tensor '%s' has rows of %" PRIu64 ", which blocks of %s (%" PRIu32 ") do not divide, and no "
                       "type stands in for it; choose another with --tensor-type",
                       c->name, c->tensor->ne[0], ws_dtype_name(chosen), ws_dtype_get(chosen)->block_elements);
    if (!divides(c->type, c->tensor)) c->type = WS_TYPE_F16;
    c->fallback = true;
    return WS_OK;
}

/* Options that name a matrix outright; nothing stands in for their types. */
static bool apply_direct_options(const state *s, ws_choice *c) {
    const ws_category category = category_of(c->name);
    const bool per_layer = strcmp(c->name, "per_layer_token_embd.weight") == 0;
    const ws_maybe_type *t = NULL;
    if (category == WS_CAT_OUTPUT) t = &s->o->output;
    if (category == WS_CAT_TOKEN_EMBD && !(per_layer && named_type(s->o, c->name))) t = &s->o->token_embd;
    if (!t || !t->set) return false;
    c->type = t->type, c->by = WS_BY_OPTION;
    return true;
}

/* Types below three bits are unusable without an importance matrix, but for the two largest matrices. */
static bool needs_imatrix(const state *s, const ws_choice *c) {
    static const ws_dtype types[] = {WS_TYPE_IQ3_XXS, WS_TYPE_IQ2_XXS, WS_TYPE_IQ2_XS,
                                     WS_TYPE_IQ2_S,   WS_TYPE_IQ1_M,   WS_TYPE_IQ1_S};
    if (category_of(c->name) & (WS_CAT_TOKEN_EMBD | WS_CAT_OUTPUT)) return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (c->type == types[i]) return true;
    return (s->recipe->flags & WS_RECIPE_NEEDS_IMATRIX) && c->type == s->recipe->type;
}

static ws_status choose_one(state *s, ws_choice *c, ws_error *err) {
    c->type = c->tensor->type, c->by = WS_BY_KEEPING;
    if ((s->recipe->flags & WS_RECIPE_COPY) || !is_candidate(c, s->o, s->m)) return WS_OK;
    if (!apply_direct_options(s, c)) {
        c->type = s->recipe->type, c->by = WS_BY_DEFAULT;
        const bool mixed = ws_dtype_is_quantized(c->type);
        const ws_tensor_type *named = mixed ? named_type(s->o, c->name) : NULL;
        if (named)
            c->type = named->type, c->by = WS_BY_OPTION;
        else if (mixed && !s->o->pure)
            WS_TRY(apply_rules(s, c, err));
        if (mixed) WS_TRY(fall_back(c, err));
    }
    c->needs_imatrix = needs_imatrix(s, c);
    return WS_OK;
}

static size_t n_rules(const ws_recipe *r) {
    size_t n = 0;
    while (r->rules[n].categories) n++;
    return n;
}

static ws_status compile_patterns(state *s, ws_error *err) {
    const size_t n = n_rules(s->recipe);
    if (!(s->patterns = ws_alloc(n, sizeof *s->patterns, "patterns", err))) return WS_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *name = s->recipe->rules[i].name;
        if (name && !(s->patterns[i] = ws_pattern_new(name, err))) return err ? err->code : WS_NOMEM;
    }
    return WS_OK;
}

static ws_status choose_all(state *s, ws_choices *out, const ws_tensor *tensors, size_t n, ws_error *err) {
    if (!(out->list = ws_alloc(n, sizeof *out->list, "the plan", err))) return WS_NOMEM;
    WS_TRY(compile_patterns(s, err));
    out->n = n;
    for (size_t i = 0; i < n; i++) out->list[i] = (ws_choice){.tensor = &tensors[i], .name = tensors[i].name};
    qsort(out->list, n, sizeof *out->list, by_layer_then_name);
    if (s->o->n_prune) WS_TRY(prune(out, s->o, err));
    if (s->o->keep_split) qsort(out->list, out->n, sizeof *out->list, by_file_then_offset);
    s->tied = true;
    for (size_t i = 0; i < out->n; i++) {
        const ws_category c = category_of(out->list[i].name);
        s->n_attn_v += c == WS_CAT_ATTN_V;
        if (c == WS_CAT_OUTPUT) s->tied = false;
    }
    for (size_t i = 0; i < out->n; i++) WS_TRY(choose_one(s, &out->list[i], err));
    return WS_OK;
}

ws_status ws_recipe_choose(ws_choices *out, const ws_recipe *r, const ws_recipe_options *o, const ws_model_facts *m,
                           const ws_tensor *tensors, size_t n, ws_error *err) {
    state s = {.recipe = r, .o = o, .m = m};
    *out = (ws_choices){.n = 0};
    const ws_status status = choose_all(&s, out, tensors, n, err);
    for (size_t i = 0; s.patterns && i < n_rules(r); i++) ws_pattern_free(s.patterns[i]);
    free(s.patterns);
    if (status) ws_choices_free(out);
    return status;
}

void ws_choices_free(ws_choices *c) {
    free(c->list);
    ws_arena_free(&c->names);
    *c = (ws_choices){.n = 0};
}
