#include "model_folder.h"

#include "file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char model_config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 8,\n"
    " \"intermediate_size\": 12, \"num_hidden_layers\": 2, \"num_attention_heads\": 4,\n"
    " \"num_key_value_heads\": 2, \"max_position_embeddings\": 64, \"rms_norm_eps\": 1e-5,\n"
    " \"rope_theta\": 10000.0, \"vocab_size\": 5, \"bos_token_id\": 1, \"eos_token_id\": 2,\n"
    " \"tie_word_embeddings\": true}\n";

static const char sentencepiece[] = "\x0a\x09\x0a\x05<unk>\x18\x02"
                                    "\x0a\x07\x0a\x03<s>\x18\x03"
                                    "\x0a\x08\x0a\x04</s>\x18\x03"
                                    "\x0a\x05\x0a\x03\xe2\x96\x81"
                                    "\x0a\x08\x0a\x01"
                                    "a\x15\0\0\x80\xbf";

typedef struct {
    const char *name;
    uint32_t n_dims;
    uint64_t shape[2];
} tensor;

static const tensor tensors[] = {
    {"model.embed_tokens.weight", 2, {5, 8}},
    {"model.norm.weight", 1, {8}},
    {"model.layers.%d.input_layernorm.weight", 1, {8}},
    {"model.layers.%d.self_attn.q_proj.weight", 2, {8, 8}},
    {"model.layers.%d.self_attn.k_proj.weight", 2, {4, 8}},
    {"model.layers.%d.self_attn.v_proj.weight", 2, {4, 8}},
    {"model.layers.%d.self_attn.o_proj.weight", 2, {8, 8}},
    {"model.layers.%d.post_attention_layernorm.weight", 1, {8}},
    {"model.layers.%d.mlp.gate_proj.weight", 2, {12, 8}},
    {"model.layers.%d.mlp.up_proj.weight", 2, {12, 8}},
    {"model.layers.%d.mlp.down_proj.weight", 2, {8, 12}},
};
enum { N_TENSORS = sizeof tensors / sizeof *tensors, N_LAYERS = 2 };

char *make_folder(void) {
    char *folder = strdup("/tmp/ws-test-XXXXXX");
    cr_assert_not_null(folder);
    cr_assert_not_null(mkdtemp(folder));
    return folder;
}

void remove_folder(char *folder) {
    DIR *d = opendir(folder);
    cr_assert_not_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) unlink(in_folder(folder, e->d_name));
    closedir(d);
    cr_expect_eq(rmdir(folder), 0);
    free(folder);
}

const char *in_folder(const char *folder, const char *name) {
    static char buffers[8][512];
    static unsigned next;
    char *buffer = buffers[next++ % 8];
    cr_assert_lt(snprintf(buffer, sizeof buffers[0], "%s/%s", folder, name), (int)sizeof buffers[0]);
    return buffer;
}

void write_bytes(const char *folder, const char *name, const void *data, size_t size) {
    FILE *f = fopen(in_folder(folder, name), "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(data, 1, size, f), size);
    cr_assert_eq(fclose(f), 0);
}

void write_text(const char *folder, const char *name, const char *text) {
    write_bytes(folder, name, text, strlen(text));
}

void edit(const char *folder, const char *name, const char *from, const char *to) {
    char *text, edited[4096];
    size_t size;
    ws_error err = {0};
    cr_assert_eq(ws_file_read(&text, &size, in_folder(folder, name), sizeof edited, &err), WS_OK, "%s", err.msg);
    const char *at = strstr(text, from);
    cr_assert_not_null(at, "'%s' is not in %s", from, name);
    snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    write_text(folder, name, edited);
    free(text);
}

static void add_all(ws_safetensors_writer *w, ws_st_dtype type) {
    char name[96];
    for (int i = 0; i < N_TENSORS; i++) {
        const bool per_layer = strstr(tensors[i].name, "%d") != NULL;
        for (int layer = 0; layer < (per_layer ? N_LAYERS : 1); layer++) {
            const int head = per_layer ? (int)(strstr(tensors[i].name, "%d") - tensors[i].name) : 0;
            if (per_layer)
                snprintf(name, sizeof name, "%.*s%d%s", head, tensors[i].name, layer, tensors[i].name + head + 2);
            else
                snprintf(name, sizeof name, "%s", tensors[i].name);
            ws_safetensors_add(w, name, type, tensors[i].n_dims, tensors[i].shape);
        }
    }
}

/* Element i is i / 8, exact in both types. */
static void write_all(ws_safetensors_writer *w, ws_st_dtype type, ws_error *err) {
    for (int i = 0; i < N_TENSORS; i++) {
        const size_t n = tensors[i].shape[0] * (tensors[i].n_dims == 2 ? tensors[i].shape[1] : 1);
        float values[128];
        uint16_t halves[128];
        for (size_t e = 0; e < n; e++) {
            uint32_t bits;
            values[e] = (float)e / 8;
            memcpy(&bits, &values[e], sizeof bits);
            halves[e] = (uint16_t)(bits >> 16);
        }
        for (int layer = 0; layer < (strstr(tensors[i].name, "%d") ? N_LAYERS : 1); layer++) {
            const ws_status st = type == WS_ST_F32 ? ws_safetensors_write(w, values, n * sizeof *values, err)
                                                   : ws_safetensors_write(w, halves, n * sizeof *halves, err);
            cr_assert_eq(st, WS_OK, "%s", err->msg);
        }
    }
}

char *make_model(ws_st_dtype type) {
    char *folder = make_folder();
    ws_error err = {0};
    ws_safetensors_writer *w;
    write_text(folder, "config.json", model_config);
    write_bytes(folder, "tokenizer.model", sentencepiece, sizeof sentencepiece - 1);
    cr_assert_eq(ws_safetensors_writer_new(&w, &err), WS_OK);
    add_all(w, type);
    cr_assert_eq(ws_safetensors_writer_begin(w, in_folder(folder, "model.safetensors"), &err), WS_OK, "%s", err.msg);
    write_all(w, type, &err);
    cr_assert_eq(ws_safetensors_writer_finish(w, &err), WS_OK, "%s", err.msg);
    return folder;
}

void expect_error(const char *what, ws_status status, const ws_error *err, ws_status wanted, const char *message) {
    cr_expect_eq(status, wanted, "%s: status %d instead of %d (%s)", what, status, wanted, err->msg);
    cr_expect_eq(err->code, wanted, "%s: the error's code is %d instead of %d", what, err->code, wanted);
    if (message) cr_expect_not_null(strstr(err->msg, message), "%s: '%s' does not say '%s'", what, err->msg, message);
    cr_expect_null(strchr(err->msg, '\n'), "%s: the message is not one line", what);
}
