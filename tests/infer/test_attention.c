/* Attention with a window, sinks and soft caps against sums in double precision. */
#include "attention.h"
#include "guarded.h"

#include <math.h>

enum { TOKENS = 300, HEADS = 4, KV_HEADS = 2, HEAD = 24, BATCH = 37 };

typedef struct {
    uint64_t window;
    float cap;
    bool sinks, all; /* all: to both sides */
} variant;

static const float sinks[HEADS] = {0.5f, -2, 3, 0};

static void expect_row(const variant *v, const float *q, const float *k, const float *val, size_t t, size_t head,
                       const float *out) {
    const size_t back = v->all ? v->window / 2 : v->window - 1, kv = head / (HEADS / KV_HEADS);
    const size_t first = v->window && t > back ? t - back : 0;
    const size_t last = !v->all ? t : !v->window || t + back >= TOKENS ? TOKENS - 1 : t + back;
    double p[TOKENS], sum = v->sinks ? exp((double)sinks[head]) : 0;
    for (size_t j = first; j <= last; j++) {
        double dot = 0;
        for (size_t c = 0; c < HEAD; c++)
            dot += (double)q[(t * HEADS + head) * HEAD + c] * (double)k[(j * KV_HEADS + kv) * HEAD + c];
        dot *= 0.3;
        p[j] = exp(v->cap > 0 ? (double)v->cap * tanh(dot / (double)v->cap) : dot);
        sum += p[j];
    }
    for (size_t c = 0; c < HEAD; c++) {
        double want = 0;
        for (size_t j = first; j <= last; j++) want += p[j] / sum * (double)val[(j * KV_HEADS + kv) * HEAD + c];
        cr_assert_float_eq(out[head * HEAD + c], want, 5e-6, "window %d, cap %g, token %zu", (int)v->window,
                           (double)v->cap, t);
    }
}

static void check(const variant *v) {
    const ws_hparams hp = {.n_layer = 1,
                           .n_head = HEADS,
                           .n_head_kv = KV_HEADS,
                           .head_k = HEAD,
                           .head_v = HEAD,
                           .attn_scale = 0.3f,
                           .attn_softcap = v->cap};
    enum { STRIDE = 112 };
    static float q[TOKENS * HEADS * HEAD], k[TOKENS * KV_HEADS * HEAD], val[TOKENS * KV_HEADS * HEAD];
    static float out[TOKENS * STRIDE];
    const size_t batch = v->all ? TOKENS : BATCH;
    test_random r = {3};
    ws_engine e = {0};
    ws_cache cache;
    ws_error err = {0};
    random_floats(&r, q, sizeof q / sizeof *q);
    random_floats(&r, k, sizeof k / sizeof *k);
    random_floats(&r, val, sizeof val / sizeof *val);
    ws_kernels_init(&e.k, 0);
    cr_assert_eq(ws_team_open(&e.team, 2, &err), WS_OK);
    void *memory = calloc(1, ws_cache_bytes(&hp, WS_TYPE_F32, TOKENS));
    float *scratch = calloc(2 * ws_attention_scratch(&hp), sizeof *scratch);
    ws_cache_init(&cache, &hp, WS_TYPE_F32, TOKENS, memory, 0);
    for (size_t at = 0; at < TOKENS; at += batch) {
        const size_t n = TOKENS - at < batch ? TOKENS - at : batch;
        for (size_t t = at; t < at + n; t++)
            ws_cache_store(&cache, 0, t, k + t * KV_HEADS * HEAD, val + t * KV_HEADS * HEAD);
        ws_attention_run(&(ws_attention){.e = &e,
                                         .hp = &hp,
                                         .window = v->window,
                                         .all_keys = v->all,
                                         .sinks = v->sinks ? sinks : NULL,
                                         .cache = &cache,
                                         .scratch = scratch,
                                         .n_tokens = n,
                                         .position = at,
                                         .q = q + at * HEADS * HEAD,
                                         .q_stride = HEADS * HEAD,
                                         .out = out,
                                         .out_stride = STRIDE});
        for (size_t i = 0; i < n * HEADS; i++)
            expect_row(v, q, k, val, at + i / HEADS, i % HEADS, out + i / HEADS * STRIDE);
    }
    ws_team_close(e.team);
    free(memory), free(scratch);
}

Test(attention, windows_sinks_and_caps) {
    static const variant variants[] = {
        {.window = 0},        {.window = 1},
        {.window = 50},       {.cap = 2},
        {.sinks = true},      {.window = 129, .sinks = true},
        {.all = true},        {1, 0, false, true},
        {8, 0, false, true},  {200, 1, true, false},
        {101, 0, true, true}, {TOKENS * 3, 0, false, true},
    };
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) check(&variants[i]);
}
