/* model_id.h - what a model's name says: "HuggingFaceTB/SmolLM2-135M-Instruct" is organization HuggingFaceTB,
 * basename SmolLM2, size 135M, finetune Instruct. The rules are those of the reference converter. */
#ifndef WS_MODEL_ID_H
#define WS_MODEL_ID_H

#include "arena.h"

#include <stdint.h>

/* Every part may be NULL: not found. The strings live in the arena. */
typedef struct {
    const char *name; /* without the organization */
    const char *organization, *basename, *finetune, *version, *size_label;
} ws_model_id;

/* Take apart the id of a model with `n_params` parameters (0: unknown), against which size labels are judged:
 * "128k" in the name of a model of 7 billion parameters is no size but part of the finetune. */
WS_MUST_CHECK ws_status ws_model_id_parse(ws_model_id *out, const char *id, uint64_t n_params, ws_arena *arena,
                                          ws_error *err);

/* "smol-lm 2b-it" as a title: "Smol Lm 2b It". NULL when memory is out. */
const char *ws_title_case(const char *id, ws_arena *arena, ws_error *err);

/* "135M", "1.2B": at least two digits, into buf (at least 32 bytes); returns buf. */
char *ws_size_label(char *buf, uint64_t n_params);

#endif
