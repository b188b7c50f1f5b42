/* Layers that are not plain attention: gated delta nets (Qwen3-Next, Qwen3.5), short convolutions (LFM2), Gemma 3n, 4.
 * Names and shapes are those of convert_hf_to_gguf.py. */
#include "hf_maker.h"

#include <inttypes.h>
#include <string.h>

enum { GEMMA4_GLOBAL_HEAD = 512, GEMMA3N_INPUT = 256 };

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static bool type_is(const maker *m, size_t layer, const char *wanted, bool otherwise) {
    const cJSON *type = cJSON_GetArrayItem(hf_find(m, "layer_types"), (int)layer);
    return cJSON_IsString(type) ? strcmp(type->valuestring, wanted) == 0 : otherwise;
}

/* ---- numbers ---- */

static ws_status read_delta_net(maker *m) {
    ws_blueprint *bp = m->bp;
    uint64_t value = 0, interval = 4;
    WS_TRY(hf_needed(m, "linear_conv_kernel_dim", &bp->conv_kernel, 1 << 10));
    WS_TRY(hf_needed(m, "linear_key_head_dim", &bp->d_state, 1 << 14));
    WS_TRY(hf_needed(m, "linear_num_key_heads", &bp->n_groups, 1 << 14));
    WS_TRY(hf_needed(m, "linear_num_value_heads", &bp->dt_rank, 1 << 14));
    WS_TRY(hf_needed(m, "linear_value_head_dim", &value, 1 << 14));
    WS_TRY(hf_number(m, "full_attention_interval", &interval, WS_MAX_MODEL_LAYERS));
    bp->d_inner = value * bp->dt_rank;
    for (size_t i = 0; i < bp->n_layer; i++)
        bp->layers[i].recurrent = type_is(m, i, "linear_attention", interval && (i + 1) % interval != 0);
    return WS_OK;
}

/* The feed-forward's width is derived from another number unless the config says that it is not. */
static ws_status read_short_conv(maker *m) {
    ws_blueprint *bp = m->bp;
    uint64_t ff = bp->layers[0].n_ff, multiple = 256;
    WS_TRY(hf_needed(m, "conv_L_cache", &bp->conv_kernel, 1 << 10));
    WS_TRY(hf_number(m, "block_ff_dim", &ff, MAX_SIZE));
    WS_TRY(hf_number(m, "block_multiple_of", &multiple, MAX_SIZE));
    const cJSON *factor = hf_find(m, "block_ffn_dim_multiplier");
    if (hf_is_true(m, "block_auto_adjust_ff_dim", false) && multiple) {
        ff = 2 * ff / 3;
        if (cJSON_IsNumber(factor) && factor->valuedouble > 0 && factor->valuedouble < 1024)
            ff = (uint64_t)((double)ff * factor->valuedouble);
        ff = (ff + multiple - 1) / multiple * multiple;
    }
    bp->d_inner = bp->n_embd;
    for (size_t i = 0; i < bp->n_layer; i++) {
        ws_bp_layer *l = &bp->layers[i];
        l->n_ff = ff;
        l->recurrent = !type_is(m, i, "full_attention", false);
        if (l->recurrent) l->n_head_kv = 0;
    }
    return WS_OK;
}

/* A number of one layer; older files have one for all layers without a window instead. */
static ws_status of_layer(const maker *m, size_t layer, const char *key, uint64_t *out, uint64_t most) {
    char index[24];
    snprintf(index, sizeof index, "%zu", layer);
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(hf_find(m, "per_layer_config"), index);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(own, key);
    if (!item || (ws_json_u64(item, out) && *out <= most)) return WS_OK;
    return ws_fail(m->err, WS_FORMAT, "'%s': '%s' of layer %zu is not a whole number of at most %" PRIu64, m->source,
                   key, layer, most);
}

/* Layers without a window have larger heads, and fewer of K and V; the last ones share caches, and some models give
 * those a wider feed-forward. */
static ws_status read_gemma4(maker *m) {
    ws_blueprint *bp = m->bp;
    uint64_t global = GEMMA4_GLOBAL_HEAD, kv = 0, shared = 0;
    WS_TRY(hf_number(m, "global_head_dim", &global, MAX_SIZE));
    WS_TRY(hf_number(m, "num_global_key_value_heads", &kv, 1 << 14));
    WS_TRY(hf_number(m, "num_kv_shared_layers", &shared, bp->n_layer));
    WS_TRY(hf_number(m, "hidden_size_per_layer_input", &bp->n_embd_altup, MAX_SIZE));
    const uint64_t own = bp->n_layer - shared;
    if (shared && own < 2)
        return ws_fail(m->err, WS_FORMAT, "'%s': too few layers have caches of their own", m->source);
    for (size_t i = 0; i < bp->n_layer; i++) {
        ws_bp_layer *l = &bp->layers[i];
        if (!l->sliding) l->head_k = hf_find(m, "per_layer_config") ? l->head_k : global;
        if (!l->sliding && kv) l->n_head_kv = kv;
        WS_TRY(of_layer(m, i, "head_dim", &l->head_k, MAX_SIZE));
        WS_TRY(of_layer(m, i, "num_key_value_heads", &l->n_head_kv, 1 << 14));
        l->head_v = l->head_k;
        if (i < own) continue;
        l->cache_of = (int32_t)own - (l->sliding ? 2 : 1);
        if (hf_is_true(m, "use_double_wide_mlp", false)) l->n_ff *= 2;
    }
    return WS_OK;
}

/* ---- tensors ---- */

static ws_status add_delta_net(maker *m, size_t i) {
    const ws_blueprint *bp = m->bp;
    const uint64_t e = bp->n_embd, heads = bp->dt_rank, channels = bp->d_inner + 2 * bp->n_groups * bp->d_state;
    const row rows[] = {
        {"attn_norm.weight", false, 0, 0, {e, 1, 1}},
        {"ssm_a", false, 0, 0, {heads, 1, 1}},
        {"ssm_conv1d.weight", false, 0, 0, {bp->conv_kernel, channels, 1}},
        {"ssm_dt.bias", false, 0, 0, {heads, 1, 1}},
        {"ssm_ba.weight", true, ONE_BA, 0, {e, 2 * heads, 1}},
        {"ssm_alpha.weight", true, 0, ONE_BA, {e, heads, 1}},
        {"ssm_beta.weight", true, 0, ONE_BA, {e, heads, 1}},
        {"attn_qkv.weight", true, 0, 0, {e, channels, 1}},
        {"attn_gate.weight", true, 0, 0, {e, bp->d_inner, 1}},
        {"ssm_norm.weight", false, 0, 0, {bp->d_inner / heads, 1, 1}},
        {"ssm_out.weight", true, 0, 0, {bp->d_inner, e, 1}},
        {"post_attention_norm.weight", false, 0, 0, {e, 1, 1}},
    };
    return hf_add_rows(m, i, rows, COUNT(rows), m->type);
}

static ws_status add_short_conv(maker *m, size_t i) {
    const uint64_t e = m->bp->n_embd;
    const row rows[] = {
        {"attn_norm.weight", false, 0, 0, {e, 1, 1}},
        {"shortconv.conv.weight", false, 0, 0, {m->bp->conv_kernel, e, 1}},
        {"shortconv.in_proj.weight", true, 0, 0, {e, 3 * e, 1}},
        {"shortconv.out_proj.weight", true, 0, 0, {e, e, 1}},
        {"ffn_norm.weight", false, 0, 0, {e, 1, 1}},
    };
    return hf_add_rows(m, i, rows, COUNT(rows), m->type);
}

ws_status hf_add_state(maker *m, size_t i) {
    if (hf_is_mamba(m)) return hf_add_mamba(m, i);
    return m->features & SHORT_CONV ? add_short_conv(m, i) : add_delta_net(m, i);
}

static ws_status add_gemma4_experts(maker *m, size_t i) {
    const ws_bp_layer *l = &m->bp->layers[i];
    const uint64_t e = m->bp->n_embd, n = m->bp->n_expert, ff = l->n_ff_expert;
    const row rows[] = {
        {"ffn_gate_up_exps.weight", true, 0, 0, {e, 2 * ff, n}}, {"ffn_down_exps.weight", true, 0, 0, {ff, e, n}},
        {"ffn_down_exps.scale", false, 0, 0, {n, 1, 1}},         {"ffn_gate_inp.weight", false, 0, 0, {e, n, 1}},
        {"ffn_gate_inp.scale", false, 0, 0, {e, 1, 1}},          {"pre_ffw_norm_2.weight", false, 0, 0, {e, 1, 1}},
        {"post_ffw_norm_1.weight", false, 0, 0, {e, 1, 1}},      {"post_ffw_norm_2.weight", false, 0, 0, {e, 1, 1}},
    };
    return hf_add_rows(m, i, rows, COUNT(rows), m->type);
}

static ws_status add_own_input(maker *m, size_t i) {
    const uint64_t e = m->bp->n_embd, p = m->bp->n_embd_altup;
    const row rows[] = {
        {"inp_gate.weight", true, 0, 0, {e, p, 1}},
        {"proj.weight", true, 0, 0, {p, e, 1}},
        {"post_norm.weight", false, 0, 0, {e, 1, 1}},
    };
    return hf_add_rows(m, i, rows, COUNT(rows), m->type);
}

ws_status hf_add_gemma4_layer(maker *m, size_t i) {
    const ws_bp_layer *l = &m->bp->layers[i];
    const uint64_t e = m->bp->n_embd, q = l->n_head * l->head_k, k = l->n_head_kv * l->head_k;
    const row rows[] = {
        {"attn_norm.weight", false, 0, 0, {e, 1, 1}},           {"attn_q.weight", true, 0, 0, {e, q, 1}},
        {"attn_q_norm.weight", false, 0, 0, {l->head_k, 1, 1}}, {"attn_output.weight", true, 0, 0, {q, e, 1}},
        {"post_attention_norm.weight", false, 0, 0, {e, 1, 1}}, {"ffn_norm.weight", false, 0, 0, {e, 1, 1}},
        {"post_ffw_norm.weight", false, 0, 0, {e, 1, 1}},       {"layer_output_scale.weight", false, 0, 0, {1, 1, 1}},
    };
    WS_TRY(hf_add_rows(m, i, rows, COUNT(rows), m->type));
    if (l->cache_of == (int32_t)i) {
        WS_TRY(hf_add_layer(m, "attn_k.weight", i, m->type, e, k, 1));
        WS_TRY(hf_add_layer(m, "attn_k_norm.weight", i, WS_TYPE_F32, l->head_k, 1, 1));
        if (l->sliding || !hf_is_true(m, "attention_k_eq_v", false))
            WS_TRY(hf_add_layer(m, "attn_v.weight", i, m->type, e, k, 1));
    }
    if (m->bp->n_embd_altup) WS_TRY(add_own_input(m, i));
    return m->bp->n_expert ? add_gemma4_experts(m, i) : WS_OK;
}

/* Embeddings that every layer has for itself. */
static ws_status add_layer_inputs(maker *m, uint64_t vocab) {
    const ws_blueprint *bp = m->bp;
    const uint64_t all = bp->n_embd_altup * bp->n_layer;
    WS_TRY(hf_add(m, "per_layer_token_embd.weight", m->type, all, vocab, 1));
    WS_TRY(hf_add(m, "per_layer_model_proj.weight", m->type, bp->n_embd, all, 1));
    return hf_add(m, "per_layer_proj_norm.weight", WS_TYPE_F32, bp->n_embd_altup, 1, 1);
}

ws_status hf_add_gemma4_model(maker *m) {
    const ws_blueprint *bp = m->bp;
    uint64_t global = 0, vocab = bp->n_vocab;
    for (size_t i = 0; i < bp->n_layer && !global; i++) global = bp->layers[i].sliding ? 0 : bp->layers[i].head_k;
    WS_TRY(hf_number(m, "vocab_size_per_layer_input", &vocab, MAX_SIZE));
    if (global) WS_TRY(hf_add(m, "rope_freqs.weight", WS_TYPE_F32, global / 2, 1, 1));
    return bp->n_embd_altup ? add_layer_inputs(m, vocab) : WS_OK;
}

/* ---- Gemma 3n ---- */

static ws_status read_gemma3n(maker *m) {
    ws_blueprint *bp = m->bp;
    bp->n_embd_altup = GEMMA3N_INPUT;
    WS_TRY(hf_number(m, "hidden_size_per_layer_input", &bp->n_embd_altup, MAX_SIZE));
    ws_blueprint_alternate(bp);
    return WS_OK;
}

ws_status hf_add_gemma3n_layer(maker *m, size_t i) {
    const uint64_t e = m->bp->n_embd, n = m->bp->n_altup, rank = m->bp->laurel_rank;
    const row rows[] = {
        {"altup_correct_coef.weight", false, 0, 0, {n, n, 1}},
        {"altup_correct_scale.weight", false, 0, 0, {e, 1, 1}},
        {"altup_predict_coef.weight", false, 0, 0, {n, n * n, 1}},
        {"altup_router.weight", true, 0, 0, {e, n, 1}},
        {"altup_router_norm.weight", false, 0, 0, {e, 1, 1}},
        {"laurel_l.weight", true, 0, 0, {e, rank, 1}},
        {"laurel_r.weight", true, 0, 0, {rank, e, 1}},
        {"laurel_post_norm.weight", false, 0, 0, {e, 1, 1}},
    };
    WS_TRY(hf_add_rows(m, i, rows, COUNT(rows), m->type));
    return add_own_input(m, i);
}

ws_status hf_add_gemma3n_model(maker *m) {
    const uint64_t e = m->bp->n_embd, n = m->bp->n_altup - 1;
    WS_TRY(hf_add(m, "altup_proj.weight", m->type, e, e, n));
    WS_TRY(hf_add(m, "altup_unembd_proj.weight", m->type, e, e, n));
    return add_layer_inputs(m, m->bp->n_vocab);
}

/* ---- all of them ---- */

ws_status hf_read_kinds(maker *m) {
    const cJSON *vision = cJSON_GetObjectItemCaseSensitive(m->root, "vision_config");
    const cJSON *deep = cJSON_GetObjectItemCaseSensitive(vision, "deepstack_visual_indexes");
    if (m->bp->style->traits & WS_FOUR_POSITIONS && m->bp->style->family == WS_FAMILY_DECODER)
        m->bp->n_deepstack = (uint64_t)cJSON_GetArraySize(deep);
    if (m->bp->style->traits & WS_FOUR_POSITIONS) m->bp->four_positions = true;
    if (m->features & DELTA_NET) WS_TRY(read_delta_net(m));
    if (m->features & SHORT_CONV) WS_TRY(read_short_conv(m));
    if (m->features & GEMMA4) WS_TRY(read_gemma4(m));
    if (m->bp->style->family == WS_FAMILY_GEMMA3N) WS_TRY(read_gemma3n(m));
    if (hf_is_mamba(m)) WS_TRY(hf_read_states(m));
    if (m->bp->conv_kernel) ws_blueprint_remember(m->bp);
    return WS_OK;
}
