/* measure_html.h - a measurement as a page: its numbers, the loss along a chunk, how KL divergence is spread, and the
 * tokens that were predicted worst. */
#ifndef WS_MEASURE_HTML_H
#define WS_MEASURE_HTML_H

#include "perplexity.h"

#include <stdbool.h>
#include <stdio.h>

typedef struct {
    const char *model, *base;      /* paths; base == NULL: only perplexity */
    const char *const *names;      /* of the measurement's documents */
    const ws_tokenizer *tokenizer; /* of the model */
} ws_measure_page;

/* Write a whole page. Text and names are escaped. Errors of `f` are left to the caller. */
WS_MUST_CHECK ws_status ws_measure_html(FILE *f, const ws_measurement *m, const ws_measure_page *page, ws_error *err);

#endif
