/* output.h - the sink that writes a plan's tensors into one GGUF file, or into several parts of a split model. Parts
 * are complete, on the disk and under their names, or none is there. */
#ifndef WS_OUTPUT_H
#define WS_OUTPUT_H

#include "quantize.h"
#include "sink.h"

typedef struct {
    const char *path; /* of the only part; of split models without "-00001-of-00002.gguf" */
    const ws_quantize_plan *plan;
    const ws_gguf *source;   /* whose metadata the output carries on */
    const char *fingerprint; /* of everything but the plan that the data depends on, one line */
    ws_split split;
    bool resume;            /* go on with what an earlier run left; leave something to go on with */
    bool drop;              /* written pages from the page cache */
    double journal_seconds; /* between notes of how far the output has come */
} ws_output_request;

/* Create the files. The sink's close() releases everything; `request` may go. */
WS_MUST_CHECK ws_status ws_output_open(ws_sink *sink, const ws_output_request *request, ws_error *err);

#endif
