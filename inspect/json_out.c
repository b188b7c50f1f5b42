#include "json_out.h"

#include "json.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

void ws_json_begin(ws_json_out *j, FILE *f) { *j = (ws_json_out){.f = f}; }

ws_status ws_json_end(ws_json_out *j, ws_error *err) {
    fputc('\n', j->f);
    if (j->failed) return ws_fail(err, WS_NOMEM, "out of memory: JSON output");
    return fflush(j->f) || ferror(j->f) ? ws_fail_errno(err, "cannot write to standard output") : WS_OK;
}

/* Print an item made by common/json.h and delete it. Raw items hold their text; others are printed by cJSON. */
static void put_item(ws_json_out *j, cJSON *item) {
    char *text = item && !cJSON_IsRaw(item) ? cJSON_PrintUnformatted(item) : NULL;
    const char *shown = text ? text : item ? item->valuestring : NULL;
    if (shown)
        fputs(shown, j->f);
    else
        j->failed = true;
    cJSON_free(text);
    cJSON_Delete(item);
}

static void new_line(ws_json_out *j) { fprintf(j->f, "\n%*s", 2 * j->depth, ""); }

/* Comma, line and key of the next value. */
static void begin_value(ws_json_out *j, const char *key) {
    if (j->depth == 0) return;
    const int at = j->depth - 1;
    if (j->level[at].any) fputc(',', j->f);
    if (j->level[at].lines)
        new_line(j);
    else if (j->level[at].any)
        fputc(' ', j->f);
    j->level[at].any = true;
    if (!j->level[at].object) return;
    put_item(j, ws_json_bytes(key, strlen(key)));
    fputs(": ", j->f);
}

void ws_json_open(ws_json_out *j, const char *key, bool object, bool lines) {
    begin_value(j, key);
    assert(j->depth < WS_JSON_DEPTH);
    fputc(object ? '{' : '[', j->f);
    j->level[j->depth].object = object;
    j->level[j->depth].lines = lines;
    j->level[j->depth].any = false;
    j->depth++;
}

void ws_json_close(ws_json_out *j) {
    j->depth--;
    if (j->level[j->depth].lines && j->level[j->depth].any) new_line(j);
    fputc(j->level[j->depth].object ? '}' : ']', j->f);
}

void ws_json_bytes_out(ws_json_out *j, const char *key, const char *s, size_t n) {
    begin_value(j, key);
    put_item(j, ws_json_bytes(s, n));
}

void ws_json_text(ws_json_out *j, const char *key, const char *s) {
    begin_value(j, key);
    if (s)
        put_item(j, ws_json_bytes(s, strlen(s)));
    else
        fputs("null", j->f);
}

void ws_json_u64_out(ws_json_out *j, const char *key, uint64_t v) {
    begin_value(j, key);
    fprintf(j->f, "%" PRIu64, v);
}

void ws_json_real(ws_json_out *j, const char *key, double v) {
    begin_value(j, key);
    put_item(j, ws_json_float(v));
}

void ws_json_bool(ws_json_out *j, const char *key, bool v) {
    begin_value(j, key);
    fputs(v ? "true" : "false", j->f);
}

/* ---- values of metadata ---- */

static cJSON *string_item(ws_str s) { return ws_json_bytes(s.data, s.len); }

static cJSON *scalar_item(const ws_kv *kv) {
    double real = 0;
    uint64_t natural = 0;
    int64_t integer = 0;
    ws_str s = {"", 0};
    switch (kv->type) {
    case WS_KV_STRING: return ws_kv_str(kv, &s) ? string_item(s) : NULL;
    case WS_KV_BOOL: return ws_kv_u64(kv, &natural) ? cJSON_CreateRaw(natural ? "true" : "false") : NULL;
    case WS_KV_F32: return ws_kv_f64(kv, &real) ? ws_json_f32((float)real) : NULL;
    case WS_KV_F64: return ws_kv_f64(kv, &real) ? ws_json_float(real) : NULL;
    default: break;
    }
    if (ws_kv_u64(kv, &natural)) return ws_json_exact_u64(natural);
    return ws_kv_i64(kv, &integer) ? ws_json_exact_i64(integer) : NULL;
}

static void put_array(ws_json_out *j, const ws_kv *kv) {
    const size_t size = ws_kv_type_size(kv->elem_type);
    const uint8_t *it = kv->elems;
    fputc('[', j->f);
    for (uint64_t i = 0; i < kv->n && !j->failed; i++) {
        if (i) fputs(", ", j->f);
        if (kv->elem_type == WS_KV_ARRAY) {
            const ws_kv inner = ws_kv_next_array(&it, kv);
            put_array(j, &inner); /* the reader limits the depth */
        } else if (kv->elem_type == WS_KV_STRING) {
            put_item(j, string_item(ws_kv_next_str(&it)));
        } else {
            put_item(j, scalar_item(&(ws_kv){.type = kv->elem_type, .raw = it}));
            it += size;
        }
    }
    fputc(']', j->f);
}

void ws_json_kv(ws_json_out *j, const ws_kv *kv) {
    begin_value(j, kv->key);
    if (kv->type == WS_KV_ARRAY)
        put_array(j, kv);
    else
        put_item(j, scalar_item(kv));
}
