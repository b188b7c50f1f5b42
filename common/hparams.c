/* hparams.c - the numbers of a model read from a GGUF file's metadata. */
#include "arch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Far above any model, far below what could overflow a product of two in 64 bits. */
static const uint64_t MAX_SIZE = UINT64_C(1) << 28;
enum { MAX_LAYERS = 1 << 16, MAX_HEAD = 1 << 16, KEY_BYTES = 96 };

typedef struct {
    const ws_gguf *g;
    const ws_arch *arch;
    ws_hparams *hp;
} reader;

/* The pair behind "ARCH.suffix"; `key` (KEY_BYTES) receives the full name for messages. */
static const ws_kv *find(const reader *r, const char *suffix, char *key) {
    snprintf(key, KEY_BYTES, "%s.%s", r->arch->name, suffix);
    return ws_gguf_kv(r->g, key);
}

typedef enum { NEEDED, OPTIONAL } presence; /* optional sizes keep the value they have */

typedef struct {
    const char *suffix;
    uint64_t *out;
    presence presence;
    uint64_t min, max;
} size_key;

static ws_status read_size(const reader *r, const size_key *want, ws_error *err) {
    char key[KEY_BYTES];
    const ws_kv *kv = find(r, want->suffix, key);
    if (kv && kv->type == WS_KV_ARRAY)
        return ws_fail(err, WS_UNSUPPORTED, "'%s': '%s' differs from layer to layer, which is not supported",
                       ws_gguf_path(r->g), key);
    const bool optional = want->presence == OPTIONAL && *want->out >= want->min;
    WS_TRY(optional ? ws_gguf_opt_u64(r->g, key, want->out, err) : ws_gguf_need_u64(r->g, key, want->out, err));
    if (*want->out < want->min || *want->out > want->max)
        return ws_fail(err, WS_FORMAT, "'%s': '%s' is %llu, expected %llu to %llu", ws_gguf_path(r->g), key,
                       (unsigned long long)*want->out, (unsigned long long)want->min, (unsigned long long)want->max);
    return WS_OK;
}

#define READ_SIZES(r, table, err) read_sizes(r, table, sizeof table / sizeof *table, err)

static ws_status read_sizes(const reader *r, const size_key *keys, size_t n, ws_error *err) {
    for (size_t i = 0; i < n; i++) WS_TRY(read_size(r, &keys[i], err));
    return WS_OK;
}

/* A missing number keeps the value it has. */
static ws_status read_float(const reader *r, const char *suffix, float min, float *out, ws_error *err) {
    char key[KEY_BYTES];
    find(r, suffix, key);
    WS_TRY(ws_gguf_opt_f32(r->g, key, out, err));
    if (!isfinite(*out) || *out < min)
        return ws_fail(err, WS_FORMAT, "'%s': '%s' is %g, expected a positive number", ws_gguf_path(r->g), key, *out);
    return WS_OK;
}

static const float POSITIVE = 1e-30f;

/* ---- sizes ---- */

/* The vocabulary's size: its own key in newer files, else the number of tokens, else the rows of the embedding. */
static ws_status read_vocab(const reader *r, ws_error *err) {
    const ws_kv *tokens = ws_gguf_kv(r->g, "tokenizer.ggml.tokens");
    const ws_tensor *embd = ws_gguf_tensor(r->g, "token_embd.weight");
    if (tokens && tokens->type == WS_KV_ARRAY)
        r->hp->n_vocab = tokens->n;
    else if (embd)
        r->hp->n_vocab = embd->ne[1];
    const size_key key = {"vocab_size", &r->hp->n_vocab, OPTIONAL, 1, MAX_SIZE};
    WS_TRY(read_size(r, &key, err));
    r->hp->n_token_types = 1;
    WS_TRY(ws_gguf_opt_u64(r->g, "tokenizer.ggml.token_type_count", &r->hp->n_token_types, err));
    if (r->hp->n_token_types >= 1 && r->hp->n_token_types <= MAX_HEAD) return WS_OK;
    return ws_fail(err, WS_FORMAT, "'%s': 'tokenizer.ggml.token_type_count' is %llu", ws_gguf_path(r->g),
                   (unsigned long long)r->hp->n_token_types);
}

static ws_status read_groups(const reader *r, ws_error *err) {
    enum { MAX_GROUPS = 64 };
    ws_hparams *hp = r->hp;
    const size_key keys[] = {
        {"expert_group_count", &hp->n_expert_group, OPTIONAL, 0, MAX_GROUPS},
        {"expert_group_used_count", &hp->n_group_used, OPTIONAL, 0, MAX_GROUPS},
    };
    WS_TRY(READ_SIZES(r, keys, err));
    const uint64_t groups = hp->n_expert_group, used = hp->n_group_used;
    if (groups < 2 ||
        (hp->n_expert % groups == 0 && used <= groups && used * (hp->n_expert / groups) >= hp->n_expert_used))
        return WS_OK;
    return ws_fail(err, WS_FORMAT, "'%s': %llu of %llu experts cannot be chosen from %llu of %llu groups",
                   ws_gguf_path(r->g), (unsigned long long)hp->n_expert_used, (unsigned long long)hp->n_expert,
                   (unsigned long long)used, (unsigned long long)groups);
}

static ws_status read_experts(const reader *r, ws_error *err) {
    ws_hparams *hp = r->hp;
    const size_key counts[] = {
        {"expert_count", &hp->n_expert, OPTIONAL, 0, MAX_HEAD},
        {"leading_dense_block_count", &hp->n_dense_lead, OPTIONAL, 0, MAX_LAYERS},
        {"expert_shared_count", &hp->n_expert_shared, OPTIONAL, 0, MAX_HEAD},
    };
    WS_TRY(READ_SIZES(r, counts, err));
    if (!hp->n_expert) return WS_OK;
    hp->n_ff_expert = hp->n_ff;
    const size_key sizes[] = {
        {"expert_used_count", &hp->n_expert_used, NEEDED, 1, hp->n_expert},
        {"expert_feed_forward_length", &hp->n_ff_expert, OPTIONAL, 1, MAX_SIZE},
    };
    WS_TRY(READ_SIZES(r, sizes, err));
    WS_TRY(read_groups(r, err));
    hp->n_ff_shared = hp->n_expert_shared * hp->n_ff_expert;
    const size_key shared = {"expert_shared_feed_forward_length", &hp->n_ff_shared, OPTIONAL, 0, MAX_SIZE};
    WS_TRY(read_size(r, &shared, err));

    enum { SOFTMAX = 1, SIGMOID = 2 };
    char key[KEY_BYTES];
    uint64_t gating = SOFTMAX;
    find(r, "expert_gating_func", key);
    WS_TRY(ws_gguf_opt_u64(r->g, key, &gating, err));
    if (gating != SOFTMAX && gating != SIGMOID)
        return ws_fail(err, WS_UNSUPPORTED, "'%s': '%s' is %llu, but only softmax (1) and sigmoid (2) are known",
                       ws_gguf_path(r->g), key, (unsigned long long)gating);
    hp->experts_sigmoid = gating == SIGMOID;
    find(r, "expert_weights_norm", key);
    uint64_t sum_1 = r->arch->traits & WS_EXPERTS_SUM_1 ? 1 : 0;
    WS_TRY(ws_gguf_opt_u64(r->g, key, &sum_1, err));
    hp->experts_sum_1 = sum_1;
    return read_float(r, "expert_weights_scale", 0, &hp->expert_scale, err);
}

static ws_status read_latent(const reader *r, ws_error *err) {
    ws_hparams *hp = r->hp;
    const size_key latent[] = {
        {"attention.kv_lora_rank", &hp->kv_latent, OPTIONAL, 0, MAX_HEAD},
        {"attention.q_lora_rank", &hp->q_latent, OPTIONAL, 0, MAX_SIZE},
    };
    WS_TRY(READ_SIZES(r, latent, err));
    if (!hp->kv_latent) return WS_OK;
    const size_key heads[] = {
        {"attention.key_length_mla", &hp->head_k_mla, NEEDED, hp->n_rot + 1, MAX_HEAD},
        {"attention.value_length_mla", &hp->head_v_mla, NEEDED, 1, MAX_HEAD},
    };
    WS_TRY(READ_SIZES(r, heads, err));
    if (hp->n_head_kv != 1 || hp->head_k != hp->kv_latent + hp->n_rot || hp->head_v != hp->kv_latent)
        return ws_fail(err, WS_FORMAT, "'%s': key length %llu and value length %llu do not fit '%s.%s' of %llu",
                       ws_gguf_path(r->g), (unsigned long long)hp->head_k, (unsigned long long)hp->head_v,
                       r->arch->name, "attention.kv_lora_rank", (unsigned long long)hp->kv_latent);
    return WS_OK;
}

static ws_status check_heads(const reader *r, ws_error *err) {
    const ws_hparams *hp = r->hp;
    if (hp->n_head % hp->n_head_kv != 0)
        return ws_fail(err, WS_FORMAT, "'%s': %llu heads cannot share %llu key/value heads", ws_gguf_path(r->g),
                       (unsigned long long)hp->n_head, (unsigned long long)hp->n_head_kv);
    if (hp->n_rot % 2 != 0 || hp->n_rot > hp->head_k)
        return ws_fail(err, WS_FORMAT, "'%s': %llu rope dimensions do not fit heads of %llu", ws_gguf_path(r->g),
                       (unsigned long long)hp->n_rot, (unsigned long long)hp->head_k);
    return WS_OK;
}

static ws_status read_shape(const reader *r, ws_error *err) {
    ws_hparams *hp = r->hp;
    const size_key main_sizes[] = {
        {"block_count", &hp->n_layer, NEEDED, 1, MAX_LAYERS},
        {"context_length", &hp->n_ctx_train, NEEDED, 1, UINT32_MAX},
        {"embedding_length", &hp->n_embd, NEEDED, 1, MAX_SIZE},
        {"feed_forward_length", &hp->n_ff, NEEDED, 1, MAX_SIZE},
        {"attention.head_count", &hp->n_head, NEEDED, 1, MAX_HEAD},
    };
    WS_TRY(READ_SIZES(r, main_sizes, err));
    hp->n_head_kv = hp->n_head;
    hp->head_k = hp->head_v = hp->n_embd % hp->n_head == 0 ? hp->n_embd / hp->n_head : 0;
    const size_key head_sizes[] = {
        {"attention.head_count_kv", &hp->n_head_kv, OPTIONAL, 1, hp->n_head},
        {"attention.key_length", &hp->head_k, OPTIONAL, 1, MAX_HEAD},
        {"attention.value_length", &hp->head_v, OPTIONAL, 1, MAX_HEAD},
    };
    WS_TRY(READ_SIZES(r, head_sizes, err));
    hp->n_rot = hp->head_k;
    const size_key rot = {"rope.dimension_count", &hp->n_rot, OPTIONAL, 1, MAX_HEAD};
    WS_TRY(read_size(r, &rot, err));
    WS_TRY(check_heads(r, err));
    WS_TRY(read_vocab(r, err));
    WS_TRY(read_experts(r, err));
    return read_latent(r, err);
}

/* ---- factors ---- */

static ws_status read_factors(const reader *r, ws_error *err) {
    ws_hparams *hp = r->hp;
    const bool layer_norm = r->arch->norm == WS_NORM_LAYER;
    WS_TRY(read_float(r, layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", POSITIVE,
                      &hp->norm_eps, err));
    const uint64_t key = hp->n_layer == r->arch->odd_layers ? hp->n_embd / hp->n_head
                         : hp->kv_latent                    ? hp->head_k_mla
                                                            : hp->head_k;
    hp->attn_scale = 1.0f / sqrtf((float)key);
    hp->embd_scale = r->arch->traits & WS_EMBD_SQRT ? sqrtf((float)hp->n_embd) : 1;
    const struct {
        const char *suffix;
        float *out;
        float min;
    } factors[] = {
        {"attention.scale", &hp->attn_scale, 0},
        {"embedding_scale", &hp->embd_scale, 0},
        {"residual_scale", &hp->residual_scale, 0},
        {"logit_scale", &hp->logit_scale, 0},
        {"attn_logit_softcapping", &hp->attn_softcap, 0},
        {"final_logit_softcapping", &hp->logit_softcap, 0},
        {"attention.temperature_scale", &hp->attn_temperature, 0},
    };
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
        WS_TRY(read_float(r, factors[i].suffix, factors[i].min, factors[i].out, err));
    if (!(hp->logit_scale > 0)) hp->logit_scale = 1;
    if (r->arch->traits & WS_LOGITS_TIMES) hp->logit_scale = 1 / hp->logit_scale;
    return WS_OK;
}

/* ---- the window ---- */

/* Files may list the layers that have a window, which has to be all but one of each period. */
static ws_status check_pattern(const reader *r, ws_error *err) {
    char key[KEY_BYTES];
    const ws_kv *kv = find(r, "attention.sliding_window_pattern", key);
    int64_t slides;
    if (!kv || kv->type != WS_KV_ARRAY || !r->hp->sliding_period) return WS_OK;
    for (uint64_t i = 0; i < r->hp->n_layer && i < kv->n; i++)
        if (!ws_kv_elem_i64(kv, i, &slides) || (slides != 0) != ws_layer_slides(r->hp, i))
            return ws_fail(err, WS_UNSUPPORTED, "'%s': '%s' is known only with a full layer after each %llu others",
                           ws_gguf_path(r->g), key, (unsigned long long)r->hp->sliding_period - 1);
    return WS_OK;
}

/* How many layers there are to one that sees all, where a file says it as a number. */
static ws_status read_period(const reader *r, ws_error *err) {
    char key[KEY_BYTES];
    const size_key period = {"attention.sliding_window_pattern", &r->hp->sliding_period, OPTIONAL, 1, MAX_LAYERS};
    const ws_kv *kv = find(r, period.suffix, key);
    return kv && kv->type != WS_KV_ARRAY ? read_size(r, &period, err) : WS_OK;
}

static ws_status read_window(const reader *r, ws_error *err) {
    ws_hparams *hp = r->hp;
    hp->window = r->arch->window;
    hp->sliding_period = r->arch->sliding_period;
    const size_key window = {"attention.sliding_window", &hp->window, OPTIONAL, 0, UINT32_MAX};
    if (hp->sliding_period) {
        WS_TRY(read_size(r, &window, err));
        WS_TRY(read_period(r, err));
        hp->full_layer = r->arch->traits & WS_FULL_FIRST ? 0 : hp->sliding_period - 1;
    }
    hp->unturned_period = hp->sliding_period && !hp->window ? 0 : r->arch->unturned_period;
    return check_pattern(r, err);
}

/* ---- rope ---- */

static bool str_is(ws_str s, const char *text) { return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0; }

static const struct {
    const char *name;
    ws_rope_scaling scaling;
} scalings[] = {
    {"none", WS_SCALING_NONE}, {"linear", WS_SCALING_LINEAR}, {"yarn", WS_SCALING_YARN}, {"longrope", WS_SCALING_NONE}};

static ws_status find_scaling(const reader *r, ws_error *err) {
    char key[KEY_BYTES];
    ws_str type = {"linear", 6};
    const ws_kv *kv = find(r, "rope.scaling.type", key);
    if (kv && !ws_kv_str(kv, &type))
        return ws_fail(err, WS_FORMAT, "'%s': '%s' is not a string", ws_gguf_path(r->g), key);
    for (size_t i = 0; i < sizeof scalings / sizeof *scalings; i++) {
        if (!str_is(type, scalings[i].name)) continue;
        r->hp->scaling = scalings[i].scaling;
        return WS_OK;
    }
    return ws_fail(err, WS_UNSUPPORTED,
                   "'%s': rope scaling '%.*s' is not supported (none, linear, yarn, longrope and "
                   "llama3 are)",
                   ws_gguf_path(r->g), (int)(type.len < 40 ? type.len : 40), type.data);
}

/* YaRN also turns the sizes of cosines and sines: by 1 + 0.1 ln(factor), or, in DeepSeek's version (log_mul), by
 * nothing, but then attention's scale by the square of 1 + log_mul ln(factor), which Ministral 3 leaves out. */
static ws_status read_yarn(const reader *r, ws_error *err) {
    ws_hparams *hp = r->hp;
    float log_mul = 0;
    hp->yarn_beta_fast = 32, hp->yarn_beta_slow = 1;
    WS_TRY(read_float(r, "rope.scaling.yarn_beta_fast", POSITIVE, &hp->yarn_beta_fast, err));
    WS_TRY(read_float(r, "rope.scaling.yarn_beta_slow", POSITIVE, &hp->yarn_beta_slow, err));
    WS_TRY(read_float(r, "rope.scaling.yarn_log_multiplier", 0, &log_mul, err));
    const float log_factor = hp->rope_scale > 1 ? logf(hp->rope_scale) : 0;
    if (log_mul > 0 && !hp->kv_latent) return WS_OK;
    if (log_mul > 0)
        hp->attn_scale *= (1 + log_mul * log_factor) * (1 + log_mul * log_factor);
    else
        hp->rope_magnitude *= 1 + 0.1f * log_factor;
    return WS_OK;
}

static ws_status read_rope(const reader *r, ws_error *err) {
    ws_hparams *hp = r->hp;
    WS_TRY(read_float(r, "rope.freq_base", POSITIVE, &hp->rope_base, err));
    hp->rope_base_sliding = r->arch->traits & WS_SLIDING_ROPE ? 10000.0f : hp->rope_base;
    WS_TRY(read_float(r, "rope.freq_base_swa", POSITIVE, &hp->rope_base_sliding, err));
    WS_TRY(find_scaling(r, err));
    const size_key original = {"rope.scaling.original_context_length", &hp->n_ctx_original, OPTIONAL, 0, UINT32_MAX};
    hp->n_ctx_original = hp->n_ctx_train;
    WS_TRY(read_size(r, &original, err));
    if (!hp->n_ctx_original) hp->n_ctx_original = hp->n_ctx_train;
    WS_TRY(read_float(r, "rope.scaling.attn_factor", POSITIVE, &hp->rope_magnitude, err));
    if (hp->scaling == WS_SCALING_NONE) return WS_OK;
    WS_TRY(read_float(r, "rope.scale_linear", POSITIVE, &hp->rope_scale, err)); /* the name in files of 2023 */
    WS_TRY(read_float(r, "rope.scaling.factor", POSITIVE, &hp->rope_scale, err));
    return hp->scaling == WS_SCALING_YARN ? read_yarn(r, err) : WS_OK;
}

ws_status ws_hparams_read(ws_hparams *hp, const ws_arch *arch, const ws_gguf *g, ws_error *err) {
    *hp = (ws_hparams){.rope_base = 10000.0f,
                       .rope_scale = 1,
                       .rope_magnitude = 1,
                       .residual_scale = 1,
                       .logit_scale = 1,
                       .expert_scale = 1};
    const reader r = {g, arch, hp};
    WS_TRY(read_shape(&r, err));
    WS_TRY(read_factors(&r, err));
    WS_TRY(read_window(&r, err));
    return read_rope(&r, err);
}
