/* Mamba 1 and 2, alone (Mamba, FalconMamba), between attention (Jamba, Granite 4, Nemotron-H) and beside it (Falcon
 * H1). Names and shapes are those of convert_hf_to_gguf.py. */
#include "hf_maker.h"

#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static uint64_t traits(const maker *m) { return m->bp->style->traits; }

bool hf_is_mamba(const maker *m) {
    const ws_family family = m->bp->style->family;
    return family == WS_FAMILY_MAMBA || (family == WS_FAMILY_HYBRID && !(traits(m) & WS_SHORT_CONV));
}

static bool is_first(const maker *m) { return m->bp->style->family == WS_FAMILY_MAMBA || traits(m) & WS_MAMBA1; }

/* ---- numbers ---- */

static ws_status read_first(maker *m) {
    ws_blueprint *bp = m->bp;
    uint64_t expand = 2;
    bp->d_state = 16;
    bp->dt_rank = (bp->n_embd + 15) / 16;
    WS_TRY(hf_number(m, "mamba_expand", &expand, 64));
    bp->d_inner = expand * bp->n_embd;
    if (bp->style->family == WS_FAMILY_MAMBA) WS_TRY(hf_number(m, "intermediate_size|d_inner", &bp->d_inner, MAX_SIZE));
    WS_TRY(hf_number(m, "mamba_d_state|state_size|d_state", &bp->d_state, 1 << 14));
    const char *rank = "mamba_dt_rank|time_step_rank|dt_rank"; /* or "auto" */
    return cJSON_IsString(hf_find(m, rank)) ? WS_OK : hf_number(m, rank, &bp->dt_rank, MAX_SIZE);
}

static ws_status read_second(maker *m) {
    ws_blueprint *bp = m->bp;
    uint64_t expand = 2, heads = 0, head = 64;
    bp->d_state = 128;
    bp->n_groups = 1;
    WS_TRY(hf_number(m, "mamba_expand|expand", &expand, 64));
    WS_TRY(hf_number(m, "mamba_n_heads|mamba_num_heads", &heads, 1 << 14));
    WS_TRY(hf_number(m, "mamba_d_head|mamba_head_dim|head_dim", &head, MAX_SIZE));
    WS_TRY(hf_number(m, "mamba_d_state|ssm_state_size|state_size|d_state", &bp->d_state, 1 << 14));
    WS_TRY(hf_number(m, "mamba_n_groups|n_groups", &bp->n_groups, 1 << 14));
    bp->d_inner = traits(m) & WS_ONE_THING ? heads * head : expand * bp->n_embd;
    WS_TRY(hf_number(m, "mamba_d_ssm", &bp->d_inner, MAX_SIZE));
    bp->dt_rank = heads ? heads : head ? bp->d_inner / head : 0;
    if (bp->dt_rank && bp->n_groups && bp->d_inner % bp->dt_rank == 0 && bp->d_inner % bp->n_groups == 0) return WS_OK;
    return ws_fail(m->err, WS_FORMAT, "'%s': the sizes of the recurrent layers do not agree", m->source);
}

/* What a layer is: its letter in Nemotron's pattern, its name in a list, or its place in a period. */
static bool layer_is(const maker *m, size_t layer, char letter, const char *names, bool otherwise) {
    const cJSON *pattern = hf_find(m, "hybrid_override_pattern");
    if (cJSON_IsString(pattern)) return layer < strlen(pattern->valuestring) && pattern->valuestring[layer] == letter;
    const cJSON *type = cJSON_GetArrayItem(hf_find(m, "layers_block_type|layer_types"), (int)layer);
    return cJSON_IsString(type) ? strstr(names, type->valuestring) != NULL : otherwise;
}

bool hf_has_kind(const maker *m, char letter, const char *name) {
    for (size_t i = 0; i < WS_MAX_MODEL_LAYERS; i++)
        if (layer_is(m, i, letter, name, false)) return true;
    return false;
}

static bool in_period(uint64_t layer, uint64_t offset, uint64_t period) {
    return period && layer >= offset && (layer - offset) % period == 0;
}

ws_status hf_read_states(maker *m) {
    ws_blueprint *bp = m->bp;
    uint64_t offset = 0, period = 0;
    bp->conv_kernel = 4;
    WS_TRY(hf_number(m, "mamba_d_conv|conv_kernel|d_conv", &bp->conv_kernel, 1 << 10));
    WS_TRY(is_first(m) ? read_first(m) : read_second(m));
    if (!bp->conv_kernel || !bp->d_inner || !bp->d_state || !bp->dt_rank)
        return ws_fail(m->err, WS_FORMAT, "'%s': a size of the recurrent layers is zero", m->source);
    WS_TRY(hf_number(m, "attn_layer_offset", &offset, WS_MAX_MODEL_LAYERS));
    WS_TRY(hf_number(m, "attn_layer_period", &period, WS_MAX_MODEL_LAYERS));
    const bool alone = bp->style->family == WS_FAMILY_MAMBA || traits(m) & WS_ONLY_STATES;
    const bool both = traits(m) & WS_STATES_AND_ATTENTION;
    bool any = false;
    for (size_t i = 0; i < bp->n_layer; i++) {
        ws_bp_layer *l = &bp->layers[i];
        const bool attends = !alone && layer_is(m, i, '*', "full_attention", in_period(i, offset, period));
        const bool mixes = !(traits(m) & WS_ONE_THING) || layer_is(m, i, 'M', "mamba linear_attention", false);
        l->recurrent = both || (!attends && mixes);
        if (!attends && !both) l->n_head_kv = 0;
        if (traits(m) & WS_ONE_THING && (attends || mixes)) l->n_ff = 0;
        any |= l->recurrent;
    }
    bp->dt_norm = m->features & DT_NORM;
    bp->no_rope = m->features & GRANITE4 && any;
    if (any || !(m->features & GRANITE4)) return WS_OK;
    /* Granite 4 without Mamba is a plain Granite */
    bp->conv_kernel = bp->d_inner = bp->d_state = bp->dt_rank = bp->n_groups = 0;
    WS_TRY(hf_number(m, "max_position_embeddings", &bp->n_ctx_train, UINT32_MAX));
    const char *plain = bp->n_expert ? "granitemoe" : "granite";
    bp->style = ws_style_find(plain, strlen(plain));
    snprintf(bp->architecture, sizeof bp->architecture, "%s", plain);
    return WS_OK;
}

ws_status hf_find_expert_layers(maker *m) {
    uint64_t offset = 0, period = 1;
    if (m->features & EXPERTS_ALTERNATE) {
        WS_TRY(hf_number(m, "interleave_moe_layer_step", &period, WS_MAX_MODEL_LAYERS));
        offset = period ? period - 1 : 0;
    }
    WS_TRY(hf_number(m, "expert_layer_offset", &offset, WS_MAX_MODEL_LAYERS));
    WS_TRY(hf_number(m, "expert_layer_period", &period, WS_MAX_MODEL_LAYERS));
    m->expert_offset = offset;
    m->expert_period = period;
    return WS_OK;
}

bool hf_has_experts(const maker *m, size_t layer) {
    const ws_blueprint *bp = m->bp;
    return bp->n_expert && !(m->features & GEMMA4) && layer >= bp->n_dense_lead &&
           in_period(layer, m->expert_offset, m->expert_period);
}

/* ---- tensors ---- */

static ws_status add_first(maker *m, size_t i) {
    const ws_blueprint *bp = m->bp;
    const uint64_t e = bp->n_embd, d = bp->d_inner, state = bp->d_state, rank = bp->dt_rank;
    const row rows[] = {
        {"attn_norm.weight", false, 0, 0, {e, 1, 1}},
        {"ssm_in.weight", true, 0, 0, {e, 2 * d, 1}},
        {"ssm_conv1d.weight", false, 0, 0, {bp->conv_kernel, d, 1}},
        {"ssm_conv1d.bias", false, 0, 0, {d, 1, 1}},
        {"ssm_x.weight", true, 0, 0, {d, rank + 2 * state, 1}},
        {"ssm_dt_norm.weight", false, STATE_NORMS, 0, {rank, 1, 1}},
        {"ssm_b_norm.weight", false, STATE_NORMS, 0, {state, 1, 1}},
        {"ssm_c_norm.weight", false, STATE_NORMS, 0, {state, 1, 1}},
        {"ssm_dt.weight", true, 0, 0, {rank, d, 1}},
        {"ssm_dt.bias", false, 0, 0, {d, 1, 1}},
        {"ssm_a", false, 0, 0, {state, d, 1}},
        {"ssm_d", false, 0, 0, {d, 1, 1}},
        {"ssm_out.weight", true, 0, 0, {d, e, 1}},
        {"ffn_norm.weight", false, STATE_NORMS, 0, {e, 1, 1}},
    };
    return hf_add_rows(m, i, rows, COUNT(rows), m->type);
}

static ws_status add_second(maker *m, size_t i) {
    const ws_blueprint *bp = m->bp;
    const uint64_t e = bp->n_embd, d = bp->d_inner, groups = bp->n_groups, heads = bp->dt_rank;
    const uint64_t channels = d + 2 * groups * bp->d_state;
    if (!(traits(m) & WS_STATES_AND_ATTENTION)) {
        WS_TRY(hf_add_layer(m, "attn_norm.weight", i, WS_TYPE_F32, e, 1, 1));
        WS_TRY(hf_add_layer(m, "ssm_norm.weight", i, WS_TYPE_F32, d / groups, groups, 1));
    } else if (hf_is_true(m, "mamba_rms_norm", false)) {
        WS_TRY(hf_add_layer(m, "ssm_norm.weight", i, WS_TYPE_F32, d / groups, groups, 1));
    }
    if (hf_is_true(m, "mamba_conv_bias|use_conv_bias", true))
        WS_TRY(hf_add_layer(m, "ssm_conv1d.bias", i, WS_TYPE_F32, channels, 1, 1));
    const row rows[] = {
        {"ssm_in.weight", true, 0, 0, {e, d + channels + heads, 1}},
        {"ssm_conv1d.weight", false, 0, 0, {bp->conv_kernel, channels, 1}},
        {"ssm_dt.bias", false, 0, 0, {heads, 1, 1}},
        {"ssm_a", false, 0, 0, {1, heads, 1}},
        {"ssm_d", false, 0, 0, {1, heads, 1}},
        {"ssm_out.weight", true, 0, 0, {d, e, 1}},
        {"ffn_norm.weight", false, GRANITE4, 0, {e, 1, 1}},
    };
    return hf_add_rows(m, i, rows, COUNT(rows), m->type);
}

ws_status hf_add_mamba(maker *m, size_t i) { return is_first(m) ? add_first(m, i) : add_second(m, i); }
