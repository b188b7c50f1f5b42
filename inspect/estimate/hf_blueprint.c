/* Names and shapes are those of convert_hf_to_gguf.py for each class. */
#include "hf_blueprint.h"

#include "alloc.h"
#include "hf_maker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GPT    (NORM_BIAS | FUSED_QKV | QKV_BIAS | OUT_BIAS | NO_GATE | FFN_BIAS | TIED)
#define QWEN35 (QK_NORM | FFN_NORM_IS_POST | DELTA_NET)
#define PHI2   (NORM_BIAS | NO_FFN_NORM | NO_GATE | FFN_BIAS | QKV_BIAS | OUT_BIAS | OUTPUT_BIAS)

enum { MAMBA_CTX = 1 << 20, FALCON_CTX = 2048 };

static const struct {
    const char *hf_class, *arch;
    uint64_t features;
    uint64_t context; /* that convert writes whatever the config says; 0: the config's */
} classes[] = {
    {"LlamaForCausalLM", "llama", QKV_BIAS_BY_KEY, 0},
    {"MistralForCausalLM", "llama", 0, 0},
    {"MixtralForCausalLM", "llama", 0, 0},
    {"Mistral3ForConditionalGeneration", "mistral3", 0, 0},
    {"Qwen2ForCausalLM", "qwen2", QKV_BIAS, 0},
    {"Qwen2_5_VLForConditionalGeneration", "qwen2vl", QKV_BIAS | NARROW_HEADS, 0},
    {"Qwen2MoeForCausalLM", "qwen2moe", QKV_BIAS, 0},
    {"Qwen3ForCausalLM", "qwen3", QK_NORM, 0},
    {"Qwen3MoeForCausalLM", "qwen3moe", QK_NORM, 0},
    {"Phi3ForCausalLM", "phi3", FUSED_QKV | MERGED_GATE, 0},
    {"GemmaForCausalLM", "gemma", TIED, 0},
    {"Gemma2ForCausalLM", "gemma2", POST_NORMS | TIED, 0},
    {"Gemma3ForCausalLM", "gemma3", QK_NORM | POST_NORMS | TIED, 0},
    {"Gemma3ForConditionalGeneration", "gemma3", QK_NORM | POST_NORMS | TIED, 0},
    {"GptOssForCausalLM", "gpt-oss", QKV_BIAS | OUT_BIAS | FFN_NORM_IS_POST | SINKS | EXPERT_BIAS, 0},
    {"DeepseekV2ForCausalLM", "deepseek2", LATENT, 0},
    {"DeepseekV3ForCausalLM", "deepseek2", LATENT | PROBS_BIAS, 0},
    {"SmolLM3ForCausalLM", "smollm3", TIED, 0},
    {"Olmo2ForCausalLM", "olmo2", ONLY_POST | ROW_QK_NORM, 0},
    {"Olmo3ForCausalLM", "olmo2", ONLY_POST | ROW_QK_NORM, 0},
    {"GraniteForCausalLM", "granite", TIED | NARROW_HEADS | MULTIPLIERS, 0},
    {"CohereForCausalLM", "command-r", NO_FFN_NORM | TIED, 0},
    {"Cohere2ForCausalLM", "cohere2", NO_FFN_NORM | TIED, 0},
    {"Glm4ForCausalLM", "glm4", MERGED_GATE | POST_NORMS | QKV_BIAS_BY_KEY, 0},
    {"Glm4MoeForCausalLM", "glm4moe", FFN_NORM_IS_POST | PROBS_BIAS | QKV_BIAS_BY_KEY, 0},
    {"SeedOssForCausalLM", "seed_oss", FFN_NORM_IS_POST | QKV_BIAS_BY_KEY, 0},
    {"Qwen3VLForConditionalGeneration", "qwen3vl", QK_NORM, 0},
    {"Qwen3VLMoeForConditionalGeneration", "qwen3vlmoe", QK_NORM, 0},
    {"Qwen3NextForCausalLM", "qwen3next", QK_NORM | FFN_NORM_IS_POST | DELTA_NET | ONE_BA, 0},
    {"Qwen3_5ForConditionalGeneration", "qwen35", QWEN35, 0},
    {"Qwen3_5ForCausalLM", "qwen35", QWEN35, 0},
    {"Qwen3_5MoeForConditionalGeneration", "qwen35moe", QWEN35, 0},
    {"Qwen3_5MoeForCausalLM", "qwen35moe", QWEN35, 0},
    {"Gemma4ForConditionalGeneration", "gemma4", GEMMA4 | TIED, 0},
    {"Gemma4ForCausalLM", "gemma4", GEMMA4 | TIED, 0},
    {"Lfm2ForCausalLM", "lfm2", QK_NORM | SHORT_CONV | TIED, 0},
    {"Lfm2MoeForCausalLM", "lfm2moe", QK_NORM | SHORT_CONV | PROBS_BIAS | TIED, 0},
    {"Ernie4_5ForCausalLM", "ernie4_5", TIED, 0},
    {"Ernie4_5_MoeForCausalLM", "ernie4_5-moe", PROBS_BIAS | TIED, 0},
    {"HunYuanDenseV1ForCausalLM", "hunyuan-dense", QK_NORM, 0},
    {"Exaone4ForCausalLM", "exaone4", ONLY_POST | QK_NORM, 0},
    {"ArceeForCausalLM", "arcee", NO_GATE, 0},
    {"ApertusForCausalLM", "apertus", QK_NORM | NO_GATE, 0},
    {"OlmoeForCausalLM", "olmoe", ROW_QK_NORM, 0},
    {"GraniteMoeForCausalLM", "granitemoe", TIED | NARROW_HEADS | MULTIPLIERS, 0},
    {"MiniMaxM2ForCausalLM", "minimax-m2", ROW_QK_NORM | PROBS_BIAS, 0},
    {"Dots1ForCausalLM", "dots1", QK_NORM | PROBS_BIAS, 0},
    {"AfmoeForCausalLM", "afmoe", QK_NORM | POST_NORMS | ATTN_GATE | PROBS_BIAS, 0},
    {"NemotronForCausalLM", "nemotron", NORM_BIAS | NO_GATE, 0},
    {"StableLmForCausalLM", "stablelm", NORM_BIAS | QKV_BIAS_BY_KEY, 0},
    {"Starcoder2ForCausalLM", "starcoder2", NORM_BIAS | NO_GATE | FFN_BIAS | QKV_BIAS | OUT_BIAS | TIED, 0},
    {"Gemma3nForConditionalGeneration", "gemma3n", QK_NORM | POST_NORMS | TIED, 0},
    {"Gemma3nForCausalLM", "gemma3n", QK_NORM | POST_NORMS | TIED, 0},
    {"Llama4ForConditionalGeneration", "llama4", EXPERTS_ALTERNATE, 0},
    {"Llama4ForCausalLM", "llama4", EXPERTS_ALTERNATE, 0},
    {"LlavaForConditionalGeneration", "llama", 0, 0},
    {"Idefics3ForConditionalGeneration", "llama", 0, 0},
    {"SmolVLMForConditionalGeneration", "llama", 0, 0},
    {"VLlama3ForCausalLM", "llama", 0, 0},
    {"InternLM3ForCausalLM", "llama", QKV_BIAS_BY_KEY, 0},
    {"Ministral3ForCausalLM", "mistral3", 0, 0},
    {"Qwen2VLForConditionalGeneration", "qwen2vl", QKV_BIAS | NARROW_HEADS, 0},
    {"FalconForCausalLM", "falcon", NORM_BIAS | FUSED_QKV | NO_FFN_NORM | NO_GATE | NORM_BY_KEY | TIED, FALCON_CTX},
    {"GPT2LMHeadModel", "gpt2", GPT | PLACES, 0},
    {"GPTBigCodeForCausalLM", "starcoder", GPT | PLACES, 0},
    {"BloomForCausalLM", "bloom", GPT | CTX_IS_SEQ_LENGTH, 0},
    {"GPTNeoXForCausalLM", "gptneox", GPT & ~TIED, 0},
    {"PhiForCausalLM", "phi2", PHI2, 0},
    {"PhiMoEForCausalLM", "phimoe", NORM_BIAS | QKV_BIAS_BY_KEY | OUT_BIAS | OUTPUT_BIAS, 0},
    {"OlmoForCausalLM", "olmo", NO_NORMS, 0},
    {"MambaForCausalLM", "mamba", TIED, MAMBA_CTX},
    {"FalconMambaForCausalLM", "mamba", TIED | DT_NORM, MAMBA_CTX},
    {"Mamba2ForCausalLM", "mamba2", 0, MAMBA_CTX},
    {"JambaForCausalLM", "jamba", STATE_NORMS, 0},
    {"FalconH1ForCausalLM", "falcon-h1", NO_FFN_NORM, 0},
    {"NemotronHForCausalLM", "nemotron_h", NO_GATE | NO_FFN_NORM | PROBS_BIAS, MAMBA_CTX},
    {"GraniteMoeHybridForCausalLM", "granitehybrid", GRANITE4 | NARROW_HEADS | MULTIPLIERS, MAMBA_CTX},
    {"GraniteMoeSharedForCausalLM", "granitemoe", TIED | NARROW_HEADS | MULTIPLIERS, 0},
    {"GlmForCausalLM", "chatglm", MERGED_GATE | QKV_BIAS_BY_KEY | CTX_IS_SEQ_LENGTH, 0},
    {"Glm4vForConditionalGeneration", "glm4", MERGED_GATE | POST_NORMS | QKV_BIAS, 0},
    {"Glm4vMoeForConditionalGeneration", "glm4moe", FFN_NORM_IS_POST | PROBS_BIAS | QKV_BIAS_BY_KEY, 0},
    {"Glm4MoeLiteForCausalLM", "deepseek2", LATENT | PROBS_BIAS, 0},
    {"MiniCPM3ForCausalLM", "minicpm3", LATENT | WHOLE_KV, 0},
    {"ExaoneMoeForCausalLM", "exaone-moe", QK_NORM | PROBS_BIAS, 0},
    {"Cohere2MoeForCausalLM", "cohere2moe", NO_FFN_NORM | TIED, 0},
    {"Lfm2VlForConditionalGeneration", "lfm2", QK_NORM | SHORT_CONV | TIED, 0},
    {"GraniteSWAForCausalLM", "granite_swa", TIED | NARROW_HEADS | MULTIPLIERS | SINKS, 0},
};

/* ---- numbers ---- */

/* The first of several keys, separated by '|', that is there. */
const cJSON *hf_find(const maker *m, const char *keys) {
    for (const char *at = keys; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
        char key[64];
        snprintf(key, sizeof key, "%.*s", (int)strcspn(at, "|"), at);
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->text, key);
        if (!item) item = cJSON_GetObjectItemCaseSensitive(m->root, key);
        if (item && !cJSON_IsNull(item)) return item;
    }
    return NULL;
}

/* *out keeps its value when there is no such key. */
ws_status hf_number(const maker *m, const char *keys, uint64_t *out, uint64_t most) {
    const cJSON *item = hf_find(m, keys);
    if (!item) return WS_OK;
    if (!ws_json_u64(item, out) || *out > most)
        return ws_fail(m->err, WS_FORMAT, "'%s': '%.*s' is not a whole number of at most %" PRIu64, m->source,
                       (int)strcspn(keys, "|"), keys, most);
    return WS_OK;
}

ws_status hf_needed(const maker *m, const char *keys, uint64_t *out, uint64_t most) {
    *out = 0;
    WS_TRY(hf_number(m, keys, out, most));
    return *out ? WS_OK : ws_fail(m->err, WS_FORMAT, "'%s' has no '%.*s'", m->source, (int)strcspn(keys, "|"), keys);
}

bool hf_is_true(const maker *m, const char *key, bool otherwise) {
    const cJSON *item = hf_find(m, key);
    return item ? cJSON_IsTrue(item) : otherwise;
}

static bool has_factor(const maker *m, const char *key, double neutral) {
    const cJSON *item = hf_find(m, key);
    return cJSON_IsNumber(item) && item->valuedouble != 0 && item->valuedouble != neutral;
}

static ws_status read_sliding(maker *m) {
    ws_blueprint *bp = m->bp;
    uint64_t period = bp->style->sliding_period;
    if (!period) return WS_OK;
    bp->window = bp->style->window;
    if (!(bp->style->traits & WS_FIXED_WINDOW)) WS_TRY(hf_number(m, "sliding_window", &bp->window, UINT32_MAX));
    if (!bp->window || (bp->style->traits & WS_IF_64_LAYERS && bp->n_layer != 64)) return WS_OK;
    WS_TRY(hf_number(m, "sliding_window_pattern", &period, WS_MAX_MODEL_LAYERS));
    ws_blueprint_slide(bp, period);
    const cJSON *types = hf_find(m, "layer_types"), *type;
    size_t i = 0;
    cJSON_ArrayForEach(type, types) {
        if (i < bp->n_layer && cJSON_IsString(type))
            bp->layers[i].sliding = strcmp(type->valuestring, "sliding_attention") == 0 ||
                                    strcmp(type->valuestring, "chunked_attention") == 0;
        i++;
    }
    return WS_OK;
}

static ws_status read_latent(maker *m) {
    ws_blueprint *bp = m->bp;
    uint64_t nope = 0;
    WS_TRY(hf_needed(m, "kv_lora_rank", &bp->lora_kv, MAX_SIZE));
    WS_TRY(hf_number(m, "q_lora_rank", &bp->lora_q, MAX_SIZE));
    WS_TRY(hf_needed(m, "qk_rope_head_dim", &bp->n_rot, MAX_SIZE));
    WS_TRY(hf_needed(m, "qk_nope_head_dim", &nope, MAX_SIZE));
    WS_TRY(hf_needed(m, "v_head_dim", &bp->value_mla, MAX_SIZE));
    const bool whole = m->features & WHOLE_KV;
    if (!whole) bp->key_mla = nope + bp->n_rot;
    for (size_t i = 0; i < bp->n_layer; i++) {
        ws_bp_layer *l = &bp->layers[i];
        l->head_k = whole ? nope + bp->n_rot : bp->lora_kv + bp->n_rot;
        l->head_v = whole ? bp->n_embd / l->n_head : bp->lora_kv;
        l->n_head_kv = whole ? l->n_head : 1;
    }
    return WS_OK;
}

static ws_status read_experts(maker *m, uint64_t *ff, uint64_t *used) {
    ws_blueprint *bp = m->bp;
    *used = 0;
    WS_TRY(hf_number(m, "num_local_experts|num_experts|n_routed_experts|moe_num_experts", &bp->n_expert, 4096));
    if (strcmp(bp->architecture, "nemotron_h") == 0) bp->n_expert = 0; /* a number that no layer uses */
    if (!bp->n_expert) return WS_OK;
    WS_TRY(hf_needed(m, "num_experts_per_tok|experts_per_token|moe_k|top_k_experts|moe_topk", used, bp->n_expert));
    WS_TRY(hf_number(m, "moe_intermediate_size|intermediate_size", ff, MAX_SIZE));
    WS_TRY(hf_number(m, "first_k_dense_replace|num_dense_layers|moe_layer_start_index", &bp->n_dense_lead,
                     WS_MAX_MODEL_LAYERS));
    WS_TRY(hf_number(m, "n_group", &bp->n_expert_groups, bp->n_expert));
    WS_TRY(hf_number(m, "topk_group", &bp->n_group_used, bp->n_expert));
    const uint64_t traits = bp->style->traits;
    const bool sigmoid = traits & (WS_SIGMOID_EXPERTS | WS_WEIGHT_BEFORE) || m->features & PROBS_BIAS;
    bp->gate = traits & WS_WEIGHTS_SOFTMAX ? WS_GATE_SOFTMAX_WEIGHT : sigmoid ? WS_GATE_SIGMOID : WS_GATE_SOFTMAX;
    bp->expert_norm = traits & WS_NORM_EXPERTS || hf_is_true(m, "norm_topk_prob", false);
    bp->expert_scale = has_factor(m, "routed_scaling_factor", 1);
    if (bp->n_expert_groups <= 1) bp->n_expert_groups = 0;
    return hf_find_expert_layers(m);
}

/* Models of states alone have neither heads nor a feed-forward. */
static ws_status read_widths(maker *m, uint64_t *heads, uint64_t *kv, uint64_t *head, uint64_t *ff) {
    const ws_blueprint *bp = m->bp;
    if (hf_is_mamba(m) && (bp->style->family == WS_FAMILY_MAMBA || bp->style->traits & WS_ONLY_STATES)) return WS_OK;
    WS_TRY(hf_needed(m, "num_attention_heads|n_head|n_heads", heads, 1 << 14));
    *kv = hf_is_true(m, "multi_query", false) ? 1 : *heads;
    WS_TRY(hf_number(m, "num_key_value_heads|num_kv_heads|n_head_kv", kv, 1 << 14));
    *head = bp->n_embd / *heads;
    if (!(m->features & NARROW_HEADS)) WS_TRY(hf_number(m, "head_dim|attention_head_dim", head, MAX_SIZE));
    const char *keys = m->features & EXPERTS_ALTERNATE           ? "intermediate_size_mlp"
                       : m->features & GRANITE4 && !bp->n_expert ? "shared_intermediate_size"
                                                                 : "intermediate_size|n_inner|ffn_hidden_size";
    if (!hf_find(m, keys) && m->features & NO_GATE) *ff = 4 * bp->n_embd;
    const cJSON *first = cJSON_GetArrayItem(hf_find(m, keys), 0); /* Gemma 3n has a list of one width */
    if (first && ws_json_u64(first, ff) && *ff <= MAX_SIZE) return WS_OK;
    return *ff ? WS_OK : hf_needed(m, keys, ff, MAX_SIZE);
}

static ws_status read_layers(maker *m) {
    ws_blueprint *bp = m->bp;
    uint64_t heads = 0, kv = 0, head = 0, ff = 0, expert_ff = 0, used;
    WS_TRY(read_experts(m, &expert_ff, &used));
    WS_TRY(read_widths(m, &heads, &kv, &head, &ff));
    if (!bp->n_expert) expert_ff = ff;
    bp->layers = ws_alloc(bp->n_layer, sizeof *bp->layers, "layers", m->err);
    if (!bp->layers) return WS_NOMEM;
    for (size_t i = 0; i < bp->n_layer; i++)
        bp->layers[i] = (ws_bp_layer){.n_head = heads,
                                      .n_head_kv = kv,
                                      .head_k = head,
                                      .head_v = head,
                                      .n_ff = ff,
                                      .n_ff_expert = expert_ff,
                                      .n_expert_used = used,
                                      .cache_of = (int32_t)i};
    if (m->features & LATENT) WS_TRY(read_latent(m));
    WS_TRY(read_sliding(m));
    return hf_read_kinds(m);
}

static ws_status read_numbers(maker *m) {
    ws_blueprint *bp = m->bp;
    const cJSON *kinds = hf_find(m, "layers_block_type");
    bp->n_layer = (uint64_t)cJSON_GetArraySize(kinds);
    if (!bp->n_layer)
        WS_TRY(hf_needed(m, "num_hidden_layers|n_layer|n_layers|num_layers", &bp->n_layer, WS_MAX_MODEL_LAYERS));
    WS_TRY(hf_needed(m, "hidden_size|n_embd|d_model", &bp->n_embd, MAX_SIZE));
    WS_TRY(hf_needed(m, "vocab_size", &bp->n_vocab, MAX_SIZE));
    if (m->features & CTX_IS_SEQ_LENGTH) bp->n_ctx_train = bp->n_embd;
    if (m->features & CTX_IS_SEQ_LENGTH) WS_TRY(hf_number(m, "seq_length", &bp->n_ctx_train, UINT32_MAX));
    if (!bp->n_ctx_train)
        WS_TRY(hf_number(m, "max_position_embeddings|n_ctx|n_positions", &bp->n_ctx_train, UINT32_MAX));
    bp->n_layer_all = bp->n_layer;
    bp->final_cap = has_factor(m, "final_logit_softcapping", 0) || bp->style->traits & WS_SOFT_CAP ||
                    bp->style->family == WS_FAMILY_GEMMA3N;
    bp->causal = !(bp->style->traits & WS_NO_CACHE);
    bp->logit_scale = has_factor(m, "logit_scale|logits_scaling", 0);
    const bool scaled = m->features & MULTIPLIERS;
    bp->embd_scale = scaled && has_factor(m, "embedding_multiplier", 0);
    bp->residual_scale = scaled && has_factor(m, "residual_multiplier", 0);
    return read_layers(m);
}

/* ---- tensors ---- */

ws_status hf_add(maker *m, const char *name, ws_dtype type, uint64_t ne0, uint64_t ne1, uint64_t ne2) {
    ws_blueprint *bp = m->bp;
    WS_TRY(ws_grow(&bp->own_tensors, &m->cap, bp->n_tensors + 1, sizeof *bp->own_tensors, m->err));
    ws_tensor *t = &bp->own_tensors[bp->n_tensors++];
    *t = (ws_tensor){.name = ws_arena_strndup(&bp->names, name, strlen(name), m->err),
                     .type = type,
                     .n_dims = ne2 > 1   ? 3
                               : ne1 > 1 ? 2
                                         : 1,
                     .ne = {ne0, ne1, ne2, 1}};
    if (!t->name) return WS_NOMEM;
    uint64_t matrix;
    if (ws_mul_overflows(ne0, ne1, &matrix) || ws_mul_overflows(matrix, ne2, &t->n_elements) ||
        !ws_dtype_bytes(type, t->n_elements, &t->bytes))
        return ws_fail(m->err, WS_FORMAT, "'%s': tensor '%s' would be too large", m->source, name);
    return WS_OK;
}

ws_status hf_add_layer(maker *m, const char *what, size_t layer, ws_dtype type, uint64_t ne0, uint64_t ne1,
                       uint64_t ne2) {
    char name[96];
    snprintf(name, sizeof name, "blk.%zu.%s", layer, what);
    return hf_add(m, name, type, ne0, ne1, ne2);
}

ws_status hf_add_rows(maker *m, size_t layer, const row *rows, size_t n, ws_dtype type) {
    for (size_t i = 0; i < n; i++)
        if ((m->features & rows[i].with) == rows[i].with && !(m->features & rows[i].without))
            WS_TRY(hf_add_layer(m, rows[i].name, layer, rows[i].matrix ? type : WS_TYPE_F32, rows[i].ne[0],
                                rows[i].ne[1], rows[i].ne[2]));
    return WS_OK;
}

static ws_status add_attention(maker *m, size_t i) {
    const ws_bp_layer *l = &m->bp->layers[i];
    const uint64_t e = m->bp->n_embd, q = l->n_head * l->head_k, k = l->n_head_kv * l->head_k,
                   v = l->n_head_kv * l->head_v;
    const uint64_t qn = m->features & ROW_QK_NORM ? q : l->head_k, kn = m->features & ROW_QK_NORM ? k : l->head_k;
    const row rows[] = {
        {"attn_norm.weight", false, 0, ONLY_POST | NO_NORMS, {e, 1, 1}},
        {"attn_norm.bias", false, NORM_BIAS, 0, {e, 1, 1}},
        {"attn_norm_2.weight", false, TWO_NORMS, 0, {e, 1, 1}},
        {"attn_norm_2.bias", false, TWO_NORMS, 0, {e, 1, 1}},
        {"attn_qkv.weight", true, FUSED_QKV, 0, {e, q + k + v, 1}},
        {"attn_q.weight", true, 0, FUSED_QKV, {e, m->features & DELTA_NET ? 2 * q : q, 1}}, /* with a gate */
        {"attn_gate.weight", true, ATTN_GATE, 0, {e, q, 1}},
        {"attn_k.weight", true, 0, FUSED_QKV, {e, k, 1}},
        {"attn_v.weight", true, 0, FUSED_QKV, {e, v, 1}},
        {"attn_qkv.bias", false, FUSED_QKV | QKV_BIAS, 0, {q + k + v, 1, 1}},
        {"attn_q.bias", false, QKV_BIAS, FUSED_QKV, {q, 1, 1}},
        {"attn_k.bias", false, QKV_BIAS, FUSED_QKV, {k, 1, 1}},
        {"attn_v.bias", false, QKV_BIAS, FUSED_QKV, {v, 1, 1}},
        {"attn_q_norm.weight", false, QK_NORM, 0, {qn, 1, 1}},
        {"attn_k_norm.weight", false, QK_NORM, 0, {kn, 1, 1}},
        {"attn_output.weight", true, 0, 0, {l->n_head * l->head_v, e, 1}},
        {"attn_output.bias", false, OUT_BIAS, 0, {e, 1, 1}},
        {"attn_sinks.weight", false, SINKS, 0, {l->n_head, 1, 1}},
        {"post_attention_norm.weight", false, POST_NORMS, 0, {e, 1, 1}},
        {"post_attention_norm.weight", false, ONLY_POST, 0, {e, 1, 1}},
        {"post_attention_norm.weight", false, FFN_NORM_IS_POST, 0, {e, 1, 1}},
        {"ffn_norm.weight", false, 0, ONLY_POST | FFN_NORM_IS_POST | NO_FFN_NORM | NO_NORMS, {e, 1, 1}},
        {"ffn_norm.bias", false, NORM_BIAS, NO_FFN_NORM, {e, 1, 1}},
        {"post_ffw_norm.weight", false, POST_NORMS, 0, {e, 1, 1}},
        {"post_ffw_norm.weight", false, ONLY_POST, 0, {e, 1, 1}},
    };
    return hf_add_rows(m, i, rows, sizeof rows / sizeof *rows, m->type);
}

static ws_status add_latent_attention(maker *m, size_t i) {
    const ws_blueprint *bp = m->bp;
    const ws_bp_layer *l = &bp->layers[i];
    const uint64_t e = bp->n_embd, heads = l->n_head, key = bp->key_mla ? bp->key_mla : l->head_k,
                   nope = key - bp->n_rot;
    WS_TRY(hf_add_layer(m, "attn_norm.weight", i, WS_TYPE_F32, e, 1, 1));
    if (bp->lora_q) {
        WS_TRY(hf_add_layer(m, "attn_q_a.weight", i, m->type, e, bp->lora_q, 1));
        WS_TRY(hf_add_layer(m, "attn_q_a_norm.weight", i, WS_TYPE_F32, bp->lora_q, 1, 1));
        WS_TRY(hf_add_layer(m, "attn_q_b.weight", i, m->type, bp->lora_q, heads * key, 1));
    } else {
        WS_TRY(hf_add_layer(m, "attn_q.weight", i, m->type, e, heads * key, 1));
    }
    const row rows[] = {
        {"attn_kv_a_norm.weight", false, 0, 0, {bp->lora_kv, 1, 1}},
        {"attn_kv_a_mqa.weight", true, 0, 0, {e, bp->lora_kv + bp->n_rot, 1}},
        {"attn_kv_b.weight", true, WHOLE_KV, 0, {bp->lora_kv, heads * (nope + bp->value_mla), 1}},
        {"attn_k_b.weight", true, 0, WHOLE_KV, {nope, bp->lora_kv, heads}},
        {"attn_v_b.weight", true, 0, WHOLE_KV, {bp->lora_kv, bp->value_mla, heads}},
        {"attn_output.weight", true, 0, 0, {heads * bp->value_mla, e, 1}},
        {"ffn_norm.weight", false, 0, 0, {e, 1, 1}},
    };
    return hf_add_rows(m, i, rows, sizeof rows / sizeof *rows, m->type);
}

ws_status hf_add_dense(maker *m, size_t i, const char *infix, uint64_t ff) {
    static const char *const names[] = {"gate", "up", "down"};
    for (int n = 0; n < 3; n++) {
        char name[64];
        const bool down = n == 2, merged = m->features & MERGED_GATE;
        if ((merged || m->features & NO_GATE) && n == 0) continue;
        snprintf(name, sizeof name, "ffn_%s%s.weight", names[n], infix);
        const uint64_t e = m->bp->n_embd, wide = merged && !down ? 2 * ff : ff;
        WS_TRY(hf_add_layer(m, name, i, m->type, down ? ff : e, down ? e : wide, 1));
    }
    if (!(m->features & FFN_BIAS)) return WS_OK;
    WS_TRY(hf_add_layer(m, "ffn_up.bias", i, WS_TYPE_F32, ff, 1, 1));
    return hf_add_layer(m, "ffn_down.bias", i, WS_TYPE_F32, m->bp->n_embd, 1, 1);
}

static ws_status add_shared(maker *m, size_t i) {
    uint64_t n = 0, ff = 0;
    static const char *const widths =
        "shared_expert_intermediate_size|moe_shared_expert_intermediate_size|shared_intermediate_size";
    if (m->features & EXPERTS_ALTERNATE) n = 1;
    WS_TRY(hf_number(m, "n_shared_experts|num_shared_experts|moe_num_shared_experts|num_shared_expert", &n, 4096));
    WS_TRY(hf_number(m, widths, &ff, MAX_SIZE));
    if (!ff) ff = n * m->bp->layers[i].n_ff_expert;
    if (!ff) return WS_OK;
    if (m->bp->style->traits & WS_SHARED_GATE || m->features & DELTA_NET)
        WS_TRY(hf_add_layer(m, "ffn_gate_inp_shexp.weight", i, WS_TYPE_F32, m->bp->n_embd, 1, 1));
    return hf_add_dense(m, i, "_shexp", ff);
}

static ws_status add_experts(maker *m, size_t i) {
    uint64_t e = m->bp->n_embd;
    const uint64_t whole = e, ff = m->bp->layers[i].n_ff_expert, n = m->bp->n_expert;
    WS_TRY(hf_add_layer(m, "ffn_gate_inp.weight", i, WS_TYPE_F32, e, n, 1));
    WS_TRY(hf_number(m, "moe_latent_size", &e, MAX_SIZE)); /* Nemotron's experts may work in a smaller space */
    if (e != whole) {
        WS_TRY(hf_add_layer(m, "ffn_latent_down.weight", i, m->type, whole, e, 1));
        WS_TRY(hf_add_layer(m, "ffn_latent_up.weight", i, m->type, e, whole, 1));
    }
    const row rows[] = {
        {"ffn_gate_exps.weight", true, 0, NO_GATE, {e, ff, n}},
        {"ffn_up_exps.weight", true, 0, 0, {e, ff, n}},
        {"ffn_down_exps.weight", true, 0, 0, {ff, e, n}},
        {"ffn_gate_inp.bias", false, EXPERT_BIAS, 0, {n, 1, 1}},
        {"ffn_gate_exps.bias", false, EXPERT_BIAS, 0, {ff, n, 1}},
        {"ffn_up_exps.bias", false, EXPERT_BIAS, 0, {ff, n, 1}},
        {"ffn_down_exps.bias", false, EXPERT_BIAS, 0, {e, n, 1}},
        {"exp_probs_b.bias", false, PROBS_BIAS, 0, {n, 1, 1}},
    };
    WS_TRY(hf_add_rows(m, i, rows, sizeof rows / sizeof *rows, m->expert_type));
    return add_shared(m, i);
}

/* How much of a head is turned, where it is not all of it. */
static void read_rotation(maker *m) {
    const cJSON *rope = hf_find(m, "rope_parameters|rope_scaling"), *part = hf_find(m, "partial_rotary_factor");
    if (!part) part = cJSON_GetObjectItemCaseSensitive(rope, "partial_rotary_factor");
    if (m->features & LATENT) return; /* says it in elements */
    if (cJSON_IsNumber(part) && part->valuedouble > 0 && part->valuedouble < 1)
        m->bp->n_rot = (uint64_t)(part->valuedouble * (double)m->bp->layers[0].head_k);
}

/* Rotation factors that convert computes. */
static ws_status add_rope_factors(maker *m) {
    const cJSON *scaling = hf_find(m, "rope_scaling|rope_parameters");
    const char *kind = ws_json_str(scaling, "rope_type");
    if (!kind) kind = ws_json_str(scaling, "type");
    const uint64_t half = m->bp->layers[0].head_k / 2;
    if (kind && strcmp(kind, "llama3") == 0) return hf_add(m, "rope_freqs.weight", WS_TYPE_F32, half, 1, 1);
    if (!kind || strcmp(kind, "longrope") != 0) return WS_OK;
    WS_TRY(hf_add(m, "rope_factors_long.weight", WS_TYPE_F32, half, 1, 1));
    return hf_add(m, "rope_factors_short.weight", WS_TYPE_F32, half, 1, 1);
}

static ws_status add_mixer(maker *m, size_t i) {
    if (m->features & GEMMA4) return hf_add_gemma4_layer(m, i);
    if (m->features & LATENT) return add_latent_attention(m, i);
    if (m->bp->style->family == WS_FAMILY_HYBRID && m->bp->style->traits & WS_STATES_AND_ATTENTION) {
        WS_TRY(add_attention(m, i));
        WS_TRY(hf_add_layer(m, "ffn_norm", i, WS_TYPE_F32, m->bp->n_embd, 1, 1));
    }
    if (m->bp->layers[i].recurrent) return hf_add_state(m, i);
    if (m->bp->layers[i].n_head_kv) return add_attention(m, i);
    return hf_add_layer(m, "attn_norm.weight", i, WS_TYPE_F32, m->bp->n_embd, 1, 1); /* Nemotron-H: a feed-forward */
}

/* What stands before the first layer and behind the last, beside the embeddings. */
static ws_status add_ends(maker *m) {
    const ws_blueprint *bp = m->bp;
    const char *last = m->features & SHORT_CONV ? "token_embd_norm.weight" : "output_norm.weight";
    if (!(m->features & NO_NORMS)) WS_TRY(hf_add(m, last, WS_TYPE_F32, bp->n_embd, 1, 1));
    if (m->features & NORM_BIAS) WS_TRY(hf_add(m, "output_norm.bias", WS_TYPE_F32, bp->n_embd, 1, 1));
    if (m->features & NORM_BIAS && bp->style->traits & WS_EMBD_NORM) {
        WS_TRY(hf_add(m, "token_embd_norm.weight", WS_TYPE_F32, bp->n_embd, 1, 1));
        WS_TRY(hf_add(m, "token_embd_norm.bias", WS_TYPE_F32, bp->n_embd, 1, 1));
    }
    if (m->features & PLACES) WS_TRY(hf_add(m, "position_embd.weight", WS_TYPE_F32, bp->n_embd, bp->n_ctx_train, 1));
    if (m->features & OUTPUT_BIAS) WS_TRY(hf_add(m, "output.bias", WS_TYPE_F32, bp->n_vocab, 1, 1));
    /* of a model that sees, the whole's word goes before that of its language part */
    const cJSON *whole = cJSON_GetObjectItemCaseSensitive(m->root, "tie_word_embeddings");
    if (cJSON_IsBool(whole) ? cJSON_IsTrue(whole)
                            : hf_is_true(m, "tie_word_embeddings|tie_embedding", m->features & TIED))
        return WS_OK;
    return hf_add(m, "output.weight", m->type, bp->n_embd, bp->n_vocab, 1);
}

static ws_status add_tensors(maker *m) {
    ws_blueprint *bp = m->bp;
    WS_TRY(hf_add(m, "token_embd.weight", m->type, bp->n_embd, bp->n_vocab, 1));
    WS_TRY(add_ends(m));
    const bool gemma3n = bp->style->family == WS_FAMILY_GEMMA3N;
    if (gemma3n) WS_TRY(hf_add_gemma3n_model(m));
    WS_TRY(m->features & GEMMA4 ? hf_add_gemma4_model(m) : add_rope_factors(m));
    for (size_t i = 0; i < bp->n_layer; i++) {
        WS_TRY(add_mixer(m, i));
        if (gemma3n) WS_TRY(hf_add_gemma3n_layer(m, i));
        if (!bp->layers[i].n_ff) continue;
        WS_TRY(hf_has_experts(m, i) ? add_experts(m, i) : hf_add_dense(m, i, "", bp->layers[i].n_ff));
    }
    return WS_OK;
}

/* ---- the whole ---- */

static bool know_class(maker *m, const cJSON *config) {
    const cJSON *name = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(config, "architectures"), 0);
    for (size_t i = 0; cJSON_IsString(name) && i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i].hf_class, name->valuestring) == 0) {
            m->features = classes[i].features;
            m->bp->n_ctx_train = classes[i].context;
            snprintf(m->bp->architecture, sizeof m->bp->architecture, "%s", classes[i].arch);
            return true;
        }
    return false;
}

/* The language model's class goes before that of the model that sees. */
static ws_status find_class(maker *m) {
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(m->root, "architectures"), 0);
    if (!know_class(m, m->text) && !know_class(m, m->root)) {
        if (!cJSON_IsString(first))
            return ws_fail(m->err, WS_FORMAT, "'%s' does not say its 'architectures'", m->source);
        return ws_fail(m->err, WS_UNSUPPORTED,
                       "'%s': the tensors of '%.60s' are not known from a config.json; convert it to GGUF first",
                       m->source, first->valuestring);
    }
    char *arch = m->bp->architecture;
    if (strcmp(arch, "nemotron_h") == 0 && hf_has_kind(m, 'E', "moe")) strcat(arch, "_moe");
    m->bp->style = ws_style_find(arch, strlen(arch));
    return WS_OK;
}

static const cJSON *language_part(const cJSON *root) {
    static const char *const names[] = {"text_config", "llm_config", "lm_config"};
    const cJSON *thinker = cJSON_GetObjectItemCaseSensitive(root, "thinker_config");
    if (thinker) root = thinker;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cJSON *part = cJSON_GetObjectItemCaseSensitive(root, names[i]);
        if (part) return part;
    }
    return NULL;
}

static ws_status make(maker *m) {
    m->text = language_part(m->root);
    WS_TRY(find_class(m));
    if (m->features & QKV_BIAS_BY_KEY && hf_is_true(m, "attention_bias|use_qkv_bias", false)) m->features |= QKV_BIAS;
    if (hf_is_true(m, "use_qk_norm", false) && !(m->bp->style->traits & WS_QK_RMS)) m->features |= QK_NORM;
    if (m->features & ROW_QK_NORM) m->features |= QK_NORM;
    uint64_t norms = 2;
    WS_TRY(hf_number(m, "num_ln_in_parallel_attn", &norms, 2));
    if (m->features & NORM_BY_KEY && norms == 2 && hf_is_true(m, "new_decoder_architecture", false))
        m->features |= TWO_NORMS;
    const cJSON *dtype = hf_find(m, "torch_dtype|dtype");
    const char *type = cJSON_IsString(dtype) ? dtype->valuestring : "bfloat16";
    m->type = strcmp(type, "float32") == 0 ? WS_TYPE_F32 : strcmp(type, "float16") == 0 ? WS_TYPE_F16 : WS_TYPE_BF16;
    const char *method = ws_json_str(hf_find(m, "quantization_config"), "quant_method");
    m->expert_type = method && strcmp(method, "mxfp4") == 0 ? WS_TYPE_MXFP4 : m->type;
    WS_TRY(read_numbers(m));
    read_rotation(m);
    WS_TRY(add_tensors(m));
    m->bp->tensors = m->bp->own_tensors;
    m->bp->file_type = ws_dtype_name(m->type);
    return ws_blueprint_index(m->bp, m->source, m->err);
}

static ws_status from_json(ws_blueprint **out, const cJSON *root, const char *name, ws_error *err) {
    ws_blueprint *bp = ws_alloc(1, sizeof *bp, "model", err);
    if (!bp) return WS_NOMEM;
    maker m = {.bp = bp, .root = root, .source = name, .err = err};
    const ws_status status = make(&m);
    if (status)
        ws_blueprint_close(bp);
    else
        *out = bp;
    return status;
}

ws_status ws_blueprint_from_config_text(ws_blueprint **out, const char *text, size_t size, const char *name,
                                        ws_error *err) {
    *out = NULL;
    cJSON *root = ws_json_parse(text, size, name, err);
    if (!root) return err->code;
    const ws_status status = from_json(out, root, name, err);
    cJSON_Delete(root);
    return status;
}

ws_status ws_blueprint_from_config(ws_blueprint **out, const char *path, ws_error *err) {
    enum { LIMIT = 16 << 20 };
    *out = NULL;
    cJSON *root = ws_json_read(path, LIMIT, err);
    if (!root) return err->code;
    const ws_status status = from_json(out, root, path, err);
    cJSON_Delete(root);
    return status;
}
