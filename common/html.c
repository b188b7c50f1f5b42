#include "html.h"

#include "escape.h"

#include <stdint.h>
#include <string.h>

void ws_html_text(FILE *f, const char *s, size_t n) {
    static const char special[] = "<>&\"'";
    static const char *const names[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;"};
    size_t from = 0;
    if (n == 0) return; /* then s may be NULL */
    for (size_t i = 0; i < n; i++) {
        const char *found = s[i] ? strchr(special, s[i]) : NULL;
        if (!found) continue;
        ws_escape_put(f, s + from, i - from, SIZE_MAX);
        fputs(names[found - special], f);
        from = i + 1;
    }
    ws_escape_put(f, s + from, n - from, SIZE_MAX);
}

void ws_html_begin(FILE *f, const char *title) {
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
          f);
    ws_html_text(f, title, strlen(title));
    fputs("</title>\n<style>\n"
          "body{font:14px/1.4 system-ui,sans-serif;margin:2em auto;max-width:1000px;padding:0 1em}\n"
          "table{border-collapse:collapse;margin:1em 0}td,th{padding:2px 12px 2px 0;text-align:left;"
          "vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
          "tr:nth-child(even){background:#8881}td.k{font-family:monospace}td.v{word-break:break-word}\n"
          "svg{width:100%;height:auto;display:block;margin:1em 0}svg text{font:10px system-ui,sans-serif}\n"
          "rect{stroke:#fff;stroke-width:.5}.group{fill:none;stroke:#0009;stroke-width:1}\n"
          "i.box{display:inline-block;width:.9em;height:.9em;margin-right:.4em}\n"
          "@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}svg text{fill:#ddd}rect{stroke:#181818}"
          "a{color:#8bf}}\n</style></head><body>\n",
          f);
}

void ws_html_end(FILE *f) { fputs("</body></html>\n", f); }
