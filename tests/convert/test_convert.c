/* Whole folders: what comes out, and what is said about broken ones. */
#include "convert.h"
#include "cpu.h"
#include "file.h"
#include "fp16.h"
#include "model_folder.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

static char warnings[1000];

static void warn(void *ctx, const char *text) {
    (void)ctx;
    const size_t len = strlen(warnings);
    snprintf(warnings + len, sizeof warnings - len, "%s\n", text);
}

static ws_status convert(const char *folder, const char *out, const ws_dtype *type, ws_error *err) {
    const ws_convert_options opt = {.type = type, .warn = warn};
    ws_conversion c;
    *warnings = 0;
    ws_status st = ws_conversion_open(&c, folder, &opt, err);
    if (!st) st = ws_conversion_write(&c, out, ws_cpu_detect(), 2, true, err);
    ws_conversion_close(&c);
    return st;
}

static ws_gguf *converted(const char *folder, const ws_dtype *type) {
    ws_error err = {0};
    ws_gguf *g;
    cr_assert_eq(convert(folder, in_folder(folder, "out.gguf"), type, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_open(&g, in_folder(folder, "out.gguf"), &err), WS_OK, "%s", err.msg);
    return g;
}

static void expect_text(const ws_gguf *g, const char *key, const char *want) {
    ws_str s = {NULL, 0};
    const ws_kv *kv = ws_gguf_kv(g, key);
    cr_expect(kv && ws_kv_str(kv, &s) && s.len == strlen(want) && memcmp(s.data, want, s.len) == 0,
              "%s is '%.*s', not '%s'", key, (int)s.len, s.data, want);
}

static void expect_number(const ws_gguf *g, const char *key, uint64_t want) {
    uint64_t v = UINT64_MAX;
    const ws_kv *kv = ws_gguf_kv(g, key);
    cr_expect(kv && ws_kv_u64(kv, &v) && v == want, "%s is %llu", key, (unsigned long long)v);
}

Test(convert, a_folder_becomes_a_model) {
    char *folder = make_model(WS_ST_BF16);
    write_text(folder, "README.md", "---\nlicense: mit\nbase_model: an-org/base-7B-v2\n---\n");
    ws_gguf *g = converted(folder, NULL);
    cr_expect_str_eq(g->kv[0].key, "general.architecture");
    expect_text(g, "general.license", "mit");
    expect_text(g, "general.base_model.0.name", "Base 7B v2");
    expect_text(g, "general.base_model.0.repo_url", "https://huggingface.co/an-org/base-7B-v2");
    expect_number(g, "general.file_type", 32);
    expect_number(g, "llama.attention.key_length", 2);
    expect_text(g, "tokenizer.ggml.model", "llama");
    cr_expect_eq(g->n_tensors, 20);
    cr_expect_str_eq(warnings, "");
    /* attn_q has 4 heads of 2 rows: halves of one row each are pairs already. attn_k likewise. */
    const ws_tensor *q = ws_gguf_tensor(g, "blk.1.attn_q.weight"), *norm = ws_gguf_tensor(g, "output_norm.weight");
    cr_assert(q && norm);
    for (uint64_t i = 0; i < q->n_elements; i++) {
        uint16_t bits;
        memcpy(&bits, q->data + 2 * i, sizeof bits);
        cr_expect_eq(ws_bf16_to_f32(bits), (float)i / 8);
    }
    cr_expect(q->type == WS_TYPE_BF16 && norm->type == WS_TYPE_F32);
    ws_gguf_close(g);
    remove_folder(folder);
}

Test(convert, the_type_can_be_chosen) {
    char *folder = make_model(WS_ST_F32);
    const ws_dtype f32 = WS_TYPE_F32;
    ws_gguf *g = converted(folder, NULL);
    expect_number(g, "general.file_type", 1); /* F16, as F32 checkpoints get when nothing is said */
    ws_gguf_close(g);
    g = converted(folder, &f32);
    expect_number(g, "general.file_type", 0);
    cr_expect_eq(ws_gguf_tensor(g, "token_embd.weight")->type, WS_TYPE_F32);
    ws_gguf_close(g);
    remove_folder(folder);
}

Test(convert, llama3_scaling_becomes_a_tensor) {
    char *folder = make_model(WS_ST_BF16);
    edit(folder, "config.json", "\"rope_theta\": 10000.0",
         "\"head_dim\": 2, \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, "
         "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8}");
    ws_gguf *g = converted(folder, NULL);
    const ws_tensor *t = ws_gguf_tensor(g, "rope_freqs.weight");
    cr_assert(t && t == &g->tensors[0] && t->type == WS_TYPE_F32 && t->ne[0] == 1);
    float v;
    memcpy(&v, t->data, sizeof v); /* wave 6.28 lies between 8/4 and 8/1: s = (8/6.28 - 1) / 3 */
    const float s = (8 / 6.2831853f - 1) / 3;
    cr_expect_float_eq(v, 1 / ((1 - s) / 8 + s), 1e-5);
    ws_gguf_close(g);
    remove_folder(folder);
}

Test(convert, odd_folders_get_a_warning) {
    char *folder = make_model(WS_ST_BF16);
    edit(folder, "config.json", ",\n \"tie_word_embeddings\": true", "");
    write_text(folder, "README.md", "---\na: [\n---\n");
    ws_gguf_close(converted(folder, NULL));
    cr_expect_not_null(strstr(warnings, "lm_head.weight"), "%s", warnings);
    cr_expect_not_null(strstr(warnings, "README.md': front matter, line"), "%s", warnings);
    remove_folder(folder);
}

/* ---- broken folders ---- */

typedef struct {
    const char *what, *file, *from, *to; /* replace; from NULL: write `to`, or remove the file */
    ws_status status;
    const char *message;
} damage;

static const damage damages[] = {
    {"no config", "config.json", NULL, NULL, WS_FORMAT, "it has no config.json"},
    {"broken config", "config.json", NULL, "{\"a\": ", WS_FORMAT, "config.json' is not valid JSON"},
    {"a list as config", "config.json", NULL, "[]", WS_FORMAT, "config.json' is not a JSON object"},
    {"no architecture", "config.json", "architectures", "a", WS_FORMAT, "names no architecture"},
    {"other architecture", "config.json", "LlamaForCausalLM", "UnheardOfForCausalLM", WS_UNSUPPORTED,
     "architecture 'UnheardOfForCausalLM' is not supported (known are those of llama, "},
    {"another kind", "config.json", "LlamaForCausalLM", "NomicBertModel\"], \"prenorm\": true, \"x\": [\"",
     WS_UNSUPPORTED, "'prenorm' is true, but only false is supported"},
    {"quantized", "config.json", "\"vocab_size\"",
     "\"quantization_config\": {\"quant_method\": \"gptq\"}, \"vocab_size\"", WS_UNSUPPORTED, "quantized by 'gptq'"},
    {"one layer more", "config.json", "layers\": 2", "layers\": 3", WS_FORMAT,
     "9 missing (model.layers.2.input_layernorm.weight, "},
    {"one layer less", "config.json", "layers\": 2", "layers\": 1", WS_FORMAT, "9 unexpected ("},
    {"other hidden size", "config.json", "hidden_size\": 8", "hidden_size\": 16", WS_FORMAT, "20 misshapen ("},
    {"other vocabulary", "config.json", "vocab_size\": 5", "vocab_size\": 6", WS_FORMAT, "[5, 8], not [6, 8]"},
    {"no base", "config.json", "10000.0", "0, \"rope_scaling\": {\"rope_type\": \"llama3\"}", WS_FORMAT,
     "a 'rope_theta' of 0 cannot be used"},
    {"no tokenizer", "tokenizer.model", NULL, NULL, WS_FORMAT, "neither tokenizer.json nor tokenizer.model"},
    {"broken tokenizer", "tokenizer.model", NULL, "{}", WS_FORMAT, "is not a SentencePiece model"},
    {"broken tokenizer.json", "tokenizer.json", NULL, "{", WS_FORMAT, "tokenizer.json' is not valid JSON"},
    {"broken tokenizer_config", "tokenizer_config.json", NULL, "nope", WS_FORMAT, "tokenizer_config.json"},
    {"broken added tokens", "added_tokens.json", NULL, "{\"x\": \"y\"}", WS_FORMAT, "the added token 'x' is broken"},
    {"no weights", "model.safetensors", NULL, NULL, WS_IO, NULL},
    {"no weights at all", "model.safetensors", NULL, "", WS_FORMAT, "model.safetensors"},
    {"cut weights", "model.safetensors", NULL, "\x10\x00\x00\x00\x00\x00\x00\x00{}", WS_FORMAT, "model.safetensors"},
    {"a missing shard", "model.safetensors.index.json", NULL,
     "{\"weight_map\": {\"model.norm.weight\": \"gone.safetensors\"}}", WS_IO, "gone.safetensors"},
    {"broken index", "model.safetensors.index.json", NULL, "{", WS_FORMAT, "model.safetensors.index.json"},
};

static void inflict(const char *folder, const damage *d) {
    if (d->from)
        edit(folder, d->file, d->from, d->to);
    else if (d->to)
        write_text(folder, d->file, d->to);
    else
        cr_assert_eq(unlink(in_folder(folder, d->file)), 0);
}

Test(convert, broken_folders_are_refused_in_one_line) {
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        char *folder = make_model(WS_ST_BF16);
        ws_error err = {0};
        inflict(folder, &damages[i]);
        const char *out = in_folder(folder, "out.gguf");
        const ws_status st = convert(folder, out, NULL, &err);
        if (damages[i].status == WS_IO && st == WS_FORMAT) /* which of the two a missing file is, its reader decides */
            expect_error(damages[i].what, st, &err, WS_FORMAT, damages[i].message);
        else
            expect_error(damages[i].what, st, &err, damages[i].status, damages[i].message);
        cr_expect_not(ws_file_exists(out), "%s: there is an output", damages[i].what);
        remove_folder(folder);
    }
}

Test(convert, folders_that_are_none_are_named) {
    ws_error err = {0};
    char *folder = make_folder();
    expect_error("empty", convert(folder, "x", NULL, &err), &err, WS_FORMAT, "it has no config.json");
    write_text(folder, "file", "");
    expect_error("a file", convert(in_folder(folder, "file"), "x", NULL, &err), &err, WS_IO, "is not a folder");
    expect_error("nothing", convert(in_folder(folder, "gone"), "x", NULL, &err), &err, WS_IO, "gone' does not exist");
    remove_folder(folder);
}

Test(convert, a_missing_output_folder_is_named) {
    char *folder = make_model(WS_ST_BF16);
    ws_error err = {0};
    const ws_status st = convert(folder, in_folder(folder, "gone/out.gguf"), NULL, &err);
    expect_error("output", st, &err, WS_IO, "gone");
    remove_folder(folder);
}
