/* The page: a plot of the signal to noise ratio by layer, a line for each kind of matrix, and the table of all. */
#include "html.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void print_escaped(FILE *f, const char *s) { ws_html_text(f, s, strlen(s)); }

/* ---- the plot ---- */

enum { WIDTH = 960, HEIGHT = 320, LEFT = 44, RIGHT = 170, TOP = 12, BOTTOM = 30, MAX_KINDS = 24 };

/* A matrix of a layer: what comes behind "blk.N." is its kind. */
typedef struct {
    int layer;
    const char *kind;
    double sqnr;
} point;

typedef struct {
    point *points;
    size_t n;
    int last_layer;
    double top; /* of the scale, dB */
    const char *kinds[MAX_KINDS];
    size_t n_kinds;
} plot;

static bool split_name(const char *name, int *layer, const char **kind) {
    int end = 0;
    if (sscanf(name, "blk.%d.%n", layer, &end) != 1 || end == 0) return false;
    *kind = name + end;
    return true;
}

static void add_kind(plot *p, const char *kind) {
    for (size_t i = 0; i < p->n_kinds; i++)
        if (strcmp(p->kinds[i], kind) == 0) return;
    if (p->n_kinds < MAX_KINDS) p->kinds[p->n_kinds++] = kind;
}

static void collect(plot *p, const ws_quant_report *r) {
    for (size_t i = 0; i < r->plan->n; i++) {
        point at = {.sqnr = ws_damage_sqnr(&r->damage[i])};
        if (!isfinite(at.sqnr) || r->damage[i].n == 0) continue;
        if (!split_name(r->plan->choices[i].tensor->name, &at.layer, &at.kind)) continue;
        p->points[p->n++] = at;
        if (at.layer > p->last_layer) p->last_layer = at.layer;
        if (at.sqnr > p->top) p->top = at.sqnr;
        add_kind(p, at.kind);
    }
    p->top = ceil(p->top / 10) * 10;
}

static double x_of(const plot *p, int layer) {
    return LEFT + (WIDTH - LEFT - RIGHT) * (p->last_layer ? (double)layer / p->last_layer : 0.5);
}

static double y_of(const plot *p, double sqnr) {
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (sqnr > 0 ? sqnr / p->top : 0);
}

static void print_axes(FILE *f, const plot *p) {
    for (int db = 0; db <= (int)p->top; db += 10)
        fprintf(f,
                "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#8884\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d dB</text>\n",
                LEFT, WIDTH - RIGHT, y_of(p, db), y_of(p, db), LEFT - 4, y_of(p, db) + 4, db);
    const int step = p->last_layer / 16 + 1;
    for (int layer = 0; layer <= p->last_layer; layer += step)
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", x_of(p, layer), HEIGHT - BOTTOM + 16,
                layer);
}

static int hue_of(const plot *p, size_t kind) { return (int)(360 * kind / p->n_kinds); }

static void print_line(FILE *f, const plot *p, size_t kind) {
    const int hue = hue_of(p, kind);
    fprintf(f, "<polyline fill=\"none\" stroke=\"hsl(%d 65%% 50%%)\" points=\"", hue);
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->points[i].kind, p->kinds[kind]) == 0)
            fprintf(f, "%.1f,%.1f ", x_of(p, p->points[i].layer), y_of(p, p->points[i].sqnr));
    fprintf(f, "\"/>\n<text x=\"%d\" y=\"%d\" style=\"fill:hsl(%d 65%% 45%%)\">", WIDTH - RIGHT + 12,
            TOP + 12 + 14 * (int)kind, hue);
    print_escaped(f, p->kinds[kind]);
    fprintf(f, "</text>\n");
}

/* Layers in rising order; the plan's order is kept among equals, which no line has. */
static int by_layer(const void *a, const void *b) {
    const point *x = a, *y = b;
    return (x->layer > y->layer) - (x->layer < y->layer);
}

static void print_plot(FILE *f, const ws_quant_report *r) {
    plot p = {.points = calloc(r->plan->n + 1, sizeof *p.points)};
    if (p.points) collect(&p, r);
    if (p.n) {
        qsort(p.points, p.n, sizeof *p.points, by_layer);
        fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"signal to noise ratio by layer\">\n", WIDTH,
                HEIGHT);
        print_axes(f, &p);
        for (size_t i = 0; i < p.n_kinds; i++) print_line(f, &p, i);
        fprintf(f, "</svg>\n");
    }
    free(p.points);
}

/* ---- the table ---- */

static void print_row(FILE *f, const ws_choice *c, const ws_damage *d) {
    const double bits = (double)ws_bytes_of(c->type, c->tensor->n_elements) * 8 / (double)c->tensor->n_elements;
    const double sqnr = ws_damage_sqnr(d);
    fprintf(f, "<tr><td>");
    print_escaped(f, c->tensor->name);
    fprintf(f,
            "</td><td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%.2f</td><td class=\"n\">%.2f</td><td "
            "class=\"n\">%.3e</td><td class=\"n\">%.3e</td><td class=\"n\">%.6f</td>",
            ws_dtype_name(c->tensor->type), ws_dtype_name(c->type),
            (double)ws_bytes_of(c->type, c->tensor->n_elements) / (1 << 20), bits, ws_damage_rmse(d), d->max_error,
            ws_damage_cosine(d));
    if (isfinite(sqnr))
        fprintf(f, "<td class=\"n\">%.2f</td>", sqnr);
    else
        fprintf(f, "<td class=\"n\">exact</td>");
    fprintf(f, "<td class=\"n\">%.2f</td></tr>\n", ws_rate_distortion_limit(bits));
}

void ws_quant_report_html(FILE *f, const ws_quant_report *r) {
    fprintf(f, "<h2>");
    print_escaped(f, r->output);
    fprintf(f, "</h2>\n<p>");
    print_escaped(f, r->source);
    fprintf(
        f,
        " as %s. Signal to noise ratio (SQNR) by layer; the limit is the best that so many bits can do for independent "
        "Gaussian weights.</p>\n",
        r->plan->options.recipe->name);
    print_plot(f, r);
    fprintf(f, "<table><thead><tr><th>tensor</th><th class=\"n\">from</th><th class=\"n\">to</th><th "
               "class=\"n\">MiB</th><th class=\"n\">bits</th><th class=\"n\">RMSE</th>"
               "<th class=\"n\">max error</th><th class=\"n\">cosine</th><th class=\"n\">SQNR dB</th><th "
               "class=\"n\">limit dB</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < r->plan->n; i++)
        if (r->damage[i].n) print_row(f, &r->plan->choices[i], &r->damage[i]);
    fprintf(f, "</tbody></table>\n");
}
