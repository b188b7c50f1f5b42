/* Models from a config.json, and quantizations that do not exist yet. */
#include "estimate_model.h"
#include "hf_blueprint.h"
#include "retype.h"

#include <stdio.h>
#include <string.h>

static const char *const llama =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 256, \"intermediate_size\": 512,"
    " \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"num_hidden_layers\": 4, \"vocab_size\": 1000,"
    " \"max_position_embeddings\": 4096, \"torch_dtype\": \"float16\"}";

static ws_status try_text(const char *text, ws_blueprint **out, ws_error *err) {
    return ws_blueprint_from_config_text(out, text, strlen(text), "config.json", err);
}

static ws_blueprint *from_text(const char *text) {
    ws_blueprint *bp;
    ws_error err = {0};
    cr_assert_eq(try_text(text, &bp, &err), WS_OK, "%s", err.msg);
    return bp;
}

static void expect_bad(const char *text, ws_status status, const char *words) {
    ws_blueprint *bp;
    ws_error err = {0};
    cr_assert_eq(try_text(text, &bp, &err), status, "%s", err.msg);
    cr_assert(strstr(err.msg, words), "%s", err.msg);
    cr_assert_null(bp);
}

static ws_estimate run(const ws_blueprint *bp) {
    ws_estimate e;
    ws_error err = {0};
    cr_assert_eq(ws_estimate_run(&e, bp, &test_estimate_options, &err), WS_OK, "%s", err.msg);
    return e;
}

Test(hf_blueprint, a_config_and_its_gguf_give_the_same_estimate) {
    ws_blueprint *config = from_text(llama), *gguf = test_decoder_open(&test_small);
    const ws_estimate a = run(config), b = run(gguf);
    cr_assert_eq(config->n_params, gguf->n_params);
    cr_assert_eq(a.device[0].total, b.device[0].total);
    cr_assert_eq(a.host.total, b.host.total);
    cr_assert_str_eq(config->file_type, "F16");
    ws_blueprint_close(config);
    ws_blueprint_close(gguf);
}

Test(hf_blueprint, every_class_can_be_estimated) {
    static const char *const classes[] = {
        "LlamaForCausalLM",    "MixtralForCausalLM", "Qwen2ForCausalLM",      "Qwen3ForCausalLM",
        "Qwen3MoeForCausalLM", "Phi3ForCausalLM",    "GemmaForCausalLM",      "Gemma2ForCausalLM",
        "Gemma3ForCausalLM",   "GptOssForCausalLM",  "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM",
        "SmolLM3ForCausalLM",  "Olmo2ForCausalLM",   "CohereForCausalLM",     "Cohere2ForCausalLM",
        "Glm4ForCausalLM",     "Glm4MoeForCausalLM", "SeedOssForCausalLM",    "GraniteForCausalLM"};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        char text[1024];
        const bool moe = strstr(classes[i], "Mo") || strstr(classes[i], "Mix") || strstr(classes[i], "Deep") ||
                         strstr(classes[i], "Oss");
        snprintf(text, sizeof text,
                 "{\"architectures\": [\"%s\"], \"hidden_size\": 256, \"intermediate_size\": 512,"
                 " \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 64, \"num_hidden_layers\": 4,"
                 " \"vocab_size\": 1000, \"sliding_window\": 128, \"kv_lora_rank\": 64, \"qk_rope_head_dim\": 32,"
                 " \"qk_nope_head_dim\": 32, \"v_head_dim\": 64%s}",
                 classes[i],
                 moe ? ", \"num_experts\": 8, \"num_experts_per_tok\": 2, \"moe_intermediate_size\": 64,"
                       " \"n_shared_experts\": 1"
                     : "");
        ws_blueprint *bp = from_text(text);
        const ws_estimate e = run(bp);
        cr_assert(e.device[0].weights > 0 && e.device[0].kv_cache > 0 && e.device[0].compute > 0, "%s", classes[i]);
        ws_blueprint_close(bp);
    }
}

Test(hf_blueprint, layer_types_decide_who_slides) {
    char text[1024];
    snprintf(text, sizeof text,
             "%.*s, \"sliding_window\": 128, \"layer_types\": [\"full_attention\", "
             "\"sliding_attention\", \"full_attention\", \"full_attention\"]}",
             (int)strlen(llama) - 1, llama);
    char *name = strstr(text, "LlamaForCausalLM");
    memcpy(name, "Olmo3ForCausalLM", strlen("Olmo3ForCausalLM"));
    ws_blueprint *bp = from_text(text);
    cr_assert_not(bp->layers[0].sliding);
    cr_assert(bp->layers[1].sliding);
    ws_blueprint_close(bp);
}

#define SIX_LAYERS                                                                                                     \
    "\"hidden_size\": 256, \"intermediate_size\": 512, \"num_attention_heads\": 4, \"num_key_value_heads\": 2,"        \
    "\"head_dim\": 64, \"num_hidden_layers\": 6, \"vocab_size\": 1000"

Test(hf_blueprint, delta_nets_keep_states_between_layers_that_attend) {
    ws_blueprint *bp = from_text("{\"architectures\": [\"Qwen3_5ForCausalLM\"], " SIX_LAYERS
                                 ", \"linear_conv_kernel_dim\": 4, \"linear_key_head_dim\": 32,"
                                 " \"linear_num_key_heads\": 2, \"linear_num_value_heads\": 4,"
                                 " \"linear_value_head_dim\": 16, \"full_attention_interval\": 3}");
    cr_assert(bp->layers[0].recurrent && bp->layers[1].recurrent && !bp->layers[2].recurrent);
    cr_assert_eq(bp->conv_width, 3 * (4 * 16 + 2 * 2 * 32));
    cr_assert_eq(bp->state_width, 32 * 4 * 16);
    cr_assert_not(ws_blueprint_tensor(bp, "blk.0.attn_q.weight"));
    cr_assert_eq(ws_blueprint_tensor(bp, "blk.2.attn_q.weight")->ne[1], 2 * 4 * 64);
    cr_assert(run(bp).device[0].kv_cache > 0);
    ws_blueprint_close(bp);
}

Test(hf_blueprint, short_convolutions_widen_the_feed_forward_by_their_own_rule) {
    ws_blueprint *bp = from_text("{\"architectures\": [\"Lfm2ForCausalLM\"], " SIX_LAYERS
                                 ", \"conv_L_cache\": 3, \"block_ff_dim\": 1000, \"block_auto_adjust_ff_dim\": true,"
                                 " \"block_multiple_of\": 64, \"layer_types\": [\"conv\", \"full_attention\"]}");
    cr_assert(bp->layers[0].recurrent && !bp->layers[1].recurrent);
    cr_assert_eq(bp->layers[0].n_ff, 704); /* 2/3 of 1000, up to a multiple of 64 */
    cr_assert(ws_blueprint_tensor(bp, "token_embd_norm.weight"));
    cr_assert(run(bp).device[0].compute > 0);
    ws_blueprint_close(bp);
}

Test(hf_blueprint, gemma4_layers_without_a_window_have_heads_of_their_own) {
    ws_blueprint *bp =
        from_text("{\"architectures\": [\"Gemma4ForCausalLM\"], " SIX_LAYERS
                  ", \"sliding_window\": 128, \"global_head_dim\": 128, \"num_kv_shared_layers\": 3,"
                  " \"hidden_size_per_layer_input\": 32, \"layer_types\": [\"sliding_attention\","
                  " \"sliding_attention\", \"full_attention\", \"sliding_attention\", \"full_attention\","
                  " \"sliding_attention\"], \"per_layer_config\": {\"2\": {\"head_dim\": 96}}}");
    cr_assert_eq(bp->layers[0].head_k, 64);
    cr_assert_eq(bp->layers[2].head_k, 96);
    cr_assert_eq(bp->layers[3].cache_of, 1);
    cr_assert_eq(bp->layers[4].cache_of, 2);
    cr_assert_not(ws_blueprint_tensor(bp, "blk.3.attn_k.weight"));
    cr_assert_eq(ws_blueprint_tensor(bp, "per_layer_token_embd.weight")->ne[0], 6 * 32);
    ws_blueprint_close(bp);
    expect_bad("{\"architectures\": [\"Gemma4ForCausalLM\"], " SIX_LAYERS ", \"num_kv_shared_layers\": 5}", WS_FORMAT,
               "caches of their own");
}

Test(hf_blueprint, llama3_rotation_factors_are_made) {
    char text[1024];
    snprintf(text, sizeof text, "%.*s, \"rope_scaling\": {\"rope_type\": \"llama3\"}}", (int)strlen(llama) - 1, llama);
    ws_blueprint *bp = from_text(text);
    const ws_tensor *t = ws_blueprint_tensor(bp, "rope_freqs.weight");
    cr_assert(t && t->ne[0] == 32);
    ws_blueprint_close(bp);
}

Test(hf_blueprint, what_is_missing_or_absurd_is_named) {
    expect_bad("{", WS_FORMAT, "config.json");
    expect_bad("{}", WS_FORMAT, "architectures");
    expect_bad("{\"architectures\": [\"BertModel\"]}", WS_UNSUPPORTED, "BertModel");
    expect_bad("{\"architectures\": [\"LlamaForCausalLM\"]}", WS_FORMAT, "num_hidden_layers");
    expect_bad("{\"architectures\": [\"LlamaForCausalLM\"], \"num_hidden_layers\": 1e9}", WS_FORMAT,
               "num_hidden_layers");
    expect_bad("{\"architectures\": [\"LlamaForCausalLM\"], \"num_hidden_layers\": 2, \"hidden_size\": -4}", WS_FORMAT,
               "hidden_size");
    expect_bad("{\"architectures\": [\"LlamaForCausalLM\"], \"num_hidden_layers\": 2, \"hidden_size\": 64, "
               "\"vocab_size\": 100, \"num_attention_heads\": 0}",
               WS_FORMAT, "num_attention_heads");
}

Test(hf_blueprint, a_quantization_that_is_not_made_yet) {
    ws_error err = {0};
    ws_blueprint *bp = from_text(llama);
    const ws_estimate before = run(bp);
    cr_assert_eq(ws_blueprint_retype(bp, "q8_0", &err), WS_OK, "%s", err.msg);
    const ws_tensor *q = ws_blueprint_tensor(bp, "blk.0.attn_q.weight"),
                    *norm = ws_blueprint_tensor(bp, "output_norm.weight");
    cr_assert_eq(q->type, WS_TYPE_Q8_0);
    cr_assert_eq(q->bytes, 256 * 256 / 32 * 34);
    cr_assert_eq(norm->type, WS_TYPE_F32);
    cr_assert_str_eq(bp->file_type, "Q8_0");
    cr_assert(run(bp).sum.weights < before.sum.weights);
    cr_assert_eq(ws_blueprint_retype(bp, "q4_k_m", &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_blueprint_tensor(bp, "blk.0.attn_q.weight")->type, WS_TYPE_Q4_K);
    cr_assert_eq(ws_blueprint_retype(bp, NULL, &err), WS_OK);
    cr_assert_eq(run(bp).sum.total, before.sum.total, "and back to what the file has");
    cr_assert_eq(ws_blueprint_retype(bp, "q9_x", &err), WS_USAGE);
    ws_blueprint_close(bp);
}

/* 'M': a state, '*': attention, '-': a feed-forward. */
static void expect_layers(const char *text, const char *kinds) {
    ws_blueprint *bp = from_text(text);
    cr_assert_eq(bp->n_layer, strlen(kinds));
    for (size_t i = 0; i < bp->n_layer; i++) {
        const char kind = bp->layers[i].recurrent ? 'M' : bp->layers[i].n_head_kv ? '*' : '-';
        cr_expect_eq(kind, kinds[i], "layer %zu is %c", i, kind);
    }
    run(bp);
    ws_blueprint_close(bp);
}

Test(hf_blueprint, layers_that_keep_a_state) {
#define COMMON                                                                                                         \
    "\"hidden_size\": 256, \"num_attention_heads\": 4, \"vocab_size\": 1000, \"max_position_embeddings\": 4096, "
    expect_layers("{\"architectures\": [\"NemotronHForCausalLM\"], " COMMON
                  "\"num_hidden_layers\": 5, \"hybrid_override_pattern\": \"M-M*-\", \"intermediate_size\": 512,"
                  " \"mamba_num_heads\": 16, \"mamba_head_dim\": 32, \"n_groups\": 2, \"ssm_state_size\": 32}",
                  "M-M*-");
    expect_layers("{\"architectures\": [\"GraniteMoeHybridForCausalLM\"], " COMMON
                  "\"num_hidden_layers\": 3, \"layer_types\": [\"mamba\", \"attention\", \"mamba\"],"
                  " \"shared_intermediate_size\": 512, \"mamba_n_heads\": 16}",
                  "M*M");
    expect_layers("{\"architectures\": [\"JambaForCausalLM\"], " COMMON
                  "\"num_hidden_layers\": 6, \"attn_layer_offset\": 1, \"attn_layer_period\": 3,"
                  " \"intermediate_size\": 512, \"num_experts\": 4, \"num_experts_per_tok\": 2,"
                  " \"expert_layer_offset\": 1, \"expert_layer_period\": 2}",
                  "M*MM*M");
}
