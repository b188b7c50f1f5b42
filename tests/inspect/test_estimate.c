/* Estimates of small models, by hand; tests/conformance/check_vram.py compares large ones with llama.cpp. */
#include "estimate.h"
#include "estimate_model.h"
#include "placement.h"
#include "speed.h"

#include <string.h>

static ws_estimate run(const test_decoder *d, const ws_est_options *o) {
    ws_estimate e;
    ws_error err = {0};
    ws_blueprint *bp = test_decoder_open(d);
    cr_assert_eq(ws_estimate_run(&e, bp, o, &err), WS_OK, "%s", err.msg);
    ws_blueprint_close(bp);
    return e;
}

static void expect_refusal(const test_decoder *d, const ws_est_options *o, ws_status status, const char *words) {
    ws_estimate e;
    ws_error err = {0};
    ws_blueprint *bp = test_decoder_open(d);
    cr_assert_eq(ws_estimate_run(&e, bp, o, &err), status, "%s", err.msg);
    cr_assert(strstr(err.msg, words), "%s", err.msg);
    ws_blueprint_close(bp);
}

/* Bytes of one layer of test_small, each tensor on a multiple of 128: norms, Q and output, K and V, feed-forward. */
static const uint64_t LAYER = 2 * 256 * 4 + 2 * 256 * 256 * 2 + 2 * 256 * 128 * 2 + 3 * 256 * 512 * 2;
static const uint64_t MATRIX = 256 * 1000 * 2, NORM = 256 * 4;

Test(estimate, weights_are_on_the_gpu_but_the_embedding) {
    const ws_estimate e = run(&test_small, &test_estimate_options);
    cr_assert_eq(e.device[0].weights, 4 * LAYER + MATRIX + NORM);
    cr_assert_eq(e.host.weights, MATRIX);
    cr_assert_eq(e.device[0].n_layers, 4);
}

Test(estimate, a_tied_embedding_is_in_both_places) {
    test_decoder d = test_small;
    d.tied = true;
    const ws_estimate e = run(&d, &test_estimate_options);
    cr_assert_eq(e.device[0].weights, 4 * LAYER + MATRIX + NORM);
    cr_assert_eq(e.host.weights, MATRIX);
    ws_est_options cpu = test_estimate_options;
    cpu.n_devices = 0;
    cr_assert_eq(run(&d, &cpu).host.weights, 4 * LAYER + MATRIX + NORM, "once, on the CPU alone");
}

Test(estimate, cache_grows_with_context_and_shrinks_with_type) {
    ws_est_options o = test_estimate_options;
    const uint64_t one = run(&test_small, &o).sum.kv_cache;
    cr_assert_eq(one, 4 * 2 * 128 * 1024 * 2);
    o.n_ctx = 1025; /* rounded up to 1280 */
    cr_assert_eq(run(&test_small, &o).sum.kv_cache, one / 4 * 5);
    o.n_ctx = 1024, o.type_k = o.type_v = WS_TYPE_Q8_0;
    /* rows of 128 elements are padded to 512 once per tensor: 12 blocks of 34 bytes, then to 128 bytes */
    cr_assert_eq(run(&test_small, &o).sum.kv_cache, 4 * 2 * (128 / 32 * 34 * 1024 + (12 * 34 + 127) / 128 * 128));
}

Test(estimate, sequences_share_the_context_or_split_it) {
    ws_est_options o = test_estimate_options;
    o.n_seq = 4;
    cr_assert_eq(run(&test_small, &o).n_ctx_seq, 256);
    cr_assert_eq(run(&test_small, &o).n_streams, 4);
    o.unified = true;
    cr_assert_eq(run(&test_small, &o).n_ctx_seq, 1024);
}

Test(estimate, logits_dominate_a_small_model) {
    ws_est_options o = test_estimate_options;
    /* at the end: hidden states and logits of 512 tokens */
    test_decoder d = test_small;
    d.vocab = 10000;
    cr_assert_eq(run(&d, &o).device[0].compute, (10000 + 256) * 4 * 512);
    o.n_outputs = 4;
    cr_assert(run(&d, &o).device[0].compute < 6 << 20, "without them it is the feed-forward");
    cr_assert_eq(run(&d, &o).host.output, 10000 * 4);
}

Test(estimate, scores_grow_with_context_without_flash_attention) {
    ws_est_options o = test_estimate_options;
    o.n_ctx = 8192;
    const uint64_t with = run(&test_small, &o).device[0].compute;
    o.flash_attn = false;
    const uint64_t without = run(&test_small, &o).device[0].compute;
    cr_assert(without > with + 4 * UINT64_C(8192) * 512 * 4, "%zu heads' scores", (size_t)4);
}

Test(estimate, layers_are_split_and_offloaded) {
    ws_est_options o = test_estimate_options;
    o.n_devices = 2;
    ws_estimate e = run(&test_small, &o);
    /* of 5 (the output counts) the first three go to the first */
    cr_assert_eq(e.device[0].n_layers, 3);
    cr_assert_eq(e.device[1].n_layers, 1);
    cr_assert_eq(e.device[1].weights, LAYER + MATRIX + NORM);
    o.share[0] = 1, o.share[1] = 4;
    cr_assert_eq(run(&test_small, &o).device[0].n_layers, 1);
    o = test_estimate_options, o.n_gpu_layers = 2; /* the output and one layer */
    e = run(&test_small, &o);
    cr_assert_eq(e.device[0].weights, LAYER + MATRIX + NORM);
    cr_assert_eq(e.host.weights, 3 * LAYER + MATRIX);
    cr_assert_eq(e.host.kv_cache, 3 * e.device[0].kv_cache);
    o.n_gpu_layers = 0;
    cr_assert_eq(run(&test_small, &o).device[0].weights, 0);
}

static const test_decoder moe = {.arch = "llama",
                                 .layers = 2,
                                 .embd = 256,
                                 .ff = 256,
                                 .heads = 4,
                                 .kv_heads = 4,
                                 .vocab = 500,
                                 .experts = 8,
                                 .experts_used = 2,
                                 .type = WS_TYPE_F16};

Test(estimate, experts_can_stay_on_the_cpu) {
    ws_est_options o = test_estimate_options;
    const uint64_t all = run(&moe, &o).device[0].weights, experts = 3 * 8 * 256 * 256 * 2;
    o.n_cpu_moe = 1;
    cr_assert_eq(run(&moe, &o).device[0].weights, all - experts);
    o.n_cpu_moe = 99;
    cr_assert_eq(run(&moe, &o).device[0].weights, all - 2 * experts);
}

Test(estimate, sliding_layers_keep_their_window) {
    test_decoder d = test_small;
    d.arch = "gpt-oss";
    d.experts = 4, d.experts_used = 2;
    d.more[0].suffix = "attention.sliding_window", d.more[0].value = 128;
    ws_est_options o = test_estimate_options;
    o.n_ctx = 8192;
    ws_estimate e = run(&d, &o);
    cr_assert_eq(e.sliding.n_layers, 2);
    cr_assert_eq(e.sliding.cells, 768); /* 128 + 512, rounded */
    cr_assert_eq(e.full.cells, 8192);
    o.swa_full = true;
    cr_assert_eq(run(&d, &o).sliding.cells, 8192);
}

Test(estimate, what_llama_cpp_refuses_is_refused) {
    ws_est_options o = test_estimate_options;
    o.flash_attn = false, o.type_v = WS_TYPE_Q8_0;
    expect_refusal(&test_small, &o, WS_UNSUPPORTED, "flash attention");
    test_decoder d = test_small;
    d.heads = 16, d.kv_heads = 16; /* heads of 16 */
    o.flash_attn = true;
    expect_refusal(&d, &o, WS_UNSUPPORTED, "heads of 16");
}

Test(estimate, flash_attention_is_given_up_when_it_is_automatic) {
    test_decoder d = test_small;
    d.heads = 8, d.kv_heads = 8; /* heads of 32 have no kernel */
    ws_est_options o = test_estimate_options;
    o.flash_auto = true;
    cr_assert_not(run(&d, &o).flash_attn);
    o.n_devices = 0;
    cr_assert(run(&d, &o).flash_attn, "the CPU can");
}

Test(estimate, a_missing_tensor_is_named) {
    test_decoder d = test_small;
    d.drop = "blk.2.ffn_down.weight";
    expect_refusal(&d, &test_estimate_options, WS_FORMAT, "blk.2.ffn_down.weight");
    d = moe, d.experts_used = 0;
    expect_refusal(&d, &test_estimate_options, WS_FORMAT, "none is used");
}

Test(estimate, an_unknown_architecture_is_a_guess) {
    test_decoder d = test_small;
    d.arch = "brandnew";
    ws_blueprint *bp = test_decoder_open(&d);
    cr_assert(bp->guessed);
    ws_blueprint_close(bp);
    const ws_estimate known = run(&test_small, &test_estimate_options), guess = run(&d, &test_estimate_options);
    cr_assert_eq(guess.sum.total, known.sum.total, "a plain decoder is computed as one");
    d.drop = "blk.0.attn_q.weight";
    cr_assert(run(&d, &test_estimate_options).sum.compute > 1 << 20, "and what cannot be one is still guessed");
}

Test(estimate, speed_counts_what_a_token_reads) {
    ws_target t;
    ws_speed s;
    ws_error err = {0};
    ws_blueprint *bp = test_decoder_open(&moe);
    ws_estimate e;
    cr_assert_eq(ws_target_parse_gpus(&t, "rtx-3090", &err), WS_OK);
    cr_assert_eq(ws_estimate_run(&e, bp, &test_estimate_options, &err), WS_OK);
    cr_assert_eq(ws_speed_bound(&s, bp, &test_estimate_options, &e, &t, &err), WS_OK);
    const uint64_t rest = 2 * (2 * NORM + 4 * 256 * 256 * 2 + 256 * 8 * 4) + 500 * 256 * 2 + NORM;
    cr_assert_eq(s.weights, rest + 2 * 3 * 2 * 256 * 256 * 2, "two of eight experts");
    cr_assert_float_eq(s.empty, 936e9 / (double)s.weights, 1);
    cr_assert(s.full < s.empty);
    ws_blueprint_close(bp);
}

/* ---- headers that lie ---- */

static void expect_bad_header(const char *suffix, uint32_t value, const char *words) {
    test_decoder d = test_small;
    ws_blueprint *bp;
    ws_error err = {0};
    d.more[0].suffix = suffix, d.more[0].value = value;
    cr_assert_eq(test_decoder_try(&d, &bp, &err), WS_FORMAT);
    cr_assert(strstr(err.msg, words), "%s", err.msg);
    cr_assert_null(bp);
}

Test(estimate, absurd_numbers_are_refused) {
    expect_bad_header("block_count", 100000, "block_count");
    expect_bad_header("attention.key_length", UINT32_MAX, "key_length");
    expect_bad_header("nextn_predict_layers", 4, "no layers");
    expect_bad_header("expert_used_count", 3, "experts");
}

Test(estimate, layers_beyond_the_model_are_not_loaded) {
    test_decoder d = test_small;
    d.more[0].suffix = "nextn_predict_layers", d.more[0].value = 1;
    const ws_estimate e = run(&d, &test_estimate_options);
    cr_assert_eq(e.device[0].weights, 3 * LAYER + MATRIX + NORM);
    cr_assert_eq(e.full.n_layers, 3);
}

Test(estimate, names_tell_the_layer) {
    cr_assert_eq(ws_tensor_layer("blk.12.attn_q.weight"), 12);
    cr_assert_eq(ws_tensor_layer("blk.x.attn_q.weight"), -1);
    cr_assert_eq(ws_tensor_layer("output.weight"), -1);
    cr_assert(ws_is_expert_tensor("blk.1.ffn_gate_up_exps.weight"));
    cr_assert_not(ws_is_expert_tensor("blk.1.ffn_up_shexp.weight"));
}
