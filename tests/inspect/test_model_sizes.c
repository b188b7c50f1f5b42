/* What vram-estimate reads from a header. */
#include "model_file.h"
#include "model_sizes.h"

#include <string.h>

static char dir[32], path[64];

static void set_up(void) {
    test_temp_dir(dir);
    snprintf(path, sizeof path, "%s/model.gguf", dir);
}

static void tear_down(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", dir);
    cr_assert_eq(system(command), 0);
}

/* A model of 4 layers under construction; tests change or add keys before finish(). */
static ws_gguf_writer *begin(const char *arch) {
    ws_error err = {0};
    ws_gguf_writer *w;
    char key[96];
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_str(w, "general.architecture", arch);
    static const struct {
        const char *suffix;
        uint32_t value;
    } numbers[] = {{"block_count", 4},       {"embedding_length", 256},   {"feed_forward_length", 512},
                   {"context_length", 2048}, {"attention.head_count", 8}, {"attention.head_count_kv", 2},
                   {"expert_used_count", 2}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(key, sizeof key, "%s.%s", arch, numbers[i].suffix);
        ws_gguf_put_u32(w, key, numbers[i].value);
    }
    return w;
}

static void finish(ws_gguf_writer *w, bool tied) {
    static const test_tensor tensors[] = {{"token_embd.weight", WS_TYPE_F16, {256, 100}},
                                          {"blk.0.attn_q.weight", WS_TYPE_Q4_0, {256, 256}},
                                          {"output.weight", WS_TYPE_F16, {256, 100}}};
    const size_t n = tied ? 2 : 3;
    ws_error err = {0};
    for (size_t i = 0; i < n; i++) ws_gguf_add_tensor(w, tensors[i].name, tensors[i].type, 2, tensors[i].ne);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    for (size_t i = 0; i < n; i++) test_write_tensor(w, &tensors[i], 0);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

static ws_model_sizes *open_sizes(void) {
    ws_error err = {0};
    ws_model_sizes *s;
    cr_assert_eq(ws_model_sizes_open(&s, path, &err), WS_OK, "%s", err.msg);
    return s;
}

static void expect_refusal(ws_status status, const char *words) {
    ws_error err = {0};
    ws_model_sizes *s;
    cr_expect_eq(ws_model_sizes_open(&s, path, &err), status, "%s", err.msg);
    cr_expect_null(s);
    cr_expect_not_null(strstr(err.msg, words), "'%s' is not in '%s'", words, err.msg);
    cr_expect_not_null(strstr(err.msg, "model.gguf"), "%s", err.msg);
}

Test(model_sizes, llama, .init = set_up, .fini = tear_down) {
    finish(begin("llama"), false);
    ws_model_sizes *s = open_sizes();
    const ws_est_model *m = &s->model;
    cr_expect(m->n_layers == 4 && m->n_embd == 256 && m->n_ff == 512 && m->n_ctx_train == 2048 && m->n_vocab == 100);
    cr_expect(m->n_head == 8 && m->n_head_kv == 2 && m->head_k == 32 && m->head_v == 32);
    cr_expect(m->layers[3].k_width == 64 && m->layers[3].v_width == 64 && !m->layers[3].sliding);
    cr_expect_eq(m->n_expert_used, 0, "no experts: the key alone says nothing");
    cr_expect_eq(m->tensors[0].place, WS_PLACE_INPUT);
    cr_expect_eq(m->tensors[2].place, WS_PLACE_LAYERS);
    cr_expect_eq(s->n_params, 256 * 100 * 2 + 256 * 256);
    ws_model_sizes_close(s);
}

Test(model_sizes, tied_embedding, .init = set_up, .fini = tear_down) {
    finish(begin("llama"), true);
    ws_model_sizes *s = open_sizes();
    cr_expect_eq(s->model.tensors[0].place, WS_PLACE_INPUT_OUTPUT);
    ws_model_sizes_close(s);
}

Test(model_sizes, arrays_give_each_layer_its_own, .init = set_up, .fini = tear_down) {
    ws_gguf_writer *w = begin("llama");
    static const uint32_t heads[] = {1, 2, 4, 8}, ff[] = {512, 1024, 256, 512};
    ws_gguf_put_array(w, "llama.attention.head_count_kv", WS_KV_U32, heads, 4);
    ws_gguf_put_array(w, "llama.feed_forward_length", WS_KV_U32, ff, 4);
    ws_gguf_put_u32(w, "llama.attention.key_length", 64);
    finish(w, false);
    ws_model_sizes *s = open_sizes();
    for (size_t i = 0; i < 4; i++) {
        cr_expect_eq(s->model.layers[i].k_width, 64 * heads[i]);
        cr_expect_eq(s->model.layers[i].v_width, 32 * heads[i]);
    }
    cr_expect(s->model.n_ff == 1024 && s->model.n_head_kv == 8);
    ws_model_sizes_close(s);
}

Test(model_sizes, sliding_windows, .init = set_up, .fini = tear_down) {
    static const struct {
        const char *arch;
        bool pattern; /* as an array in the file */
        bool want[4];
    } cases[] = {
        {"gemma2", false, {true, false, true, false}},
        {"gemma3", false, {true, true, true, true}},
        {"gemma3", true, {false, true, true, false}},
        {"llama", true, {false, false, false, false}}, /* llama.cpp ignores it */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const uint8_t flags[] = {0, 1, 1, 0};
        char key[96];
        ws_gguf_writer *w = begin(cases[i].arch);
        snprintf(key, sizeof key, "%s.attention.sliding_window", cases[i].arch);
        ws_gguf_put_u32(w, key, 512);
        snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", cases[i].arch);
        if (cases[i].pattern) ws_gguf_put_array(w, key, WS_KV_BOOL, flags, 4);
        finish(w, false);
        ws_model_sizes *s = open_sizes();
        for (size_t l = 0; l < 4; l++)
            cr_expect_eq(s->model.layers[l].sliding, cases[i].want[l], "case %zu, %zu", i, l);
        ws_model_sizes_close(s);
    }
}

Test(model_sizes, unknown_architecture, .init = set_up, .fini = tear_down) {
    finish(begin("fancy"), false);
    expect_refusal(WS_UNSUPPORTED, "architecture 'fancy' is not known to vram-estimate yet");
}

Test(model_sizes, missing_key, .init = set_up, .fini = tear_down) {
    ws_gguf_writer *w = begin("llama");
    ws_gguf_remove(w, "llama.block_count");
    finish(w, false);
    expect_refusal(WS_FORMAT, "llama.block_count");
}

Test(model_sizes, absurd_numbers, .init = set_up, .fini = tear_down) {
    static const char *const keys[] = {"llama.block_count", "llama.embedding_length", "llama.attention.head_count",
                                       "llama.attention.key_length", "llama.feed_forward_length"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        ws_gguf_writer *w = begin("llama");
        ws_gguf_put_u64(w, keys[i], UINT64_MAX);
        finish(w, false);
        expect_refusal(WS_FORMAT, keys[i]);
    }
}

Test(model_sizes, array_too_short, .init = set_up, .fini = tear_down) {
    static const uint32_t heads[] = {1, 2};
    ws_gguf_writer *w = begin("llama");
    ws_gguf_put_array(w, "llama.attention.head_count_kv", WS_KV_U32, heads, 2);
    finish(w, false);
    expect_refusal(WS_FORMAT, "no whole number for layer 2");
}

Test(model_sizes, prediction_layers, .init = set_up, .fini = tear_down) {
    ws_gguf_writer *w = begin("qwen3");
    ws_gguf_put_u32(w, "qwen3.nextn_predict_layers", 1);
    finish(w, false);
    expect_refusal(WS_UNSUPPORTED, "multi-token prediction");
}

/* Headers of known models from ../shared, made as long as the models are. */
Test(model_sizes, known_models, .init = set_up, .fini = tear_down) {
    static const struct {
        const char *file;
        off_t size;
        uint64_t weights, kv_cache; /* bytes, at context 8192 with f16 */
    } cases[] = {
        {"Llama-3.1-8B-Q4_K_M.gguf", 4912916192, 4617396480, 1073741824},
        {"DeepSeek-V2-Lite-Q4_K_M.gguf", 10363987200, 10246016768, 254803968},
        {"gpt-oss-20b-MXFP4.gguf", 12096587232, 11481256960, 220200960},
        {"Gemma-3-27B-Q4_K_M.gguf", 16540174624, 16540205440, 1325400064},
    };
    if (access(WS_SOURCE_DIR "/../shared/vram/headers", R_OK) != 0) cr_skip_test("no ../shared/vram/headers");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[256];
        snprintf(command, sizeof command, "cp %s/../shared/vram/headers/%s %s && chmod u+w %s", WS_SOURCE_DIR,
                 cases[i].file, path, path);
        cr_assert_eq(system(command), 0);
        cr_assert_eq(truncate(path, cases[i].size), 0);
        ws_model_sizes *s = open_sizes();
        const ws_est_options o = {.n_ctx = 8192,
                                  .n_batch = 2048,
                                  .n_ubatch = 512,
                                  .n_seq = 1,
                                  .flash_attn = true,
                                  .type_k = WS_TYPE_F16,
                                  .type_v = WS_TYPE_F16};
        ws_estimate e;
        ws_error err = {0};
        cr_assert_eq(ws_estimate_run(&e, &s->model, &o, &err), WS_OK, "%s", err.msg);
        cr_expect_eq(e.device.weights, cases[i].weights, "%s", cases[i].file);
        cr_expect_eq(e.device.kv_cache, cases[i].kv_cache, "%s", cases[i].file);
        ws_model_sizes_close(s);
    }
}
