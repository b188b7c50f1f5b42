/* Distributions and distances of tensors whose figures are known. */
#include "damage.h"
#include "diff.h"
#include "model_file.h"
#include "stats.h"

#include <string.h>

static char dir[32], path_a[64], path_b[64];

static void set_up(void) {
    test_temp_dir(dir);
    snprintf(path_a, sizeof path_a, "%s/a.gguf", dir);
    snprintf(path_b, sizeof path_b, "%s/b.gguf", dir);
}

static void tear_down(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", dir);
    cr_assert_eq(system(command), 0);
}

/* One tensor "t" of rows of `columns` floats, and the key "who". */
static void write_values(const char *path, const float *x, uint64_t columns, uint64_t rows, const char *who) {
    ws_error err = {0};
    ws_gguf_writer *w;
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_str(w, "general.architecture", "llama");
    ws_gguf_put_str(w, "who", who);
    ws_gguf_add_tensor(w, "t", WS_TYPE_F32, 2, (const uint64_t[]){columns, rows});
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_write(w, x, columns * rows * sizeof *x, &err), WS_OK);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

static ws_report *open_report(const char *path) {
    ws_error err = {0};
    ws_report *r;
    cr_assert_eq(ws_report_open(&r, path, &err), WS_OK, "%s", err.msg);
    return r;
}

Test(stats, moments_and_outliers, .init = set_up, .fini = tear_down) {
    enum { COLUMNS = 64, ROWS = 50 };
    static float x[COLUMNS * ROWS];
    for (int i = 0; i < COLUMNS * ROWS; i++) x[i] = i / COLUMNS % 2 ? 1 : -1; /* mean 0, std 1, kurtosis 1 - 3 */
    for (int r = 0; r < ROWS; r++) x[r * COLUMNS + 9] *= 7;
    x[0] = NAN, x[1] = 0;
    write_values(path_a, x, COLUMNS, ROWS, "a");
    ws_report *r = open_report(path_a);
    ws_stats s;
    ws_error err = {0};
    cr_assert_eq(ws_stats_run(&s, r, NULL, 2, true, &err), WS_OK);
    const ws_tensor_stats *t = &s.tensors[0];
    cr_expect(t->n == COLUMNS * ROWS && t->n_bad == 1 && t->n_zero == 1);
    cr_expect(t->min == -7 && t->max == 7);
    cr_expect(t->n_outliers == 1 && t->worst_column == 9 && fabs(t->worst_ratio - 7) < 1e-9);
    uint64_t sum = 0;
    for (int b = 0; b < WS_STATS_BINS; b++) sum += t->bins[b];
    cr_expect(sum == t->n - 1 && t->bins[0] == ROWS / 2 && t->bins[WS_STATS_BINS - 1] == ROWS / 2);
    cr_expect_not(t->compared);
    ws_stats_free(&s);
    ws_report_close(r);
    cr_expect(fabs(ws_rate_distortion_limit(4) - 24.082) < 1e-3);
}

Test(stats, constant_and_empty_tensors, .init = set_up, .fini = tear_down) {
    static const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (uint64_t rows = 0; rows <= 2; rows += 2) {
        write_values(path_a, ones, 4, rows, "a");
        ws_report *r = open_report(path_a);
        ws_stats s;
        ws_error err = {0};
        cr_assert_eq(ws_stats_run(&s, r, r, 1, true, &err), WS_OK);
        cr_expect(s.tensors[0].std == 0 && s.tensors[0].mean == (rows ? 1 : 0));
        cr_expect(isnan(s.tensors[0].kurtosis) || rows == 0);
        cr_expect(isinf(s.tensors[0].error.sqnr));
        ws_stats_free(&s);
        ws_report_close(r);
    }
}

Test(diff, distance_and_order, .init = set_up, .fini = tear_down) {
    static const float a[4] = {3, 0, -4, 0}, b[4] = {3, 1, -4, NAN};
    write_values(path_a, a, 2, 2, "a");
    write_values(path_b, b, 2, 2, "b");
    ws_report *ra = open_report(path_a), *rb = open_report(path_b);
    ws_diff d;
    ws_error err = {0};
    cr_assert_eq(ws_diff_run(&d, ra, rb, 2, true, &err), WS_OK, "%s", err.msg);
    cr_assert(d.n_keys == 1 && strcmp(d.keys[0].a->key, "who") == 0 && d.keys[0].b);
    const ws_tensor_difference *t = &d.tensors[0];
    cr_assert(d.n_tensors == 1 && t->kind == WS_VALUES && d.counts[WS_VALUES] == 1 && ws_diff_any(&d));
    cr_expect(t->distance.n_bad == 1 && t->distance.max_error == 1 && t->distance.max_at == 1);
    cr_expect(fabs(t->distance.rmse - sqrt(1.0 / 3)) < 1e-12);
    cr_expect(fabs(t->distance.sqnr - 10 * log10(25)) < 1e-12);
    cr_expect(fabs(t->distance.cosine - 25 / sqrt(25.0 * 26)) < 1e-12);
    ws_diff_free(&d);
    cr_assert_eq(ws_diff_run(&d, ra, ra, 2, true, &err), WS_OK);
    cr_expect(!ws_diff_any(&d) && d.counts[WS_SAME] == 1 && isinf(d.sqnr));
    ws_diff_free(&d);
    ws_report_close(ra);
    ws_report_close(rb);
}

Test(diff, lists_of_tensors, .init = set_up, .fini = tear_down) {
    static const test_tensor first[] = {
        {"x", WS_TYPE_F32, {8, 2}}, {"gone", WS_TYPE_F32, {8, 1}}, {"y", WS_TYPE_F32, {4, 4}}};
    static const test_tensor second[] = {
        {"new", WS_TYPE_F32, {8, 2}}, {"x", WS_TYPE_F32, {8, 2}}, {"y", WS_TYPE_F32, {8, 2}}};
    test_write_model(path_a, "llama", 1, 1, 1, 0, first, 3);
    test_write_model(path_b, "llama", 1, 1, 1, 0, second, 3);
    ws_report *ra = open_report(path_a), *rb = open_report(path_b);
    ws_diff d;
    ws_error err = {0};
    cr_assert_eq(ws_diff_run(&d, ra, rb, 1, true, &err), WS_OK);
    cr_expect(d.counts[WS_ONLY_A] == 1 && d.counts[WS_ONLY_B] == 1 && d.counts[WS_SHAPES] == 1);
    cr_expect(d.counts[WS_VALUES] == 1 && d.n_tensors == 4 && d.n_keys == 0);
    cr_expect(d.tensors[0].kind == WS_VALUES && strcmp(d.tensors[0].pair.a->name, "x") == 0, "another seed");
    ws_diff_free(&d);
    ws_report_close(ra);
    ws_report_close(rb);
}

Test(match, names_follow_patterns) {
    static const struct {
        const char *pattern, *name;
        bool follows;
        uint64_t layer;
    } cases[] = {
        {"blk.%u.attn_q.weight", "blk.12.attn_q.weight", true, 12},
        {"blk.%u.attn_q.weight", "blk.x.attn_q.weight", false, 0},
        {"blk.%u.attn_q.weight", "blk.12.attn_q.weightx", false, 0},
        {"blk.%u.attn_q.weight", "blk.12.attn_q", false, 0},
        {"l.%u.e.%x.w", "l.3.e.7.w", true, 3},
        {"l.%u.e.%x.w", "l.3.e..w", false, 0},
        {"norm", "norm", true, 99},
        {"norm", "nor", false, 0},
    };
    char name[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t layer = 99;
        const bool follows = ws_match_follows(cases[i].pattern, cases[i].name, &layer);
        cr_expect_eq(follows, cases[i].follows, "case %zu", i);
        if (follows) cr_expect_eq(layer, cases[i].layer, "case %zu", i);
    }
    cr_expect(ws_match_fill(name, sizeof name, "l.%u.e.%x.w", 3, 7) && strcmp(name, "l.3.e.7.w") == 0);
    cr_expect_not(ws_match_fill(name, 26, "l.%u.e.%x.w", 3, 7));
}

Test(values, small_floats) {
    static const struct {
        ws_st_dtype type;
        uint8_t bits;
        float value;
    } cases[] = {
        {WS_ST_F8_E4M3, 0x38, 1},
        {WS_ST_F8_E4M3, 0x7e, 448},
        {WS_ST_F8_E4M3, 0x81, -0.001953125f},
        {WS_ST_F8_E4M3, 0x7f, NAN},
        {WS_ST_F8_E5M2, 0x3c, 1},
        {WS_ST_F8_E5M2, 0x7b, 57344},
        {WS_ST_F8_E5M2, 0xfc, -INFINITY},
        {WS_ST_F8_E8M0, 127, 1},
        {WS_ST_F8_E8M0, 130, 8},
        {WS_ST_F8_E4M3FNUZ, 0x40, 1},
        {WS_ST_F8_E4M3FNUZ, 0x7f, 240},
        {WS_ST_F8_E4M3FNUZ, 0x80, NAN},
        {WS_ST_F8_E5M2FNUZ, 0x40, 1},
        {WS_ST_F8_E5M2FNUZ, 0x80, NAN},
        {WS_ST_U8, 200, 200},
        {WS_ST_I8, 200, -56},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float y;
        ws_values_of_st(cases[i].type, 0)(&cases[i].bits, &y, 1);
        cr_expect(y == cases[i].value || (isnan(y) && isnan(cases[i].value)), "case %zu: %g", i, (double)y);
    }
}

/* ---- a GGUF file and a checkpoint ---- */

static void write_checkpoint(const char *path, const char *const *names, const float *x, size_t n) {
    ws_error err = {0};
    ws_safetensors_writer *w;
    cr_assert_eq(ws_safetensors_writer_new(&w, &err), WS_OK);
    for (size_t i = 0; i < n; i++) ws_safetensors_add(w, names[i], WS_ST_F32, 2, (const uint64_t[]){3, 4});
    cr_assert_eq(ws_safetensors_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    for (size_t i = 0; i < n; i++) cr_assert_eq(ws_safetensors_write(w, x + 12 * i, 12 * sizeof *x, &err), WS_OK);
    cr_assert_eq(ws_safetensors_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

/* Experts are matrices of their own in the checkpoint, and one stack in the file. */
Test(diff, stacks_are_compared_matrix_by_matrix, .init = set_up, .fini = tear_down) {
    static const char *const names[] = {"model.layers.0.block_sparse_moe.experts.0.w1.weight",
                                        "model.layers.0.block_sparse_moe.experts.1.w1.weight", "unknown"};
    float x[36];
    ws_error err = {0};
    ws_gguf_writer *w;
    test_fill(x, 36, 1);
    snprintf(path_b, sizeof path_b, "%s/b.safetensors", dir);
    write_checkpoint(path_b, names, x, 3);
    x[12 + 5] += 1;
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_str(w, "general.architecture", "llama");
    ws_gguf_add_tensor(w, "blk.0.ffn_gate_exps.weight", WS_TYPE_F32, 3, (const uint64_t[]){4, 3, 2});
    cr_assert_eq(ws_gguf_writer_begin(w, path_a, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_write(w, x, 24 * sizeof *x, &err), WS_OK);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
    ws_report *a = open_report(path_a), *b = open_report(path_b);
    ws_diff d;
    cr_assert_eq(ws_diff_run(&d, a, b, 2, true, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(d.n_tensors, 3);
    cr_expect(d.counts[WS_SAME] == 1 && d.counts[WS_VALUES] == 1 && d.counts[WS_ONLY_B] == 1);
    cr_expect_str_eq(d.tensors[0].pair.a->name, "blk.0.ffn_gate_exps.weight[1]");
    cr_expect(d.tensors[0].distance.max_at == 5 && fabs(d.tensors[0].distance.max_error - 1) < 1e-6);
    ws_diff_free(&d);
    ws_stats stats; /* all matrices of the stack together */
    cr_assert_eq(ws_stats_run(&stats, a, b, 2, true, &err), WS_OK, "%s", err.msg);
    const ws_tensor_stats *whole = &stats.tensors[0];
    cr_expect(whole->compared && whole->error.n == 24 && whole->error.max_at == 12 + 5);
    cr_expect_float_eq(whole->error.rmse, sqrt(1.0 / 24), 1e-6);
    ws_stats_free(&stats);
    ws_report_close(a);
    ws_report_close(b);
}

/* One tensor of a checkpoint of 3 rows and 4 columns against what a file of the architecture has of it. */
static ws_tensor_difference difference(const char *architecture, const char *hf, const float *checkpoint,
                                       const char *name, const uint64_t *ne, const float *file) {
    ws_error err = {0};
    ws_gguf_writer *w;
    ws_diff d;
    snprintf(path_b, sizeof path_b, "%s/b.safetensors", dir);
    write_checkpoint(path_b, (const char *const[]){hf}, checkpoint, 1);
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_str(w, "general.architecture", architecture);
    ws_gguf_add_tensor(w, name, WS_TYPE_F32, 2, ne);
    cr_assert_eq(ws_gguf_writer_begin(w, path_a, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_write(w, file, 12 * sizeof *file, &err), WS_OK);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
    ws_report *a = open_report(path_a), *b = open_report(path_b);
    cr_assert_eq(ws_diff_run(&d, b, a, 1, true, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(d.n_tensors, 1);
    const ws_tensor_difference found = d.tensors[0];
    ws_diff_free(&d);
    ws_report_close(a);
    ws_report_close(b);
    return found;
}

/* Norms that the checkpoint keeps as distances from one. */
Test(diff, what_convert_added_is_added_here, .init = set_up, .fini = tear_down) {
    float x[12], y[12];
    for (int i = 0; i < 12; i++) x[i] = (float)i / 4, y[i] = x[i] + 1;
    static const char hf[] = "model.layers.0.input_layernorm.weight", name[] = "blk.0.attn_norm.weight";
    cr_expect_eq(difference("gemma", hf, x, name, (const uint64_t[]){4, 3}, y).kind, WS_EQUAL);
    cr_expect_eq(difference("gemma", hf, x, name, (const uint64_t[]){3, 4}, y).kind, WS_SHAPES);
}

/* GPT-2's matrices: rows of the file are columns of the checkpoint. */
Test(diff, what_convert_turned_is_turned_here, .init = set_up, .fini = tear_down) {
    float x[12], y[12];
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 3; c++) y[r * 3 + c] = x[c * 4 + r] = (float)(r * r + 10 * c);
    static const char hf[] = "transformer.h.0.attn.c_attn.weight", name[] = "blk.0.attn_qkv.weight";
    cr_expect_eq(difference("gpt2", hf, x, name, (const uint64_t[]){3, 4}, y).kind, WS_EQUAL);
    y[7] -= 2;
    const ws_tensor_difference d = difference("gpt2", hf, x, name, (const uint64_t[]){3, 4}, y);
    cr_expect(d.kind == WS_VALUES && d.distance.max_error == 2 && d.distance.max_at == 7);
}

/* Heads whose number the file does not tell. */
Test(diff, what_is_not_known_is_not_compared, .init = set_up, .fini = tear_down) {
    const float x[12] = {0};
    static const char hf[] = "model.layers.0.self_attn.q_proj.weight", name[] = "blk.0.attn_q.weight";
    cr_expect_eq(difference("llama", hf, x, name, (const uint64_t[]){4, 3}, x).kind, WS_UNKNOWN);
}
