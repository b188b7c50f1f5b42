#include "measure_html.h"
#include "tiny_model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t count(const char *text, const char *word) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) n++;
    return n;
}

/* The page of a comparison over a text that would be markup. */
static char *make_page(const char *path, const char *base, const char *text, ws_measurement *m) {
    ws_error err = {0};
    ws_eval_options o = ws_eval_defaults();
    ws_gguf *g;
    ws_tokenizer *t;
    char *page = NULL;
    size_t n = 0;
    o.ctx = 16, o.threads = 1;
    const ws_document d[] = {{"<one>.txt", text, strlen(text)}, {"two.txt", text, strlen(text)}};
    cr_assert_eq(ws_measure(m, path, base, d, 2, &o, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_open(&g, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_tokenizer_open(&t, g, &err), WS_OK, "%s", err.msg);
    FILE *f = open_memstream(&page, &n);
    cr_assert(f);
    const char *const names[] = {d[0].name, d[1].name};
    const ws_measure_page p = {.model = "<script>model", .base = base ? "base&" : NULL, .names = names, .tokenizer = t};
    cr_assert_eq(ws_measure_html(f, m, &p, &err), WS_OK, "%s", err.msg);
    fclose(f);
    ws_tokenizer_close(t);
    ws_gguf_close(g);
    return page;
}

static const char text[] = "<b onload=x>&\"'</b><script>alert(1)</script>\x1b[31m\xff<img src=http://x>";

Test(measure_html, a_comparison) {
    char path[64], base[64];
    ws_measurement m;
    tiny_options o = tiny_defaults();
    tiny_write(&o, base);
    o.type = WS_TYPE_Q4_0;
    tiny_write(&o, path);
    char *page = make_page(path, base, text, &m);
    cr_assert_eq(count(page, "<script"), 0);
    cr_assert_eq(count(page, "<img"), 0);
    cr_assert_eq(count(page, "\x1b"), 0);
    cr_assert_eq(count(page, "&lt;script&gt;model"), 2); /* title and heading */
    cr_assert_geq(count(page, "&lt;one&gt;.txt"), 1);
    cr_assert_eq(count(page, "<polyline"), 2);
    cr_assert_eq(count(page, "<svg"), 2);
    cr_assert_eq(count(page, "</svg>"), 2);
    cr_assert_eq(count(page, "<mark>"), m.n_scores < 40 ? m.n_scores : 40);
    cr_assert_eq(count(page, "<tr>"), count(page, "</tr>"));
    size_t in_bars = 0;
    for (const char *at = page; (at = strstr(at, "<title>")); at++)
        in_bars += strtoul(at + strlen("<title>"), NULL, 10);
    cr_assert_eq(in_bars, m.n_scores);
    free(page);
    ws_measurement_free(&m);
    unlink(path), unlink(base);
}

/* Of a perplexity: the first token listed is the one with the largest loss. */
Test(measure_html, a_perplexity) {
    char path[64], want[64];
    ws_measurement m;
    const tiny_options o = tiny_defaults();
    double worst = 0;
    tiny_write(&o, path);
    char *page = make_page(path, NULL, text, &m);
    for (size_t i = 0; i < m.n_scores; i++) worst = m.scores[i].nll > worst ? m.scores[i].nll : worst;
    snprintf(want, sizeof want, "</td><td class=\"n\">%.4f</td>", worst);
    const char *first = strstr(strstr(page, "Predicted worst"), "<tbody>");
    cr_assert(first && strstr(first, want) && strstr(first, want) < strstr(first, "</tr>"), "%s", want);
    cr_assert_eq(count(page, "<polyline"), 1);
    cr_assert_eq(count(page, "<rect"), 0);
    free(page);
    ws_measurement_free(&m);
    unlink(path);
}
