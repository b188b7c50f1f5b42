/* Opening a checkpoint by path: a file, an index, or a folder of either. */
#include "alloc.h"
#include "json.h"
#include "safetensors_internal.h"
#include "text.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_NAME  "model.safetensors.index.json"
#define SINGLE_NAME "model.safetensors"

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* ---- an index ---- */

typedef struct {
    const char *path;
    char *dir; /* where the shards are */
    cJSON *root;
    const cJSON *weight_map; /* tensor name -> shard name */
    const char **shards;     /* the distinct shard names, sorted */
    size_t n_shards;
} shard_index;

static char *folder_of(const char *path, ws_error *err) {
    const char *slash = strrchr(path, '/');
    if (!slash) return ws_strndup(".", 1, err);
    return ws_strndup(path, slash == path ? 1 : (size_t)(slash - path), err);
}

/* A shard lies beside its index: its name leads nowhere else. */
static bool plain_name(const char *s) {
    return s && *s && !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static ws_status collect_shards(shard_index *x, ws_error *err) {
    if (!cJSON_IsObject(x->weight_map)) return ws_fail(err, WS_FORMAT, "'%s' has no object 'weight_map'", x->path);
    const cJSON *item;
    size_t n = 0, cap = 0;
    cJSON_ArrayForEach(item, x->weight_map) {
        const char *shard = cJSON_GetStringValue(item);
        if (!plain_name(shard))
            return ws_fail(err, WS_FORMAT, "'%s': tensor '%s' is in '%s', which is not the name of a file beside it",
                           x->path, ws_show(item->string, strlen(item->string)).text,
                           shard ? ws_show(shard, strlen(shard)).text : "(no string)");
        WS_TRY(ws_grow(&x->shards, &cap, n + 1, sizeof *x->shards, err));
        x->shards[n++] = shard;
    }
    if (n == 0) return ws_fail(err, WS_FORMAT, "'%s' names no tensors", x->path);
    qsort(x->shards, n, sizeof *x->shards, compare_strings);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(x->shards[i], x->shards[i - 1]) != 0) x->shards[x->n_shards++] = x->shards[i];
    return WS_OK;
}

static ws_status read_shards(ws_safetensors *s, const shard_index *x, ws_error *err) {
    for (size_t i = 0; i < x->n_shards; i++) {
        char *path = ws_path_join(x->dir, x->shards[i], err);
        if (!path) return WS_NOMEM;
        if (!ws_file_exists(path)) {
            free(path);
            return ws_fail(err, WS_IO, "'%s' names the shard '%s', which is missing", x->path,
                           ws_show(x->shards[i], strlen(x->shards[i])).text);
        }
        WS_TRY(ws_st_read_file(s, path, err));
    }
    return WS_OK;
}

/* Every tensor of the index must be in the shard that the index names; x->shards has the order of the parts. */
static ws_status check_weight_map(const ws_safetensors *s, const shard_index *x, ws_error *err) {
    const cJSON *item;
    cJSON_ArrayForEach(item, x->weight_map) {
        const ws_st_tensor *t = ws_safetensors_tensor(s, item->string);
        if (!t || strcmp(x->shards[t->part], item->valuestring) != 0)
            return ws_fail(err, WS_FORMAT, "'%s' says that tensor '%s' is in '%s', but it is %s%s", x->path,
                           ws_show(item->string, strlen(item->string)).text,
                           ws_show(item->valuestring, strlen(item->valuestring)).text, t ? "in " : "in no shard",
                           t ? x->shards[t->part] : "");
    }
    return WS_OK;
}

static ws_status read_index(ws_safetensors *s, shard_index *x, ws_error *err) {
    if (!(x->dir = folder_of(x->path, err))) return WS_NOMEM;
    if (!(x->root = ws_json_read(x->path, WS_ST_MAX_HEADER, err))) return err ? err->code : WS_FORMAT;
    x->weight_map = cJSON_GetObjectItemCaseSensitive(x->root, "weight_map");
    WS_TRY(collect_shards(x, err));
    WS_TRY(read_shards(s, x, err));
    WS_TRY(ws_st_index_names(s, err));
    return check_weight_map(s, x, err);
}

static ws_status open_index(ws_safetensors *s, const char *path, ws_error *err) {
    shard_index x = {.path = path};
    const ws_status status = read_index(s, &x, err);
    free(x.shards);
    free(x.dir);
    cJSON_Delete(x.root);
    return status;
}

/* ---- files ---- */

static ws_status open_file(ws_safetensors *s, const char *path, ws_error *err) {
    WS_TRY(ws_st_read_file(s, ws_strndup(path, strlen(path), err), err));
    return ws_st_index_names(s, err);
}

typedef struct {
    char **names;
    size_t n, cap;
} name_list;

/* The names in `dir` that are model*.safetensors, sorted. */
static ws_status list_models(name_list *list, const char *dir, ws_error *err) {
    DIR *d = opendir(dir);
    if (!d) return ws_fail_errno(err, "cannot open the folder '%s'", dir);
    ws_status status = WS_OK;
    for (const struct dirent *e; !status && (e = readdir(d));) {
        if (strncmp(e->d_name, "model", 5) != 0 || !ws_ends_with(e->d_name, ".safetensors")) continue;
        status = ws_grow(&list->names, &list->cap, list->n + 1, sizeof *list->names, err);
        if (!status && !(list->names[list->n++] = ws_strndup(e->d_name, strlen(e->d_name), err))) status = WS_NOMEM;
    }
    closedir(d);
    if (list->n) qsort(list->names, list->n, sizeof *list->names, compare_strings);
    return status;
}

static ws_status read_list(ws_safetensors *s, const name_list *list, const char *dir, ws_error *err) {
    if (list->n == 0)
        return ws_fail(err, WS_IO, "the folder '%s' holds no %s, %s or model*.safetensors", dir, INDEX_NAME,
                       SINGLE_NAME);
    for (size_t i = 0; i < list->n; i++) WS_TRY(ws_st_read_file(s, ws_path_join(dir, list->names[i], err), err));
    return ws_st_index_names(s, err);
}

static ws_status open_all(ws_safetensors *s, const char *dir, ws_error *err) {
    name_list list = {0};
    ws_status status = list_models(&list, dir, err);
    if (!status) status = read_list(s, &list, dir, err);
    for (size_t i = 0; i < list.n; i++) free(list.names[i]);
    free(list.names);
    return status;
}

static ws_status open_folder(ws_safetensors *s, const char *dir, ws_error *err) {
    char *index = ws_path_join(dir, INDEX_NAME, err), *single = ws_path_join(dir, SINGLE_NAME, err);
    ws_status status;
    if (!index || !single)
        status = WS_NOMEM;
    else if (ws_file_exists(index))
        status = open_index(s, index, err);
    else if (ws_file_exists(single))
        status = open_file(s, single, err);
    else
        status = open_all(s, dir, err);
    free(index);
    free(single);
    return status;
}

ws_status ws_safetensors_open(ws_safetensors **out, const char *path, ws_error *err) {
    *out = NULL;
    ws_safetensors *s = ws_st_new(err);
    if (!s) return WS_NOMEM;
    const ws_status status = ws_is_dir(path)                     ? open_folder(s, path, err)
                             : ws_ends_with(path, ".index.json") ? open_index(s, path, err)
                                                                 : open_file(s, path, err);
    if (status)
        ws_safetensors_close(s);
    else
        *out = s;
    return status;
}
