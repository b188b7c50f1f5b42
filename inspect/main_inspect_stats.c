/* inspect stats - how the values of each tensor are distributed. */
#include "commands.h"
#include "damage.h"
#include "escape.h"
#include "html.h"
#include "json_out.h"
#include "stats.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct {
    const char *base;
    bool html;
    ws_common_options common;
} options;

/* ---- text ---- */

/* Heights by the square root of the counts, so that tails show. */
static void put_histogram(const ws_tensor_stats *s) {
    static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    uint64_t most = 1;
    for (int b = 0; b < WS_STATS_BINS; b++)
        if (s->bins[b] > most) most = s->bins[b];
    for (int b = 0; b < WS_STATS_BINS; b++) fputs(bars[(int)ceil(8 * sqrt((double)s->bins[b] / (double)most))], stdout);
}

static void put_error(const ws_tensor_stats *s) {
    if (s->compared)
        fprintf(stdout, "  %7.2f %7.2f", s->error.sqnr, ws_rate_distortion_limit(s->bits));
    else
        fprintf(stdout, "  %7s %7.2f", "-", ws_rate_distortion_limit(s->bits));
}

static void put_row(const ws_tensor_stats *s, size_t width, bool base) {
    ws_escape_pad(stdout, s->tensor->name, width);
    fprintf(stdout, "  %-8s", s->tensor->type);
    if (s->problem) {
        fprintf(stdout, "  (%s)\n", s->problem);
        return;
    }
    fprintf(stdout, " %10.4g %10.4g %10.3g %10.4g %8.3g %6.2f%% %6" PRIu64, s->min, s->max, s->mean, s->std,
            s->kurtosis, s->n ? 100 * (double)s->n_zero / (double)s->n : 0, s->n_outliers);
    if (base) put_error(s);
    fputs("  ", stdout);
    put_histogram(s);
    if (s->n_bad) fprintf(stdout, "  %" PRIu64 " not finite", s->n_bad);
    fputc('\n', stdout);
}

static void print_text(const ws_stats *stats, bool base) {
    size_t width = strlen("tensor");
    for (size_t i = 0; i < stats->n; i++) {
        const char *name = stats->tensors[i].tensor->name;
        const size_t w = ws_escape_width(name, strlen(name));
        if (w > width && w <= 64) width = w;
    }
    fprintf(stdout, "%-*s  %-8s %10s %10s %10s %10s %8s %7s %6s%s  %s\n", (int)width, "tensor", "type", "min", "max",
            "mean", "std", "kurtosis", "zero", "outl.", base ? "     SQNR   limit" : "", "min .. max");
    for (size_t i = 0; i < stats->n; i++) put_row(&stats->tensors[i], width, base);
    fputs("\noutl.: columns whose RMS is over 6 times the middle one's\n", stdout);
    if (base) fputs("SQNR: dB against the base; limit: rate-distortion bound of normal values at these bits\n", stdout);
}

/* ---- JSON ---- */

static void json_figures(ws_json_out *j, const ws_tensor_stats *s) {
    ws_json_u64_out(j, "elements", s->n);
    ws_json_u64_out(j, "not_finite", s->n_bad);
    ws_json_u64_out(j, "zeros", s->n_zero);
    ws_json_real(j, "min", s->min);
    ws_json_real(j, "max", s->max);
    ws_json_real(j, "mean", s->mean);
    ws_json_real(j, "std", s->std);
    ws_json_real(j, "kurtosis", s->kurtosis);
    ws_json_u64_out(j, "outlier_columns", s->n_outliers);
    ws_json_u64_out(j, "worst_column", s->worst_column);
    ws_json_real(j, "worst_column_ratio", s->worst_ratio);
    ws_json_real(j, "bits_per_weight", s->bits);
    ws_json_real(j, "sqnr_limit", ws_rate_distortion_limit(s->bits));
    if (s->compared) {
        ws_json_real(j, "sqnr", s->error.sqnr);
        ws_json_real(j, "rmse", s->error.rmse);
    }
    ws_json_open(j, "histogram", false, false);
    for (int b = 0; b < WS_STATS_BINS; b++) ws_json_u64_out(j, NULL, s->bins[b]);
    ws_json_close(j);
}

static ws_status print_json(const ws_stats *stats, ws_error *err) {
    ws_json_out j;
    ws_json_begin(&j, stdout);
    ws_json_open(&j, NULL, true, true);
    ws_json_u64_out(&j, "schema", 1);
    ws_json_open(&j, "tensors", false, true);
    for (size_t i = 0; i < stats->n; i++) {
        const ws_tensor_stats *s = &stats->tensors[i];
        ws_json_open(&j, NULL, true, false);
        ws_json_text(&j, "name", s->tensor->name);
        ws_json_text(&j, "type", s->tensor->type);
        if (s->problem)
            ws_json_text(&j, "problem", s->problem);
        else
            json_figures(&j, s);
        ws_json_close(&j);
    }
    ws_json_close(&j);
    ws_json_close(&j);
    return ws_json_end(&j, err);
}

/* ---- HTML ---- */

static void html_histogram(const ws_tensor_stats *s) {
    enum { WIDTH = 240, HEIGHT = 40 };
    uint64_t most = 1;
    for (int b = 0; b < WS_STATS_BINS; b++)
        if (s->bins[b] > most) most = s->bins[b];
    fprintf(stdout, "<svg viewBox=\"0 0 %d %d\" style=\"width:%dpx;margin:0\">", WIDTH, HEIGHT, WIDTH);
    for (int b = 0; b < WS_STATS_BINS; b++) {
        const double h = HEIGHT * sqrt((double)s->bins[b] / (double)most), w = (double)WIDTH / WS_STATS_BINS;
        fprintf(stdout, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"hsl(210 50%% 55%%)\"/>",
                b * w, HEIGHT - h, w, h);
    }
    fputs("</svg>", stdout);
}

static void html_row(const ws_tensor_stats *s, bool base) {
    fputs("<tr><td class=\"k\">", stdout);
    ws_html_text(stdout, s->tensor->name, strlen(s->tensor->name));
    fprintf(stdout, "<td>%s", s->tensor->type);
    if (s->problem) {
        fprintf(stdout, "<td colspan=\"%d\">%s\n", base ? 9 : 7, s->problem);
        return;
    }
    const double figures[] = {s->min, s->max, s->mean, s->std, s->kurtosis};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) fprintf(stdout, "<td class=\"n\">%.4g", figures[i]);
    fprintf(stdout, "<td class=\"n\">%" PRIu64, s->n_outliers);
    if (base && s->compared) fprintf(stdout, "<td class=\"n\">%.2f", s->error.sqnr);
    if (base && !s->compared) fputs("<td class=\"n\">-", stdout);
    if (base) fprintf(stdout, "<td class=\"n\">%.2f", ws_rate_distortion_limit(s->bits));
    fputs("<td>", stdout);
    html_histogram(s);
    fputc('\n', stdout);
}

static void print_html(const ws_stats *stats, const char *path, bool base) {
    ws_html_begin(stdout, path);
    fputs("<h1>Values of ", stdout);
    ws_html_text(stdout, path, strlen(path));
    fputs(
        "</h1>\n<p>Histograms run from min to max; heights are square roots of counts. Outliers are columns whose RMS "
        "is over 6 times the middle one's.</p>\n<table><tr><th>tensor<th>type<th class=\"n\">min<th class=\"n\">max"
        "<th class=\"n\">mean<th class=\"n\">std<th class=\"n\">kurtosis<th class=\"n\">outliers",
        stdout);
    if (base) fputs("<th class=\"n\">SQNR dB<th class=\"n\">limit", stdout);
    fputs("<th>histogram\n", stdout);
    for (size_t i = 0; i < stats->n; i++) html_row(&stats->tensors[i], base);
    fputs("</table>\n", stdout);
    ws_html_end(stdout);
}

static ws_status stats(const ws_args *args, const void *options_, ws_error *err) {
    const options *o = options_;
    ws_report *r, *base = NULL;
    ws_stats s = {0};
    WS_TRY(ws_report_open(&r, args->arg[0], err));
    ws_status status = o->base ? ws_report_open(&base, o->base, err) : WS_OK;
    if (!status) status = ws_stats_run(&s, r, base, (int)o->common.threads, o->common.quiet, err);
    if (!status && o->common.json)
        status = print_json(&s, err);
    else if (!status && o->html)
        print_html(&s, args->arg[0], base != NULL);
    else if (!status)
        print_text(&s, base != NULL);
    ws_stats_free(&s);
    ws_report_close(base);
    ws_report_close(r);
    return status;
}

int ws_inspect_stats(int argc, char **argv) {
    options o = {0};
    const ws_option rows[] = {
        {"base", 0, WS_OPT_TEXT, &o.base, "FILE", "the model before quantization: shows the error in dB against it", 0,
         0, NULL},
        {"html", 0, WS_OPT_FLAG, &o.html, NULL, "print one HTML page with plots", 0, 0, NULL},
        {0},
    };
    const ws_command cmd = {
        .tool = "inspect stats",
        .synopsis = "FILE [options]",
        .summary = "Show how the values of each tensor are distributed: moments, outlier columns, a histogram.",
        .notes = "Quantized tensors are decoded. BASE may be a GGUF file or a checkpoint.",
        .examples = "  inspect stats model.gguf\n"
                    "  inspect stats model-q4_k.gguf --base model-f16.gguf",
        .options = rows,
        .min_args = 1,
        .max_args = 1,
    };
    return ws_command_run(&cmd, argc, argv, &o.common, stats, &o);
}
