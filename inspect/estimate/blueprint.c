#include "blueprint.h"

#include "alloc.h"
#include "recipe.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = 160, GEMMA3N_OWN_CACHES = 20, GEMMA3N_INPUT = 256, DEFAULT_ATTENTION_INTERVAL = 4 };

/* Far above any model; products of three stay far below 2^64. */
static const uint64_t MAX_SIZE = UINT64_C(1) << 26, MAX_HEADS = 1 << 14, MAX_EXPERTS = 4096;

typedef struct {
    ws_blueprint *bp;
    ws_error *err;
} reader;

/* ---- metadata ---- */

static const char *path_of(const reader *r) { return ws_gguf_path(r->bp->gguf); }

static const ws_kv *find(const reader *r, const char *suffix, char *key) {
    snprintf(key, KEY_BYTES, "%s.%s", r->bp->architecture, suffix);
    return ws_gguf_kv(r->bp->gguf, key);
}

static ws_status check_size(const reader *r, const char *key, uint64_t v, uint64_t most) {
    if (v <= most) return WS_OK;
    return ws_fail(r->err, WS_FORMAT, "'%s': '%s' is %" PRIu64 ", expected at most %" PRIu64, path_of(r), key, v, most);
}

/* *out keeps its value when the key is missing. */
static ws_status optional(const reader *r, const char *suffix, uint64_t *out, uint64_t most) {
    char key[KEY_BYTES];
    find(r, suffix, key);
    WS_TRY(ws_gguf_opt_u64(r->bp->gguf, key, out, r->err));
    return check_size(r, key, *out, most);
}

static ws_status needed(const reader *r, const char *suffix, uint64_t *out, uint64_t most) {
    char key[KEY_BYTES];
    find(r, suffix, key);
    WS_TRY(ws_gguf_need_u64(r->bp->gguf, key, out, r->err));
    return check_size(r, key, *out, most);
}

/* A number that may be one for all layers or an array with one per layer. */
static ws_status of_layer(const reader *r, const char *suffix, size_t layer, uint64_t *out, uint64_t most) {
    char key[KEY_BYTES];
    const ws_kv *kv = find(r, suffix, key);
    if (!kv || kv->type != WS_KV_ARRAY) return optional(r, suffix, out, most);
    int64_t v;
    if (!ws_kv_elem_i64(kv, layer, &v) || v < 0)
        return ws_fail(r->err, WS_FORMAT, "'%s': '%s' has no whole number for layer %zu", path_of(r), key, layer);
    *out = (uint64_t)v;
    return check_size(r, key, *out, most);
}

/* Is the number there and neither 0 nor `neutral`? */
static bool has_factor(const reader *r, const char *suffix, double neutral) {
    char key[KEY_BYTES];
    const ws_kv *kv = find(r, suffix, key);
    double v = 0;
    return kv && ws_kv_f64(kv, &v) && v != 0 && v != neutral;
}

/* ---- layers ---- */

static ws_status read_layer(const reader *r, size_t i) {
    const ws_blueprint *bp = r->bp;
    ws_bp_layer *l = &r->bp->layers[i];
    WS_TRY(of_layer(r, "attention.head_count", i, &l->n_head, MAX_HEADS));
    l->n_head_kv = l->n_head;
    WS_TRY(of_layer(r, "attention.head_count_kv", i, &l->n_head_kv, MAX_HEADS));
    l->head_k = l->head_v = bp->layers[0].n_head ? bp->n_embd / bp->layers[0].n_head : 0;
    WS_TRY(optional(r, "attention.key_length", &l->head_k, MAX_SIZE));
    WS_TRY(optional(r, "attention.value_length", &l->head_v, MAX_SIZE));
    if (l->sliding) {
        WS_TRY(optional(r, "attention.key_length_swa", &l->head_k, MAX_SIZE));
        WS_TRY(optional(r, "attention.value_length_swa", &l->head_v, MAX_SIZE));
    }
    WS_TRY(of_layer(r, "feed_forward_length", i, &l->n_ff, MAX_SIZE));
    WS_TRY(of_layer(r, "expert_used_count", i, &l->n_expert_used, MAX_EXPERTS));
    l->n_ff_expert = 0;
    WS_TRY(of_layer(r, "expert_feed_forward_length", i, &l->n_ff_expert, MAX_SIZE));
    if (!l->n_ff_expert) l->n_ff_expert = l->n_ff;
    if (l->n_expert_used <= bp->n_expert) return WS_OK;
    return ws_fail(r->err, WS_FORMAT, "'%s': %" PRIu64 " of %" PRIu64 " experts are used", path_of(r), l->n_expert_used,
                   bp->n_expert);
}

void ws_blueprint_slide(ws_blueprint *bp, uint64_t period) {
    const uint64_t dense = bp->style->traits & WS_DENSE_FIRST ? 0 : period - 1;
    for (size_t i = 0; i < bp->n_layer; i++) bp->layers[i].sliding = period == 0 || i % period != dense;
}

/* A period, or an array of flags, in the file goes before the architecture's period. */
static ws_status read_sliding(const reader *r) {
    char key[KEY_BYTES];
    ws_blueprint *bp = r->bp;
    uint64_t period = bp->style->sliding_period;
    const ws_kv *pattern = find(r, "attention.sliding_window_pattern", key);
    const bool flags = pattern && pattern->type == WS_KV_ARRAY;
    if (!period && !(bp->guessed && flags)) return WS_OK;
    if (bp->style->family == WS_FAMILY_HYBRID) return WS_OK;
    if (bp->style->traits & WS_IF_64_LAYERS && bp->n_layer != 64) return WS_OK;
    bp->window = bp->style->window;
    WS_TRY(optional(r, "attention.sliding_window", &bp->window, UINT32_MAX));
    if (!bp->window) return WS_OK;
    if (bp->style->traits & WS_FIXED_WINDOW) bp->window = bp->style->window;
    if (!flags) WS_TRY(optional(r, "attention.sliding_window_pattern", &period, WS_MAX_MODEL_LAYERS));
    ws_blueprint_slide(bp, period);
    for (size_t i = 0; flags && i < bp->n_layer; i++) {
        uint64_t slides = 0;
        WS_TRY(of_layer(r, "attention.sliding_window_pattern", i, &slides, 1));
        bp->layers[i].sliding = slides;
    }
    return WS_OK;
}

void ws_blueprint_remember(ws_blueprint *bp) {
    bp->conv_width = (bp->conv_kernel - 1) * (bp->d_inner + 2 * bp->n_groups * bp->d_state);
    bp->state_width = bp->d_state * bp->d_inner;
}

/* Which layers keep a state is told by their having no KV heads (and, where layers do one thing, no feed-forward). */
static ws_status read_hybrid(const reader *r) {
    ws_blueprint *bp = r->bp;
    const uint64_t t = bp->style->traits;
    uint64_t rope = 1;
    if (t & WS_SHORT_CONV) {
        WS_TRY(needed(r, "shortconv.l_cache", &bp->conv_kernel, MAX_HEADS));
        if (bp->style->sliding_period) WS_TRY(optional(r, "attention.sliding_window", &bp->window, UINT32_MAX));
        bp->d_inner = bp->n_embd;
    } else {
        WS_TRY(needed(r, "ssm.conv_kernel", &bp->conv_kernel, MAX_HEADS));
        WS_TRY(needed(r, "ssm.inner_size", &bp->d_inner, MAX_SIZE));
        WS_TRY(needed(r, "ssm.state_size", &bp->d_state, MAX_HEADS));
        WS_TRY(needed(r, "ssm.time_step_rank", &bp->dt_rank, MAX_SIZE));
        if (!(t & WS_MAMBA1)) WS_TRY(needed(r, "ssm.group_count", &bp->n_groups, MAX_HEADS));
        const bool even = t & WS_MAMBA1 || (bp->n_groups && bp->dt_rank && bp->d_inner % bp->dt_rank == 0 &&
                                            bp->d_inner % bp->n_groups == 0);
        if (!bp->d_inner || !bp->d_state || !bp->dt_rank || !even)
            return ws_fail(r->err, WS_FORMAT, "'%s': the sizes of the recurrent layers do not agree", path_of(r));
    }
    if (!bp->conv_kernel) return ws_fail(r->err, WS_FORMAT, "'%s': a convolution of no tokens", path_of(r));
    ws_blueprint_remember(bp);
    WS_TRY(optional(r, "rope.scaling.finetuned", &rope, 1));
    bp->no_rope = !rope && !(t & WS_SHORT_CONV);
    for (size_t i = 0; i < bp->n_layer; i++) {
        ws_bp_layer *l = &bp->layers[i];
        if (t & WS_ONE_THING && l->n_ff) l->n_head_kv = 0;
        l->sliding = bp->window && l->n_head_kv;
        l->recurrent =
            t & (WS_ONLY_STATES | WS_STATES_AND_ATTENTION) || (!l->n_head_kv && !(t & WS_ONE_THING && l->n_ff));
    }
    return WS_OK;
}

static ws_status read_states(const reader *r) {
    ws_blueprint *bp = r->bp;
    uint64_t interval = DEFAULT_ATTENTION_INTERVAL, norm = 0;
    WS_TRY(needed(r, "ssm.conv_kernel", &bp->conv_kernel, MAX_HEADS));
    WS_TRY(needed(r, "ssm.inner_size", &bp->d_inner, MAX_SIZE));
    WS_TRY(needed(r, "ssm.state_size", &bp->d_state, MAX_HEADS));
    WS_TRY(optional(r, "ssm.time_step_rank", &bp->dt_rank, MAX_SIZE));
    if (bp->style->family != WS_FAMILY_MAMBA) WS_TRY(optional(r, "ssm.group_count", &bp->n_groups, MAX_HEADS));
    WS_TRY(optional(r, "ssm.dt_b_c_rms", &norm, 1));
    WS_TRY(optional(r, "full_attention_interval", &interval, WS_MAX_MODEL_LAYERS));
    bp->dt_norm = norm;
    if (!bp->conv_kernel || !interval || !bp->d_inner || !bp->d_state)
        return ws_fail(r->err, WS_FORMAT, "'%s': a size of the recurrent layers is zero", path_of(r));
    if (bp->style->family == WS_FAMILY_DELTA_NET && (!bp->dt_rank || !bp->n_groups))
        return ws_fail(r->err, WS_FORMAT, "'%s': a number of heads of the recurrent layers is zero", path_of(r));
    ws_blueprint_remember(bp);
    for (size_t i = 0; i < bp->n_layer; i++) {
        uint64_t recurrent = bp->style->family == WS_FAMILY_MAMBA || (i + 1) % interval != 0;
        WS_TRY(of_layer(r, "attention.recurrent_layers", i, &recurrent, 1));
        bp->layers[i].recurrent = recurrent;
    }
    return WS_OK;
}

void ws_blueprint_alternate(ws_blueprint *bp) {
    bp->n_altup = 4, bp->laurel_rank = 64;
    for (size_t i = GEMMA3N_OWN_CACHES; i < bp->n_layer; i++)
        bp->layers[i].cache_of = GEMMA3N_OWN_CACHES - (bp->layers[i].sliding ? 2 : 1);
}

static void read_altup(ws_blueprint *bp) {
    const ws_tensor *proj = ws_blueprint_tensor(bp, "per_layer_proj_norm.weight");
    bp->n_embd_altup = proj ? proj->ne[0] : GEMMA3N_INPUT;
    ws_blueprint_alternate(bp);
}

/* The last layers read the cache of the last layer of their kind that has one. */
static ws_status read_shared_caches(const reader *r) {
    ws_blueprint *bp = r->bp;
    uint64_t shared = 0, own;
    WS_TRY(optional(r, "attention.shared_kv_layers", &shared, bp->n_layer));
    own = bp->n_layer - shared;
    if (shared && own < 2)
        return ws_fail(r->err, WS_FORMAT, "'%s': too few layers have caches of their own", path_of(r));
    for (size_t i = own; i < bp->n_layer; i++) bp->layers[i].cache_of = (int32_t)own - (bp->layers[i].sliding ? 2 : 1);
    const ws_tensor *proj = ws_blueprint_tensor(bp, "per_layer_proj_norm.weight");
    if (proj) bp->n_embd_altup = proj->ne[0];
    return WS_OK;
}

static ws_status read_layers(const reader *r) {
    ws_blueprint *bp = r->bp;
    bp->layers = ws_alloc(bp->n_layer_all, sizeof *bp->layers, "layers", r->err);
    if (!bp->layers) return WS_NOMEM;
    for (size_t i = 0; i < bp->n_layer_all; i++) bp->layers[i].cache_of = (int32_t)i;
    WS_TRY(read_sliding(r));
    for (size_t i = 0; i < bp->n_layer_all; i++) WS_TRY(read_layer(r, i));
    if (bp->style->family == WS_FAMILY_MAMBA || bp->style->family == WS_FAMILY_DELTA_NET) WS_TRY(read_states(r));
    if (bp->style->family == WS_FAMILY_HYBRID) WS_TRY(read_hybrid(r));
    if (bp->style->family == WS_FAMILY_GEMMA3N) read_altup(bp);
    if (bp->style->family == WS_FAMILY_GEMMA4) WS_TRY(read_shared_caches(r));
    return WS_OK;
}

/* ---- the numbers of the whole model ---- */

static ws_status read_experts(const reader *r) {
    ws_blueprint *bp = r->bp;
    const uint64_t traits = bp->style->traits;
    uint64_t gate = 0, norm = 0;
    WS_TRY(optional(r, "expert_count", &bp->n_expert, MAX_EXPERTS));
    WS_TRY(optional(r, "expert_group_count", &bp->n_expert_groups, bp->n_expert));
    WS_TRY(optional(r, "expert_group_used_count", &bp->n_group_used, bp->n_expert_groups));
    WS_TRY(optional(r, "leading_dense_block_count", &bp->n_dense_lead, WS_MAX_MODEL_LAYERS));
    bp->expert_scale = has_factor(r, "expert_weights_scale", 1);
    bp->expert_norm = traits & WS_NORM_EXPERTS;
    bp->gate = traits & WS_WEIGHTS_SOFTMAX                        ? WS_GATE_SOFTMAX_WEIGHT
               : traits & (WS_SIGMOID_EXPERTS | WS_WEIGHT_BEFORE) ? WS_GATE_SIGMOID
                                                                  : WS_GATE_SOFTMAX;
    if (traits & WS_EXPERTS_BY_KEY) {
        WS_TRY(optional(r, "expert_gating_func", &gate, WS_GATE_SQRT_SOFTPLUS));
        WS_TRY(optional(r, "expert_weights_norm", &norm, 1));
        if (gate) bp->gate = (ws_gate)gate;
        bp->expert_norm = norm || traits & WS_NORM_EXPERTS;
    }
    return WS_OK;
}

static ws_status read_numbers(const reader *r) {
    ws_blueprint *bp = r->bp;
    uint64_t predicting = 0;
    WS_TRY(needed(r, "block_count", &bp->n_layer_all, WS_MAX_MODEL_LAYERS));
    WS_TRY(needed(r, "embedding_length", &bp->n_embd, MAX_SIZE));
    WS_TRY(optional(r, "context_length", &bp->n_ctx_train, UINT32_MAX));
    WS_TRY(optional(r, "nextn_predict_layers", &predicting, bp->n_layer_all));
    bp->n_layer = bp->n_layer_all - predicting;
    if (!bp->n_layer || !bp->n_embd) return ws_fail(r->err, WS_FORMAT, "'%s': no layers or no width", path_of(r));
    WS_TRY(optional(r, "attention.key_length_mla", &bp->key_mla, MAX_SIZE));
    WS_TRY(optional(r, "attention.value_length_mla", &bp->value_mla, MAX_SIZE));
    WS_TRY(optional(r, "attention.q_lora_rank", &bp->lora_q, MAX_SIZE));
    WS_TRY(optional(r, "attention.kv_lora_rank", &bp->lora_kv, MAX_SIZE));
    WS_TRY(optional(r, "rope.dimension_count", &bp->n_rot, MAX_SIZE));
    if (bp->style->traits & WS_FOUR_POSITIONS) WS_TRY(optional(r, "n_deepstack_layers", &bp->n_deepstack, bp->n_layer));
    bp->final_cap = has_factor(r, "final_logit_softcapping", 0) || bp->style->traits & WS_SOFT_CAP ||
                    bp->style->family == WS_FAMILY_GEMMA3N;
    const bool scaled = bp->style->traits & WS_ALWAYS_SCALED;
    bp->logit_scale = scaled || has_factor(r, "logit_scale", 0);
    bp->embd_scale = scaled || has_factor(r, "embedding_scale", 0);
    bp->residual_scale = scaled || has_factor(r, "residual_scale", 0);
    bp->clamp_qkv = has_factor(r, "attention.clamp_kqv", 0);
    bp->attn_scale = has_factor(r, "attention.temperature_scale", 0);
    bp->value_scale = has_factor(r, "attention.value_scale", 1);
    uint64_t parallel = 0, causal = 1;
    WS_TRY(optional(r, "attention.causal", &causal, 1));
    bp->causal = causal && !(bp->style->traits & WS_SEES_ALL);
    if (bp->style->traits & WS_MAY_BE_PARALLEL) WS_TRY(optional(r, "use_parallel_residual", &parallel, 1));
    bp->parallel = parallel;
    uint64_t first = 0, second = 0;
    WS_TRY(of_layer(r, "rope.dimension_sections", 0, &first, MAX_SIZE));
    if (first) WS_TRY(of_layer(r, "rope.dimension_sections", 1, &second, MAX_SIZE));
    const bool by_sections = bp->style->traits & WS_SECTIONS || bp->guessed;
    bp->four_positions = bp->style->traits & WS_FOUR_POSITIONS || (by_sections && first && second);
    return read_experts(r);
}

/* ---- tensors ---- */

static int by_name(const void *a, const void *b) {
    return strcmp((*(const ws_tensor *const *)a)->name, (*(const ws_tensor *const *)b)->name);
}

static int find_name(const void *name, const void *t) { return strcmp(name, (*(const ws_tensor *const *)t)->name); }

const ws_tensor *ws_blueprint_tensor(const ws_blueprint *bp, const char *name) {
    const ws_tensor **t = bsearch(name, bp->sorted, bp->n_tensors, sizeof *bp->sorted, find_name);
    return t ? *t : NULL;
}

const ws_tensor *ws_blueprint_layer_tensor(const ws_blueprint *bp, const char *format, unsigned layer) {
    char name[KEY_BYTES];
    const char *number = strstr(format, "%u");
    snprintf(name, sizeof name, "%.*s%u%s", (int)(number - format), format, layer, number + 2);
    return ws_blueprint_tensor(bp, name);
}

int64_t ws_tensor_layer(const char *name) {
    unsigned layer = 0;
    if (strncmp(name, "blk.", 4) != 0) return -1;
    const char *c = name + 4;
    if (*c < '0' || *c > '9') return -1;
    for (; *c >= '0' && *c <= '9' && layer < 1000000; c++) layer = layer * 10 + (unsigned)(*c - '0');
    return *c == '.' ? (int64_t)layer : -1;
}

ws_status ws_blueprint_index(ws_blueprint *bp, const char *source, ws_error *err) {
    bp->sorted = ws_alloc(bp->n_tensors, sizeof *bp->sorted, "tensors", err);
    if (!bp->sorted) return WS_NOMEM;
    for (size_t i = 0; i < bp->n_tensors; i++) {
        bp->sorted[i] = &bp->tensors[i];
        bp->n_params += bp->tensors[i].n_elements;
    }
    qsort(bp->sorted, bp->n_tensors, sizeof *bp->sorted, by_name);
    const ws_tensor *embedding = ws_blueprint_tensor(bp, "token_embd.weight");
    if (!embedding) return ws_fail(err, WS_FORMAT, "'%s' has no tensor 'token_embd.weight'", source);
    bp->n_vocab = embedding->ne[1];
    return WS_OK;
}

/* ---- the whole ---- */

static void read_labels(ws_blueprint *bp) {
    const ws_kv *name = ws_gguf_kv(bp->gguf, "general.name"), *type = ws_gguf_kv(bp->gguf, "general.file_type");
    ws_str s;
    uint64_t number;
    if (name && ws_kv_str(name, &s))
        snprintf(bp->name, sizeof bp->name, "%.*s", (int)(s.len < 127 ? s.len : 127), s.data);
    if (type && ws_kv_u64(type, &number)) bp->file_type = ws_file_type_name(number);
}

static ws_status find_architecture(reader *r) {
    static const ws_style plain = {"decoder", WS_FAMILY_DECODER, 0, 0, 0};
    ws_blueprint *bp = r->bp;
    ws_str name;
    WS_TRY(ws_gguf_need_str(bp->gguf, "general.architecture", &name, r->err));
    if (name.len >= sizeof bp->architecture || memchr(name.data, 0, name.len))
        return ws_fail(r->err, WS_FORMAT, "'%s': the name of its architecture has %zu bytes", path_of(r), name.len);
    memcpy(bp->architecture, name.data, name.len);
    bp->style = ws_style_find(name.data, name.len);
    bp->guessed = !bp->style;
    if (!bp->style) bp->style = &plain;
    return WS_OK;
}

static ws_status read_model(ws_blueprint *bp, ws_error *err) {
    reader r = {bp, err};
    WS_TRY(find_architecture(&r));
    read_labels(bp);
    bp->tensors = bp->gguf->tensors;
    bp->n_tensors = bp->gguf->n_tensors;
    WS_TRY(ws_blueprint_index(bp, path_of(&r), err));
    WS_TRY(read_numbers(&r));
    WS_TRY(read_layers(&r));
    if (!bp->n_rot) bp->n_rot = bp->layers[0].head_k;
    return WS_OK;
}

ws_status ws_blueprint_from_gguf(ws_blueprint **out, ws_gguf *g, ws_error *err) {
    *out = NULL;
    ws_blueprint *bp = ws_alloc(1, sizeof *bp, "model", err);
    if (!bp) {
        ws_gguf_close(g);
        return WS_NOMEM;
    }
    bp->gguf = g;
    const ws_status status = read_model(bp, err);
    if (status)
        ws_blueprint_close(bp);
    else
        *out = bp;
    return status;
}

void ws_blueprint_close(ws_blueprint *bp) {
    if (!bp) return;
    ws_gguf_close(bp->gguf);
    free(bp->layers);
    free(bp->sorted);
    free(bp->own_tensors);
    free(bp->file_tensors);
    ws_arena_free(&bp->names);
    free(bp);
}
