/* retype.h - what a model would be in another quantization: types by the recipe that quantize and llama-quantize
 * follow, tensor by tensor. */
#ifndef WS_RETYPE_H
#define WS_RETYPE_H

#include "blueprint.h"

/* `name`: a file type ("q4_k_m"), or NULL for what the file has; WS_USAGE when there is none of that name. The
 * blueprint gets tensors of its own. */
WS_MUST_CHECK ws_status ws_blueprint_retype(ws_blueprint *bp, const char *name, ws_error *err);

#endif
