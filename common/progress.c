#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double FIRST_AFTER = 1.0, EVERY = 1.0 / 6; /* seconds */
enum { BAR_WIDTH = 24 };

double ws_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

char *ws_format_bytes(char *buf, double bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t u = 0;
    while (bytes >= 1024 && u + 1 < sizeof units / sizeof units[0]) bytes /= 1024, u++;
    snprintf(buf, 24, u == 0 ? "%.0f %s" : bytes < 100 ? "%.2f %s" : "%.1f %s", bytes, units[u]);
    return buf;
}

char *ws_format_seconds(char *buf, double seconds) {
    const long s = (long)(seconds + 0.5);
    if (seconds < 9.995)
        snprintf(buf, 24, "%.2f s", seconds);
    else if (s < 60)
        snprintf(buf, 24, "%ld s", s);
    else if (s < 3600)
        snprintf(buf, 24, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(buf, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return buf;
}

void ws_progress_start(ws_progress *p, const char *label, const char *unit, uint64_t total, bool quiet) {
    *p = (ws_progress){.label = label, .unit = unit, .total = total, .start = ws_now()};
    p->on = !quiet && isatty(STDERR_FILENO);
}

static void print_line(const ws_progress *p, double now) {
    const double share = p->total ? (double)p->done / (double)p->total : 0, elapsed = now - p->start;
    const double rate = (double)p->done / elapsed;
    char bar[BAR_WIDTH + 1], rate_text[48], items_text[48] = "", eta[24];
    const int filled = (int)(share * BAR_WIDTH);
    memset(bar, '-', BAR_WIDTH);
    memset(bar, '#', filled < BAR_WIDTH ? (size_t)filled : BAR_WIDTH);
    bar[BAR_WIDTH] = 0;
    if (p->unit)
        snprintf(rate_text, sizeof rate_text, "%.1f %s", rate, p->unit);
    else
        ws_format_bytes(rate_text, rate);
    if (p->item) snprintf(items_text, sizeof items_text, "  %.0f M %s/s", rate * p->items_per_unit / 1e6, p->item);
    ws_format_seconds(eta, rate > 0 ? (double)(p->total - p->done) / rate : 0);
    fprintf(stderr, "\r%s [%s] %3.0f %%  %s/s%s  %s left\033[K", p->label, bar, share * 100, rate_text, items_text,
            eta);
    fflush(stderr);
}

void ws_progress_add(ws_progress *p, uint64_t n) {
    p->done += n < p->total - p->done ? n : p->total - p->done;
    if (!p->on) return;
    const double now = ws_now();
    if (now - p->start < FIRST_AFTER || now - p->last < EVERY) return;
    p->last = now;
    print_line(p, now);
}

void ws_progress_finish(ws_progress *p) {
    if (p->on && p->last > 0) fputs("\r\033[K", stderr);
    p->on = false;
}
