#include "escape.h"

#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

enum { ESCAPE_BYTES = 24 };
static const size_t NO_LIMIT = SIZE_MAX;

/* What one character or stray byte looks like on a terminal. */
typedef struct {
    size_t bytes;            /* consumed */
    size_t columns;          /* needed */
    char text[ESCAPE_BYTES]; /* printed */
} glyph;

/* Control, format, surrogate, private, unassigned, line and paragraph separators: invisible, or able to act. */
static bool is_printable(utf8proc_int32_t code) {
    static const bool acts[32] = {
        [UTF8PROC_CATEGORY_CN] = true, [UTF8PROC_CATEGORY_CC] = true, [UTF8PROC_CATEGORY_CF] = true,
        [UTF8PROC_CATEGORY_CS] = true, [UTF8PROC_CATEGORY_CO] = true, [UTF8PROC_CATEGORY_ZL] = true,
        [UTF8PROC_CATEGORY_ZP] = true,
    };
    return !acts[utf8proc_category(code) & 31];
}

static void set_escape(glyph *g, const char *text) {
    g->columns = strlen(text);
    memcpy(g->text, text, g->columns + 1);
}

static void escape_code(glyph *g, utf8proc_int32_t code) {
    char text[ESCAPE_BYTES];
    const char *named = code == '\n' ? "\\n" : code == '\t' ? "\\t" : code == '\r' ? "\\r" : NULL;
    if (named)
        snprintf(text, sizeof text, "%s", named);
    else
        snprintf(text, sizeof text, code < 0x80 ? "\\x%02x" : "\\u{%04x}", (unsigned)code);
    set_escape(g, text);
}

static glyph next_glyph(const char *s, size_t n) {
    glyph g = {.bytes = 1, .columns = 1};
    const uint8_t first = (uint8_t)s[0];
    if (first >= 0x20 && first < 0x7f) {
        g.text[0] = (char)first;
        return g;
    }
    utf8proc_int32_t code;
    const utf8proc_ssize_t len = utf8proc_iterate((const uint8_t *)s, (utf8proc_ssize_t)n, &code);
    if (len <= 0) {
        char text[ESCAPE_BYTES];
        snprintf(text, sizeof text, "\\x%02x", first);
        set_escape(&g, text);
        return g;
    }
    g.bytes = (size_t)len;
    if (!is_printable(code)) {
        escape_code(&g, code);
        return g;
    }
    memcpy(g.text, s, g.bytes);
    g.columns = (size_t)utf8proc_charwidth(code);
    return g;
}

size_t ws_escape_width(const char *s, size_t n) {
    size_t width = 0;
    for (size_t i = 0; i < n;) {
        const glyph g = next_glyph(s + i, n - i);
        i += g.bytes, width += g.columns;
    }
    return width;
}

/* Bytes of s that fit into `columns`, and the columns they take. */
static size_t fitting(const char *s, size_t n, size_t columns, size_t *used) {
    size_t i = 0;
    for (*used = 0; i < n;) {
        const glyph g = next_glyph(s + i, n - i);
        if (g.columns > columns - *used) break;
        i += g.bytes, *used += g.columns;
    }
    return i;
}

static void put(FILE *f, const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        const glyph g = next_glyph(s + i, n - i);
        fputs(g.text, f);
        i += g.bytes;
    }
}

size_t ws_escape_put(FILE *f, const char *s, size_t n, size_t columns) {
    static const size_t dots = 3;
    size_t used;
    if (fitting(s, n, columns, &used) == n) {
        put(f, s, n);
        return used;
    }
    put(f, s, fitting(s, n, columns > dots ? columns - dots : 0, &used));
    fputs("...", f);
    return used + dots;
}

void ws_escape_pad(FILE *f, const char *s, size_t width) {
    const size_t used = ws_escape_put(f, s, strlen(s), NO_LIMIT);
    if (used < width) fprintf(f, "%*s", (int)(width - used), "");
}

size_t ws_escape_block(FILE *f, const char *s, size_t n, size_t indent, size_t lines) {
    size_t count = 0;
    while (n > 0) {
        const char *end = memchr(s, '\n', n);
        const size_t len = end ? (size_t)(end - s) : n, step = end ? len + 1 : len;
        if (count++ < lines) {
            fprintf(f, "%*s", (int)indent, "");
            put(f, s, len);
            fputc('\n', f);
        }
        s += step, n -= step;
    }
    return count;
}

char *ws_format_count(char *buf, unsigned long long v) {
    char digits[24];
    const int n = snprintf(digits, sizeof digits, "%llu", v);
    char *out = buf;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0) *out++ = ',';
        *out++ = digits[i];
    }
    *out = 0;
    return buf;
}

char *ws_format_short(char *buf, double v) {
    static const char *const units[] = {"", " K", " M", " B", " T"};
    size_t u = 0;
    while (v >= 1000 && u + 1 < sizeof units / sizeof units[0]) v /= 1000, u++;
    snprintf(buf, 32, u == 0 ? "%.0f%s" : v < 10 ? "%.2f%s" : "%.1f%s", v, units[u]);
    return buf;
}
