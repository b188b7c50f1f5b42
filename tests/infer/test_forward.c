/* The decoder against a naive one in double precision, and against itself in other batches, with other threads and
 * other instruction sets. */
#include "forward.h"
#include "guarded.h"
#include "tiny_model.h"

#include <math.h>

enum { N_TOKENS = 37 };

static void make_ids(int32_t *ids, size_t n) {
    test_random r = {12};
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)(random_u32(&r) % TINY_VOCAB);
}

static ws_session_options session_options(void) {
    return (ws_session_options){.n_ctx = 300, .n_batch = 300, .n_threads = 1, .kv_type = WS_TYPE_F32};
}

/* Logits after every token, fed in batches of `batch`; out[n][TINY_VOCAB]. */
static ws_status run(const char *path, const ws_session_options *o, size_t batch, const int32_t *ids, size_t n,
                     float *out, ws_error *err) {
    ws_model *m;
    ws_session *s = NULL;
    ws_status st = ws_model_open(&m, path, NULL, NULL, err);
    if (!st) st = ws_session_open(&s, m, o, err);
    const size_t stride = st ? 1 : ws_logits_stride(m);
    float *rows = calloc(n * stride, sizeof *rows);
    for (size_t at = 0; at < n && !st; at += batch) {
        const size_t k = n - at < batch ? n - at : batch;
        st = ws_session_feed(s, ids + at, k, err);
        if (!st) st = ws_session_logits(s, 0, k, rows + at * stride, err);
    }
    for (size_t i = 0; i < n && !st; i++) memcpy(out + i * TINY_VOCAB, rows + i * stride, TINY_VOCAB * sizeof *out);
    free(rows);
    ws_session_close(s);
    ws_model_close(m);
    return st;
}

static void must_run(const char *path, const ws_session_options *o, size_t batch, const int32_t *ids, size_t n,
                     float *out) {
    ws_error err = {0};
    cr_assert_eq(run(path, o, batch, ids, n, out, &err), WS_OK, "%s", err.msg);
}

/* Differences from the naive decoder in units of its logits' standard deviation. */
typedef struct {
    double worst, rms;
} distance;

static distance distance_of(const double *want, const float *got, size_t n) {
    double squares = 0, differences = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs(want[i] - (double)got[i]);
        squares += want[i] * want[i], differences += d * d;
        if (!(d <= worst)) worst = d;
    }
    return (distance){worst / sqrt(squares / (double)n), sqrt(differences / squares)};
}

static distance compare(const tiny_options *o, const ws_session_options *so) {
    static double want[N_TOKENS * TINY_VOCAB];
    static float got[N_TOKENS * TINY_VOCAB];
    int32_t ids[N_TOKENS];
    char path[64];
    tiny_write(o, path);
    make_ids(ids, N_TOKENS);
    tiny_reference(o, path, ids, N_TOKENS, want);
    must_run(path, so, N_TOKENS, ids, N_TOKENS, got);
    unlink(path);
    return distance_of(want, got, N_TOKENS * TINY_VOCAB);
}

Test(forward, agrees_with_the_naive_decoder) {
    const ws_session_options so = session_options();
    tiny_options o = tiny_defaults();
    cr_assert_leq(compare(&o, &so).worst, 2e-5);
    o.untied = o.biases = true;
    cr_assert_leq(compare(&o, &so).worst, 2e-5);
    o.rope_freqs = true;
    cr_assert_leq(compare(&o, &so).worst, 2e-5);
    o.rope_freqs = false, o.rope_scale = 4;
    cr_assert_leq(compare(&o, &so).worst, 2e-5);
    o.type = WS_TYPE_F16;
    cr_assert_leq(compare(&o, &so).worst, 2e-5);
}

/* Sizes that fill no vector: odd heads, fewer rope dimensions than the head has, values unlike keys. */
Test(forward, agrees_with_the_naive_decoder_at_odd_sizes) {
    const ws_session_options so = session_options();
    const tiny_options o = {.n_layer = 3,
                            .n_embd = 42,
                            .n_ff = 75,
                            .n_head = 6,
                            .n_head_kv = 2,
                            .head_k = 10,
                            .head_v = 7,
                            .n_rot = 6,
                            .biases = true};
    cr_assert_leq(compare(&o, &so).worst, 2e-5);
}

Test(forward, an_f16_cache_costs_little) {
    ws_session_options so = session_options();
    const tiny_options o = tiny_defaults();
    so.kv_type = WS_TYPE_F16;
    const double d = compare(&o, &so).worst;
    cr_assert(d > 2e-5 && d < 5e-3, "%g", d);
}

static void expect_worst(const tiny_options *o, const ws_session_options *so, double from, double to) {
    const double d = compare(o, so).worst;
    cr_assert(d > from && d < to, "%g", d);
}

/* Activations are rounded to the 8 bits of mantissa that the weights have. */
Test(forward, bf16_weights_cost_little) {
    const ws_session_options so = session_options();
    tiny_options o = tiny_defaults();
    o.type = WS_TYPE_BF16;
    expect_worst(&o, &so, 2e-5, 0.03);
}

/* Keys and values in blocks, whose padding (heads of 10 and 7) counts for nothing. */
Test(forward, a_quantized_cache_costs_what_its_bits_are_worth) {
    ws_session_options so = session_options();
    tiny_options o = tiny_defaults();
    so.kv_type = WS_TYPE_Q8_0;
    expect_worst(&o, &so, 0.01, 0.3);
    so.kv_type = WS_TYPE_Q4_0;
    expect_worst(&o, &so, 0.1, 3);
    o = (tiny_options){.n_layer = 3,
                       .n_embd = 42,
                       .n_ff = 75,
                       .n_head = 6,
                       .n_head_kv = 2,
                       .head_k = 10,
                       .head_v = 7,
                       .n_rot = 6,
                       .biases = true};
    so.kv_type = WS_TYPE_Q8_0;
    expect_worst(&o, &so, 0.01, 0.3);
    so.kv_type = WS_TYPE_Q4_0;
    expect_worst(&o, &so, 0.1, 3);
}

/* Activations of 8 bits: values of a group are off by up to 1/254 of its largest, evenly spread. For uniform values
 * that is 1/254 of the row's own standard deviation (both are the width of an interval over the square root of 12),
 * and a handful of products add up their errors. */
Test(forward, quantized_weights_stay_close) {
    static const ws_dtype types[] = {WS_TYPE_Q4_0, WS_TYPE_Q4_1, WS_TYPE_Q5_0, WS_TYPE_Q5_1, WS_TYPE_Q8_0,
                                     WS_TYPE_Q2_K, WS_TYPE_Q3_K, WS_TYPE_Q4_K, WS_TYPE_Q5_K, WS_TYPE_Q6_K};
    const ws_session_options so = session_options();
    tiny_options o = tiny_defaults();
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        o.type = types[i];
        const double d = compare(&o, &so).rms;
        cr_assert(d < 8.0 / 254, "%s: %g", ws_dtype_name(o.type), d);
    }
}

/* Every batch size, thread count and level of kernels. */
static void check_bits(ws_dtype type, ws_dtype kv_type) {
    enum { LONG = 150 }; /* more than one span of attention */
    static float want[LONG * TINY_VOCAB], got[LONG * TINY_VOCAB];
    static const size_t batches[] = {1, 3, 7, 64, 149};
    int32_t ids[LONG];
    char path[64];
    tiny_options o = tiny_defaults();
    ws_session_options so = session_options();
    o.type = type, so.kv_type = kv_type, so.cpu_flags = ws_cpu_detect();
    tiny_write(&o, path);
    make_ids(ids, LONG);
    must_run(path, &so, LONG, ids, LONG, want);
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
        so.n_threads = (int)b + 1;
        must_run(path, &so, batches[b], ids, LONG, got);
        cr_assert_arr_eq(got, want, sizeof got, "%s, batch %zu, %d threads", ws_dtype_name(type), batches[b],
                         so.n_threads);
    }
    static const uint32_t levels[] = {0, WS_CPU_AVX2, WS_CPU_AVX2 | WS_CPU_AVX512};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if ((levels[i] & ws_cpu_detect()) != levels[i]) continue;
        so.cpu_flags = levels[i];
        must_run(path, &so, LONG / 2, ids, LONG, got);
        cr_assert_arr_eq(got, want, sizeof got, "%s, %s", ws_dtype_name(type), ws_cpu_name(levels[i]));
    }
    unlink(path);
}

Test(forward, batches_and_threads_do_not_change_a_bit_f32) { check_bits(WS_TYPE_F32, WS_TYPE_F32); }
Test(forward, batches_and_threads_do_not_change_a_bit_f16) { check_bits(WS_TYPE_F16, WS_TYPE_F16); }
Test(forward, batches_and_threads_do_not_change_a_bit_q8_0) { check_bits(WS_TYPE_Q8_0, WS_TYPE_F16); }
Test(forward, batches_and_threads_do_not_change_a_bit_q5_0) { check_bits(WS_TYPE_Q5_0, WS_TYPE_Q8_0); }
Test(forward, batches_and_threads_do_not_change_a_bit_q6_k) { check_bits(WS_TYPE_Q6_K, WS_TYPE_Q4_0); }

Test(forward, instruction_sets_agree) {
    static float want[N_TOKENS * TINY_VOCAB], got[N_TOKENS * TINY_VOCAB];
    int32_t ids[N_TOKENS];
    char path[64];
    tiny_options o = tiny_defaults();
    ws_session_options so = session_options();
    make_ids(ids, N_TOKENS);
    tiny_write(&o, path);
    must_run(path, &so, N_TOKENS, ids, N_TOKENS, want);
    so.cpu_flags = ws_cpu_detect();
    must_run(path, &so, N_TOKENS, ids, N_TOKENS, got);
    unlink(path);
    double squares = 0, worst = 0;
    for (size_t i = 0; i < N_TOKENS * TINY_VOCAB; i++) {
        squares += (double)want[i] * want[i];
        worst = fmax(worst, fabs((double)want[i] - got[i]));
    }
    cr_assert_leq(worst, 1e-4 * sqrt(squares / (N_TOKENS * TINY_VOCAB)));
}

Test(forward, going_back_forgets) {
    static float want[TINY_VOCAB], got[4 * TINY_VOCAB + 4 * 16];
    int32_t ids[8];
    char path[64];
    ws_model *m;
    ws_session *s;
    ws_error err = {0};
    const tiny_options o = tiny_defaults();
    const ws_session_options so = session_options();
    make_ids(ids, 8);
    tiny_write(&o, path);
    cr_assert_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_OK);
    cr_assert_eq(ws_session_open(&s, m, &so, &err), WS_OK);
    cr_assert_eq(ws_session_feed(s, ids, 4, &err), WS_OK);
    cr_assert_eq(ws_session_logits(s, 3, 1, got, &err), WS_OK);
    memcpy(want, got, sizeof want);
    cr_assert_eq(ws_session_feed(s, ids + 4, 4, &err), WS_OK);
    ws_session_rewind(s, 1);
    cr_assert_eq(ws_session_position(s), 1);
    cr_assert_eq(ws_session_logits(s, 0, 1, got, &err), WS_USAGE);
    cr_assert_eq(ws_session_feed(s, ids + 1, 3, &err), WS_OK);
    cr_assert_eq(ws_session_logits(s, 2, 1, got, &err), WS_OK);
    cr_assert_arr_eq(got, want, sizeof want);
    ws_session_close(s);
    ws_model_close(m);
    unlink(path);
}

Test(forward, bad_input_is_refused) {
    char path[64];
    ws_model *m;
    ws_session *s;
    ws_error err = {0};
    float *logits = calloc(512, sizeof *logits);
    const tiny_options o = tiny_defaults();
    ws_session_options so = session_options();
    so.n_ctx = 4, so.n_batch = 8;
    tiny_write(&o, path);
    cr_assert_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_OK);
    cr_assert_eq(ws_session_open(&s, m, &so, &err), WS_OK);
    cr_assert_eq(ws_session_feed(s, (int32_t[]){1}, 0, &err), WS_USAGE);
    cr_assert_eq(ws_session_feed(s, (int32_t[]){-1}, 1, &err), WS_FORMAT);
    cr_assert_eq(ws_session_feed(s, (int32_t[]){TINY_VOCAB}, 1, &err), WS_FORMAT);
    cr_assert_eq(ws_session_feed(s, (int32_t[]){1, 2, 3, 4, 5}, 5, &err), WS_LIMIT);
    cr_assert_eq(ws_session_position(s), 0);
    cr_assert_eq(ws_session_feed(s, (int32_t[]){1, 2, 3, 4}, 4, &err), WS_OK);
    cr_assert_eq(ws_session_feed(s, (int32_t[]){1}, 1, &err), WS_LIMIT);
    cr_assert_eq(ws_session_logits(s, 4, 1, logits, &err), WS_USAGE);
    ws_session_close(s);

    so.kv_type = WS_TYPE_Q5_0;
    cr_assert_eq(ws_session_open(&s, m, &so, &err), WS_UNSUPPORTED);
    so.kv_type = WS_TYPE_F16, so.n_ctx = 0;
    cr_assert_eq(ws_session_open(&s, m, &so, &err), WS_USAGE);
    so.n_ctx = UINT64_MAX / 2;
    cr_assert_eq(ws_session_open(&s, m, &so, &err), WS_NOMEM);
    cr_assert_null(s);
    ws_model_close(m);
    free(logits);
    unlink(path);
}

static void check_poison(ws_dtype type, const char *tensor) {
    static float out[3 * TINY_VOCAB];
    char path[64];
    ws_error err = {0};
    tiny_options o = tiny_defaults();
    ws_session_options so = session_options();
    o.type = type, o.poison = tensor, so.cpu_flags = ws_cpu_detect();
    tiny_write(&o, path);
    cr_assert_eq(run(path, &so, 3, (int32_t[]){5, 6, 7}, 3, out, &err), WS_FORMAT, "%s", tensor);
    cr_assert(strstr(err.msg, "NaN"), "%s", err.msg);
    unlink(path);
}

/* A NaN must not vanish in the 8-bit activations of quantized matrices. */
Test(forward, nan_is_found) {
    check_poison(WS_TYPE_F32, "output_norm.weight");
    check_poison(WS_TYPE_F32, "blk.0.ffn_norm.weight");
    check_poison(WS_TYPE_Q8_0, "blk.1.attn_norm.weight");
    check_poison(WS_TYPE_Q4_K, "blk.0.attn_norm.weight");
    check_poison(WS_TYPE_Q4_0, "output_norm.weight");
}

Test(forward, memory_is_known_before) {
    const ws_hparams hp = {.n_layer = 3,
                           .n_embd = 64,
                           .n_ff = 128,
                           .n_head = 4,
                           .n_head_kv = 2,
                           .n_vocab = 100,
                           .head_k = 16,
                           .head_v = 16,
                           .n_rot = 16};
    ws_session_options so = session_options();
    so.n_ctx = 100;
    const uint64_t at_100 = ws_session_bytes(&hp, &so);
    so.n_ctx = 228;
    /* keys and values of 128 more positions (100 and 228 are padded by 12): layers * KV heads * (16 + 16) floats */
    cr_assert_eq(ws_session_bytes(&hp, &so) - at_100, 128 * 3 * 2 * 32 * 4);
    so.n_ctx = UINT64_MAX;
    cr_assert_eq(ws_session_bytes(&hp, &so), UINT64_MAX);
}
