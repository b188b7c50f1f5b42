/* input_checkpoint.h - a checkpoint as quantize's input: the GGUF tensors that convert would write, made piece by piece
 * when they are asked for, so that no file comes between. */
#ifndef WS_INPUT_CHECKPOINT_H
#define WS_INPUT_CHECKPOINT_H

#include "convert.h"
#include "input.h"

/* The input that c's plan describes; c must outlive it. in->g is its own. Release with ws_input_close_checkpoint(). */
WS_MUST_CHECK ws_status ws_input_open_checkpoint(ws_input *in, ws_conversion *c, uint32_t cpu_flags, ws_error *err);
void ws_input_close_checkpoint(ws_input *in); /* a zeroed one is fine */

#endif
