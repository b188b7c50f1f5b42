#include "kv_text.h"

#include "escape.h"
#include "json.h"

#include <inttypes.h>

enum {
    VALUE_WIDTH = 88,   /* columns of a value before it is cut */
    ELEMENT_WIDTH = 24, /* of a string in an array */
    FIRST_ELEMENTS = 5, /* of an array */
};

static void put_real(FILE *f, const ws_kv *kv) {
    double v = 0;
    ws_kv_f64(kv, &v);
    cJSON *shortest = kv->type == WS_KV_F32 ? ws_json_f32((float)v) : NULL;
    if (cJSON_IsRaw(shortest))
        fputs(shortest->valuestring, f);
    else
        fprintf(f, "%.17g", v);
    cJSON_Delete(shortest);
}

static void put_scalar(FILE *f, const ws_kv *kv, size_t columns) {
    uint64_t natural;
    int64_t integer = 0;
    ws_str s;
    if (ws_kv_str(kv, &s)) {
        fputc('"', f);
        ws_escape_put(f, s.data, s.len, columns);
        fputc('"', f);
    } else if (kv->type == WS_KV_F32 || kv->type == WS_KV_F64) {
        put_real(f, kv);
    } else if (ws_kv_u64(kv, &natural)) {
        if (kv->type == WS_KV_BOOL)
            fputs(natural ? "true" : "false", f);
        else
            fprintf(f, "%" PRIu64, natural);
    } else if (ws_kv_i64(kv, &integer)) {
        fprintf(f, "%" PRId64, integer);
    }
}

static void put_array(FILE *f, const ws_kv *kv, bool whole) {
    const uint8_t *it = kv->elems;
    const uint64_t shown = whole || kv->n <= FIRST_ELEMENTS + 1 ? kv->n : FIRST_ELEMENTS;
    fputc('[', f);
    for (uint64_t i = 0; i < shown; i++) {
        if (i) fputs(", ", f);
        ws_kv element = {.type = kv->elem_type, .raw = it};
        if (kv->elem_type == WS_KV_ARRAY) {
            element = ws_kv_next_array(&it, kv);
            put_array(f, &element, whole); /* the reader limits the depth */
            continue;
        }
        if (kv->elem_type == WS_KV_STRING)
            ws_kv_next_str(&it);
        else
            it += ws_kv_type_size(kv->elem_type);
        put_scalar(f, &element, whole ? SIZE_MAX : ELEMENT_WIDTH);
    }
    if (shown < kv->n) fprintf(f, ", ... %" PRIu64 " more", kv->n - shown);
    fputc(']', f);
}

void ws_kv_print(FILE *f, const ws_kv *kv, bool whole) {
    if (kv->type == WS_KV_ARRAY)
        put_array(f, kv, whole);
    else
        put_scalar(f, kv, whole ? SIZE_MAX : VALUE_WIDTH);
}
