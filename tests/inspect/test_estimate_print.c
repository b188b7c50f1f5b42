/* Estimates as text and as JSON. */
#include "estimate_print.h"
#include "json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char evil[] = "\x1b]0;owned\x07\"";

/* One layer, sliding; sizes that are easy to check by hand. */
static const ws_est_layer layer = {.k_width = 64, .v_width = 64, .sliding = true};
static const ws_est_options options = {.n_ctx = 1000,
                                       .n_batch = 2048,
                                       .n_ubatch = 512,
                                       .n_seq = 2,
                                       .unified = true,
                                       .flash_attn = true,
                                       .type_k = WS_TYPE_Q8_0,
                                       .type_v = WS_TYPE_F16};

static ws_estimate run(ws_model_sizes *s) {
    ws_estimate e;
    ws_error err = {0};
    *s = (ws_model_sizes){
        .path = evil,
        .name = {evil, sizeof evil - 1},
        .architecture = {"llama", 5},
        .model = {.n_layers = 1,
                  .layers = &layer,
                  .n_ctx_train = 512,
                  .n_vocab = 100,
                  .n_embd = 64,
                  .n_head = 1,
                  .n_head_kv = 1,
                  .head_k = 64,
                  .head_v = 64,
                  .window = 128},
    };
    cr_assert_eq(ws_estimate_run(&e, &s->model, &options, &err), WS_OK, "%s", err.msg);
    return e;
}

static char *print(bool json) {
    ws_model_sizes sizes;
    const ws_estimate e = run(&sizes);
    const ws_est_result result = {&sizes, &options, &e, "server"};
    ws_error err = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (json)
        cr_assert_eq(ws_estimate_json(f, &result, &err), WS_OK, "%s", err.msg);
    else
        ws_estimate_print(f, &result);
    fclose(f);
    return text;
}

static double number(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItem(object, key);
    cr_assert(cJSON_IsNumber(item), "%s", key);
    return item->valuedouble;
}

Test(estimate_print, json) {
    char *text = print(true);
    ws_error err = {0};
    cJSON *root = ws_json_parse(text, strlen(text), "output", &err);
    cr_assert_not_null(root, "%s: %s", err.msg, text);
    /* cells: 2 windows of 128 and 512 tokens at work; K: 64/32 blocks of 34 bytes, V: 128 bytes; K padded to
     * rows of 512 (14 blocks) and to 128 bytes (36) */
    cr_expect_eq(number(root, "kv_cache_bytes"), 768 * 68 + (512 - 64) / 32 * 34 + 36 + 768 * 128);
    cr_expect_eq(number(root, "total_bytes"),
                 number(root, "weights_bytes") + number(root, "kv_cache_bytes") + number(root, "compute_bytes"));
    cr_expect_eq(number(root, "schema"), 1);
    cr_expect_eq(number(root, "ctx"), 1000);
    cr_expect_eq(number(root, "n_ctx"), 1024);
    cr_expect_str_eq(ws_json_str(root, "cache_type_k"), "q8_0");
    cr_expect(cJSON_IsNull(cJSON_GetObjectItem(root, "kv_type")), "K and V differ");
    cr_expect_str_eq(ws_json_str(cJSON_GetObjectItem(root, "model"), "name"), evil);
    const cJSON *cache = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "kv_cache"), 0);
    cr_expect_str_eq(ws_json_str(cache, "kind"), "window");
    cr_expect_eq(number(cache, "cells"), 768);
    const cJSON *device = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "devices"), 0);
    cr_expect_eq(number(device, "total_bytes"), number(root, "total_bytes"));
    cJSON_Delete(root);
    free(text);
}

Test(estimate_print, text) {
    char *text = print(false);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        cr_assert(*p == '\n' || (*p >= 0x20 && *p < 0x7f), "byte %d", *p);
    static const char *const words[] = {"\\x1b]0;owned", "shared by 2 sequences",
                                        "K q8_0, V f16", "trained on",
                                        "weights",       "KV cache",
                                        "compute",       "total",
                                        "GiB",           "####",
                                        "Not included"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        cr_expect_not_null(strstr(text, words[i]), "'%s' is not in %s", words[i], text);
    free(text);
}
