/* config.h - the numbers of a model from config.json. The reference converter does not read the file itself but
 * what transformers make of it, so their defaults for missing fields (transformers 5.23) belong to its output. */
#ifndef WS_CONFIG_H
#define WS_CONFIG_H

#include "arch.h"
#include "json.h"
#include "pairs.h"

/* A copy of config.json's object with the missing fields filled in, and all rotary settings gathered in
 * "rope_parameters". Release with cJSON_Delete(); NULL when memory is out. */
cJSON *ws_config_complete(const cJSON *raw, ws_error *err);

/* A field by its names ("a|b": the first that is there). NULL when it is missing or null. */
const cJSON *ws_config_find(const cJSON *config, const char *names);

/* The shape of the model, checked. `path` names the file in messages. */
WS_MUST_CHECK ws_status ws_config_hparams(ws_hparams *hp, const cJSON *config, const char *path, ws_error *err);

/* Put the keys "ARCH.*" and general.file_type. */
WS_MUST_CHECK ws_status ws_config_put(ws_pairs *p, const ws_arch *arch, const cJSON *config, uint32_t file_type,
                                      const char *path, ws_error *err);

#endif
