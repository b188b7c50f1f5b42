/* report.h - what quantization did to each tensor, as JSON or as a page: RMSE, largest error, cosine, and the signal to
 * noise ratio beside what its bits could reach at best. */
#ifndef WS_REPORT_QUANT_H
#define WS_REPORT_QUANT_H

#include "file.h"
#include "quantize.h"

#include <cjson/cJSON.h>

typedef struct {
    const char *source, *output; /* file names */
    const ws_quantize_plan *plan;
    const ws_damage *damage; /* of every choice */
} ws_quant_report;

/* Write n reports of one run to `out`: a self-contained page if its `path` ends in ".html", else JSON. */
WS_MUST_CHECK ws_status ws_quant_report_write(ws_outfile *out, const char *path, const ws_quant_report *reports,
                                              size_t n, ws_error *err);

/* One report as JSON: {"source", "output", "type", "tensors": [{"name", "from", "to", "bytes", "bits_per_weight",
 * "rmse", "max_error", "cosine", "sqnr_db", "limit_db"}, ...]}. sqnr_db is "inf" where nothing was lost. */
cJSON *ws_quant_report_json(const ws_quant_report *r);

/* The body of the page for one report. */
void ws_quant_report_html(FILE *f, const ws_quant_report *r);

#endif
