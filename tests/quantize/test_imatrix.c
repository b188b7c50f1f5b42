/* Importance matrices: both kinds of files, what comes out for each tensor, what is refused. */
#include "imatrix.h"
#include "model_file.h"

#include <string.h>

static char dir[32], path[64];
static ws_error err;

static void setup(void) {
    test_temp_dir(dir);
    snprintf(path, sizeof path, "%s/i.gguf", dir);
    err = (ws_error){0};
}

static void teardown(void) {
    unlink(path);
    rmdir(dir);
}

typedef struct {
    const char *name;
    uint64_t ne[2];
    const float *values;
} part;

/* A GGUF imatrix of these tensors; without its three keys when `bare`. */
static void write_gguf(const part *parts, size_t n, bool bare) {
    ws_gguf_writer *w;
    const ws_str datasets[] = {{"text-a.txt", 10}, {"text-b.txt", 10}};
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_str(w, "general.type", "imatrix");
    if (!bare) {
        ws_gguf_put_str_array(w, "imatrix.datasets", datasets, 2);
        ws_gguf_put_u32(w, "imatrix.chunk_count", 7);
        ws_gguf_put_u32(w, "imatrix.chunk_size", 512);
    }
    for (size_t i = 0; i < n; i++) ws_gguf_add_tensor(w, parts[i].name, WS_TYPE_F32, 2, parts[i].ne);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(ws_gguf_write(w, parts[i].values, parts[i].ne[0] * parts[i].ne[1] * sizeof(float), &err), WS_OK);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

static const float sums[] = {2, 4, 6, 8, 10, 12}, counts[] = {2, 0};
static const part good[] = {
    {"a.weight.in_sum2", {3, 2}, sums},
    {"a.weight.counts", {1, 2}, counts},
    {"b.weight.in_sum2", {2, 1}, sums},
    {"b.weight.counts", {1, 1}, counts},
};

static ws_imatrix *open_good(const ws_imatrix_filter *filter) {
    ws_imatrix *m;
    write_gguf(good, 4, false);
    cr_assert_eq(ws_imatrix_open(&m, path, filter, &err), WS_OK, "%s", err.msg);
    return m;
}

/* A choice for a tensor of ne[0] columns in `stack` matrices. */
typedef struct {
    ws_tensor tensor;
    ws_choice choice;
    ws_choices list;
} chosen;

static ws_choices *choose(chosen *c, const char *name, uint64_t columns, uint64_t stack, ws_dtype type, bool needs) {
    c->tensor = (ws_tensor){.name = name, .type = WS_TYPE_F16, .n_dims = 3, .ne = {columns, 2, stack, 1}};
    c->choice = (ws_choice){.tensor = &c->tensor, .name = name, .type = type, .needs_imatrix = needs};
    c->list = (ws_choices){.list = &c->choice, .n = 1};
    return &c->list;
}

Test(imatrix, means_per_matrix_and_ones_without_tokens, .init = setup, .fini = teardown) {
    ws_imatrix *m = open_good(NULL);
    chosen c;
    float row[3];
    cr_assert_eq(ws_imatrix_entries(m), 2);
    cr_assert_eq(ws_imatrix_bind(m, choose(&c, "a.weight", 3, 2, WS_TYPE_IQ2_XXS, true), &err), WS_OK, "%s", err.msg);
    cr_assert_not_null(c.choice.weights);
    ws_imatrix_row(c.choice.weights, 0, 3, row);
    cr_assert(row[0] == 1 && row[1] == 2 && row[2] == 3);
    ws_imatrix_row(c.choice.weights, 1, 3, row);
    cr_assert(row[0] == 1 && row[1] == 1 && row[2] == 1);
    ws_imatrix_done(c.choice.weights);
    ws_imatrix_row(c.choice.weights, 0, 3, row); /* pages come back */
    cr_assert_eq(row[2], 3);
    ws_imatrix_close(m);
}

Test(imatrix, a_size_that_is_not_the_tensors, .init = setup, .fini = teardown) {
    ws_imatrix *m = open_good(NULL);
    chosen c;
    cr_assert_eq(ws_imatrix_bind(m, choose(&c, "b.weight", 3, 1, WS_TYPE_Q4_K, false), &err), WS_FORMAT);
    cr_assert_not_null(strstr(err.msg, "b.weight"));
    cr_assert_eq(ws_imatrix_bind(m, choose(&c, "b.weight", 3, 1, WS_TYPE_F16, false), &err), WS_OK); /* a copy */
    ws_imatrix_close(m);
    const part embedding[] = {{"token_embd.weight.in_sum2", {2, 1}, sums},
                              {"token_embd.weight.counts", {1, 1}, counts}};
    write_gguf(embedding, 2, false);
    cr_assert_eq(ws_imatrix_open(&m, path, NULL, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_imatrix_bind(m, choose(&c, "token_embd.weight", 3, 1, WS_TYPE_Q4_K, false), &err), WS_OK);
    cr_assert_null(c.choice.weights);
    ws_imatrix_close(m);
}

Test(imatrix, needed_and_missing, .init = setup, .fini = teardown) {
    ws_imatrix *m = open_good(NULL);
    chosen c;
    cr_assert_eq(ws_imatrix_bind(m, choose(&c, "c.weight", 3, 1, WS_TYPE_Q4_K, false), &err), WS_OK);
    cr_assert_eq(ws_imatrix_bind(m, choose(&c, "c.weight", 3, 1, WS_TYPE_IQ2_S, true), &err), WS_UNSUPPORTED);
    cr_assert_not_null(strstr(err.msg, "c.weight"));
    cr_assert_eq(ws_imatrix_bind(NULL, choose(&c, "a.weight", 3, 2, WS_TYPE_IQ2_S, true), &err), WS_UNSUPPORTED);
    cr_assert_not_null(strstr(err.msg, "--imatrix"));
    cr_assert_eq(ws_imatrix_bind(NULL, choose(&c, "a.weight", 3, 2, WS_TYPE_Q4_K, false), &err), WS_OK);
    ws_imatrix_close(m);
}

Test(imatrix, filters, .init = setup, .fini = teardown) {
    const char *const names[] = {"a.wei", "zzz"};
    ws_imatrix *m = open_good(&(ws_imatrix_filter){.include = names, .n_include = 2});
    chosen c;
    cr_assert_eq(ws_imatrix_entries(m), 1);
    cr_assert_eq(ws_imatrix_bind(m, choose(&c, "b.weight", 2, 1, WS_TYPE_Q4_K, false), &err), WS_OK);
    cr_assert_null(c.choice.weights);
    ws_imatrix_close(m);
    m = open_good(&(ws_imatrix_filter){.exclude = names, .n_exclude = 1});
    cr_assert_eq(ws_imatrix_entries(m), 1);
    cr_assert_eq(ws_imatrix_bind(m, choose(&c, "b.weight", 2, 1, WS_TYPE_Q4_K, false), &err), WS_OK);
    cr_assert_not_null(c.choice.weights);
    ws_imatrix_close(m);
}

Test(imatrix, keys_of_the_output, .init = setup, .fini = teardown) {
    ws_imatrix *m = open_good(NULL);
    ws_gguf_writer *w;
    ws_gguf *g;
    ws_str text;
    uint64_t number;
    char out[64];
    snprintf(out, sizeof out, "%s/o.gguf", dir);
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_imatrix_put_keys(w, m);
    cr_assert_eq(ws_gguf_writer_begin(w, out, &err), WS_OK);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_open(&g, out, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(g->n_kv, 4);
    cr_assert(ws_kv_str(&g->kv[0], &text) && text.len == strlen(path) && memcmp(text.data, path, text.len) == 0);
    cr_assert(ws_kv_str(&g->kv[1], &text) && text.len == 10 && memcmp(text.data, "text-a.txt", 10) == 0);
    cr_assert(ws_kv_u64(&g->kv[2], &number) && number == 2 && g->kv[2].type == WS_KV_U32);
    cr_assert(ws_kv_u64(&g->kv[3], &number) && number == 7 && g->kv[3].type == WS_KV_U32);
    ws_gguf_close(g);
    ws_imatrix_close(m);
    unlink(out);
}

static void expect_refusal(const part *parts, size_t n, bool bare, const char *why) {
    ws_imatrix *m;
    write_gguf(parts, n, bare);
    cr_expect_eq(ws_imatrix_open(&m, path, NULL, &err), WS_FORMAT, "%s", why);
    cr_expect_null(m);
    cr_expect_not_null(strstr(err.msg, why), "%s: %s", why, err.msg);
}

Test(imatrix, broken_gguf_files, .init = setup, .fini = teardown) {
    static const float nan_sums[] = {1, NAN, 1}, infinite[] = {INFINITY, 1}, negative[] = {-1, 1};
    const part lonely[] = {{"a.in_sum2", {3, 1}, sums}}, count_only[] = {{"a.counts", {1, 1}, counts}};
    const part with_nan[] = {{"a.in_sum2", {3, 1}, nan_sums}, {"a.counts", {1, 1}, counts}};
    const part bad_count[] = {{"a.in_sum2", {3, 1}, sums}, {"a.counts", {1, 1}, infinite}};
    const part below_zero[] = {{"a.in_sum2", {2, 1}, negative}, {"a.counts", {1, 1}, counts}};
    const part more_counts[] = {{"a.in_sum2", {1, 1}, sums}, {"a.counts", {1, 2}, counts}};
    expect_refusal(good, 4, true, "imatrix.datasets");
    expect_refusal(good, 0, false, "no entries");
    expect_refusal(lonely, 1, false, ".counts");
    expect_refusal(count_only, 1, false, ".in_sum2");
    expect_refusal(with_nan, 2, false, "value 1 of 'a'");
    expect_refusal(bad_count, 2, false, "count 0 of 'a'");
    expect_refusal(below_zero, 2, false, "value 0 of 'a'");
    expect_refusal(more_counts, 2, false, "2 counts");
}

/* ---- .dat ---- */

typedef struct {
    uint8_t bytes[256];
    size_t n;
} buffer;

static void put(buffer *b, const void *data, size_t n) {
    memcpy(b->bytes + b->n, data, n);
    b->n += n;
}

static void put_i32(buffer *b, int32_t v) { put(b, &v, sizeof v); }

static void put_entry(buffer *b, const char *name, int32_t calls, const float *values, int32_t n) {
    put_i32(b, (int32_t)strlen(name));
    put(b, name, strlen(name));
    put_i32(b, calls);
    put_i32(b, n);
    put(b, values, (size_t)n * sizeof *values);
}

static ws_status open_dat(ws_imatrix **m, const buffer *b, size_t n) {
    return ws_imatrix_open_bytes(m, b->bytes, n, "m.dat", NULL, &err);
}

Test(imatrix, dat) {
    buffer b = {.n = 0};
    ws_imatrix *m;
    chosen c;
    float row[3];
    put_i32(&b, 3);
    put_entry(&b, "a.weight", 2, sums, 3);
    put_entry(&b, "z.weight", 0, sums, 3);
    put_entry(&b, "a.weight", 4, sums + 1, 3); /* the last of a name counts */
    const size_t entries = b.n;
    put_i32(&b, 5);
    put_i32(&b, 4);
    put(&b, "wiki", 4);
    cr_assert_eq(open_dat(&m, &b, b.n), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_imatrix_entries(m), 2);
    cr_assert_eq(ws_imatrix_bind(m, choose(&c, "a.weight", 3, 1, WS_TYPE_Q4_K, false), &err), WS_OK);
    ws_imatrix_row(c.choice.weights, 0, 3, row);
    cr_assert(row[0] == 1 && row[1] == 1.5f && row[2] == 2);
    cr_assert_eq(ws_imatrix_bind(m, choose(&c, "z.weight", 3, 1, WS_TYPE_Q4_K, false), &err), WS_OK);
    ws_imatrix_row(c.choice.weights, 0, 3, row);
    cr_assert(row[0] == 2 && row[2] == 6); /* sums as they are where there were no calls */
    ws_imatrix_close(m);
    cr_assert_eq(open_dat(&m, &b, entries), WS_OK); /* nothing behind the entries */
    ws_imatrix_close(m);
    for (size_t n = 0; n < entries; n++) cr_assert_eq(open_dat(&m, &b, n), WS_FORMAT, "%zu bytes", n);
}

Test(imatrix, dat_with_wrong_numbers) {
    ws_imatrix *m;
    static const int32_t heads[][3] = {{-1, 0, 0}, {0, 0, 0}, {1, -5, 0}, {1, 0x7fffffff, 0}, {0x7fffffff, 0, 0}};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        buffer b = {.n = 0};
        for (size_t k = 0; k < 3; k++) put_i32(&b, heads[i][k]);
        put_i32(&b, i % 2 ? -3 : 0x7fffffff);
        cr_assert_eq(open_dat(&m, &b, b.n), WS_FORMAT, "%zu", i);
    }
}
