/* flags.h - how to start an engine with the plan of an estimate. */
#ifndef WS_FLAGS_H
#define WS_FLAGS_H

#include "target.h"

enum { WS_FLAGS_BYTES = 256 };

/* llama-server / llama-cli: "-c 8192 -ngl 99 -fa on ...". */
void ws_flags_llama(char out[WS_FLAGS_BYTES], const ws_blueprint *bp, const ws_est_options *o, const ws_estimate *e);
/* Ollama: environment and Modelfile parameters. */
void ws_flags_ollama(char out[WS_FLAGS_BYTES], const ws_blueprint *bp, const ws_est_options *o);
void ws_flags_vllm(char out[WS_FLAGS_BYTES], const ws_est_options *o, double utilization);

#endif
