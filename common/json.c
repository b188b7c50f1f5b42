#include "json.h"

#include "alloc.h"
#include "file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

cJSON *ws_json_parse(const char *text, size_t size, const char *what, ws_error *err) {
    const char *stop = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text, size, &stop, 0);
    while (root && stop < text + size && *stop && strchr(" \t\r\n", *stop)) stop++;
    if (root && stop != text + size) {
        cJSON_Delete(root);
        root = NULL;
    }
    if (!root) {
        const size_t at = stop && stop >= text && stop <= text + size ? (size_t)(stop - text) : 0;
        ws_fail(err, WS_FORMAT, "'%s' is not valid JSON: error at byte %zu of %zu", what, at, size);
    }
    return root;
}

cJSON *ws_json_read(const char *path, size_t limit, ws_error *err) {
    char *text;
    size_t size;
    if (ws_file_read(&text, &size, path, limit, err)) return NULL;
    cJSON *root = ws_json_parse(text, size, path, err);
    free(text);
    return root;
}

bool ws_json_u64(const cJSON *item, uint64_t *out) {
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble >= 0x1p53) return false;
    *out = (uint64_t)item->valuedouble;
    return (double)*out == item->valuedouble;
}

const char *ws_json_str(const cJSON *object, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

cJSON *ws_json_exact_u64(uint64_t v) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, v);
    return cJSON_CreateRaw(text);
}

cJSON *ws_json_exact_i64(int64_t v) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, v);
    return cJSON_CreateRaw(text);
}

cJSON *ws_json_float(double v) {
    if (isnan(v)) return cJSON_CreateString("nan");
    if (isinf(v)) return cJSON_CreateString(v > 0 ? "inf" : "-inf");
    char text[32];
    for (int digits = 15; digits <= 17; digits++) { /* cJSON's own printing may lose the last bit */
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    return cJSON_CreateRaw(text);
}

void ws_json_add_u64(cJSON *object, const char *key, uint64_t v) {
    cJSON_AddItemToObject(object, key, ws_json_exact_u64(v));
}

void ws_json_add_i64(cJSON *object, const char *key, int64_t v) {
    cJSON_AddItemToObject(object, key, ws_json_exact_i64(v));
}

cJSON *ws_json_f32(float v) {
    if (!isfinite(v)) return ws_json_float(v);
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    return cJSON_CreateRaw(text);
}

/* Append the JSON escape of the character or stray byte at s (n bytes left) to `at`; returns the bytes consumed. */
static size_t escape_one(char **at, const uint8_t *s, size_t n) {
    utf8proc_int32_t code;
    const utf8proc_ssize_t len = utf8proc_iterate(s, (utf8proc_ssize_t)n, &code);
    if (len <= 0) {
        *at += sprintf(*at, "\\udc%02x", *s);
        return 1;
    }
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) { /* control characters, those of Latin-1 too */
        *at += sprintf(*at, "\\u%04x", (unsigned)code);
    } else {
        if (code == '"' || code == '\\') *(*at)++ = '\\';
        memcpy(*at, s, (size_t)len);
        *at += len;
    }
    return (size_t)len;
}

cJSON *ws_json_bytes(const char *data, size_t len) {
    if (len > SIZE_MAX / 6 - 1) return NULL;
    char *text = ws_alloc(len * 6 + 3, 1, "a JSON string", NULL), *at = text; /* an escape is 6 characters */
    if (!text) return NULL;
    *at++ = '"';
    for (size_t i = 0; i < len;) i += escape_one(&at, (const uint8_t *)data + i, len - i);
    memcpy(at, "\"", 2);
    cJSON *item = cJSON_CreateRaw(text);
    free(text);
    return item;
}

ws_status ws_json_print(cJSON *root, FILE *f, ws_error *err) {
    char *text = root ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (!text) return ws_fail(err, WS_NOMEM, "out of memory: JSON output");
    const bool failed = fputs(text, f) == EOF || fputc('\n', f) == EOF || fflush(f) == EOF;
    cJSON_free(text);
    return failed ? ws_fail_errno(err, "cannot write JSON") : WS_OK;
}
