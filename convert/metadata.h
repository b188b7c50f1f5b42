/* metadata.h - the keys "general.*": who made the model, from what, under which licence, how to sample from it.
 * Gathered from the model card, config.json and the folder's name, in this order of trust. */
#ifndef WS_METADATA_H
#define WS_METADATA_H

#include "json.h"
#include "pairs.h"

typedef struct {
    const cJSON *card;       /* front matter of README.md (card.h), or NULL */
    const cJSON *config;     /* config.json as it is */
    const cJSON *generation; /* generation_config.json, or NULL */
    const char *folder;      /* name of the model's folder */
    const char *name;        /* general.name as the user wants it, or NULL */
    uint64_t n_params;
    uint64_t n_active, n_experts; /* of models with experts (plan.h) */
} ws_metadata_source;

WS_MUST_CHECK ws_status ws_metadata_put(ws_pairs *p, const ws_metadata_source *from, ws_error *err);

#endif
