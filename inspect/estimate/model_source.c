#include "model_source.h"

#include "alloc.h"
#include "hf_blueprint.h"
#include "json.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MANIFEST_LIMIT = 1 << 20, MAX_DEPTH = 5, DIGEST_HEX = 64, MAX_LISTED = 4 };

static bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcasecmp(s + n - m, end) == 0;
}

/* ---- Ollama ---- */

/* Names become paths: nothing that climbs out of the store. */
static bool is_safe_name(const char *name) {
    if (!*name || *name == '/' || strstr(name, "..")) return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("/:._-", *c)) return false;
    return true;
}

/* "llama3:8b", "user/model", "hf.co/user/repo:Q4_K_M" below manifests/. */
static char *manifest_path(const char *store, const char *name, ws_error *err) {
    const char *colon = strrchr(name, ':'), *slash = strrchr(name, '/');
    const bool tagged = colon && (!slash || colon > slash);
    const int len = (int)(tagged ? colon - name : (long)strlen(name));
    const char *tag = tagged ? colon + 1 : "latest", *first = strchr(name, '/');
    const bool has_host = first && memchr(name, '.', (size_t)(first - name));
    return ws_sprintf(err, "%s/manifests/%s%s%.*s/%s", store, has_host ? "" : "registry.ollama.ai/",
                      has_host || first ? "" : "library/", len, name, tag);
}

static ws_status blob_path(char **path, const char *store, const cJSON *manifest, const char *where, ws_error *err) {
    const cJSON *layer;
    cJSON_ArrayForEach(layer, cJSON_GetObjectItemCaseSensitive(manifest, "layers")) {
        const char *media = ws_json_str(layer, "mediaType"), *digest = ws_json_str(layer, "digest");
        if (!media || !digest || strcmp(media, "application/vnd.ollama.image.model") != 0) continue;
        if (strncmp(digest, "sha256:", 7) != 0 || strspn(digest + 7, "0123456789abcdef") != DIGEST_HEX ||
            digest[7 + DIGEST_HEX])
            return ws_fail(err, WS_FORMAT, "'%s': the model's digest is not a sha256", where);
        *path = ws_sprintf(err, "%s/blobs/sha256-%s", store, digest + 7);
        return *path ? WS_OK : WS_NOMEM;
    }
    return ws_fail(err, WS_FORMAT, "'%s' names no model layer", where);
}

ws_status ws_ollama_find(char **path, const char *store, const char *name, ws_error *err) {
    *path = NULL;
    if (!is_safe_name(name)) return WS_OK;
    char *where = manifest_path(store, name, err);
    if (!where) return WS_NOMEM;
    ws_status status = WS_OK;
    if (ws_file_exists(where) && !ws_is_dir(where)) {
        cJSON *manifest = ws_json_read(where, MANIFEST_LIMIT, err);
        status = manifest ? blob_path(path, store, manifest, where, err) : err->code;
        cJSON_Delete(manifest);
    }
    free(where);
    return status;
}

/* ---- folders of GGUF files ---- */

typedef struct {
    const char *name;
    size_t root; /* length of the folder searched */
    char *found;
    size_t n;
    bool exact;
    char list[400];
    ws_error *err;
} search;

static bool contains(const char *s, const char *part) {
    for (; *s; s++)
        if (strncasecmp(s, part, strlen(part)) == 0) return true;
    return false;
}

/* Of a split model only the first file counts. */
static bool is_later_part(const char *path) {
    const char *of = strstr(path, "-of-");
    return of && of - path >= 5 && strncmp(of - 5, "00001", 5) != 0 && isdigit((unsigned char)of[-1]);
}

static bool is_exact(const char *relative, const char *name) {
    const char *base = strrchr(relative, '/');
    base = base ? base + 1 : relative;
    const size_t n = strlen(name);
    return strcasecmp(relative, name) == 0 || (strncasecmp(base, name, n) == 0 && strcasecmp(base + n, ".gguf") == 0) ||
           strcasecmp(base, name) == 0;
}

static ws_status consider(search *s, const char *path) {
    const char *relative = path + s->root + 1, *base = strrchr(relative, '/');
    base = base ? base + 1 : relative;
    if (!ends_with(path, ".gguf") || is_later_part(path) || strncasecmp(base, "mmproj", 6) == 0) return WS_OK;
    if (!contains(relative, s->name)) return WS_OK;
    const bool exact = is_exact(relative, s->name);
    if (s->exact && !exact) return WS_OK;
    if (exact && !s->exact) s->n = 0;
    s->exact = exact;
    if (s->n++ < MAX_LISTED)
        snprintf(s->list + strlen(s->list), sizeof s->list - strlen(s->list), "%s%.80s", s->n > 1 ? ", " : "",
                 relative);
    free(s->found);
    s->found = ws_strndup(path, strlen(path), s->err);
    return s->found ? WS_OK : WS_NOMEM;
}

static ws_status walk(search *s, const char *folder, int depth) {
    DIR *dir = depth < MAX_DEPTH ? opendir(folder) : NULL;
    ws_status status = WS_OK;
    for (struct dirent *e; dir && !status && (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        char *path = ws_sprintf(s->err, "%s/%s", folder, e->d_name);
        if (!path)
            status = WS_NOMEM;
        else
            status = ws_is_dir(path) ? walk(s, path, depth + 1) : consider(s, path);
        free(path);
    }
    if (dir) closedir(dir);
    return status;
}

ws_status ws_folder_find(char **path, const char *folder, const char *name, ws_error *err) {
    search s = {.name = name, .root = strlen(folder), .err = err};
    *path = NULL;
    ws_status status = *name ? walk(&s, folder, 0) : WS_OK;
    if (!status && s.n > 1)
        status = ws_fail(err, WS_USAGE, "'%.60s' is more than one model in '%s': %s%s", name, folder, s.list,
                         s.n > MAX_LISTED ? ", ..." : "");
    if (status)
        free(s.found);
    else
        *path = s.found;
    return status;
}

/* ---- all stores ---- */

/* Folders below the home directory. */
static const char *const folders[] = {".lmstudio/models",
                                      ".cache/lm-studio/models",
                                      "jan/models",
                                      "jan/llamacpp/models",
                                      ".local/share/Jan/data/llamacpp/models",
                                      ".config/Jan/data/models",
                                      "Library/Application Support/Jan/data/llamacpp/models",
                                      "Library/Application Support/Jan/data/models"};

static ws_status find_in_ollama(char **path, const char *home, const char *name, ws_error *err) {
    const char *given = getenv("OLLAMA_MODELS");
    char *own = home ? ws_sprintf(err, "%s/.ollama/models", home) : NULL;
    const char *stores[] = {given, own, "/usr/share/ollama/.ollama/models", "/var/lib/ollama/.ollama/models"};
    ws_status status = WS_OK;
    for (size_t i = 0; i < sizeof stores / sizeof *stores && !*path && !status; i++)
        if (stores[i]) status = ws_ollama_find(path, stores[i], name, err);
    free(own);
    return status;
}

static ws_status find_name(char **path, const char *name, ws_error *err) {
    const char *home = getenv("HOME");
    *path = NULL;
    WS_TRY(find_in_ollama(path, home, name, err));
    for (size_t i = 0; i < sizeof folders / sizeof *folders && !*path && home; i++) {
        char *folder = ws_sprintf(err, "%s/%s", home, folders[i]);
        if (!folder) return WS_NOMEM;
        const ws_status status = ws_folder_find(path, folder, name, err);
        free(folder);
        WS_TRY(status);
    }
    if (*path) return WS_OK;
    return ws_fail(err, WS_IO, "'%.200s' is neither a file nor a model of Ollama, LM Studio or Jan on this machine",
                   name);
}

/* A folder with a config.json, else with one GGUF file. */
static ws_status open_folder(ws_blueprint **out, char **path, const char *folder, ws_error *err) {
    char *config = ws_sprintf(err, "%s/config.json", folder);
    if (!config) return WS_NOMEM;
    if (ws_file_exists(config)) {
        *path = config;
        return ws_blueprint_from_config(out, config, err);
    }
    free(config);
    WS_TRY(ws_folder_find(path, folder, ".gguf", err));
    if (!*path) return ws_fail(err, WS_FORMAT, "'%s' has neither a config.json nor a GGUF file", folder);
    ws_gguf *g;
    WS_TRY(ws_gguf_open(&g, *path, err));
    return ws_blueprint_from_gguf(out, g, err);
}

ws_status ws_model_source_open(ws_blueprint **out, char **path, const char *model, ws_error *err) {
    *out = NULL, *path = NULL;
    if (ws_is_dir(model)) return open_folder(out, path, model, err);
    if (ws_file_exists(model)) {
        *path = ws_strndup(model, strlen(model), err);
        if (!*path) return WS_NOMEM;
        if (ends_with(model, ".json")) return ws_blueprint_from_config(out, model, err);
    } else if (strchr(model, '/') && ends_with(model, ".gguf")) {
        return ws_fail(err, WS_IO, "cannot open '%.300s': no such file", model);
    } else {
        WS_TRY(find_name(path, model, err));
    }
    ws_gguf *g;
    WS_TRY(ws_gguf_open(&g, *path, err));
    return ws_blueprint_from_gguf(out, g, err);
}
