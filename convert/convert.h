/* convert.h - from a model folder to a GGUF file: open and plan, then write. */
#ifndef WS_CONVERT_H
#define WS_CONVERT_H

#include "pairs.h"
#include "plan.h"
#include "source.h"

/* Told about what is odd but no failure. */
typedef void ws_convert_warn(void *ctx, const char *text);

typedef struct {
    const ws_dtype *type;      /* of matrices; NULL: as the checkpoint has them (ws_plan_request) */
    const char *pre_tokenizer; /* NULL: recognise it */
    const char *name;          /* general.name; NULL: find it */
    ws_convert_warn *warn;
    ws_plan_problem *problem; /* may be NULL */
    void *ctx;                /* for both */
} ws_convert_options;

typedef struct {
    ws_source *source;
    ws_hparams hp;
    ws_plan plan;
    ws_pairs pairs;
    ws_gguf_writer *writer; /* all pairs and tensors put in */
    uint64_t file_bytes;    /* size of the file to be */
    ws_convert_options opt;
} ws_conversion; /* starts as {0} */

/* Read everything but the weights. Close in any case. */
WS_MUST_CHECK ws_status ws_conversion_open(ws_conversion *c, const char *dir, const ws_convert_options *opt,
                                           ws_error *err);
void ws_conversion_close(ws_conversion *c);

/* config.json's "rope_parameters"; NULL when there are none. */
const cJSON *ws_conversion_rope(const ws_conversion *c);

/* Write the file, once; it appears under its name when it is complete. `quiet` turns the progress bar off. */
WS_MUST_CHECK ws_status ws_conversion_write(ws_conversion *c, const char *out, uint32_t cpu_flags, int n_threads,
                                            bool quiet, ws_error *err);

#endif
