/* source.h - a Hugging Face model folder: configuration, tokenizer files and weights, opened and parsed. */
#ifndef WS_SOURCE_H
#define WS_SOURCE_H

#include "arch.h"
#include "json.h"
#include "safetensors.h"

typedef struct {
    char *dir;               /* as the user wrote it */
    char *name;              /* its last component; "" for "." */
    const ws_arch *arch;     /* of config.json's first architecture */
    cJSON *raw_config;       /* config.json as it is */
    cJSON *config;           /* with the defaults that transformers fill in (config.h) */
    cJSON *generation;       /* generation_config.json; NULL: missing or broken */
    cJSON *tokenizer;        /* tokenizer.json; NULL: missing */
    cJSON *tokenizer_config; /* tokenizer_config.json; NULL: missing */
    ws_safetensors *weights;
} ws_source;

/* Open `dir` and read everything but the weights' data. On success release with ws_source_close(); on failure
 * *out is NULL. Folders of other architectures, and quantized checkpoints, are WS_UNSUPPORTED. */
WS_MUST_CHECK ws_status ws_source_open(ws_source **out, const char *dir, ws_error *err);
void ws_source_close(ws_source *s); /* NULL is fine */

/* The path of a file in the folder, whether it exists or not; release with free(). */
char *ws_source_path(const ws_source *s, const char *file, ws_error *err);

/* Parse a JSON file of the folder. A missing file is fine: *out is NULL. */
WS_MUST_CHECK ws_status ws_source_json(cJSON **out, const ws_source *s, const char *file, ws_error *err);

#endif
