/* model_source.h - what a user calls a model: a GGUF file (of a split one the first), a folder with a config.json, a
 * config.json, or a name in the store of Ollama, LM Studio or Jan. */
#ifndef WS_MODEL_SOURCE_H
#define WS_MODEL_SOURCE_H

#include "blueprint.h"

/* *path is what was opened, to free; also on failure NULL or a path. Names are looked up below $OLLAMA_MODELS or
 * ~/.ollama/models, ~/.lmstudio/models, ~/.cache/lm-studio/models, Jan's data folder. */
WS_MUST_CHECK ws_status ws_model_source_open(ws_blueprint **out, char **path, const char *model, ws_error *err);

/* The blob that an Ollama name stands for below `store`; NULL without an error when it has no such model. */
WS_MUST_CHECK ws_status ws_ollama_find(char **path, const char *store, const char *name, ws_error *err);

/* The one GGUF file below `folder` whose path there contains `name` (in any case); NULL when none does, WS_USAGE when
 * several do and none of them is called exactly that. */
WS_MUST_CHECK ws_status ws_folder_find(char **path, const char *folder, const char *name, ws_error *err);

#endif
