/* config.h - the numbers of a model from config.json, after config_defaults.h has completed it. */
#ifndef WS_CONFIG_H
#define WS_CONFIG_H

#include "arch.h"
#include "json.h"
#include "pairs.h"

/* A field by its names ("a|b": the first that is there). NULL when it is missing or null. */
const cJSON *ws_config_find(const cJSON *config, const char *names);

/* The shape of the model, checked. `path` names the file in messages. */
WS_MUST_CHECK ws_status ws_config_hparams(ws_hparams *hp, const ws_arch *arch, const cJSON *config, const char *path,
                                          ws_error *err);

/* Put the keys "ARCH.*" and general.file_type (which `config` gets as a field, for keys to name). */
WS_MUST_CHECK ws_status ws_config_put(ws_pairs *p, const ws_arch *arch, cJSON *config, uint32_t file_type,
                                      const char *path, ws_error *err);

/* The keys that come behind that of the pooling. */
WS_MUST_CHECK ws_status ws_config_put_late(ws_pairs *p, const ws_arch *arch, const cJSON *config, const char *path,
                                           ws_error *err);

#endif
