/* What fits: plans, flags, vLLM's sizing, the cheat sheet. */
#include "cheat_sheet.h"
#include "estimate_model.h"
#include "estimate_print.h"
#include "flags.h"
#include "json.h"
#include "retype.h"

#include <stdlib.h>
#include <string.h>

static const test_decoder model = {.arch = "llama",
                                   .layers = 8,
                                   .embd = 512,
                                   .ff = 1536,
                                   .heads = 8,
                                   .kv_heads = 8,
                                   .vocab = 2000,
                                   .type = WS_TYPE_F16};

/* A GPU of so many MiB without a driver. */
static ws_target gpu(uint64_t mib) {
    ws_target t;
    ws_target_default(&t);
    t.device[0].capacity = mib << 20;
    t.device[0].overhead_low = t.device[0].overhead_high = 0;
    return t;
}

static ws_fit *solve(ws_blueprint *bp, const ws_target *t, uint64_t ctx, uint64_t most, bool any) {
    static ws_fit fit;
    ws_error err = {0};
    ws_est_options o = test_estimate_options;
    fit.n = 0, o.n_ctx = ctx, o.n_outputs = 1;
    cr_assert_eq(ws_fit_solve(&fit, bp, &o, t, most, any, &err), WS_OK, "%s", err.msg);
    return &fit;
}

Test(fit, plenty_of_room_gives_the_whole_context) {
    ws_blueprint *bp = test_decoder_open(&model);
    const ws_target t = gpu(4096);
    const ws_fit *f = solve(bp, &t, 2048, 4096, false);
    cr_assert_eq(f->n, 1);
    cr_assert_eq(f->plans[0].options.n_ctx, 4096);
    cr_assert(f->plans[0].on_gpus && f->plans[0].requested && f->plans[0].as_is);
    ws_blueprint_close(bp);
}

Test(fit, the_longest_context_is_found_to_the_step) {
    ws_blueprint *bp = test_decoder_open(&model);
    const ws_target t = gpu(160);
    const ws_fit *f = solve(bp, &t, 2048, 65536, false);
    cr_assert(f->n >= 2, "a smaller cache type gives more");
    const ws_plan *p = &f->plans[0];
    cr_assert(p->options.n_ctx > 2048 && p->options.n_ctx < 65536 && p->options.n_ctx % 256 == 0);
    cr_assert(p->estimate.sum.total <= UINT64_C(160) << 20);
    ws_est_options more = p->options;
    ws_estimate e;
    ws_error err = {0};
    more.n_ctx += 256;
    cr_assert_eq(ws_estimate_run(&e, bp, &more, &err), WS_OK);
    cr_assert(e.sum.total > UINT64_C(160) << 20, "one step more does not fit");
    cr_assert(f->plans[1].options.n_ctx > p->options.n_ctx);
    cr_assert_eq(f->plans[1].options.type_k, WS_TYPE_Q8_0);
    ws_blueprint_close(bp);
}

Test(fit, layers_stay_on_the_cpu_when_they_must) {
    ws_blueprint *bp = test_decoder_open(&model);
    const ws_target t = gpu(70);
    const ws_fit *f = solve(bp, &t, 2048, 2048, false);
    cr_assert_eq(f->n, 1);
    cr_assert_not(f->plans[0].on_gpus);
    const uint64_t n = f->plans[0].options.n_gpu_layers;
    cr_assert(n > 0 && n < 9, "%zu layers", (size_t)n);
    cr_assert(f->plans[0].estimate.device[0].total <= UINT64_C(70) << 20);
    ws_blueprint_close(bp);
}

Test(fit, experts_stay_on_the_cpu_first) {
    test_decoder d = model;
    d.experts = 8, d.experts_used = 2;
    ws_blueprint *bp = test_decoder_open(&d);
    const ws_target t = gpu(200);
    const ws_fit *f = solve(bp, &t, 2048, 2048, false);
    cr_assert_eq(f->n, 1);
    cr_assert(f->plans[0].options.n_cpu_moe > 0 && f->plans[0].options.n_cpu_moe <= 8);
    cr_assert(f->plans[0].estimate.device[0].total <= UINT64_C(200) << 20);
    ws_blueprint_close(bp);
}

Test(fit, the_best_quantization_comes_first_and_types_are_left_as_they_were) {
    ws_blueprint *bp = test_decoder_open(&model);
    const ws_target t = gpu(60);
    const ws_fit *f = solve(bp, &t, 2048, 2048, true);
    cr_assert(f->n > 1);
    cr_assert_eq(bp->tensors[0].type, WS_TYPE_F16);
    for (size_t i = 1; i < f->n; i++)
        if (f->plans[i].on_gpus && f->plans[i].requested)
            cr_assert(f->plans[i].estimate.sum.weights <= f->plans[0].estimate.sum.weights);
    ws_error err = {0};
    cr_assert_eq(ws_fit_apply(bp, &f->plans[0], &err), WS_OK);
    cr_assert_str_eq(bp->file_type, f->plans[0].quantization);
    ws_blueprint_close(bp);
}

Test(fit, flags_say_what_differs_from_the_defaults) {
    char text[WS_FLAGS_BYTES];
    ws_blueprint *bp = test_decoder_open(&model);
    ws_est_options o = test_estimate_options;
    ws_estimate e = {.flash_attn = true};
    ws_flags_llama(text, bp, &o, &e);
    cr_assert_str_eq(text, "-c 1024 -ngl 9 -fa on");
    o.type_k = o.type_v = WS_TYPE_Q8_0, o.n_gpu_layers = 5, o.n_cpu_moe = 3;
    ws_flags_llama(text, bp, &o, &e);
    cr_assert_str_eq(text, "-c 1024 -ngl 5 -fa on -ctk q8_0 -ctv q8_0 --n-cpu-moe 3");
    ws_flags_ollama(text, bp, &o);
    cr_assert(strstr(text, "OLLAMA_KV_CACHE_TYPE=q8_0") && strstr(text, "num_gpu 5"));
    o.n_devices = 2;
    ws_flags_vllm(text, &o, 0.9);
    cr_assert(strstr(text, "--max-model-len 1024") && strstr(text, "--tensor-parallel-size 2"));
    ws_blueprint_close(bp);
}

Test(fit, vllm_fills_its_share_with_blocks) {
    ws_blueprint *bp = test_decoder_open(&model);
    const ws_target t = gpu(8192);
    const ws_vllm_options o = {.utilization = 0.9, .n_batched = 2048, .cache_bytes = 2};
    ws_vllm_estimate v;
    ws_error err = {0};
    cr_assert_eq(ws_vllm_run(&v, bp, 4096, &t, &o, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(v.bytes_per_token, 8 * 2 * 512 * 2);
    const uint64_t share = (uint64_t)(8192.0 * 0.9 * 1048576);
    cr_assert_eq(v.weights + v.activations + v.graphs + v.pool, share);
    cr_assert_eq(v.n_blocks, v.pool / (16 * v.bytes_per_token));
    cr_assert_float_eq(v.max_concurrency, (double)v.max_tokens / 4096, 1e-9);
    cr_assert(v.fits);
    const ws_target small = gpu(600);
    cr_assert_eq(ws_vllm_run(&v, bp, 4096, &small, &o, &err), WS_OK);
    cr_assert_not(v.fits);
    ws_target cpu;
    ws_target_cpu(&cpu);
    cr_assert_eq(ws_vllm_run(&v, bp, 4096, &cpu, &o, &err), WS_UNSUPPORTED);
    ws_blueprint_close(bp);
}

/* ---- printing ---- */

static char *print(const ws_est_result *r, int kind) {
    char *text = NULL;
    size_t size = 0;
    ws_error err = {0};
    FILE *f = open_memstream(&text, &size);
    if (kind == 0) ws_estimate_print(f, r);
    if (kind == 1) cr_assert_eq(ws_estimate_json(f, r, &err), WS_OK, "%s", err.msg);
    if (kind == 2) ws_estimate_csv(f, r);
    fclose(f);
    return text;
}

Test(fit, reports_are_consistent_and_escaped) {
    ws_blueprint *bp = test_decoder_open(&model);
    snprintf(bp->name, sizeof bp->name, "\x1b]0;owned\x07\"");
    ws_target t = gpu(1);
    ws_estimate e;
    ws_error err = {0};
    const ws_est_options o = test_estimate_options;
    cr_assert_eq(ws_estimate_run(&e, bp, &o, &err), WS_OK);
    const ws_speed speed = {.weights = 1};
    const ws_est_result r = {.path = "x.gguf",
                             .model = bp,
                             .options = &o,
                             .estimate = &e,
                             .target = &t,
                             .speed = &speed,
                             .caller = "cli",
                             .engine = "llama.cpp"};
    char *text = print(&r, 0), *json = print(&r, 1), *csv = print(&r, 2);
    cr_assert(!strchr(text, 27) && !strchr(json, 27) && !strchr(csv, 27), "nothing drives the terminal");
    cr_assert(strstr(text, "DOES NOT FIT"));
    cJSON *root = ws_json_parse(json, strlen(json), "json", &err);
    cr_assert(root, "%s", err.msg);
    uint64_t total = 0, schema = 0;
    cr_assert(ws_json_u64(cJSON_GetObjectItem(root, "total_bytes"), &total) && total == e.sum.total);
    cr_assert(ws_json_u64(cJSON_GetObjectItem(root, "schema"), &schema) && schema == 1);
    cr_assert(cJSON_IsFalse(cJSON_GetObjectItem(root, "fits")));
    cr_assert(cJSON_IsFalse(cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "devices"), 0), "fits")));
    cr_assert(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "tokens_per_second"), "bound")));
    cJSON_Delete(root);
    free(text), free(json), free(csv);
    ws_blueprint_close(bp);
}

Test(fit, the_cheat_sheet_covers_all_hardware_and_models) {
    ws_sheet *s;
    ws_error err = {0};
    cr_assert_eq(ws_sheet_make(&s, WS_SOURCE_DIR "/inspect/estimate/models.json", 8192, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(s->n_models, 8);
    cr_assert(s->n_rows > 20);
    size_t filled = 0;
    for (size_t r = 0; r < s->n_rows; r++)
        for (size_t m = 0; m < s->n_models; m++) {
            const ws_sheet_cell *c = &s->cells[r][m];
            filled += *c->quantization != 0;
            if (*c->quantization)
                cr_assert(c->headroom >= 0 && c->bound > 0, "%s, %s", s->rows[r].name, s->models[m].name);
        }
    cr_assert(filled > s->n_rows * 4);
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    ws_sheet_html(f, s);
    ws_sheet_markdown(f, s);
    ws_sheet_text(f, s);
    cr_assert_eq(ws_sheet_json(f, s, &err), WS_OK);
    fclose(f);
    cr_assert(strstr(text, "</html>") && strstr(text, "|---|") && strstr(text, "\"schema\": 1"));
    free(text);
    free(s);
}
