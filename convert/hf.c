/* hf.c - opening a folder in the layout of the Hugging Face hub. */
#include "alloc.h"
#include "config_defaults.h"
#include "file.h"
#include "source.h"
#include "text.h"
#include "view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far above any real file; they bound what a hostile one can make us parse. */
enum { MAX_CONFIG_BYTES = 16 << 20, MAX_TOKENIZER_BYTES = 512 << 20 };

char *ws_source_path(const ws_source *s, const char *file, ws_error *err) { return ws_path_join(s->dir, file, err); }

static ws_status read_json(cJSON **out, const ws_source *s, const char *file, size_t limit, ws_error *err) {
    *out = NULL;
    char *path = ws_source_path(s, file, err);
    if (!path) return WS_NOMEM;
    ws_status st = WS_OK;
    if (ws_file_exists(path)) {
        *out = ws_json_read(path, limit, err);
        if (!*out) {
            st = err->code;
        } else if (!cJSON_IsObject(*out)) {
            st = ws_fail(err, WS_FORMAT, "'%s' is not a JSON object", path);
            cJSON_Delete(*out);
            *out = NULL;
        }
    }
    free(path);
    return st;
}

ws_status ws_source_json(cJSON **out, const ws_source *s, const char *file, ws_error *err) {
    return read_json(out, s, file, MAX_CONFIG_BYTES, err);
}

/* The last component of a path as Python's pathlib sees it: without trailing "/" and "/." parts. */
static char *last_component(const char *path, ws_error *err) {
    size_t end = strlen(path);
    for (;;) {
        while (end && path[end - 1] == '/') end--;
        if (end && path[end - 1] == '.' && (end == 1 || path[end - 2] == '/'))
            end--;
        else
            break;
    }
    size_t begin = end;
    while (begin && path[begin - 1] != '/') begin--;
    return ws_strndup(path + begin, end - begin, err);
}

/* Names of all architectures that can be converted, for the message that another one cannot. */
static void list_known(char *list, size_t size) {
    size_t used = 0;
    list[0] = 0;
    for (const ws_arch *const *a = ws_arch_all(); *a && used < size; a++)
        if (ws_arch_by_name((*a)->name, strlen((*a)->name)) == *a)
            used += (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "", (*a)->name);
}

static ws_status find_arch(ws_source *s, ws_error *err) {
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(s->raw_config, "text_config");
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(text, "architectures");
    if (!cJSON_IsArray(names)) names = cJSON_GetObjectItemCaseSensitive(s->raw_config, "architectures");
    const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, 0));
    if (!name) return ws_fail(err, WS_FORMAT, "'%s/config.json' names no architecture", s->dir);
    s->arch = ws_arch_by_hf_class(name);
    if (s->arch) return WS_OK;
    char known[512];
    list_known(known, sizeof known);
    return ws_fail(err, WS_UNSUPPORTED, "'%s/config.json': architecture '%s' is not supported (known are those of %s)",
                   s->dir, ws_show(name, strlen(name)).text, known);
}

static ws_status refuse_quantized(const ws_source *s, ws_error *err) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(s->raw_config, "quantization_config");
    if (!cJSON_IsObject(config)) return WS_OK;
    const char *method = ws_json_str(config, "quant_method");
    const bool packed = method && strcmp(method, "mxfp4") == 0;
    for (const ws_arch_tensor *t = s->arch->tensors; packed && t->gguf; t++)
        if (ws_view_is_packed(t->transform)) return WS_OK;
    return ws_fail(err, WS_UNSUPPORTED, "'%s' holds weights quantized by '%s'; convert needs the original ones", s->dir,
                   method ? ws_show(method, strlen(method)).text : "?");
}

/* Is this the kind of model that the architecture describes? */
static ws_status check_demands(const ws_source *s, ws_error *err) {
    for (const ws_arch_demand *d = s->arch->demands; d && d->field; d++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(s->raw_config, d->field);
        if (!item) continue;
        char *value = cJSON_PrintUnformatted(item);
        if (!value) return ws_fail(err, WS_NOMEM, "out of memory: the value of '%s'", d->field);
        const ws_status st =
            strcmp(value, d->value) == 0
                ? WS_OK
                : ws_fail(err, WS_UNSUPPORTED, "'%s/config.json': '%s' is %s, but only %s is supported", s->dir,
                          d->field, ws_show(value, strlen(value)).text, d->value);
        free(value);
        WS_TRY(st);
    }
    return WS_OK;
}

/* RoBERTa's positions begin behind the id of padding. */
static void count_padding(const ws_source *s) {
    uint64_t id, n;
    cJSON *positions = cJSON_GetObjectItemCaseSensitive(s->config, "max_position_embeddings");
    if (!(s->arch->traits & WS_PADDED_POSITIONS) || !ws_json_u64(positions, &n) ||
        !ws_json_u64(cJSON_GetObjectItemCaseSensitive(s->config, "pad_token_id"), &id) || id >= n)
        return;
    cJSON_SetNumberValue(positions, (double)(n - id - 1));
    cJSON_AddNumberToObject(s->config, "n_padding", (double)id + 1);
}

static ws_status read_config(ws_source *s, ws_error *err) {
    WS_TRY(ws_source_json(&s->raw_config, s, "config.json", err));
    if (!s->raw_config)
        return ws_fail(err, WS_FORMAT, "'%s' is not a Hugging Face model folder: it has no config.json", s->dir);
    WS_TRY(find_arch(s, err));
    WS_TRY(check_demands(s, err));
    WS_TRY(refuse_quantized(s, err));
    s->config = ws_config_complete(s->raw_config, err);
    if (!s->config) return WS_NOMEM;
    count_padding(s);

    ws_error ignored = {0}; /* a broken generation_config.json is as good as none */
    const ws_status generation = ws_source_json(&s->generation, s, "generation_config.json", &ignored);
    return generation == WS_NOMEM ? ws_fail(err, WS_NOMEM, "%s", ignored.msg) : WS_OK;
}

static ws_status read_tokenizer(ws_source *s, ws_error *err) {
    WS_TRY(ws_source_json(&s->tokenizer_config, s, "tokenizer_config.json", err));
    return read_json(&s->tokenizer, s, "tokenizer.json", MAX_TOKENIZER_BYTES, err);
}

static ws_status open_all(ws_source *s, const char *dir, ws_error *err) {
    s->dir = ws_strndup(dir, strlen(dir), err);
    s->name = last_component(dir, err);
    if (!s->dir || !s->name) return WS_NOMEM;
    if (!ws_is_dir(dir))
        return ws_fail(err, WS_IO, ws_file_exists(dir) ? "'%s' is not a folder" : "'%s' does not exist", dir);
    WS_TRY(read_config(s, err));
    WS_TRY(read_tokenizer(s, err));
    return ws_safetensors_open(&s->weights, dir, err);
}

ws_status ws_source_open(ws_source **out, const char *dir, ws_error *err) {
    *out = NULL;
    ws_source *s = ws_alloc(1, sizeof *s, "a model folder", err);
    if (!s) return WS_NOMEM;
    const ws_status st = open_all(s, dir, err);
    if (st)
        ws_source_close(s);
    else
        *out = s;
    return st;
}

void ws_source_close(ws_source *s) {
    if (!s) return;
    ws_safetensors_close(s->weights);
    cJSON *const trees[] = {s->raw_config, s->config, s->generation, s->tokenizer, s->tokenizer_config};
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) cJSON_Delete(trees[i]);
    free(s->dir);
    free(s->name);
    free(s);
}
