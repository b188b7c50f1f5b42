#include "measure_html.h"

#include "alloc.h"
#include "html.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 960,
    HEIGHT = 260,
    LEFT = 56,
    RIGHT = 16,
    TOP = 12,
    BOTTOM = 34,
    TICKS = 4,      /* between the ends of the scale of y */
    BINS = 48,      /* of the histogram */
    POSITIONS = 96, /* most points of the loss along a chunk */
    WORST = 40,     /* tokens that are listed */
    BEFORE = 24,    /* tokens shown before and after one of them */
    AFTER = 6,
};

static void put(FILE *f, const char *s) { ws_html_text(f, s, strlen(s)); }

/* ---- plots ---- */

typedef struct {
    double x0, x1, y0, y1; /* what the frame spans */
} frame;

static double x_of(const frame *r, double x) {
    return LEFT + (WIDTH - LEFT - RIGHT) * (r->x1 > r->x0 ? (x - r->x0) / (r->x1 - r->x0) : 0.5);
}

static double y_of(const frame *r, double y) {
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (r->y1 > r->y0 ? (y - r->y0) / (r->y1 - r->y0) : 0);
}

static void begin_plot(FILE *f, const frame *r, const char *label, const char *x_label) {
    fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", WIDTH, HEIGHT, label);
    for (int i = 0; i <= TICKS; i++) {
        const double y = r->y0 + (r->y1 - r->y0) * i / TICKS;
        fprintf(f,
                "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#8884\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n",
                LEFT, WIDTH - RIGHT, y_of(r, y), y_of(r, y), LEFT - 4, y_of(r, y) + 4, y);
    }
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", WIDTH - RIGHT, HEIGHT - 4, x_label);
}

static void x_tick(FILE *f, const frame *r, double x, const char *text) {
    fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x_of(r, x), HEIGHT - BOTTOM + 14, text);
}

/* ---- loss along a chunk ---- */

typedef struct {
    double nll[POSITIONS], base[POSITIONS];
    size_t n; /* points, each the mean over neighbouring positions */
} losses;

static void average(losses *l, const ws_measurement *m) {
    const size_t n_scored = m->rule.n_scored;
    size_t count[POSITIONS] = {0};
    l->n = n_scored < POSITIONS ? n_scored : POSITIONS;
    for (size_t i = 0; i < m->n_scores; i++) {
        const size_t at = i % n_scored * l->n / n_scored;
        l->nll[at] += m->scores[i].nll;
        l->base[at] += m->scores[i].nll_base;
        count[at]++;
    }
    for (size_t i = 0; i < l->n; i++) l->nll[i] /= (double)count[i], l->base[i] /= (double)count[i];
}

static void print_line(FILE *f, const frame *r, const double *y, size_t n, const char *colour) {
    fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", colour);
    for (size_t i = 0; i < n; i++) fprintf(f, "%.1f,%.1f ", x_of(r, (double)i), y_of(r, y[i]));
    fprintf(f, "\"/>\n");
}

static void print_losses(FILE *f, const ws_measurement *m, bool compared) {
    losses l = {0};
    average(&l, m);
    frame r = {.x1 = (double)l.n - 1, .y0 = l.nll[0], .y1 = l.nll[0]};
    for (size_t i = 0; i < l.n; i++) {
        r.y0 = fmin(r.y0, compared ? fmin(l.nll[i], l.base[i]) : l.nll[i]);
        r.y1 = fmax(r.y1, compared ? fmax(l.nll[i], l.base[i]) : l.nll[i]);
    }
    fprintf(f,
            "<h2>Loss along a chunk</h2>\n<p>Mean of -ln p of the text's token, by its position in the chunk%s.</p>\n",
            compared ? "; the base's in grey" : "");
    begin_plot(f, &r, "loss by position", "position");
    for (size_t i = 0; i < 5; i++) {
        char text[32];
        const size_t at = i * (l.n - 1) / 4;
        snprintf(text, sizeof text, "%zu", m->rule.first + 1 + at * m->rule.n_scored / l.n);
        x_tick(f, &r, (double)at, text);
    }
    if (compared) print_line(f, &r, l.base, l.n, "#888");
    print_line(f, &r, l.nll, l.n, "#36c");
    fprintf(f, "</svg>\n");
}

/* ---- how KL divergence is spread ---- */

static void print_histogram(FILE *f, const ws_measurement *m) {
    const double least = -7, most = fmax(ceil(log10(fmax(m->total.kld[WS_AT_MAX], 1e-6))), least + 1);
    size_t count[BINS] = {0}, largest = 1;
    for (size_t i = 0; i < m->n_scores; i++) {
        const double at = (log10(fmax(m->scores[i].kld, 1e-7)) - least) / (most - least) * BINS;
        size_t *bin = &count[at < 0 ? 0 : at < BINS ? (size_t)at : BINS - 1];
        if (++*bin > largest) largest = *bin;
    }
    const frame r = {.x0 = least, .x1 = most, .y1 = (double)largest};
    const double width = (most - least) / BINS;
    fprintf(f, "<h2>KL divergence</h2>\n<p>Number of predictions by their KL divergence from the base's, in nats; the "
               "first bar holds all that is smaller.</p>\n");
    begin_plot(f, &r, "histogram of the KL divergence", "nats");
    for (size_t i = 0; i < BINS; i++) {
        const double x = least + (double)i * width, top = y_of(&r, (double)count[i]);
        fprintf(f,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#36c\"><title>%zu</title></rect>\n",
                x_of(&r, x), top, x_of(&r, x + width) - x_of(&r, x), y_of(&r, 0) - top, count[i]);
    }
    for (double x = least; x <= most; x++) {
        char text[16];
        snprintf(text, sizeof text, "1e%.0f", x);
        x_tick(f, &r, x, text);
    }
    fprintf(f, "</svg>\n");
}

/* ---- the worst tokens ---- */

/* Before `b` in the list? Equal ones keep the order of the text. */
static bool is_worse(const ws_measurement *m, size_t a, size_t b, bool compared) {
    const double x = compared ? m->scores[a].kld : m->scores[a].nll, y = compared ? m->scores[b].kld : m->scores[b].nll;
    return x > y || (x == y && a < b);
}

static size_t find_worst(const ws_measurement *m, bool compared, size_t worst[WORST]) {
    size_t n = 0;
    for (size_t i = 0; i < m->n_scores; i++) {
        size_t at = n < WORST ? n++ : WORST - 1;
        if (at == WORST - 1 && n == WORST && i >= WORST && !is_worse(m, i, worst[at], compared)) continue;
        for (; at > 0 && is_worse(m, i, worst[at - 1], compared); at--) worst[at] = worst[at - 1];
        worst[at] = i;
    }
    return n;
}

static ws_status put_tokens(FILE *f, const ws_tokenizer *t, const ws_ids *ids, size_t begin, size_t end,
                            ws_error *err) {
    char *text = NULL;
    size_t n = 0, cap = 0;
    for (size_t i = begin; i < end; i++) {
        const ws_str s = ws_token_text(t, ids->id[i]);
        if (ws_grow(&text, &cap, n + s.len + 1, 1, err)) {
            free(text);
            return WS_NOMEM;
        }
        if (s.len) memcpy(text + n, s.data, s.len);
        n += s.len;
    }
    ws_html_text(f, text, n);
    free(text);
    return WS_OK;
}

static ws_status print_token(FILE *f, const ws_measurement *m, const ws_measure_page *page, size_t index,
                             ws_error *err) {
    const ws_score *s = &m->scores[index];
    size_t d = m->n_documents - 1;
    while (d > 0 && m->documents[d].first_score > index) d--;
    const ws_ids *ids = &m->documents[d].ids;
    const size_t in_text = index - m->documents[d].first_score, chunk = in_text / m->rule.n_scored;
    const size_t at = chunk * m->rule.step + m->rule.first + 1 + in_text % m->rule.n_scored;
    const size_t end = at + 1 + AFTER < ids->n ? at + 1 + AFTER : ids->n;
    fprintf(f, "<tr><td class=\"n\">%zu</td><td class=\"n\">%.4f</td><td class=\"n\">%.4g</td>", at, s->nll,
            exp(-s->nll));
    if (page->base) fprintf(f, "<td class=\"n\">%.4g</td><td class=\"n\">%.4f</td>", exp(-s->nll_base), s->kld);
    fprintf(f, "<td class=\"v\">");
    WS_TRY(put_tokens(f, page->tokenizer, ids, at > BEFORE ? at - BEFORE : 0, at, err));
    fprintf(f, "<mark>");
    WS_TRY(put_tokens(f, page->tokenizer, ids, at, at + 1, err));
    fprintf(f, "</mark>");
    WS_TRY(put_tokens(f, page->tokenizer, ids, at + 1, end, err));
    fprintf(f, "</td></tr>\n");
    return WS_OK;
}

static ws_status print_worst(FILE *f, const ws_measurement *m, const ws_measure_page *page, ws_error *err) {
    size_t worst[WORST];
    const size_t n = find_worst(m, page->base, worst);
    fprintf(
        f,
        "<h2>Predicted worst</h2>\n<p>The tokens with the largest %s, with the text around them.</p>\n"
        "<table><thead><tr><th class=\"n\">token</th><th class=\"n\">-ln p</th><th class=\"n\">p</th>%s<th>text</th>"
        "</tr></thead><tbody>\n",
        page->base ? "KL divergence" : "loss",
        page->base ? "<th class=\"n\">p of the base</th><th class=\"n\">KL divergence</th>" : "");
    for (size_t i = 0; i < n; i++) WS_TRY(print_token(f, m, page, worst[i], err));
    fprintf(f, "</tbody></table>\n");
    return WS_OK;
}

/* ---- numbers ---- */

static void print_result(FILE *f, const char *name, const ws_eval_result *r, bool compared) {
    fprintf(f, "<tr><td>");
    put(f, name);
    fprintf(f, "</td><td class=\"n\">%.4f ± %.4f</td>", r->ppl, r->ppl_error);
    if (compared)
        fprintf(f,
                "<td class=\"n\">%.4f ± %.4f</td><td class=\"n\">%.6f ± %.6f</td><td class=\"n\">%.6f ± %.6f</td>"
                "<td class=\"n\">%.6f</td><td class=\"n\">%.3f %%</td><td class=\"n\">%.3f %%</td>",
                r->ppl_base, r->ppl_base_error, r->ln_ratio, r->ln_ratio_error, r->mean_kld, r->mean_kld_error,
                r->kld[WS_AT_999], 100 * r->top1, 100 * r->rms_dp);
    fprintf(f, "<td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64 "</td></tr>\n", r->tokens, r->chunks);
}

static void print_results(FILE *f, const ws_measurement *m, const ws_measure_page *page) {
    fprintf(f,
            "<table><thead><tr><th>text</th><th class=\"n\">perplexity</th>%s<th class=\"n\">tokens</th>"
            "<th class=\"n\">chunks</th></tr></thead><tbody>\n",
            page->base
                ? "<th class=\"n\">the base's</th><th class=\"n\">ln of the ratio</th><th class=\"n\">mean KL "
                  "divergence</th><th class=\"n\">99.9 %</th><th class=\"n\">same top</th><th class=\"n\">RMS Δp</th>"
                : "");
    for (size_t i = 0; i < m->n_documents; i++) print_result(f, page->names[i], &m->documents[i].result, page->base);
    if (m->n_documents > 1) print_result(f, "all", &m->total, page->base);
    fprintf(f, "</tbody></table>\n");
}

ws_status ws_measure_html(FILE *f, const ws_measurement *m, const ws_measure_page *page, ws_error *err) {
    ws_html_begin(f, page->model);
    fprintf(f, "<h1>");
    put(f, page->model);
    fprintf(f, "</h1>\n");
    if (page->base) {
        fprintf(f, "<p>compared with ");
        put(f, page->base);
        fprintf(f, "</p>\n");
    }
    print_results(f, m, page);
    print_losses(f, m, page->base);
    if (page->base) print_histogram(f, m);
    WS_TRY(print_worst(f, m, page, err));
    ws_html_end(f);
    return WS_OK;
}
