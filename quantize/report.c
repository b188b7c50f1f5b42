#include "report.h"

#include "html.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

static cJSON *tensor_json(const ws_choice *c, const ws_damage *d) {
    const double bits = (double)ws_bytes_of(c->type, c->tensor->n_elements) * 8 / (double)c->tensor->n_elements;
    cJSON *t = cJSON_CreateObject();
    cJSON_AddItemToObject(t, "name", ws_json_bytes(c->tensor->name, strlen(c->tensor->name)));
    cJSON_AddStringToObject(t, "from", ws_dtype_name(c->tensor->type));
    cJSON_AddStringToObject(t, "to", ws_dtype_name(c->type));
    ws_json_add_u64(t, "bytes", ws_bytes_of(c->type, c->tensor->n_elements));
    cJSON_AddItemToObject(t, "bits_per_weight", ws_json_float(bits));
    cJSON_AddItemToObject(t, "rmse", ws_json_float(ws_damage_rmse(d)));
    cJSON_AddItemToObject(t, "max_error", ws_json_float(d->max_error));
    cJSON_AddItemToObject(t, "cosine", ws_json_float(ws_damage_cosine(d)));
    cJSON_AddItemToObject(t, "sqnr_db", ws_json_float(ws_damage_sqnr(d)));
    cJSON_AddItemToObject(t, "limit_db", ws_json_float(ws_rate_distortion_limit(bits)));
    return t;
}

cJSON *ws_quant_report_json(const ws_quant_report *r) {
    cJSON *root = cJSON_CreateObject(), *list = cJSON_CreateArray();
    cJSON_AddItemToObject(root, "source", ws_json_bytes(r->source, strlen(r->source)));
    cJSON_AddItemToObject(root, "output", ws_json_bytes(r->output, strlen(r->output)));
    cJSON_AddStringToObject(root, "type", r->plan->options.recipe->name);
    for (size_t i = 0; i < r->plan->n; i++)
        if (r->damage[i].n) cJSON_AddItemToArray(list, tensor_json(&r->plan->choices[i], &r->damage[i]));
    cJSON_AddItemToObject(root, "tensors", list);
    return root;
}

static ws_status print_json(FILE *f, const ws_quant_report *reports, size_t n, ws_error *err) {
    cJSON *root = cJSON_CreateObject(), *list = cJSON_CreateArray();
    cJSON_AddNumberToObject(root, "schema", 1);
    for (size_t i = 0; i < n; i++) cJSON_AddItemToArray(list, ws_quant_report_json(&reports[i]));
    cJSON_AddItemToObject(root, "outputs", list);
    return ws_json_print(root, f, err);
}

static void print_page(FILE *f, const ws_quant_report *reports, size_t n) {
    ws_html_begin(f, "Quantization report");
    fprintf(f, "<h1>Quantization report</h1>\n");
    for (size_t i = 0; i < n; i++) ws_quant_report_html(f, &reports[i]);
    ws_html_end(f);
}

static bool wants_page(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".html") == 0 || strcmp(dot, ".htm") == 0);
}

ws_status ws_quant_report_write(ws_outfile *out, const char *path, const ws_quant_report *reports, size_t n,
                                ws_error *err) {
    char *text = NULL;
    size_t size = 0;
    ws_status status = WS_OK;
    FILE *f = open_memstream(&text, &size);
    if (!f) return ws_fail(err, WS_NOMEM, "out of memory: the report '%s'", path);
    if (wants_page(path))
        print_page(f, reports, n);
    else
        status = print_json(f, reports, n, err);
    const bool whole = !ferror(f);
    if ((fclose(f) != 0 || !whole) && !status) status = ws_fail(err, WS_NOMEM, "out of memory: the report '%s'", path);
    if (!status) status = ws_outfile_write(out, text, size, err);
    free(text);
    return status;
}
