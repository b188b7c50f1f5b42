/* Sizes that llama.cpp allocates, as figures: weights, KV cache and compute buffers of known models. */
#include "estimate.h"

#include <criterion/criterion.h>
#include <string.h>

static const double MIB = 1024.0 * 1024.0;

enum { MAX_TEST_LAYERS = 80 };

/* A model by its published configuration. period: of that many layers all but the last slide. */
typedef struct {
    const char *name;
    size_t n_layers;
    uint64_t n_vocab, n_embd, n_ff, n_head, n_head_kv, head, window;
    uint32_t period;
    uint64_t n_expert_used, n_ff_expert;
} config;

static const config llama_8b = {"Llama-3.1-8B", 32, 128256, 4096, 14336, 32, 8, 128, 0, 0, 0, 0};
static const config llama_70b = {"Llama-3.1-70B", 80, 128256, 8192, 28672, 64, 8, 128, 0, 0, 0, 0};
static const config mistral_7b = {"Mistral-7B-v0.3", 32, 32768, 4096, 14336, 32, 8, 128, 0, 0, 0, 0};
static const config mixtral = {"Mixtral-8x7B", 32, 32000, 4096, 14336, 32, 8, 128, 0, 0, 2, 14336};
static const config smollm2 = {"SmolLM2-135M", 30, 49152, 576, 1536, 9, 3, 64, 0, 0, 0, 0};
static const config gemma3_27b = {"Gemma-3-27B", 62, 262208, 5376, 21504, 32, 16, 128, 1024, 6, 0, 0};
static const config gpt_oss = {"gpt-oss-20b", 24, 201088, 2880, 2880, 64, 8, 64, 128, 2, 4, 2880};

static ws_est_model model_of(const config *c, ws_est_layer layers[MAX_TEST_LAYERS]) {
    for (size_t i = 0; i < c->n_layers; i++)
        layers[i] = (ws_est_layer){.k_width = c->n_head_kv * c->head,
                                   .v_width = c->n_head_kv * c->head,
                                   .sliding = c->period && i % c->period < c->period - 1};
    return (ws_est_model){
        .n_layers = c->n_layers,
        .layers = layers,
        .n_vocab = c->n_vocab,
        .n_embd = c->n_embd,
        .n_ff = c->n_ff,
        .n_head = c->n_head,
        .n_head_kv = c->n_head_kv,
        .head_k = c->head,
        .head_v = c->head,
        .n_expert_used = c->n_expert_used,
        .n_ff_expert = c->n_ff_expert,
        .window = c->window,
    };
}

/* One sequence, all logits, flash attention: what llama-bench and the bindings do. */
static ws_est_options bindings(uint64_t n_ctx) {
    return (ws_est_options){.n_ctx = n_ctx,
                            .n_batch = 2048,
                            .n_ubatch = 512,
                            .n_seq = 1,
                            .flash_attn = true,
                            .type_k = WS_TYPE_F16,
                            .type_v = WS_TYPE_F16};
}

static ws_est_options server(uint64_t n_ctx) {
    ws_est_options o = bindings(n_ctx);
    o.n_seq = o.n_outputs = 4;
    o.unified = true;
    return o;
}

static ws_est_options typed(ws_est_options o, ws_dtype type) {
    o.type_k = o.type_v = type;
    return o;
}

static ws_est_options without_fa(ws_est_options o) {
    o.flash_attn = false;
    return o;
}

static ws_est_options with_sequences(ws_est_options o, uint64_t n, bool unified) {
    o.n_seq = n;
    o.unified = unified;
    return o;
}

static ws_est_options with_ubatch(ws_est_options o, uint64_t n) {
    o.n_ubatch = n;
    return o;
}

static ws_est_options with_swa_full(ws_est_options o) {
    o.swa_full = true;
    return o;
}

static ws_estimate estimate(const config *c, ws_est_options o) {
    ws_est_layer layers[MAX_TEST_LAYERS];
    const ws_est_model m = model_of(c, layers);
    ws_estimate e;
    ws_error err = {0};
    cr_assert_eq(ws_estimate_run(&e, &m, &o, &err), WS_OK, "%s", err.msg);
    return e;
}

/* Figures in MiB from ../shared/vram/vram.md, section 2, and exact bytes from the logs it was made of. */
Test(estimate, kv_cache) {
    const struct {
        const config *model;
        ws_est_options options;
        double mib;
    } cases[] = {
        {&llama_8b, bindings(8192), 1024},
        {&llama_8b, typed(bindings(32768), WS_TYPE_Q8_0), 2176},
        {&llama_8b, typed(bindings(32768), WS_TYPE_Q4_0), 1152},
        {&llama_8b, bindings(8000), 1024}, /* rounded up to 8192 */
        {&llama_8b, with_sequences(bindings(32768), 4, false), 4096},
        {&llama_70b, bindings(32768), 10240},
        {&smollm2, bindings(512), 11.25},
        {&smollm2, typed(bindings(32768), WS_TYPE_Q8_0), 382.5}, /* rows of 192 are padded to 512 */
        {&gemma3_27b, bindings(32768), 3184},
        {&gemma3_27b, with_sequences(bindings(32768), 4, false), 5056},
        {&gemma3_27b, with_sequences(bindings(32768), 4, true), 4432},
        {&gemma3_27b, with_swa_full(bindings(32768)), 15872},
        {&gpt_oss, bindings(32768), 786},
        {&gpt_oss, with_sequences(bindings(32768), 4, false), 840},
        {&gpt_oss, with_sequences(bindings(32768), 4, true), 792},
        {&gpt_oss, bindings(131072), 3090},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ws_estimate e = estimate(cases[i].model, cases[i].options);
        cr_expect_float_eq((double)e.device.kv_cache / MIB, cases[i].mib, 0.05, "case %zu, %s: %.3f MiB, not %.3f", i,
                           cases[i].model->name, (double)e.device.kv_cache / MIB, cases[i].mib);
    }
}

/* Bytes that the allocator of llama.cpp reported. */
Test(estimate, compute_buffers) {
    const struct {
        const config *model;
        ws_est_options options;
        uint64_t bytes;
    } cases[] = {
        {&llama_8b, bindings(8192), 271056896},                        /* the logits of 512 tokens */
        {&llama_8b, server(8192), 121645184},                          /* the feed-forward and the mask */
        {&llama_8b, server(131072), 247474304},                        /* a larger mask */
        {&llama_8b, without_fa(bindings(32768)), 2252349440},          /* scores of every head and cell */
        {&llama_8b, typed(bindings(131072), WS_TYPE_Q8_0), 704737280}, /* K and V of one layer in f16 */
        {&llama_8b, with_ubatch(server(8192), 2048), 486580352},
        {&mixtral, bindings(8192), 209727488},
        {&mixtral, server(32768), 234891392},
        {&smollm2, bindings(8192), 101842944},
        {&mistral_7b, server(8192), 121645184},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ws_estimate e = estimate(cases[i].model, cases[i].options);
        cr_expect_eq(e.device.compute, cases[i].bytes, "case %zu, %s: %lu, not %lu", i, cases[i].model->name,
                     (unsigned long)e.device.compute, (unsigned long)cases[i].bytes);
    }
}

Test(estimate, weights_are_padded_and_placed) {
    static const ws_est_tensor tensors[] = {
        {WS_TYPE_F32, 10, 40, WS_PLACE_LAYERS},       /* 128 */
        {WS_TYPE_Q4_0, 512, 288, WS_PLACE_LAYERS},    /* 384: whole rows */
        {WS_TYPE_Q4_1, 576, 360, WS_PLACE_LAYERS},    /* 360 + 448/32*20 = 640 */
        {WS_TYPE_Q6_K, 256, 210, WS_PLACE_LAYERS},    /* 210 + 210, padded: 512 */
        {WS_TYPE_Q8_0, 32, 34, WS_PLACE_INPUT},       /* host: 64 */
        {WS_TYPE_F16, 33, 66, WS_PLACE_INPUT_OUTPUT}, /* host: 96, device: 128 */
    };
    ws_est_model m = {.tensors = tensors, .n_tensors = sizeof tensors / sizeof *tensors};
    const ws_est_options o = bindings(512);
    ws_estimate e;
    ws_error err = {0};
    cr_assert_eq(ws_estimate_run(&e, &m, &o, &err), WS_OK, "%s", err.msg);
    cr_expect_eq(e.device.weights, 128 + 384 + 640 + 512 + 128, "%lu", (unsigned long)e.device.weights);
    cr_expect_eq(e.host.weights, 64 + 96, "%lu", (unsigned long)e.host.weights);
    cr_expect_eq(e.device.total, e.device.weights + e.device.kv_cache + e.device.compute);
}

Test(estimate, latent_cache_has_no_v) { /* DeepSeek-V2-Lite at 32768: 972 MiB */
    ws_est_layer layers[27];
    for (size_t i = 0; i < 27; i++) layers[i] = (ws_est_layer){.k_width = 576};
    const ws_est_model m = {
        .n_layers = 27, .layers = layers, .mla = true, .head_k = 576, .head_v = 512, .n_head_kv = 1};
    ws_est_options o = bindings(32768);
    ws_estimate e;
    ws_error err = {0};
    cr_assert_eq(ws_estimate_run(&e, &m, &o, &err), WS_OK);
    cr_expect_eq(e.device.kv_cache, 1019215872);
    o.type_k = WS_TYPE_Q8_0;
    cr_expect_eq(ws_estimate_run(&e, &m, &o, &err), WS_UNSUPPORTED, "K and V are one");
    cr_expect_not_null(strstr(err.msg, "must agree"));
}

Test(estimate, states_grow_with_sequences_not_with_context) { /* Mamba-2.8B: 23.8 MiB for each sequence */
    ws_est_layer layers[64];
    for (size_t i = 0; i < 64; i++) layers[i] = (ws_est_layer){.conv_state = 3 * 5120, .ssm_state = 16 * 5120};
    const ws_est_model m = {
        .n_layers = 64, .layers = layers, .flow = WS_FLOW_MAMBA, .d_inner = 5120, .d_conv = 4, .d_state = 16};
    ws_estimate one, four;
    ws_error err = {0};
    ws_est_options o = bindings(512);
    cr_assert_eq(ws_estimate_run(&one, &m, &o, &err), WS_OK);
    o = server(131072);
    cr_assert_eq(ws_estimate_run(&four, &m, &o, &err), WS_OK);
    cr_expect_eq(one.device.kv_cache, 64 * 4 * 19 * 5120);
    cr_expect_eq(four.device.kv_cache, 4 * one.device.kv_cache);
}

Test(estimate, widths_that_differ_are_padded_without_flash_attention) {
    ws_est_layer layers[2] = {{.k_width = 512, .v_width = 512}, {.k_width = 1024, .v_width = 1024}};
    const ws_est_model m = {.n_layers = 2, .layers = layers, .head_k = 128, .head_v = 128, .n_head_kv = 8};
    ws_estimate with, without;
    ws_error err = {0};
    ws_est_options o = bindings(1024);
    cr_assert_eq(ws_estimate_run(&with, &m, &o, &err), WS_OK);
    o.flash_attn = false;
    cr_assert_eq(ws_estimate_run(&without, &m, &o, &err), WS_OK);
    cr_expect_eq(with.device.kv_cache, 2 * 1024 * (512 + 512 + 1024 + 1024));
    cr_expect_eq(without.device.kv_cache, 2 * 1024 * (512 + 1024 + 1024 + 1024), "V of both layers is 1024 wide");
}

Test(estimate, refusals) {
    ws_est_layer layers[MAX_TEST_LAYERS];
    ws_est_model m = model_of(&llama_8b, layers);
    ws_estimate e;
    ws_error err = {0};
    ws_est_options o = without_fa(typed(bindings(512), WS_TYPE_Q8_0));
    cr_expect_eq(ws_estimate_run(&e, &m, &o, &err), WS_UNSUPPORTED);
    cr_expect_not_null(strstr(err.msg, "needs flash attention"));
    o.type_v = WS_TYPE_F16;
    cr_expect_eq(ws_estimate_run(&e, &m, &o, &err), WS_OK, "K alone may be quantized");
    m.head_k = m.head_v = 80;
    o.flash_attn = true;
    cr_expect_eq(ws_estimate_run(&e, &m, &o, &err), WS_UNSUPPORTED);
    cr_expect_not_null(strstr(err.msg, "80 elements"), "%s", err.msg);
}

Test(estimate, overflow_is_an_error) {
    ws_est_layer layers[2] = {{.k_width = UINT64_C(1) << 40, .v_width = 1}, {.k_width = 1, .v_width = 1}};
    const ws_est_model m = {.n_layers = 2, .layers = layers, .head_k = 1, .head_v = 1};
    const ws_est_options o = bindings(UINT64_C(1) << 31);
    ws_estimate e;
    ws_error err = {0};
    cr_expect_eq(ws_estimate_run(&e, &m, &o, &err), WS_FORMAT);
    cr_expect_eq(e.device.total, 0);
}
