#include "overrides.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static ws_status parse_int(ws_override *o, const char *value, ws_error *err) {
    char *end;
    errno = 0;
    o->kind = WS_OVERRIDE_INT;
    o->integer = strtoll(value, &end, 10);
    if (end == value || *end || errno)
        return ws_fail(err, WS_USAGE, "--override-kv: '%s' is not a whole number", value);
    return WS_OK;
}

static ws_status parse_float(ws_override *o, const char *value, ws_error *err) {
    char *end;
    o->kind = WS_OVERRIDE_FLOAT;
    o->real = strtod(value, &end);
    if (end == value || *end) return ws_fail(err, WS_USAGE, "--override-kv: '%s' is not a number", value);
    return WS_OK;
}

static ws_status parse_bool(ws_override *o, const char *value, ws_error *err) {
    o->kind = WS_OVERRIDE_BOOL;
    o->boolean = strcmp(value, "true") == 0;
    if (o->boolean || strcmp(value, "false") == 0) return WS_OK;
    return ws_fail(err, WS_USAGE, "--override-kv: '%s' is not true or false", value);
}

static ws_status parse_str(ws_override *o, const char *value, ws_error *err) {
    const size_t n = strlen(value);
    o->kind = WS_OVERRIDE_STR;
    if (n >= sizeof o->text)
        return ws_fail(err, WS_USAGE, "--override-kv: a string of %zu bytes; at most %zu", n, sizeof o->text - 1);
    memcpy(o->text, value, n + 1);
    return WS_OK;
}

ws_status ws_override_parse(ws_override *o, const char *text, ws_error *err) {
    static const struct {
        const char *prefix;
        ws_status (*parse)(ws_override *, const char *, ws_error *);
    } kinds[] = {{"int:", parse_int}, {"float:", parse_float}, {"bool:", parse_bool}, {"str:", parse_str}};
    const char *eq = strchr(text, '=');
    *o = (ws_override){.kind = WS_OVERRIDE_INT};
    if (!eq || eq == text || (size_t)(eq - text) >= sizeof o->key)
        return ws_fail(err, WS_USAGE, "--override-kv: '%s' is not KEY=TYPE:VALUE", text);
    memcpy(o->key, text, (size_t)(eq - text));
    if (strcmp(o->key, "general.alignment") == 0)
        return ws_fail(err, WS_USAGE, "--override-kv: general.alignment says how the file is laid out; it stays");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const size_t n = strlen(kinds[i].prefix);
        if (strncmp(eq + 1, kinds[i].prefix, n) == 0) return kinds[i].parse(o, eq + 1 + n, err);
    }
    return ws_fail(err, WS_USAGE, "--override-kv: '%s' has none of the types int: float: bool: str:", text);
}

void ws_override_put(ws_gguf_writer *w, const ws_override *o) {
    switch (o->kind) {
    case WS_OVERRIDE_INT:
        ws_gguf_put_u32(w, o->key, (uint32_t)(o->integer < 0 ? -(uint64_t)o->integer : (uint64_t)o->integer));
        break;
    case WS_OVERRIDE_FLOAT: ws_gguf_put_f32(w, o->key, (float)o->real); break;
    case WS_OVERRIDE_BOOL: ws_gguf_put_bool(w, o->key, o->boolean); break;
    case WS_OVERRIDE_STR: ws_gguf_put_str(w, o->key, o->text); break;
    }
}

const ws_override *ws_override_find(const ws_override *list, size_t n, const char *key, ws_override_kind kind) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].key, key) == 0) return list[i].kind == kind ? &list[i] : NULL;
    return NULL;
}
