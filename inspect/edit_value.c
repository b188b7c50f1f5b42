/* The values of edits: from what a person types to the bytes of a GGUF file. */
#include "alloc.h"
#include "edit.h"
#include "json.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 64 << 20 }; /* bytes of a string read from a file */

static ws_status append(ws_edit *e, const void *data, size_t n, ws_error *err) {
    if (n == 0) return WS_OK;
    WS_TRY(ws_grow(&e->value, &e->cap, e->bytes + n, 1, err));
    memcpy(e->value + e->bytes, data, n);
    e->bytes += n;
    return WS_OK;
}

static ws_status append_string(ws_edit *e, const char *s, size_t n, ws_error *err) {
    const uint64_t length = n;
    WS_TRY(append(e, &length, sizeof length, err));
    return append(e, s, n, err);
}

static ws_status unsuitable(const ws_edit *e, ws_kv_type type, const char *text, ws_error *err) {
    return ws_fail(err, WS_USAGE, "key '%s': '%s' is not a value of type %s", ws_show(e->key, strlen(e->key)).text,
                   ws_show(text, strlen(text)).text, ws_kv_type_name(type));
}

/* ---- scalars ---- */

static const struct {
    ws_kv_type type;
    int64_t min;
    uint64_t max;
} ranges[] = {
    {WS_KV_U8, 0, UINT8_MAX},          {WS_KV_I8, INT8_MIN, INT8_MAX},    {WS_KV_U16, 0, UINT16_MAX},
    {WS_KV_I16, INT16_MIN, INT16_MAX}, {WS_KV_U32, 0, UINT32_MAX},        {WS_KV_I32, INT32_MIN, INT32_MAX},
    {WS_KV_U64, 0, UINT64_MAX},        {WS_KV_I64, INT64_MIN, INT64_MAX},
};

/* A whole decimal number as 64 bits (two's complement when negative); false when it is none or does not fit. */
static bool parse_integer(const char *text, ws_kv_type type, uint64_t *bits) {
    char *end;
    const bool negative = *text == '-';
    if (text[negative] < '0' || text[negative] > '9') return false;
    errno = 0;
    *bits = negative ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
    if (*end || errno) return false;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (ranges[i].type == type) return negative ? (int64_t)*bits >= ranges[i].min : *bits <= ranges[i].max;
    return false;
}

static bool parse_real(const char *text, double *v) {
    char *end;
    *v = strtod(text, &end);
    return end != text && !*end;
}

static int parse_bool(const char *text) {
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0) return 1;
    return strcmp(text, "false") == 0 || strcmp(text, "0") == 0 ? 0 : -1;
}

static ws_status append_number(ws_edit *e, ws_kv_type type, const char *text, ws_error *err) {
    uint64_t bits = 0;
    double real = 0;
    if (type == WS_KV_BOOL) {
        const int flag = parse_bool(text);
        if (flag < 0) return unsuitable(e, type, text, err);
        bits = (uint64_t)flag;
    } else if (type == WS_KV_F32 || type == WS_KV_F64) {
        if (!parse_real(text, &real)) return unsuitable(e, type, text, err);
        const float single = (float)real;
        if (type == WS_KV_F32)
            memcpy(&bits, &single, sizeof single);
        else
            memcpy(&bits, &real, sizeof real);
    } else if (!parse_integer(text, type, &bits)) {
        return unsuitable(e, type, text, err);
    }
    return append(e, &bits, ws_kv_type_size(type), err); /* little-endian: the low bytes come first */
}

static ws_status append_text(ws_edit *e, const char *text, ws_error *err) {
    if (text[0] != '@') return append_string(e, text, strlen(text), err);
    if (text[1] == '@') return append_string(e, text + 1, strlen(text + 1), err);
    char *content;
    size_t n;
    WS_TRY(ws_file_read(&content, &n, text + 1, MAX_TEXT, err));
    const ws_status status = append_string(e, content, n, err);
    free(content);
    return status;
}

/* ---- arrays ---- */

static ws_status begin_array(ws_edit *e, ws_kv_type elem, uint64_t n, ws_error *err) {
    const uint32_t type = elem;
    WS_TRY(append(e, &type, sizeof type, err));
    return append(e, &n, sizeof n, err);
}

static ws_status string_array(ws_edit *e, const char *text, ws_error *err) {
    cJSON *root = ws_json_parse(text, strlen(text), "the value", err);
    if (!root) return ws_fail(err, WS_USAGE, "key '%s': an array of strings is given as JSON: [\"a\", \"b\"]", e->key);
    ws_status status = cJSON_IsArray(root) ? WS_OK : unsuitable(e, WS_KV_ARRAY, text, err);
    if (!status) status = begin_array(e, WS_KV_STRING, (uint64_t)cJSON_GetArraySize(root), err);
    const cJSON *item;
    cJSON_ArrayForEach(item, root) {
        const char *s = cJSON_GetStringValue(item);
        if (!status) status = s ? append_string(e, s, strlen(s), err) : unsuitable(e, WS_KV_STRING, text, err);
    }
    cJSON_Delete(root);
    return status;
}

/* "1,2,3" or "[1, 2, 3]"; `list` is cut up. */
static ws_status number_array(ws_edit *e, ws_kv_type elem, char *list, ws_error *err) {
    const size_t n = strlen(list);
    if (n >= 2 && list[0] == '[' && list[n - 1] == ']') list[n - 1] = 0, list++;
    WS_TRY(begin_array(e, elem, 0, err));
    uint64_t count = 0;
    char *rest = NULL;
    for (char *item = strtok_r(list, ", ", &rest); item; item = strtok_r(NULL, ", ", &rest), count++)
        WS_TRY(append_number(e, elem, item, err));
    memcpy(e->value + sizeof(uint32_t), &count, sizeof count);
    return WS_OK;
}

/* ---- types ---- */

static bool type_by_name(const char *name, size_t n, ws_kv_type *type) {
    for (int t = 0; t < WS_KV_TYPE_COUNT; t++) {
        const char *known = ws_kv_type_name((ws_kv_type)t);
        *type = (ws_kv_type)t;
        if (t != WS_KV_ARRAY && strlen(known) == n && memcmp(known, name, n) == 0) return true;
    }
    return false;
}

/* "u32" or "[u32]" */
static bool parse_type(const char *name, size_t n, ws_kv_type *type, ws_kv_type *elem) {
    const bool array = n > 2 && name[0] == '[' && name[n - 1] == ']';
    if (!array) return type_by_name(name, n, type);
    *type = WS_KV_ARRAY;
    return type_by_name(name + 1, n - 2, elem);
}

static ws_kv_type guess_type(const char *text) {
    uint64_t bits;
    double real;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) return WS_KV_BOOL;
    if (parse_integer(text, WS_KV_U32, &bits)) return WS_KV_U32;
    if (parse_integer(text, WS_KV_I32, &bits)) return WS_KV_I32;
    return parse_real(text, &real) ? WS_KV_F32 : WS_KV_STRING;
}

static ws_status append_value(ws_edit *e, ws_kv_type elem, const char *text, ws_error *err) {
    if (e->type == WS_KV_STRING) return append_text(e, text, err);
    if (e->type != WS_KV_ARRAY) return append_number(e, e->type, text, err);
    if (elem == WS_KV_STRING) return string_array(e, text, err);
    if (elem == WS_KV_ARRAY)
        return ws_fail(err, WS_UNSUPPORTED, "key '%s' is an array of arrays, which cannot be set", e->key);
    char *list = ws_strndup(text, strlen(text), err);
    const ws_status status = list ? number_array(e, elem, list, err) : WS_NOMEM;
    free(list);
    return status;
}

/* Keys whose change would make the rest of the file wrong. */
static ws_status check_key(const char *key, ws_error *err) {
    static const char *const fixed[] = {"general.alignment", "split.no", "split.count", "split.tensors.count"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strcmp(key, fixed[i]) == 0)
            return ws_fail(err, WS_UNSUPPORTED, "the key '%s' says how the file is laid out and cannot be changed",
                           key);
    return WS_OK;
}

ws_status ws_edit_parse(ws_edit *e, const ws_gguf *g, const char *text, ws_error *err) {
    *e = (ws_edit){0};
    const char *equals = strchr(text, '='), *colon = NULL;
    if (!equals || equals == text)
        return ws_fail(err, WS_USAGE, "'%s' is not KEY=VALUE or KEY:TYPE=VALUE", ws_show(text, strlen(text)).text);
    for (const char *p = text; p < equals; p++)
        if (*p == ':') colon = p;
    if (!(e->key = ws_strndup(text, (size_t)((colon ? colon : equals) - text), err))) return WS_NOMEM;
    WS_TRY(check_key(e->key, err));
    const ws_kv *old = ws_gguf_kv(g, e->key);
    ws_kv_type elem = old ? old->elem_type : WS_KV_U8;
    e->type = old ? old->type : guess_type(equals + 1);
    if (colon && !parse_type(colon + 1, (size_t)(equals - colon - 1), &e->type, &elem))
        return ws_fail(err, WS_USAGE, "'%s': unknown type (u8 i8 u16 i16 u32 i32 u64 i64 f32 f64 bool string, [TYPE])",
                       ws_show(colon + 1, (size_t)(equals - colon - 1)).text);
    return append_value(e, elem, equals + 1, err);
}

ws_status ws_edit_removal(ws_edit *e, const ws_gguf *g, const char *key, ws_error *err) {
    *e = (ws_edit){.remove = true};
    WS_TRY(check_key(key, err));
    if (!ws_gguf_kv(g, key))
        return ws_fail(err, WS_FORMAT, "'%s' has no key '%s'", ws_gguf_path(g), ws_show(key, strlen(key)).text);
    return (e->key = ws_strndup(key, strlen(key), err)) ? WS_OK : WS_NOMEM;
}

void ws_edit_free(ws_edit *e) {
    free(e->key);
    free(e->value);
    *e = (ws_edit){0};
}
