#include "ollama.h"

#include "alloc.h"
#include "file.h"
#include "json.h"
#include "text.h"

#include <string.h>

#define MODEL_LAYER "application/vnd.ollama.image.model"
#define DIGEST      "sha256:"

enum { MAX_MANIFEST = 1 << 20, HEX = 64 };

bool ws_ollama_probe(const uint8_t *data, size_t size) {
    return size > 2 && size <= MAX_MANIFEST && data[0] == '{' && memmem(data, size, MODEL_LAYER, strlen(MODEL_LAYER));
}

/* A digest becomes a file name: 64 hexadecimal digits and nothing else. */
static const char *hex_of(const cJSON *layer) {
    const char *digest = ws_json_str(layer, "digest");
    if (!digest || strncmp(digest, DIGEST, strlen(DIGEST)) != 0) return NULL;
    digest += strlen(DIGEST);
    return strspn(digest, "0123456789abcdef") == HEX && !digest[HEX] ? digest : NULL;
}

static const char *find_model(const cJSON *manifest) {
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(manifest, "layers"), *layer;
    cJSON_ArrayForEach(layer, layers) {
        const char *type = ws_json_str(layer, "mediaType");
        if (type && strcmp(type, MODEL_LAYER) == 0) return hex_of(layer);
    }
    return NULL;
}

/* What stands before the last "manifests/" in the path. */
static bool store_length(const char *path, size_t *len) {
    static const char folder[] = "manifests/";
    const char *found = NULL;
    for (const char *p = path; (p = strstr(p, folder)); p++)
        if (p == path || p[-1] == '/') found = p;
    if (found) *len = (size_t)(found - path);
    return found != NULL;
}

char *ws_ollama_blob(const char *manifest, ws_error *err) {
    size_t len = 0;
    if (!store_length(manifest, &len)) {
        ws_fail(err, WS_FORMAT, "'%s' is a manifest of Ollama outside of its store: no folder 'manifests' above it",
                manifest);
        return NULL;
    }
    cJSON *root = ws_json_read(manifest, MAX_MANIFEST, err);
    const char *hex = root ? find_model(root) : NULL;
    char *path = hex ? ws_sprintf(err, "%.*sblobs/sha256-%s", (int)len, manifest, hex) : NULL;
    if (root && !hex) ws_fail(err, WS_FORMAT, "'%s' is a manifest of Ollama without a sound model layer", manifest);
    cJSON_Delete(root);
    return path;
}
