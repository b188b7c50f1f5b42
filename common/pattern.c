#define PCRE2_CODE_UNIT_WIDTH 8

#include "pattern.h"

#include "alloc.h"
#include "text.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

struct ws_pattern {
    pcre2_code *code;
    pcre2_match_data *match;
};

ws_pattern *ws_pattern_new(const char *text, ws_error *err) {
    int code;
    PCRE2_SIZE at;
    ws_pattern *p = ws_alloc(1, sizeof *p, "a pattern", err);
    if (!p) return NULL;
    p->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, &code, &at, NULL);
    if (!p->code) {
        char why[160] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        ws_fail(err, WS_USAGE, "'%s' is no regular expression: %s at character %zu", ws_show(text, strlen(text)).text,
                why, (size_t)at);
    } else if (!(p->match = pcre2_match_data_create(1, NULL))) {
        ws_fail(err, WS_NOMEM, "out of memory for a pattern");
    }
    if (p->match) return p;
    ws_pattern_free(p);
    return NULL;
}

void ws_pattern_free(ws_pattern *p) {
    if (!p) return;
    pcre2_match_data_free(p->match);
    pcre2_code_free(p->code);
    free(p);
}

bool ws_pattern_found(const ws_pattern *p, const char *name) {
    return pcre2_match(p->code, (PCRE2_SPTR)name, strlen(name), 0, 0, p->match, NULL) >= 0;
}
