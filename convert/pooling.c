#include "pooling.h"

#include "alloc.h"
#include "file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 20, MEAN = 1, FIRST = 2, LAST = 3 };

static const struct {
    const char *flag, *mode;
    uint32_t type;
} modes[] = {
    {"pooling_mode_mean_tokens", "mean", MEAN},
    {"pooling_mode_cls_token", "cls", FIRST},
    {"pooling_mode_lasttoken", "lasttoken", LAST},
};

static const cJSON *get(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }

/* A file of the folder as JSON; *out is NULL when there is none. */
static ws_status read_json(cJSON **out, const ws_source *s, const char *file, ws_error *err) {
    *out = NULL;
    char *path = ws_source_path(s, file, err);
    if (!path) return WS_NOMEM;
    if (ws_file_exists(path)) *out = ws_json_read(path, MAX_BYTES, err);
    const bool failed = ws_file_exists(path) && !*out;
    free(path);
    return failed ? err->code : WS_OK;
}

/* The folder of the first module whose type ends so; NULL: none. */
static const char *module_folder(const cJSON *modules, const char *tail) {
    const cJSON *module;
    cJSON_ArrayForEach(module, modules) {
        const char *type = ws_json_str(module, "type");
        const size_t n = type ? strlen(type) : 0, n_tail = strlen(tail);
        if (n >= n_tail && strcmp(type + n - n_tail, tail) == 0) return ws_json_str(module, "path");
    }
    return NULL;
}

static uint32_t pooling_type(const cJSON *config) {
    const char *mode = ws_json_str(config, "pooling_mode");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (cJSON_IsTrue(get(config, modes[i].flag))) return modes[i].type;
    for (size_t i = 0; mode && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(mode, modes[i].mode) == 0) return modes[i].type;
    return 0;
}

static ws_status put_type(ws_pairs *p, const ws_source *s, const char *folder, ws_error *err) {
    char file[256], key[64];
    cJSON *config;
    if (strstr(folder, "..") || (size_t)snprintf(file, sizeof file, "%s/config.json", folder) >= sizeof file)
        return ws_fail(err, WS_FORMAT, "'%s/modules.json' names a folder that cannot be used", s->dir);
    WS_TRY(read_json(&config, s, file, err));
    const uint32_t type = pooling_type(config);
    cJSON_Delete(config);
    if (!type)
        return ws_fail(err, WS_UNSUPPORTED, "'%s/%s' names no pooling that is known (mean, first and last token are)",
                       s->dir, file);
    snprintf(key, sizeof key, "%s.pooling_type", s->arch->name);
    ws_pairs_put_u32(p, key, type);
    return WS_OK;
}

/* What a classifier on top would pool. */
static ws_status put_classifier(ws_pairs *p, const ws_source *s, const char *mode, ws_error *err) {
    char key[64];
    snprintf(key, sizeof key, "%s.classifier.pooling_type", s->arch->name);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (modes[i].type == LAST || strcmp(mode, modes[i].mode) != 0) continue;
        ws_pairs_put_u32(p, key, modes[i].type);
        return WS_OK;
    }
    return ws_fail(err, WS_UNSUPPORTED, "'%s/config.json': 'classifier_pooling' is neither cls nor mean", s->dir);
}

ws_status ws_pooling_put(ws_pairs *p, const ws_source *s, bool *more_layers, ws_error *err) {
    cJSON *modules;
    WS_TRY(read_json(&modules, s, "modules.json", err));
    *more_layers = module_folder(modules, "Dense") != NULL;
    const char *folder = module_folder(modules, "Pooling"), *classifier = ws_json_str(s->config, "classifier_pooling");
    ws_status st = folder ? put_type(p, s, folder, err) : WS_OK;
    if (!st && classifier) st = put_classifier(p, s, classifier, err);
    cJSON_Delete(modules);
    return st;
}
