/* model_file.h - small GGUF files for tests, made through the library's own writer. */
#ifndef WS_TEST_MODEL_FILE_H
#define WS_TEST_MODEL_FILE_H

#include "gguf.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    const char *name;
    ws_dtype type; /* F32 or F16: filled with a wave; others with zero bytes */
    uint64_t ne[2];
} test_tensor;

static inline void test_fill(float *x, size_t n, unsigned seed) {
    for (size_t i = 0; i < n; i++) x[i] = sinf((float)(i * 37 % 1009) + (float)seed) * 0.5f;
}

static inline void test_write_tensor(ws_gguf_writer *w, const test_tensor *t, unsigned seed) {
    const size_t n = t->ne[0] * t->ne[1];
    uint64_t bytes;
    cr_assert(ws_dtype_bytes(t->type, n, &bytes));
    void *data = calloc(1, bytes ? bytes : 1);
    if (t->type == WS_TYPE_F32) test_fill(data, n, seed);
    ws_error err = {0};
    cr_assert_eq(ws_gguf_write(w, data, bytes, &err), WS_OK, "%s", err.msg);
    free(data);
}

/* Write `path`: architecture, layers, heads, experts, tensors. */
static inline void test_write_model(const char *path, const char *arch, uint32_t n_layer, uint32_t heads,
                                    uint32_t kv_heads, uint32_t experts, const test_tensor *tensors, size_t n) {
    ws_error err = {0};
    ws_gguf_writer *w;
    char key[96];
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_str(w, "general.architecture", arch);
    const struct {
        const char *suffix;
        uint32_t value;
    } numbers[] = {{"block_count", n_layer},
                   {"attention.head_count", heads},
                   {"attention.head_count_kv", kv_heads},
                   {"expert_count", experts}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        snprintf(key, sizeof key, "%s.%s", arch, numbers[i].suffix);
        if (numbers[i].value) ws_gguf_put_u32(w, key, numbers[i].value);
    }
    for (size_t i = 0; i < n; i++) ws_gguf_add_tensor(w, tensors[i].name, tensors[i].type, 2, tensors[i].ne);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    for (size_t i = 0; i < n; i++) test_write_tensor(w, &tensors[i], (unsigned)i);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

static inline void test_temp_dir(char *dir) {
    snprintf(dir, 32, "/tmp/ws-test-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

#endif
