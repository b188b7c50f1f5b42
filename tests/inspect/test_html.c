/* Maps fill their area in proportion; pages hold nothing that a file could make act. */
#include "html.h"
#include "model_file.h"
#include "report.h"
#include "treemap.h"

#include <string.h>

static void check_map(const double *sizes, size_t n, ws_rect area) {
    ws_rect *r = calloc(n ? n : 1, sizeof *r);
    double total = 0, covered = 0;
    for (size_t i = 0; i < n; i++) total += sizes[i];
    ws_treemap(sizes, n, area, r);
    for (size_t i = 0; i < n; i++) {
        const double share = r[i].w * r[i].h / (area.w * area.h);
        cr_expect(fabs(share - sizes[i] / total) < 1e-9, "%zu of %zu: %g", i, n, share);
        cr_expect(r[i].x > area.x - 1e-9 && r[i].x + r[i].w < area.x + area.w + 1e-9, "%zu of %zu", i, n);
        cr_expect(r[i].y > area.y - 1e-9 && r[i].y + r[i].h < area.y + area.h + 1e-9, "%zu of %zu", i, n);
        for (size_t j = 0; j < i; j++) {
            const double w = fmin(r[i].x + r[i].w, r[j].x + r[j].w) - fmax(r[i].x, r[j].x);
            const double h = fmin(r[i].y + r[i].h, r[j].y + r[j].h) - fmax(r[i].y, r[j].y);
            cr_expect(w < 1e-9 || h < 1e-9, "%zu and %zu of %zu overlap", i, j, n);
        }
        covered += share;
    }
    cr_expect(n == 0 || fabs(covered - 1) < 1e-9);
    free(r);
}

Test(treemap, fills_the_area) {
    double equal[30], falling[200];
    for (size_t i = 0; i < 30; i++) equal[i] = 5;
    for (size_t i = 0; i < 200; i++) falling[i] = 1e9 / (double)((i + 1) * (i + 1));
    for (size_t n = 0; n <= 30; n += 5) check_map(equal, n, (ws_rect){10, 20, 300, 100});
    check_map(falling, 200, (ws_rect){0, 0, 1000, 560});
    check_map(falling, 200, (ws_rect){0, 0, 1, 1000});
    check_map((const double[]){6, 6, 4, 3, 2, 2, 1}, 7, (ws_rect){0, 0, 6, 4}); /* the example of the paper */
}

Test(treemap, example_of_the_paper) {
    ws_rect r[7];
    ws_treemap((const double[]){6, 6, 4, 3, 2, 2, 1}, 7, (ws_rect){0, 0, 6, 4}, r);
    cr_expect(r[0].w == 3 && r[0].h == 2 && r[1].w == 3 && r[1].h == 2, "two on the left, one above the other");
    cr_expect(fabs(r[2].h - 7.0 / 3) < 1e-12 && fabs(r[2].w - 12.0 / 7) < 1e-12);
}

Test(html, text_is_escaped) {
    char *out = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&out, &size);
    static const char evil[] = "<script>\"a\" & 'b'</script>\x1b[0m\xff\0x";
    ws_html_text(f, evil, sizeof evil - 1);
    fclose(f);
    cr_expect_str_eq(out, "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;\\x1b[0m\\xff\\x00x");
    free(out);
}

Test(html, a_page) {
    char dir[32], path[64], *out = NULL;
    size_t size = 0;
    static const test_tensor tensors[] = {{"token_embd.weight", WS_TYPE_F32, {8, 4}},
                                          {"blk.0.<script>", WS_TYPE_F32, {8, 2}},
                                          {"blk.1.x", WS_TYPE_F16, {8, 2}},
                                          {"blk.1.empty", WS_TYPE_F16, {8, 0}}};
    test_temp_dir(dir);
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    test_write_model(path, "<llama>", 2, 1, 1, 0, tensors, 4);
    ws_report *r;
    ws_error err = {0};
    cr_assert_eq(ws_report_open(&r, path, &err), WS_OK, "%s", err.msg);
    FILE *f = open_memstream(&out, &size);
    cr_assert_eq(ws_report_html(f, r, &err), WS_OK);
    fclose(f);
    cr_expect(!strstr(out, "<script") && !strstr(out, "<llama"));
    cr_expect(strstr(out, "blk.0.&lt;script&gt;") && strstr(out, "layer 1") && strstr(out, "</html>"));
    size_t rects = 0;
    for (const char *p = out; (p = strstr(p, "<rect ")); p++) rects++;
    cr_expect_eq(rects, 3 + 3 + 3, "three tensors, three groups, three bars: %zu", rects);
    free(out);
    ws_report_close(r);
    unlink(path);
    rmdir(dir);
}
