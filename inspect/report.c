#include "report.h"

#include "alloc.h"
#include "cpu.h"
#include "json.h"
#include "legacy_imatrix.h"
#include "ollama.h"
#include "recipe.h"
#include "text.h"
#include "zip.h"

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

/* Tensors whose data is not there as it would be in a little-endian file are listed only. */
static void hide_data(ws_report_tensor *t) {
    t->data = NULL, t->to_float = NULL;
    t->layout.fields[0].number = NULL;
}

static ws_report_tensor tensor_at(const ws_report *r, size_t i, uint32_t cpu_flags) {
    if (r->gguf) return from_gguf(&r->gguf->tensors[i], cpu_flags);
    ws_report_tensor t = from_st(r->st ? &r->st->tensors[i] : &r->torch->tensors[i], cpu_flags);
    if (!t.data && t.bytes) hide_data(&t);
    return t;
}

/* The header was read from an image; the data is in the file. */
static void point_into_file(const ws_report *r, ws_report_tensor *t) {
    t->offset = t->offset - r->gguf->data_offset + r->data_offset;
    t->data = r->parts[0].data + t->offset;
    if (r->big_endian) hide_data(t);
}

static void find_parts(ws_report *r) {
    if (r->foreign.gguf) {
        r->one_path = r->path;
        r->n_parts = 1, r->parts = &r->foreign_map, r->part_paths = &r->one_path;
    } else if (r->gguf) {
        r->n_parts = r->gguf->n_parts, r->parts = r->gguf->parts;
        r->part_paths = (const char *const *)r->gguf->part_paths;
    } else if (r->st) {
        r->n_parts = r->st->n_parts, r->parts = r->st->parts;
        r->part_paths = (const char *const *)r->st->part_paths;
    } else {
        r->n_parts = r->torch->n_parts, r->parts = r->torch->parts;
        r->part_paths = (const char *const *)r->torch->part_paths;
    }
}

static ws_status collect(ws_report *r, ws_error *err) {
    uint32_t cpu_flags;
    WS_TRY(ws_cpu_flags(&cpu_flags, err));
    find_parts(r);
    r->n_tensors = r->gguf ? r->gguf->n_tensors : r->st ? r->st->n_tensors : r->torch->n_tensors;
    r->tensors = ws_alloc(r->n_tensors, sizeof *r->tensors, "the list of tensors", err);
    if (!r->tensors) return WS_NOMEM;
    for (size_t i = 0; i < r->n_tensors; i++) {
        r->tensors[i] = tensor_at(r, i, cpu_flags);
        if (r->foreign.gguf) point_into_file(r, &r->tensors[i]);
    }
    return WS_OK;
}

const ws_report_tensor *ws_report_find(const ws_report *r, const char *name) {
    if (r->gguf) {
        const ws_tensor *t = ws_gguf_tensor(r->gguf, name);
        return t ? &r->tensors[t - r->gguf->tensors] : NULL;
    }
    const ws_st_tensor *t = r->st ? ws_safetensors_tensor(r->st, name) : ws_torch_tensor(r->torch, name);
    return t ? &r->tensors[t - (r->st ? r->st->tensors : r->torch->tensors)] : NULL;
}

void ws_report_shape(char *buf, size_t size, const ws_report *r, const ws_report_tensor *t) {
    snprintf(buf, size, "%s", t->n_dims ? "" : "scalar");
    for (uint32_t d = 0; d < t->n_dims; d++) {
        const size_t used = strlen(buf);
        snprintf(buf + used, size - used, "%s%" PRIu64, d ? "x" : "", t->shape[r->gguf ? d : t->n_dims - 1 - d]);
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
    for (size_t p = 0; p < r->n_parts && !r->legacy_imatrix; p++) r->file_bytes += r->parts[p].size;
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

/* Which reader is in charge? The name where it tells, so that its messages are about that format; else the content. */
typedef enum { GGUF, FOREIGN_GGUF, SAFETENSORS, TORCH, OLLAMA, LEGACY_IMATRIX, UNKNOWN } kind;

static kind kind_of_content(const ws_map *map) {
    if (ws_gguf_foreign_probe(map->data, map->size)) return FOREIGN_GGUF;
    if (map->size >= 4 && memcmp(map->data, "GGUF", 4) == 0) return GGUF;
    if (ws_zip_probe(map->data, map->size)) return TORCH;
    if (ws_ollama_probe(map->data, map->size)) return OLLAMA;
    if (ws_safetensors_probe(map->data, map->size)) return SAFETENSORS;
    return ws_legacy_imatrix_probe(map->data, map->size) ? LEGACY_IMATRIX : UNKNOWN;
}

static ws_status find_kind(kind *k, const char *path, ws_error *err) {
    const bool st = ws_is_dir(path) || ws_ends_with(path, ".json") || ws_ends_with(path, ".safetensors");
    *k = ws_torch_probe_path(path) ? TORCH : SAFETENSORS;
    if (st) return WS_OK;
    ws_map map;
    WS_TRY(ws_map_open(&map, path, err));
    *k = kind_of_content(&map);
    const size_t size = map.size;
    ws_map_close(&map);
    if (ws_ends_with(path, ".gguf") && *k != FOREIGN_GGUF) *k = GGUF;
    if (*k != UNKNOWN) return WS_OK;
    return ws_fail(err, WS_FORMAT, "'%s' is neither a GGUF, a safetensors nor a PyTorch file (%zu bytes)", path, size);
}

static ws_status open_gguf(ws_report *r, const char *path, ws_error *err) {
    WS_TRY(ws_gguf_open(&r->gguf, path, err));
    r->version = r->gguf->version;
    r->data_offset = r->gguf->data_offset;
    return WS_OK;
}

static ws_status open_foreign(ws_report *r, const char *path, ws_error *err) {
    WS_TRY(ws_map_open(&r->foreign_map, path, err));
    WS_TRY(ws_gguf_foreign_open(&r->foreign, r->foreign_map.data, r->foreign_map.size, path, err));
    r->gguf = r->foreign.gguf;
    r->version = r->foreign.version;
    r->big_endian = r->foreign.big_endian;
    r->data_offset = r->foreign.data_offset;
    return WS_OK;
}

static ws_status open_legacy_imatrix(ws_report *r, const char *path, ws_error *err) {
    ws_map file;
    WS_TRY(ws_map_open(&file, path, err));
    r->legacy_imatrix = true, r->file_bytes = file.size;
    ws_map_close(&file);
    WS_TRY(ws_legacy_imatrix_open(&r->gguf, &r->foreign_map, path, err));
    r->data_offset = r->gguf->data_offset;
    return WS_OK;
}

/* A manifest's blob is a GGUF file. */
static ws_status open_kind(ws_report *r, kind k, const char *path, ws_error *err) {
    static const char *const formats[] = {
        [GGUF] = "gguf",     [FOREIGN_GGUF] = "gguf", [SAFETENSORS] = "safetensors",
        [TORCH] = "pytorch", [OLLAMA] = "gguf",       [LEGACY_IMATRIX] = "imatrix.dat",
        [UNKNOWN] = NULL};
    r->format = formats[k];
    switch (k) {
    case GGUF: return open_gguf(r, path, err);
    case FOREIGN_GGUF: return open_foreign(r, path, err);
    case LEGACY_IMATRIX: return open_legacy_imatrix(r, path, err);
    case TORCH: return ws_torch_open(&r->torch, path, err);
    case OLLAMA:
        return (r->blob = ws_ollama_blob(path, err)) ? open_gguf(r, r->blob, err) : err ? err->code : WS_FORMAT;
    default: return ws_safetensors_open(&r->st, path, err);
    }
}

static ws_status fill(ws_report *r, ws_error *err) {
    kind k;
    WS_TRY(find_kind(&k, r->path, err));
    WS_TRY(open_kind(r, k, r->path, err));
    WS_TRY(collect(r, err));
    add_up(r);
    if (r->gguf)
        read_gguf_facts(r);
    else
        read_config_class(r);
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
    if (!r->foreign.gguf) ws_gguf_close(r->gguf);
    ws_gguf_foreign_close(&r->foreign);
    ws_map_close(&r->foreign_map);
    ws_safetensors_close(r->st);
    ws_torch_close(r->torch);
    free(r->blob);
    free(r->config_class);
    free(r->tensors);
    free(r);
}
