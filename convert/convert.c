#include "convert.h"

#include "alloc.h"
#include "card.h"
#include "config.h"
#include "file.h"
#include "metadata.h"
#include "pooling.h"
#include "pre_name.h"
#include "progress.h"
#include "rope_factors.h"
#include "text.h"
#include "transform.h"
#include "vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CARD_BYTES = 16 << 20, QUANTIZATION_VERSION = 2 };

const cJSON *ws_conversion_rope(const ws_conversion *c) {
    return cJSON_GetObjectItemCaseSensitive(c->source->config, "rope_parameters");
}

/* ---- planning ---- */

/* Classes "...Model" have no output at all: they make embeddings. */
static bool makes_text(const ws_source *s) {
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(s->raw_config, "architectures");
    const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, 0)), tail[] = "Model";
    const size_t n = name ? strlen(name) : 0;
    return !(s->arch->traits & WS_ENCODER) && !(n >= strlen(tail) && strcmp(name + n - strlen(tail), tail) == 0);
}

static ws_status make_plan(ws_conversion *c, const char *config_path, ws_error *err) {
    const char *generate;
    WS_TRY(ws_config_hparams(&c->hp, c->source->arch, c->source->config, config_path, err));
    WS_TRY(ws_rope_factors_wanted(&generate, ws_conversion_rope(c), c->hp.n_rot, config_path, err));
    const ws_plan_request req = {
        .arch = c->source->arch,
        .hp = &c->hp,
        .weights = c->source->weights,
        .dir = c->source->dir,
        .type = c->opt.type,
        .generate = generate,
        .tied = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->source->config, "tie_word_embeddings")),
        .n_tokens = ws_vocabulary_tokens(c->source),
        .problem = c->opt.problem,
        .ctx = c->opt.ctx,
    };
    WS_TRY(ws_plan_make(&c->plan, &req, err));
    const bool says_tied = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->source->raw_config, "tie_word_embeddings"));
    if (c->plan.tied && !says_tied && makes_text(c->source))
        c->opt.warn(c->opt.ctx, "no tensor lm_head.weight, although config.json does not say tie_word_embeddings; the "
                                "embedding is used for the output");
    return WS_OK;
}

/* A card that cannot be read costs its metadata, not the conversion. */
static ws_status read_card(cJSON **card, const ws_conversion *c, ws_error *err) {
    *card = NULL;
    char *path = ws_source_path(c->source, "README.md", err), *text;
    if (!path) return WS_NOMEM;
    ws_error problem = {0};
    size_t size;
    if (ws_file_exists(path) && !ws_is_dir(path) && !ws_file_read(&text, &size, path, MAX_CARD_BYTES, &problem)) {
        if (ws_card_parse(card, text, size, &problem)) ws_fail_in(&problem, "'%s'", path);
        free(text);
    }
    free(path);
    if (problem.code == WS_NOMEM) return ws_fail(err, WS_NOMEM, "%s", problem.msg);
    if (problem.code) {
        char warning[sizeof problem.msg + 40];
        snprintf(warning, sizeof warning, "%s; the model card is left out", problem.msg);
        c->opt.warn(c->opt.ctx, warning);
    }
    return WS_OK;
}

/* Comes with the tensors of factors, so before everything else. */
static void put_attn_factor(ws_conversion *c) {
    char key[96];
    bool has_factors = false;
    for (size_t i = 0; i < c->plan.n; i++) has_factors |= strcmp(c->plan.item[i].to, "rope_factors_long.weight") == 0;
    if (!has_factors) return;
    snprintf(key, sizeof key, "%s.rope.scaling.attn_factor", c->source->arch->name);
    ws_pairs_put_f32(&c->pairs, key, (float)ws_rope_attn_factor(ws_conversion_rope(c), (double)c->hp.n_ctx_train));
}

static ws_status put_pairs(ws_conversion *c, const char *config_path, ws_error *err) {
    const ws_source *s = c->source;
    cJSON *card;
    WS_TRY(read_card(&card, c, err));
    const ws_metadata_source from = {
        .card = card,
        .config = s->raw_config,
        .generation = s->generation,
        .folder = s->name,
        .name = c->opt.name,
        .n_params = c->plan.n_params,
        .n_active = c->plan.n_active,
        .n_experts = c->plan.n_experts,
    };
    ws_pairs_put_str(&c->pairs, "general.architecture", s->arch->name);
    put_attn_factor(c);
    ws_pairs_put_str(&c->pairs, "general.type", "model");
    const ws_status st = ws_metadata_put(&c->pairs, &from, err);
    cJSON_Delete(card);
    if (st) return st;
    WS_TRY(ws_config_put(&c->pairs, s->arch, s->config, ws_plan_file_type(&c->plan), config_path, err));
    bool more_layers = false;
    if (s->arch->traits & WS_POOLS) WS_TRY(ws_pooling_put(&c->pairs, s, &more_layers, err));
    if (more_layers)
        c->opt.warn(c->opt.ctx,
                    "modules.json has dense layers behind the pooling, which the file leaves out: its embeddings "
                    "are not those of sentence-transformers");
    WS_TRY(ws_config_put_late(&c->pairs, s->arch, s->config, config_path, err));
    ws_pairs_put_u32(&c->pairs, "general.quantization_version", QUANTIZATION_VERSION);
    WS_TRY(ws_vocabulary_put(&c->pairs, s, c->opt.pre_tokenizer, err));
    return ws_pairs_check(&c->pairs, err);
}

/* DeepSeek V3's experts: transformers always take sigmoids, llama.cpp softmax where the file does not say it, and the
 * reference says it only if config.json does. */
static void warn_gating(const ws_conversion *c) {
    bool offset = false;
    char key[96];
    for (size_t i = 0; i < c->plan.n; i++) offset |= strstr(c->plan.item[i].to, ".exp_probs_b.") != NULL;
    snprintf(key, sizeof key, "%s.expert_gating_func", c->source->arch->name);
    if (offset && !ws_pairs_find(&c->pairs, key))
        c->opt.warn(c->opt.ctx,
                    "config.json has no 'scoring_func'; without it the file's experts are chosen by softmax, "
                    "although DeepSeek V3 means sigmoid: add \"scoring_func\": \"sigmoid\"");
}

static ws_status fill_writer(ws_conversion *c, ws_error *err) {
    WS_TRY(ws_gguf_writer_new(&c->writer, err));
    WS_TRY(ws_pairs_write(&c->pairs, c->writer, err));
    for (size_t i = 0; i < c->plan.n; i++) {
        const ws_plan_item *item = &c->plan.item[i];
        ws_gguf_add_tensor(c->writer, item->to, item->type, item->n_dims, item->ne);
    }
    c->file_bytes = ws_gguf_writer_file_size(c->writer);
    return WS_OK;
}

ws_status ws_conversion_open(ws_conversion *c, const char *dir, const ws_convert_options *opt, ws_error *err) {
    *c = (ws_conversion){.opt = *opt};
    if (opt->pre_tokenizer) WS_TRY(ws_pre_name_check(opt->pre_tokenizer, err));
    WS_TRY(ws_source_open(&c->source, dir, err));
    char *config_path = ws_source_path(c->source, "config.json", err);
    if (!config_path) return WS_NOMEM;
    ws_status st = make_plan(c, config_path, err);
    if (!st) st = put_pairs(c, config_path, err);
    free(config_path);
    if (st) return st;
    warn_gating(c);
    return fill_writer(c, err);
}

void ws_conversion_close(ws_conversion *c) {
    ws_gguf_writer_discard(c->writer);
    ws_plan_free(&c->plan);
    ws_pairs_free(&c->pairs);
    ws_source_close(c->source);
    *c = (ws_conversion){0};
}

/* ---- writing ---- */

typedef struct {
    ws_gguf_writer *writer;
    ws_progress bar;
} output;

static ws_status write_slice(void *ctx, const void *data, size_t bytes, ws_error *err) {
    output *o = ctx;
    WS_TRY(ws_gguf_write(o->writer, data, bytes, err));
    ws_progress_add(&o->bar, bytes);
    return WS_OK;
}

static ws_status write_generated(const ws_conversion *c, const ws_plan_item *item, output *o, ws_error *err) {
    float *factors = ws_alloc(item->ne[0], sizeof *factors, item->to, err);
    if (!factors) return WS_NOMEM;
    ws_rope_factors(factors, item->ne[0], ws_conversion_rope(c), item->to);
    const ws_status st = write_slice(o, factors, item->ne[0] * sizeof *factors, err);
    free(factors);
    return st;
}

static void warn_overflows(const ws_conversion *c, const ws_plan_item *item, uint64_t n) {
    char text[200];
    if (n == 0) return;
    snprintf(text, sizeof text, "'%s': %llu value%s beyond F16's range became infinite; BF16 and F32 can hold them",
             ws_show(item->from, strlen(item->from)).text, (unsigned long long)n, n == 1 ? "" : "s");
    c->opt.warn(c->opt.ctx, text);
}

static ws_status write_items(const ws_conversion *c, output *o, uint32_t cpu_flags, int n_threads, ws_error *err) {
    const ws_transform_options opt = {c->source->weights, cpu_flags, n_threads, write_slice, o};
    for (size_t i = 0; i < c->plan.n; i++) {
        const ws_plan_item *item = &c->plan.item[i];
        uint64_t overflows = 0;
        WS_TRY(item->source ? ws_transform_run(item, &opt, &overflows, err) : write_generated(c, item, o, err));
        warn_overflows(c, item, overflows);
    }
    return WS_OK;
}

ws_status ws_conversion_write(ws_conversion *c, const char *out, uint32_t cpu_flags, int n_threads, bool quiet,
                              ws_error *err) {
    output o = {.writer = c->writer};
    WS_TRY(ws_gguf_writer_begin(o.writer, out, err));
    ws_progress_start(&o.bar, "converting", NULL, c->file_bytes, quiet);
    const ws_status st = write_items(c, &o, cpu_flags, n_threads, err);
    ws_progress_finish(&o.bar);
    if (st) return st;
    c->writer = NULL;
    return ws_gguf_writer_finish(o.writer, err);
}
