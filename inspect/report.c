#include "report.h"

#include "alloc.h"
#include "cpu.h"
#include "json.h"
#include "recipe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* general.file_type carries this bit when llama.cpp guessed it from the tensors. */
static const uint64_t FILE_TYPE_GUESSED = 1024;

static const size_t CONFIG_LIMIT = 16 << 20; /* bytes of a config.json worth reading */

/* ---- tensors of either format as one kind ---- */

static ws_report_tensor from_gguf(const ws_tensor *t, uint32_t cpu_flags) {
    ws_report_tensor out = {
        .name = t->name,
        .type = ws_dtype_name(t->type),
        .n_dims = t->n_dims,
        .n_elements = t->n_elements,
        .bytes = t->bytes,
        .offset = t->offset,
        .part = t->part,
        .data = t->data,
        .layout = ws_layout_of(t->type),
        .to_float = ws_values_of(t->type, cpu_flags),
    };
    memcpy(out.shape, t->ne, sizeof t->ne);
    return out;
}

static ws_report_tensor from_st(const ws_st_tensor *t, uint32_t cpu_flags) {
    ws_report_tensor out = {
        .name = t->name,
        .type = ws_st_dtype_name(t->dtype),
        .n_dims = t->n_dims,
        .n_elements = t->n_elements,
        .bytes = t->bytes,
        .offset = t->offset,
        .part = t->part,
        .data = t->data,
        .layout = ws_layout_of_st(t->dtype),
        .to_float = ws_values_of_st(t->dtype, cpu_flags),
    };
    memcpy(out.shape, t->shape, sizeof t->shape);
    return out;
}

static ws_status collect(ws_report *r, ws_error *err) {
    const bool gguf = r->gguf != NULL;
    uint32_t cpu_flags;
    WS_TRY(ws_cpu_flags(&cpu_flags, err));
    r->n_parts = gguf ? r->gguf->n_parts : r->st->n_parts;
    r->parts = gguf ? r->gguf->parts : r->st->parts;
    r->part_paths = gguf ? r->gguf->part_paths : r->st->part_paths;
    r->n_tensors = gguf ? r->gguf->n_tensors : r->st->n_tensors;
    r->tensors = ws_alloc(r->n_tensors, sizeof *r->tensors, "the list of tensors", err);
    if (!r->tensors) return WS_NOMEM;
    for (size_t i = 0; i < r->n_tensors; i++)
        r->tensors[i] = gguf ? from_gguf(&r->gguf->tensors[i], cpu_flags) : from_st(&r->st->tensors[i], cpu_flags);
    return WS_OK;
}

void ws_report_shape(char *buf, size_t size, const ws_report *r, const ws_report_tensor *t) {
    snprintf(buf, size, "%s", t->n_dims ? "" : "scalar");
    for (uint32_t d = 0; d < t->n_dims; d++) {
        const size_t used = strlen(buf);
        snprintf(buf + used, size - used, "%s%" PRIu64, d ? "x" : "", t->shape[r->st ? t->n_dims - 1 - d : d]);
    }
}

/* ---- totals ---- */

static ws_type_total *total_of(ws_report *r, const char *type) {
    for (size_t i = 0; i < r->n_types; i++)
        if (r->types[i].type == type) return &r->types[i]; /* names are unique constants of the type tables */
    ws_type_total *fresh = &r->types[r->n_types++];
    *fresh = (ws_type_total){.type = type};
    return fresh;
}

static int larger_first(const void *a, const void *b) {
    const ws_type_total *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : strcmp(x->type, y->type);
}

/* Sums stay below 2^64: the readers have checked every tensor against the size of its file, and none overlap. */
static void add_up(ws_report *r) {
    for (size_t p = 0; p < r->n_parts; p++) r->file_bytes += r->parts[p].size;
    for (size_t i = 0; i < r->n_tensors; i++) {
        const ws_report_tensor *t = &r->tensors[i];
        ws_type_total *total = total_of(r, t->type);
        total->n_tensors++;
        total->n_elements += t->n_elements, total->bytes += t->bytes;
        r->n_elements += t->n_elements, r->tensor_bytes += t->bytes;
    }
    qsort(r->types, r->n_types, sizeof *r->types, larger_first);
    if (r->n_elements) r->bits_per_weight = 8 * (double)r->tensor_bytes / (double)r->n_elements;
}

/* ---- what the metadata says ---- */

static ws_str kv_text(const ws_gguf *g, const char *key) {
    const ws_kv *kv = ws_gguf_kv(g, key);
    ws_str s = {"", 0};
    if (kv) ws_kv_str(kv, &s);
    return s;
}

static void read_gguf_facts(ws_report *r) {
    r->architecture = kv_text(r->gguf, "general.architecture");
    r->name = kv_text(r->gguf, "general.name");
    r->chat_template = kv_text(r->gguf, "tokenizer.chat_template");
    const ws_kv *kv = ws_gguf_kv(r->gguf, "general.file_type");
    uint64_t number;
    if (!kv || !ws_kv_u64(kv, &number)) return;
    r->file_type_guessed = number & FILE_TYPE_GUESSED;
    r->file_type = ws_file_type_name(number & ~FILE_TYPE_GUESSED);
}

/* The class that config.json beside the tensors names. A missing or broken config.json only leaves it empty. */
static void read_config_class(ws_report *r) {
    const char *slash = strrchr(r->path, '/');
    char *folder = ws_is_dir(r->path) ? ws_strndup(r->path, strlen(r->path), NULL)
                                      : ws_strndup(r->path, slash ? (size_t)(slash - r->path) + 1 : 0, NULL);
    char *path = folder ? ws_path_join(folder, "config.json", NULL) : NULL;
    cJSON *config = path && ws_file_exists(path) ? ws_json_read(path, CONFIG_LIMIT, NULL) : NULL;
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(config, "architectures");
    const char *cls = cJSON_GetStringValue(cJSON_GetArrayItem(classes, 0));
    if (cls) r->config_class = ws_strndup(cls, strlen(cls), NULL);
    if (r->config_class) r->architecture = (ws_str){r->config_class, strlen(r->config_class)};
    cJSON_Delete(config);
    free(path);
    free(folder);
}

/* ---- open and close ---- */

static bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Which reader is in charge? The name where it tells, so that its messages are about that format; else the content. */
static ws_status is_safetensors(bool *yes, const char *path, ws_error *err) {
    *yes = ws_is_dir(path) || ends_with(path, ".json") || ends_with(path, ".safetensors");
    if (*yes || ends_with(path, ".gguf")) return WS_OK;
    ws_map map;
    WS_TRY(ws_map_open(&map, path, err));
    const bool gguf = map.size >= 4 && memcmp(map.data, "GGUF", 4) == 0;
    *yes = !gguf && ws_safetensors_probe(map.data, map.size);
    const size_t size = map.size;
    ws_map_close(&map);
    if (gguf || *yes) return WS_OK;
    return ws_fail(err, WS_FORMAT, "'%s' is neither a GGUF nor a safetensors file (%zu bytes)", path, size);
}

static ws_status fill(ws_report *r, ws_error *err) {
    bool st;
    WS_TRY(is_safetensors(&st, r->path, err));
    WS_TRY(st ? ws_safetensors_open(&r->st, r->path, err) : ws_gguf_open(&r->gguf, r->path, err));
    WS_TRY(collect(r, err));
    add_up(r);
    if (st)
        read_config_class(r);
    else
        read_gguf_facts(r);
    return WS_OK;
}

ws_status ws_report_open(ws_report **out, const char *path, ws_error *err) {
    *out = NULL;
    ws_report *r = ws_alloc(1, sizeof *r, "a report", err);
    if (!r) return WS_NOMEM;
    r->path = path;
    const ws_status status = fill(r, err);
    if (status)
        ws_report_close(r);
    else
        *out = r;
    return status;
}

void ws_report_close(ws_report *r) {
    if (!r) return;
    ws_gguf_close(r->gguf);
    ws_safetensors_close(r->st);
    free(r->config_class);
    free(r->tensors);
    free(r);
}
