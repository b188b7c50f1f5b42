/* hf_blueprint.h - a blueprint from a Hugging Face config.json: the numbers tell the shapes of all tensors, as
 * convert would write them. No weight is needed. */
#ifndef WS_HF_BLUEPRINT_H
#define WS_HF_BLUEPRINT_H

#include "blueprint.h"

/* `path`: a config.json. WS_UNSUPPORTED names classes whose tensors are not described here. */
WS_MUST_CHECK ws_status ws_blueprint_from_config(ws_blueprint **out, const char *path, ws_error *err);

/* The same from text; `name` stands for the path in messages. */
WS_MUST_CHECK ws_status ws_blueprint_from_config_text(ws_blueprint **out, const char *text, size_t size,
                                                      const char *name, ws_error *err);

#endif
