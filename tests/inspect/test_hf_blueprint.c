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

Test(hf_blueprint, llama3_rotation_factors_are_made) {
    char text[1024];
    snprintf(text, sizeof text, "%.*s, \"rope_scaling\": {\"rope_type\": \"llama3\"}}", (int)strlen(llama) - 1, llama);
    ws_blueprint *bp = from_text(text);
    const ws_tensor *t = ws_blueprint_tensor(bp, "rope_freqs.weight");
    cr_assert(t && t->ne[0] == 32);
    ws_blueprint_close(bp);
}

static void expect_bad(const char *text, ws_status status, const char *words) {
    ws_blueprint *bp;
    ws_error err = {0};
    cr_assert_eq(try_text(text, &bp, &err), status, "%s", err.msg);
    cr_assert(strstr(err.msg, words), "%s", err.msg);
    cr_assert_null(bp);
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
