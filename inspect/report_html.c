/* The report as one HTML page that needs nothing else: totals, a map of the tensors by size, bits per weight by layer,
 * metadata, tensors. */
#include "alloc.h"
#include "escape.h"
#include "html.h"
#include "kv_text.h"
#include "report.h"
#include "treemap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAP_WIDTH = 1000, MAP_HEIGHT = 560, BAR_HEIGHT = 180, LABEL_WIDTH = 60, LABEL_HEIGHT = 12 };

static void text(FILE *f, const char *s) { ws_html_text(f, s, strlen(s)); }

/* A colour per type: steps of the golden angle keep neighbours apart. */
static int hue_of(const ws_report *r, const char *type) {
    for (size_t i = 0; i < r->n_types; i++)
        if (r->types[i].type == type) return (int)(i * 137.508) % 360;
    return 0;
}

/* ---- tensors by layer ---- */

/* "blk.12.attn_q.weight" -> 12; -1 outside of layers. */
static int64_t layer_of(const char *name) {
    for (const char *p = strchr(name, '.'); p; p = strchr(p + 1, '.')) {
        char *end;
        if (p[1] < '0' || p[1] > '9') continue;
        const unsigned long n = strtoul(p + 1, &end, 10);
        if (*end == '.' && n < 100000) return (int64_t)n;
    }
    return -1;
}

typedef struct {
    const ws_report_tensor *tensor;
    int64_t layer;
} item;

typedef struct {
    int64_t layer;
    const item *items; /* the largest first */
    size_t n;
    double bytes, elements;
} group;

typedef struct {
    item *items;
    group *groups; /* the largest first */
    size_t n_items, n_groups;
    double *sizes; /* scratch */
    ws_rect *outer, *inner;
} layers;

static int compare_items(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->layer != y->layer) return x->layer < y->layer ? -1 : 1;
    if (x->tensor->bytes != y->tensor->bytes) return x->tensor->bytes > y->tensor->bytes ? -1 : 1;
    return (x->tensor > y->tensor) - (x->tensor < y->tensor);
}

static int compare_groups(const void *a, const void *b) {
    const group *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return (x->layer > y->layer) - (x->layer < y->layer);
}

static int compare_layers(const void *a, const void *b) {
    const group *x = a, *y = b;
    return (x->layer > y->layer) - (x->layer < y->layer);
}

static void form_groups(layers *l) {
    for (size_t i = 0; i < l->n_items; i++) {
        const item *t = &l->items[i];
        if (i == 0 || t->layer != t[-1].layer) l->groups[l->n_groups++] = (group){.layer = t->layer, .items = t};
        group *g = &l->groups[l->n_groups - 1];
        g->n++;
        g->bytes += (double)t->tensor->bytes, g->elements += (double)t->tensor->n_elements;
    }
}

static ws_status make_layers(layers *l, const ws_report *r, ws_error *err) {
    const size_t n = r->n_tensors;
    l->items = ws_alloc(n, sizeof *l->items, "a map of tensors", err);
    l->groups = ws_alloc(n, sizeof *l->groups, "a map of tensors", err);
    l->sizes = ws_alloc(n, sizeof *l->sizes, "a map of tensors", err);
    l->outer = ws_alloc(n, sizeof *l->outer, "a map of tensors", err);
    l->inner = ws_alloc(n, sizeof *l->inner, "a map of tensors", err);
    if (!l->items || !l->groups || !l->sizes || !l->outer || !l->inner) return WS_NOMEM;
    for (size_t i = 0; i < n; i++)
        if (r->tensors[i].bytes) l->items[l->n_items++] = (item){&r->tensors[i], layer_of(r->tensors[i].name)};
    qsort(l->items, l->n_items, sizeof *l->items, compare_items);
    form_groups(l);
    return WS_OK;
}

/* ---- the map ---- */

static void put_rect(FILE *f, const ws_report *r, const ws_report_tensor *t, ws_rect at) {
    char shape[WS_ST_MAX_DIMS * 24], bytes[32];
    ws_report_shape(shape, sizeof shape, r, t);
    fprintf(f, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"hsl(%d 55%% 60%%)\"><title>", at.x,
            at.y, at.w, at.h, hue_of(r, t->type));
    text(f, t->name);
    fprintf(f, "\n%s %s, %s bytes</title></rect>\n", t->type, shape, ws_format_count(bytes, t->bytes));
}

static void put_group(FILE *f, const ws_report *r, layers *l, const group *g, ws_rect area) {
    for (size_t i = 0; i < g->n; i++) l->sizes[i] = (double)g->items[i].tensor->bytes;
    ws_treemap(l->sizes, g->n, area, l->inner);
    for (size_t i = 0; i < g->n; i++) put_rect(f, r, g->items[i].tensor, l->inner[i]);
    fprintf(f, "<rect class=\"group\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>\n", area.x, area.y, area.w,
            area.h);
    if (area.w < LABEL_WIDTH || area.h < LABEL_HEIGHT) return;
    fprintf(f, "<text x=\"%.2f\" y=\"%.2f\" style=\"fill:#000\">", area.x + 3, area.y + 11);
    if (g->layer < 0)
        fputs("no layer</text>\n", f);
    else
        fprintf(f, "layer %" PRId64 "</text>\n", g->layer);
}

static void put_map(FILE *f, const ws_report *r, layers *l) {
    qsort(l->groups, l->n_groups, sizeof *l->groups, compare_groups);
    for (size_t i = 0; i < l->n_groups; i++) l->sizes[i] = l->groups[i].bytes;
    ws_treemap(l->sizes, l->n_groups, (ws_rect){0, 0, MAP_WIDTH, MAP_HEIGHT}, l->outer);
    fprintf(f, "<h2>Tensors by size</h2>\n<p>");
    for (size_t i = 0; i < r->n_types; i++)
        fprintf(f, "<i class=\"box\" style=\"background:hsl(%d 55%% 60%%)\"></i>%s &nbsp; ",
                hue_of(r, r->types[i].type), r->types[i].type);
    fprintf(f, "</p>\n<svg viewBox=\"0 0 %d %d\">\n", MAP_WIDTH, MAP_HEIGHT);
    for (size_t i = 0; i < l->n_groups; i++) put_group(f, r, l, &l->groups[i], l->outer[i]);
    fputs("</svg>\n", f);
}

/* ---- bits per weight ---- */

static void put_bars(FILE *f, layers *l) {
    qsort(l->groups, l->n_groups, sizeof *l->groups, compare_layers);
    double most = 0;
    for (size_t i = 0; i < l->n_groups; i++) {
        const double bits = 8 * l->groups[i].bytes / l->groups[i].elements;
        if (bits > most) most = bits;
    }
    fprintf(f, "<h2>Bits per weight by layer</h2>\n<svg viewBox=\"0 0 %d %d\">\n", MAP_WIDTH, BAR_HEIGHT + 14);
    const double step = (double)MAP_WIDTH / (double)(l->n_groups ? l->n_groups : 1);
    for (size_t i = 0; i < l->n_groups; i++) {
        const group *g = &l->groups[i];
        const double bits = 8 * g->bytes / g->elements, height = BAR_HEIGHT * bits / most;
        char name[32];
        snprintf(name, sizeof name, g->layer < 0 ? "other" : "%" PRId64, g->layer);
        fprintf(
            f,
            "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"hsl(210 50%% 55%%)\"><title>%s: %.3f "
            "bits per weight</title></rect>\n",
            (double)i * step, BAR_HEIGHT - height, step, height, name, bits);
        if (step > 16)
            fprintf(f, "<text x=\"%.2f\" y=\"%d\">%s</text>\n", ((double)i + 0.2) * step, BAR_HEIGHT + 12, name);
        if (step > 24)
            fprintf(f, "<text x=\"%.2f\" y=\"%.2f\" style=\"fill:#fff\">%.2f</text>\n", ((double)i + 0.1) * step,
                    BAR_HEIGHT - height + 12, bits);
    }
    fputs("</svg>\n", f);
}

/* ---- tables ---- */

static void put_summary(FILE *f, const ws_report *r) {
    char n[32], b[32];
    fputs("<h1>", f);
    if (r->name.len)
        ws_html_text(f, r->name.data, r->name.len);
    else
        text(f, r->path);
    fputs("</h1>\n<table>\n<tr><td>file<td class=\"k\">", f);
    text(f, r->path);
    fputs("\n<tr><td>architecture<td>", f);
    ws_html_text(f, r->architecture.data, r->architecture.len);
    fprintf(f, "\n<tr><td>file type<td>%s\n", r->file_type ? r->file_type : "");
    fprintf(f, "<tr><td>parameters<td>%s in %zu tensors\n", ws_format_count(n, r->n_elements), r->n_tensors);
    fprintf(f, "<tr><td>size<td>%s bytes\n<tr><td>bits per weight<td>%.3f\n</table>\n",
            ws_format_count(b, r->file_bytes), r->bits_per_weight);
}

static void put_types(FILE *f, const ws_report *r) {
    fputs("<table><tr><th>type<th class=\"n\">tensors<th class=\"n\">elements<th class=\"n\">bytes<th "
          "class=\"n\">share\n",
          f);
    for (size_t i = 0; i < r->n_types; i++) {
        const ws_type_total *t = &r->types[i];
        char n[32], b[32];
        fprintf(f, "<tr><td>%s<td class=\"n\">%zu<td class=\"n\">%s<td class=\"n\">%s<td class=\"n\">%.1f %%\n",
                t->type, t->n_tensors, ws_format_count(n, t->n_elements), ws_format_count(b, t->bytes),
                r->tensor_bytes ? 100 * (double)t->bytes / (double)r->tensor_bytes : 0);
    }
    fputs("</table>\n", f);
}

/* A value as text prints it, shortened, then escaped for HTML. */
static ws_status put_value(FILE *f, const ws_kv *kv, ws_error *err) {
    char *value = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&value, &n);
    if (!memory) return ws_fail(err, WS_NOMEM, "out of memory: a value as text");
    ws_kv_print(memory, kv, false);
    const bool failed = fclose(memory) != 0;
    if (!failed) ws_html_text(f, value, n);
    free(value);
    return failed ? ws_fail(err, WS_NOMEM, "out of memory: a value as text") : WS_OK;
}

static ws_status put_metadata(FILE *f, const ws_report *r, ws_error *err) {
    fputs("<h2>Metadata</h2>\n<table>\n", f);
    for (size_t i = 0; r->gguf && i < r->gguf->n_kv; i++) {
        const ws_kv *kv = &r->gguf->kv[i];
        fputs("<tr><td class=\"k\">", f);
        text(f, kv->key);
        fputs("<td class=\"v\">", f);
        WS_TRY(put_value(f, kv, err));
        fputc('\n', f);
    }
    for (size_t i = 0; r->st && i < r->st->n_metadata; i++) {
        fputs("<tr><td class=\"k\">", f);
        text(f, r->st->metadata[2 * i]);
        fputs("<td class=\"v\">", f);
        text(f, r->st->metadata[2 * i + 1]);
        fputc('\n', f);
    }
    fputs("</table>\n", f);
    return WS_OK;
}

static void put_tensors(FILE *f, const ws_report *r) {
    fputs("<h2>Tensors</h2>\n<table><tr><th>name<th>type<th class=\"n\">shape<th class=\"n\">bytes\n", f);
    for (size_t i = 0; i < r->n_tensors; i++) {
        const ws_report_tensor *t = &r->tensors[i];
        char shape[WS_ST_MAX_DIMS * 24], b[32];
        ws_report_shape(shape, sizeof shape, r, t);
        fputs("<tr><td class=\"k\">", f);
        text(f, t->name);
        fprintf(f, "<td>%s<td class=\"n\">%s<td class=\"n\">%s\n", t->type, shape, ws_format_count(b, t->bytes));
    }
    fputs("</table>\n", f);
}

ws_status ws_report_html(FILE *f, const ws_report *r, ws_error *err) {
    layers l = {0};
    ws_status status = make_layers(&l, r, err);
    if (!status) {
        ws_html_begin(f, r->path);
        put_summary(f, r);
        put_types(f, r);
        put_map(f, r, &l);
        put_bars(f, &l);
        status = put_metadata(f, r, err);
        put_tensors(f, r);
        ws_html_end(f);
    }
    free(l.items);
    free(l.groups);
    free(l.sizes);
    free(l.outer);
    free(l.inner);
    return status;
}
