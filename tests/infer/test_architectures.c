/* Every architecture from its description alone: it binds, runs, and says where a NaN comes from. That the numbers are
 * those of the real models is for tests/conformance. */
#include "any_model.h"
#include "cpu.h"
#include "embed.h"
#include "forward.h"
#include "guarded.h"

#include <math.h>

enum { N = 23 };

static void run(const char *path, size_t batch, int threads, float *out) {
    const ws_session_options o = {
        .n_ctx = 64, .n_batch = N, .n_threads = threads, .kv_type = WS_TYPE_F32, .cpu_flags = ws_cpu_detect()};
    int32_t ids[N];
    ws_model *m;
    ws_session *s;
    ws_error err = {0};
    for (int i = 0; i < N; i++) ids[i] = i * 37 % ANY_VOCAB;
    cr_assert_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_session_open(&s, m, &o, &err), WS_OK, "%s", err.msg);
    float *rows = calloc(N * ws_logits_stride(m), sizeof *rows);
    for (size_t at = 0; at < N; at += batch) {
        const size_t n = N - at < batch ? N - at : batch;
        cr_assert_eq(ws_session_feed(s, ids + at, n, &err), WS_OK, "%s", err.msg);
        cr_assert_eq(ws_session_logits(s, 0, n, rows, &err), WS_OK, "%s", err.msg);
        for (size_t i = 0; i < n; i++)
            memcpy(out + (at + i) * ANY_VOCAB, rows + i * ws_logits_stride(m), ANY_VOCAB * sizeof *out);
    }
    free(rows);
    ws_session_close(s);
    ws_model_close(m);
}

Test(architectures, all_run_the_same_in_every_batch) {
    for (const ws_arch *const *a = ws_arch_all(); *a; a++) {
        static float want[N * ANY_VOCAB], got[N * ANY_VOCAB];
        char path[64];
        if ((*a)->traits & WS_ENCODER) continue;
        any_write(*a, &(any_options){0}, path);
        run(path, N, 1, want);
        for (size_t batch = 1; batch < 9; batch += 3) {
            run(path, batch, 2, got);
            cr_expect_arr_eq(got, want, sizeof got, "%s in batches of %zu", (*a)->name, batch);
        }
        double squares = 0;
        for (size_t i = 0; i < N * ANY_VOCAB; i++) squares += (double)want[i] * (double)want[i];
        cr_expect_gt(squares, 1, "%s: logits are all but zero", (*a)->name);
        unlink(path);
    }
}

/* The weights of the chosen sum to 1: if all experts are the same, choosing makes no difference. */
Test(architectures, equal_experts_are_as_good_as_none) {
    static float sparse[N * ANY_VOCAB], dense[N * ANY_VOCAB];
    const ws_arch *llama = ws_arch_by_name("llama", 5);
    char path[64];
    ws_error err = {0};
    any_write(llama, &(any_options){.equal_experts = true}, path);
    run(path, N, 1, sparse);

    /* The same weights under the names of a dense model. */
    ws_gguf *g;
    ws_gguf_writer *w;
    char dense_path[80];
    snprintf(dense_path, sizeof dense_path, "%s.dense", path);
    cr_assert_eq(ws_gguf_open(&g, path, &err), WS_OK);
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    for (size_t i = 0; i < g->n_kv; i++)
        if (!strstr(g->kv[i].key, "expert")) ws_gguf_put_kv(w, &g->kv[i]);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < g->n_tensors; i++) {
            const ws_tensor *t = &g->tensors[i];
            char name[64];
            char *exps;
            snprintf(name, sizeof name, "%s", t->name);
            if (strstr(name, "gate_inp")) continue;
            if ((exps = strstr(name, "_exps"))) memmove(exps, exps + 5, strlen(exps + 5) + 1);
            if (pass == 0)
                ws_gguf_add_tensor(w, name, t->type, exps ? 2 : t->n_dims, t->ne);
            else
                cr_assert_eq(ws_gguf_write(w, t->data, exps ? t->bytes / t->ne[2] : t->bytes, &err), WS_OK);
        }
        if (pass == 0) cr_assert_eq(ws_gguf_writer_begin(w, dense_path, &err), WS_OK, "%s", err.msg);
    }
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
    ws_gguf_close(g);
    run(dense_path, N, 1, dense);
    for (size_t i = 0; i < N * ANY_VOCAB; i++) cr_assert_float_eq(sparse[i], dense[i], 2e-5);
    unlink(path);
    unlink(dense_path);
}

/* Groups of which all count change nothing; of which one counts, something. Ones that do not hold enough are refused.
 */
Test(architectures, experts_come_from_the_best_groups) {
    static float all[N * ANY_VOCAB], each[N * ANY_VOCAB], one[N * ANY_VOCAB];
    const ws_arch *arch = ws_arch_by_name("deepseek2", 9);
    static const struct {
        uint32_t groups, used;
        float *out; /* NULL: refused */
    } cases[] = {{1, 1, all}, {2, 2, each}, {2, 1, one}, {4, 2, NULL}, {6, 1, NULL}, {2, 3, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[64];
        ws_model *m;
        ws_error err = {0};
        any_write(arch, &(any_options){.groups = cases[i].groups, .groups_used = cases[i].used}, path);
        if (cases[i].out) run(path, N, 2, cases[i].out);
        if (!cases[i].out) cr_expect_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_FORMAT, "case %zu", i);
        if (!cases[i].out) cr_expect_not_null(strstr(err.msg, "2 of 6 experts cannot be chosen"), "%s", err.msg);
        unlink(path);
    }
    cr_expect_arr_eq(all, each, sizeof all);
    cr_expect_neq(memcmp(all, one, sizeof all), 0);
}

static void expect_fault(const char *arch, const char *poison, const char *message) {
    const ws_session_options o = {.n_ctx = 64, .n_batch = N, .n_threads = 2, .kv_type = WS_TYPE_F32};
    char path[64];
    ws_model *m;
    ws_session *s;
    ws_error err = {0};
    float *logits = calloc(N * 128, sizeof *logits);
    any_write(ws_arch_by_name(arch, strlen(arch)), &(any_options){.poison = poison}, path);
    cr_assert_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_session_open(&s, m, &o, &err), WS_OK, "%s", err.msg);
    ws_status st = ws_session_feed(s, (const int32_t[]){3, 0, 5}, 3, &err);
    if (!st) st = ws_session_logits(s, 0, 3, logits, &err);
    cr_expect_eq(st, WS_FORMAT, "%s", poison);
    cr_expect(strstr(err.msg, message), "%s of %s: %s", poison, arch, err.msg);
    ws_session_close(s);
    ws_model_close(m);
    free(logits);
    unlink(path);
}

Test(architectures, the_first_tensor_that_gives_nan_is_named) {
    expect_fault("llama", "token_embd.weight", "'token_embd.weight', element 0, of the token at position 1");
    expect_fault("gemma2", "blk.1.attn_norm.weight", "NaN arises first at 'blk.1.attn_norm.weight', element 0, of");
    expect_fault("qwen2", "blk.2.attn_q.weight", "'blk.2.attn_q.weight', element 0, of the token at position 0");
    expect_fault("qwen2", "blk.0.attn_v.bias", "'blk.0.attn_v.bias'");
    expect_fault("gemma3", "blk.1.attn_k_norm.weight", "'blk.1.attn_k, its bias and norm'");
    expect_fault("gpt-oss", "blk.1.attn_sinks.weight", "'blk.1.attention'");
    expect_fault("phi3", "blk.0.ffn_up.weight", "'blk.0.ffn_up.weight'");
    expect_fault("qwen3", "blk.1.ffn_down.weight", "'blk.1.ffn_down.weight'");
    expect_fault("gemma2", "blk.0.post_ffw_norm.weight", "'blk.0.post_ffw_norm.weight'");
    expect_fault("qwen2moe", "blk.2.ffn_down_shexp.weight", "'blk.2.ffn_down_shexp.weight'");
    expect_fault("deepseek2", "blk.1.attn_k_b.weight", "'blk.1.attn_k_b.weight'");
    expect_fault("deepseek2", "blk.0.attn_kv_a_norm.weight", "'blk.0.attn_kv_a_norm.weight'");
    expect_fault("olmo2", "output_norm.weight", "'output_norm.weight'");
    expect_fault("llama", "output.weight",
                 "the logit of token 0 after position 0 is NaN, which arises at 'output.weight'");
}

static void count_lines(void *arg, const char *line) {
    (void)line;
    ++*(int *)arg;
}

Test(architectures, tensors_that_not_all_layers_have_are_missed_only_there) {
    char path[64];
    ws_model *m;
    int lines = 0;
    ws_error err = {0};
    any_write(ws_arch_by_name("deepseek2", 9), &(any_options){.leave_out = "blk.2.ffn_up_exps.weight"}, path);
    cr_assert_eq(ws_model_open(&m, path, count_lines, &lines, &err), WS_FORMAT);
    cr_expect_eq(lines, 1);
    cr_expect(strstr(err.msg, "tensor 'blk.2.ffn_up_exps.weight' is missing"), "%s", err.msg);
    unlink(path);
}

/* ---- embeddings ---- */

static void embed(const ws_model *m, const int32_t *ids, size_t n, ws_pooling pooling, float *out) {
    const ws_session_options o = {.n_threads = 2, .kv_type = WS_TYPE_F32, .cpu_flags = ws_cpu_detect()};
    ws_error err = {0};
    cr_assert_eq(ws_embed(m, ids, n, &o, pooling, out, &err), WS_OK, "%s", err.msg);
    double squares = 0;
    for (size_t i = 0; i < m->hp.n_embd; i++) squares += (double)out[i] * (double)out[i];
    cr_expect_float_eq(squares, 1, 1e-6);
}

/* In an encoder, a token at the end changes what the first one becomes; in a decoder it does not. */
Test(architectures, encoders_see_the_whole_text_and_decoders_what_was_before) {
    static const char *const names[] = {"bert", "nomic-bert", "qwen3"};
    const int32_t ids[] = {5, 6, 7, 8};
    for (int i = 0; i < 3; i++) {
        char path[64];
        ws_model *m;
        ws_error err = {0};
        float whole[48], part[48], mean[48], last[48];
        double differs = 0, pooled = 0;
        any_write(ws_arch_by_name(names[i], strlen(names[i])), &(any_options){0}, path);
        cr_assert_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_OK, "%s", err.msg);
        embed(m, ids, 4, WS_POOL_FIRST, whole);
        embed(m, ids, 3, WS_POOL_FIRST, part);
        embed(m, ids, 4, WS_POOL_MEAN, mean);
        embed(m, ids, 4, WS_POOL_LAST, last);
        for (int c = 0; c < 48; c++) differs += fabs((double)whole[c] - (double)part[c]);
        for (int c = 0; c < 48; c++) pooled += fabs((double)mean[c] - (double)last[c]);
        cr_expect(i < 2 ? differs > 1e-3 : differs == 0, "%s: %g", names[i], differs);
        cr_expect_gt(pooled, 1e-3);
        ws_model_close(m);
        unlink(path);
    }
}

Test(architectures, encoders_have_no_logits_and_read_once) {
    const ws_session_options o = {.n_ctx = 16, .n_batch = 16, .n_threads = 1, .kv_type = WS_TYPE_F32};
    char path[64];
    ws_model *m;
    ws_session *s;
    ws_pooling pooling;
    float logits[ANY_VOCAB + 32];
    ws_error err = {0};
    any_write(ws_arch_by_name("bert", 4), &(any_options){0}, path);
    cr_assert_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_embed_pooling(&pooling, m, &err), WS_OK);
    cr_expect_eq(pooling, WS_POOL_MEAN);
    cr_assert_eq(ws_session_open(&s, m, &o, &err), WS_OK);
    cr_assert_eq(ws_session_feed(s, (const int32_t[]){1, 2}, 2, &err), WS_OK);
    cr_expect_eq(ws_session_logits(s, 0, 1, logits, &err), WS_UNSUPPORTED);
    cr_expect_eq(ws_session_feed(s, (const int32_t[]){1}, 1, &err), WS_UNSUPPORTED);
    ws_session_close(s);
    ws_model_close(m);
    unlink(path);
}

Test(architectures, positions_end_where_their_embeddings_do) {
    const ws_session_options o = {.n_ctx = 100, .n_batch = 100, .n_threads = 1, .kv_type = WS_TYPE_F32};
    int32_t ids[100] = {0};
    char path[64];
    ws_model *m;
    ws_session *s;
    ws_error err = {0};
    any_write(ws_arch_by_name("gpt2", 4), &(any_options){0}, path);
    cr_assert_eq(ws_model_open(&m, path, NULL, NULL, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_session_open(&s, m, &o, &err), WS_OK);
    cr_expect_eq(ws_session_feed(s, ids, 65, &err), WS_LIMIT);
    cr_expect(strstr(err.msg, "has embeddings for 64 positions, not for 65 tokens"), "%s", err.msg);
    cr_expect_eq(ws_session_feed(s, ids, 64, &err), WS_OK, "%s", err.msg);
    ws_session_close(s);
    ws_model_close(m);
    unlink(path);
}
