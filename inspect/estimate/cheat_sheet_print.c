#include "cheat_sheet.h"
#include "json_out.h"

#include <inttypes.h>
#include <string.h>

enum { SCHEMA = 1, ROW_WIDTH = 24, CELL_WIDTH = 17, CELL_BYTES = 64 };

static const double GIB = 1024.0 * 1024.0 * 1024.0;

static const char *const notes =
    "Best quantization of those from Q8_0 to Q2_K that fits with room for the driver, f16 cache, llama-server's four\n"
    "slots sharing the context; at most so many tokens per second (bandwidth / bytes read, empty context; real runs\n"
    "reach 50 to 90 %); GiB left. R75: the experts lie in the\n"
    "computer's memory (75 GiB of it; 51 GB/s assumed).";

/* "Q4_K_M 45/s +3.2" */
static void cell_text(char out[CELL_BYTES], const ws_sheet_cell *c) {
    if (!*c->quantization)
        snprintf(out, CELL_BYTES, "-");
    else if (c->experts_on_cpu)
        snprintf(out, CELL_BYTES, "%s %.0f/s R%.0f", c->quantization, c->bound, (double)c->host / GIB);
    else
        snprintf(out, CELL_BYTES, "%s %.0f/s +%.1f", c->quantization, c->bound, (double)c->headroom / GIB);
}

void ws_sheet_text(FILE *f, const ws_sheet *s) {
    char cell[CELL_BYTES];
    fprintf(f, "%" PRIu64 " tokens of context\n\n%-*s", s->n_ctx, ROW_WIDTH, "");
    for (size_t m = 0; m < s->n_models; m++) fprintf(f, " %-*s", CELL_WIDTH, s->models[m].size);
    fprintf(f, "\n%-*s", ROW_WIDTH, "");
    for (size_t m = 0; m < s->n_models; m++) fprintf(f, " %-*s", CELL_WIDTH, s->models[m].name);
    fputc('\n', f);
    for (size_t r = 0; r < s->n_rows; r++) {
        fprintf(f, "%-*s", ROW_WIDTH, s->rows[r].name);
        for (size_t m = 0; m < s->n_models; m++) {
            cell_text(cell, &s->cells[r][m]);
            fprintf(f, " %-*s", CELL_WIDTH, cell);
        }
        fputc('\n', f);
    }
    fprintf(f, "\n%s\n", notes);
}

void ws_sheet_markdown(FILE *f, const ws_sheet *s) {
    char cell[CELL_BYTES];
    fprintf(f, "| %" PRIu64 " tokens |", s->n_ctx);
    for (size_t m = 0; m < s->n_models; m++) fprintf(f, " %s (%s) |", s->models[m].size, s->models[m].name);
    fputs("\n|---|", f);
    for (size_t m = 0; m < s->n_models; m++) fputs("---|", f);
    fputc('\n', f);
    for (size_t r = 0; r < s->n_rows; r++) {
        fprintf(f, "| %s |", s->rows[r].name);
        for (size_t m = 0; m < s->n_models; m++) {
            cell_text(cell, &s->cells[r][m]);
            fprintf(f, " %s |", cell);
        }
        fputc('\n', f);
    }
    fprintf(f, "\n%s\n", notes);
}

/* ---- HTML: names come from our own table and data file, but are escaped all the same ---- */

static void html(FILE *f, const char *s) {
    for (; *s; s++) switch (*s) {
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '&': fputs("&amp;", f); break;
        case '"': fputs("&quot;", f); break;
        default: fputc(*s, f);
        }
}

/* Green for what loses nothing, red for what hurts. */
static const char *shade(const ws_sheet_cell *c) {
    static const struct {
        const char *quantization, *class;
    } shades[] = {{"Q8_0", "a"},   {"Q6_K", "a"},   {"MXFP4", "a"}, {"Q5_K_M", "b"},
                  {"Q4_K_M", "b"}, {"IQ4_XS", "c"}, {"Q3_K_M", "d"}};
    if (!*c->quantization) return "none";
    for (size_t i = 0; i < sizeof shades / sizeof *shades; i++)
        if (strcmp(shades[i].quantization, c->quantization) == 0) return shades[i].class;
    return "e";
}

static void html_cell(FILE *f, const ws_sheet_cell *c) {
    fprintf(f, "<td class=\"%s\">", shade(c));
    if (!*c->quantization) {
        fputs("&ndash;</td>", f);
        return;
    }
    html(f, c->quantization);
    fprintf(f, "<br><small>&le; %.0f tokens/s", c->bound);
    if (c->experts_on_cpu)
        fprintf(f, "<br>experts in RAM: %.0f GiB", (double)c->host / GIB);
    else
        fprintf(f, "<br>%.1f GiB left", (double)c->headroom / GIB);
    fputs("</small></td>", f);
}

void ws_sheet_html(FILE *f, const ws_sheet *s) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>What fits</title>\n<style>\n"
          "body{font:14px system-ui,sans-serif;margin:2em}table{border-collapse:collapse}\n"
          "th,td{border:1px solid #ccc;padding:.4em .6em;text-align:left;vertical-align:top}thead "
          "th{position:sticky;top:0;"
          "background:#fff}\n.a{background:#d3f0d3}.b{background:#e7f5cf}.c{background:#fbf3c4}.d{background:#fde0c2}"
          ".e{background:#fbd0d0}.none{color:#999}small{color:#333}\n</style></head><body>\n",
          f);
    fprintf(f, "<h1>What fits, with %" PRIu64 " tokens of context</h1>\n<table><thead><tr><th></th>", s->n_ctx);
    for (size_t m = 0; m < s->n_models; m++) {
        fputs("<th>", f);
        html(f, s->models[m].size);
        fputs("<br><small>", f);
        html(f, s->models[m].name);
        fputs("</small></th>", f);
    }
    fputs("</tr></thead><tbody>\n", f);
    for (size_t r = 0; r < s->n_rows; r++) {
        fputs("<tr><th>", f);
        html(f, s->rows[r].name);
        fputs("</th>", f);
        for (size_t m = 0; m < s->n_models; m++) html_cell(f, &s->cells[r][m]);
        fputs("</tr>\n", f);
    }
    fputs("</tbody></table>\n<p>", f);
    html(f, notes);
    fputs("</p>\n</body></html>\n", f);
}

/* ---- JSON ---- */

static void json_cell(ws_json_out *j, const ws_sheet *s, size_t model, const ws_sheet_cell *c) {
    const bool fits = *c->quantization;
    ws_json_open(j, NULL, true, false);
    ws_json_text(j, "model", s->models[model].name);
    ws_json_bool(j, "fits", fits);
    ws_json_text(j, "quantization", fits ? c->quantization : NULL);
    if (fits) {
        ws_json_bool(j, "experts_on_cpu", c->experts_on_cpu);
        ws_json_u64_out(j, "total_bytes", c->total);
        ws_json_real(j, "headroom_bytes", (double)c->headroom);
        ws_json_real(j, "tokens_per_second_bound", c->bound);
    }
    ws_json_close(j);
}

ws_status ws_sheet_json(FILE *f, const ws_sheet *s, ws_error *err) {
    ws_json_out j;
    ws_json_begin(&j, f);
    ws_json_open(&j, NULL, true, true);
    ws_json_u64_out(&j, "schema", SCHEMA);
    ws_json_u64_out(&j, "ctx", s->n_ctx);
    ws_json_open(&j, "models", false, true);
    for (size_t m = 0; m < s->n_models; m++) {
        ws_json_open(&j, NULL, true, false);
        ws_json_text(&j, "size", s->models[m].size);
        ws_json_text(&j, "name", s->models[m].name);
        ws_json_u64_out(&j, "n_params", s->models[m].n_params);
        ws_json_close(&j);
    }
    ws_json_close(&j);
    ws_json_open(&j, "rows", false, true);
    for (size_t r = 0; r < s->n_rows; r++) {
        ws_json_open(&j, NULL, true, true);
        ws_json_text(&j, "hardware", s->rows[r].name);
        ws_json_u64_out(&j, "capacity_bytes", s->rows[r].capacity);
        ws_json_open(&j, "cells", false, true);
        for (size_t m = 0; m < s->n_models; m++) json_cell(&j, s, m, &s->cells[r][m]);
        ws_json_close(&j);
        ws_json_close(&j);
    }
    ws_json_close(&j);
    ws_json_close(&j);
    return ws_json_end(&j, err);
}
