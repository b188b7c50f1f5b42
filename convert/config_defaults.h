/* config_defaults.h - what transformers (5.23) make of a config.json: its classes' defaults for missing fields, and all
 * rotary settings in one place. The reference converter sees that, not the file. */
#ifndef WS_CONFIG_DEFAULTS_H
#define WS_CONFIG_DEFAULTS_H

#include "error.h"
#include "json.h"

/* A copy of config.json's object with the missing fields filled in, and all rotary settings gathered in
 * "rope_parameters". Release with cJSON_Delete(); NULL when memory is out. */
cJSON *ws_config_complete(const cJSON *raw, ws_error *err);

#endif
